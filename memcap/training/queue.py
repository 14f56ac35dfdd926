"""The members that wait, those in flight, and the results: shared by all workers of a job.

Members that differ only in what is an operand share a program. A worker claims the costliest program that
nobody else has; if all are taken it helps with one that another worker has already compiled, so that the
compilation cache serves it.

A dead worker's members wait again, as suspects: each is trained alone, and not by this process, whose death
would be the job's. Of a second death they are guilty, and have failed.
"""

import math
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

import jax

from memcap.config import Engine, Member
from memcap.training.groups import Group, Groups, Size, size_of
from memcap.training.lane import Checkpoint
from memcap.training.program import Program
from memcap.training.step import Trainer
from memcap.training.train_loop import Chunk, Result

MOST_LANES = 4096  # members in flight on an accelerator; what its memory holds may be fewer
LANES_OF_A_SEARCH = 256  # at least, where more members are asked for as results come


class Listener:
    """What happens while members train; every method may be called from several threads. This one ignores it
    all.

    Attributes:
        keeps: seconds of training after which a member's state is handed in, and again after as many;
        infinite: never.
    """

    keeps = math.inf

    def curve(self, chunk: Chunk) -> None:
        """A piece of a member's curve. One that was taken over from a dead worker goes on where it was
        `kept`, or at step 0."""

    def ended(self, population: str, results: Sequence[Result]) -> None:
        """Members have ended; `population` names the program that trained them."""

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None:
        """States of members in flight. What comes of a member from here on is the same, whoever trains it."""

    def kept(self, members: Sequence[Member]) -> dict[str, Checkpoint]:
        """Where those of the members, by key, go on that have trained before."""
        del members
        return {}

    def meanwhile(self) -> None:
        """Called several times a second, by the thread that called `train`."""


def cost(member: Member) -> float:
    """Rough work of a member, to start the longest first: steps x length x batch x (units + overhead)^2."""
    recipe, units = member.recipe, member.model.units
    return (recipe.budget or 0) * member.length * (recipe.batch or 0) * (units + 8.0) ** 2


class Queue:
    """Members waiting and in flight; thread-safe.

    Args:
        members: to train; equal members train once.
        engine: how to share the machine.
        workers: how many workers will ask; nobody takes more than a fair share of what waits.
        listener: told of curves and ended members.
        more: members that are wanted after these have ended.
        possible: all that `more` may ask for, so that programs are made as large as they will have to be.
        study: members with some of which those to train were to share programs, so that programs, which the
            rows tell of, are the same where some of these have been trained before.
    """

    def __init__(
        self,
        members: Iterable[Member],
        engine: Engine,
        workers: int = 1,
        listener: Listener | None = None,
        more: Callable[[Sequence[Result]], Iterable[Member]] | None = None,
        possible: Iterable[Member] = (),
        study: Iterable[Member] = (),
    ):
        self.engine, self.workers, self.listener, self.more = engine, workers, listener or Listener(), more
        self.changed = threading.Condition(threading.RLock())
        self.known: set[Member] = set()
        self.waiting: dict[Group, deque[Member]] = {}
        self.work: dict[Group, float] = defaultdict(float)  # cost of what waits
        self.expected: dict[Group, tuple[Size, int]] = {}  # what may come: size, and how many
        self.programs: dict[Group, list[Program]] = {}
        self.owners: dict[Group, set[int]] = {}
        self.running: set[Program] = set()  # compiled by a worker
        self.claimed: dict[int, Program] = {}
        self.deaths: Counter[Member] = Counter()
        self.held: dict[int, dict[Member, None]] = {worker: {} for worker in range(workers)}
        self.found: dict[Member, Result] = {}
        self.over = threading.Event()  # all done, or stopped
        self.closed = False  # nobody listens any more
        members, possible, study = list(members), list(possible), list(study)
        self.groups = Groups(engine, [*members, *possible, *study])
        for member in dict.fromkeys([*members, *possible]):
            group = self.groups.of(member)
            # one after another a program of the lengths at hand runs as fast, and larger ones are seldom
            # needed
            if group.side_by_side:
                size, count = self.expected.get(group, (Size.of(member), 0))
                self.expected[group] = Size.most([size, Size.of(member)]), count + 1
        for member in study:
            group = self.groups.of(member)
            size, count = self.expected.get(group, (Size.of(member), 0))
            self.expected[group] = Size.most([size, Size.of(member)]), count
        self.add(members)

    def add(self, members: Iterable[Member]) -> None:
        """Let more members wait."""
        with self.changed:
            for member in members:
                if member not in self.known:
                    self.known.add(member)
                    group = self.groups.of(member)
                    self.waiting.setdefault(group, deque()).append(member)
                    self.work[group] += cost(member)
            self._look()

    def stop(self) -> None:
        """Let every worker end after its chunk."""
        with self.changed:
            self.over.set()
            self.changed.notify_all()

    def close(self) -> None:
        """Take nothing more from the workers: `train` returns, and leaves them to their chunks."""
        self.stop()
        self.closed = True

    def _look(self) -> None:
        """Let everybody look again at what has changed; all is over once nothing waits and nothing is in
        flight."""
        if not any(self.waiting.values()) and not any(self.held.values()):
            self.over.set()
        self.changed.notify_all()

    def ahead(self) -> list[Program]:
        """The programs of all that waits, the costliest first."""
        with self.changed:
            waiting = [group for group, members in self.waiting.items() if members]
            return [self._program(group) for group in sorted(waiting, key=lambda g: -self.work[g])]

    def claim(self, worker: int) -> Program | None:
        """See `QueueClient.claim`."""
        with self.changed:
            self._leave(worker)
            self.claimed.pop(worker, None)
            while not self.over.is_set():
                waiting = [
                    group
                    for group, members in self.waiting.items()
                    if any(self._may_train(worker, m) for m in members)
                ]
                for group in sorted(waiting, key=lambda g: (bool(self.owners.get(g)), -self.work[g])):
                    program = self._program(group)
                    if not self.owners.get(group) or program in self.running:
                        self.owners.setdefault(group, set()).add(worker)
                        self.claimed[worker] = program
                        return program
                self.changed.wait()
            return None

    def _may_train(self, worker: int, member: Member) -> bool:
        """Suspects train in another process than this one, and alone."""
        return member not in self.deaths or (worker != 0 and not self.held[worker])

    def _leave(self, worker: int) -> None:
        for owners in self.owners.values():
            owners.discard(worker)
        self.changed.notify_all()

    def _program(self, group: Group) -> Program:
        """The smallest program of this group whose width, buffers and lanes serve all that wait; a new one if
        there is none."""
        size, lanes = Size.most(map(Size.of, self.waiting[group])), self.engine.lanes or 1
        expected, count = self.expected.get(group, (size, 0))
        size = Size.most([size, expected])
        if group.side_by_side:
            waiting = len(self.waiting[group])
            lanes = self.engine.lanes or min(max(waiting, min(count, LANES_OF_A_SEARCH)), MOST_LANES)
        else:
            size = size._replace(units=group.shape.architecture.model.units)
        made = self.programs.setdefault(group, [])
        fitting = [p for p in made if size_of(p).holds(size) and p.lanes >= lanes]
        if fitting:
            return min(fitting, key=lambda p: (size_of(p), p.lanes))
        if made:  # more and longer members came later: grow in few, large steps
            steps, stretched = (1 << (n - 1).bit_length() for n in size[1:])
            size, lanes = (
                Size(size.units, steps, stretched),
                self.engine.lanes or 1 << (lanes - 1).bit_length(),
            )
        devices = jax.local_device_count() if group.side_by_side else 1
        shape = group.shape.at_width(size.units)
        trainer = Trainer(shape, size.steps, size.stretched, group.loop, group.side_by_side)
        made.append(Program(trainer, -(-lanes // devices) * devices, devices))
        return made[-1]

    def take(self, worker: int, program: Program, most: int) -> list[Member]:
        """See `QueueClient.take`: a share of what waits and fits into the program's buffers."""
        with self.changed:
            if program not in self.running:  # a worker compiles before it takes
                self.running.add(program)
                self.changed.notify_all()
            group = self._group(program)
            waiting = self.waiting[group]
            share = -(-len(waiting) // self.workers)
            taken: list[Member] = []
            others: list[Member] = []
            if any(member in self.deaths for member in self.held[worker]):
                most = 0
            while waiting and len(taken) < min(most, share):
                member = waiting.popleft()
                suspect = member in self.deaths
                fits = size_of(program).holds(Size.of(member)) and self._may_train(worker, member)
                (taken if fits else others).append(member)
                if fits and suspect:
                    break
            waiting.extendleft(reversed(others))
            self.held[worker] |= dict.fromkeys(taken)
            self.work[group] -= sum(map(cost, taken))
            return taken

    def _group(self, program: Program) -> Group:
        """Whose program it is; one with fewer lanes, as memory allows, is the same to its members."""
        return next(g for g, made in self.programs.items() if any(p.trainer == program.trainer for p in made))

    def ended(self, worker: int, program: Program, results: Sequence[Result]) -> None:
        """See `QueueClient.ended`."""
        self.listener.ended(program.name, results)
        with self.changed:
            for each in results:
                self.found[each.member] = each
            wanted = self.more(results) if self.more else ()
            for each in results:
                del self.held[worker][each.member]
            self.add(wanted)

    def lost(self, worker: int, why: str) -> tuple[list[Member], list[Member]]:
        """A worker has died.

        Args:
            worker: its number; its successor has the same.
            why: how it ended.

        Returns:
            The members that may have killed it: what it had, or all that wait for the program that it was
                compiling. And those
            of them that had killed another one before, and have failed.
        """
        with self.changed:
            held, program = list(self.held[worker]), self.claimed.get(worker)
            compiling = (
                [] if program is None or program in self.running else list(self.waiting[self._group(program)])
            )
            blamed = held or compiling
            self.deaths.update(blamed)
            failed = [member for member in blamed if self.deaths[member] > 1]
            self.held[worker] = dict.fromkeys(failed)  # until they have ended
            for member in failed if not held else ():
                group = self.groups.of(member)
                self.waiting[group].remove(member)
                self.work[group] -= cost(member)
            for member in held:
                if member not in self.held[worker]:
                    group = self.groups.of(member)
                    self.waiting[group].appendleft(member)
                    self.work[group] += cost(member)
            self._leave(worker)
            self._look()
        if failed:
            assert program is not None
            reason = f"two workers ended while they trained it; the second {why}"
            self.ended(worker, program, [Result.failed(member, program, reason) for member in failed])
        return blamed, failed


class LocalClient:
    """The side of the queue that a worker in this process sees: a `QueueClient`."""

    def __init__(self, queue: Queue, worker: int):
        self.queue, self.worker = queue, worker

    def going(self) -> bool:
        """See `QueueClient`."""
        return not self.queue.over.is_set()

    def claim(self) -> Program | None:
        """See `QueueClient`."""
        return self.queue.claim(self.worker)

    def take(self, program: Program, most: int) -> list[Member]:
        """See `QueueClient`."""
        return self.queue.take(self.worker, program, most)

    def keeps(self) -> float:
        """See `QueueClient`."""
        return self.queue.listener.keeps

    def kept(self, members: Sequence[Member]) -> dict[str, Checkpoint]:
        """See `QueueClient`."""
        return self.queue.listener.kept(members)

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None:
        """See `QueueClient`."""
        if not self.queue.closed:
            self.queue.listener.keep(checkpoints)

    def curve(self, chunk: Chunk) -> None:
        """See `QueueClient`."""
        if not self.queue.closed:
            self.queue.listener.curve(chunk)

    def ended(self, program: Program, results: Sequence[Result]) -> None:
        """See `QueueClient`."""
        if not self.queue.closed:
            self.queue.ended(self.worker, program, results)
