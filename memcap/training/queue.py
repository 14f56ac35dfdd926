"""The queue of a job, shared by all its workers: members that wait, members in flight, and results.

Members that differ only in what is an operand share a program. A worker claims the
costliest program that nobody else has; if all are claimed it helps with one that
another worker has already compiled, so that the compilation cache serves it.

A dead worker's members wait again, as suspects: each is trained alone, and not by this
process, whose death would end the job. A member that kills a second worker has failed.
"""

import math
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from memcap.config.member import Engine, Member
from memcap.training.program import Group, Groups, Program, Size, size_of
from memcap.training.results import Checkpoint, CurveChunk, Result
from memcap.training.step import Trainer

MAX_LANES = 4096  # members in flight on an accelerator, if its memory holds so many
# least lanes of an adaptive search, if it has that many candidates
MIN_LANES_OF_A_SEARCH = 256


class Listener:
    """Listener to a training, which ignores all events; several threads may call every method."""

    # seconds of training between two checkpoints of a member; infinite: none
    checkpoint_after = math.inf

    def add_curve(self, chunk: CurveChunk) -> None:
        """Take a piece of a member's curve; after a worker's death it begins again at
        an earlier step."""

    def finish(self, program: str, results: Sequence[Result]) -> None:
        """Take the results of members that have ended; `program` names the one that
        trained them."""

    def save_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Take the states of members in flight, from which any worker continues a
        member the same way."""

    def load_checkpoints(self, members: Sequence[Member]) -> Mapping[str, Checkpoint]:
        """Return, by key, the checkpoints of those members that have trained before."""
        del members
        return {}

    def tick(self) -> None:
        """Do regular work; called several times a second, by the thread that called `train`."""


def cost(member: Member) -> float:
    """Return the rough cost of a member that uses its whole budget; the costliest start first."""
    recipe = member.recipe
    model = member.model
    return work(recipe.budget, member.length, recipe.batch, model.layers, model.units)


def work(steps: Any, length: Any, batch: Any, layers: Any, units: Any) -> Any:
    """Return steps x length x batch x layers x (units + overhead)^2, for numbers or for columns."""
    return steps * length * batch * (layers * (units + 8.0) ** 2)


class Queue:
    """Members waiting and in flight; thread-safe.

    Args:
        members, engine, listener, next_members: as for `memcap.training.engine.train`.
        workers: number of workers; each takes at most a fair share of the waiting members.
        candidates: all members that `next_members` may return, so that programs are
            large enough from the start.
        study: all members of the study. Programs, which rows record, are sized for all
            of them, even if some have been trained before.
    """

    def __init__(
        self,
        members: Iterable[Member],
        engine: Engine,
        workers: int = 1,
        listener: Listener | None = None,
        next_members: Callable[[Sequence[Result]], Iterable[Member]] | None = None,
        candidates: Iterable[Member] = (),
        study: Iterable[Member] = (),
    ):
        self.engine = engine
        self.workers = workers
        self.listener = listener or Listener()
        self.next_members = next_members
        self.changed = threading.Condition(threading.RLock())
        self.done = threading.Event()  # all is over, or the job was stopped
        self.detached = False  # nobody listens any more

        # Members
        self.seen: set[Member] = set()
        self.pending: dict[Group, deque[Member]] = {}
        self.pending_cost: dict[Group, float] = defaultdict(float)
        self.in_flight: dict[int, dict[Member, None]] = {
            worker: {} for worker in range(workers)
        }
        self.results: dict[Member, Result] = {}  # in the order in which members ended
        # deaths of workers that had the member
        self.failures: Counter[Member] = Counter()

        # Programs
        # largest size and number of members
        self.sizes: dict[Group, tuple[Size, int]] = {}
        self.programs: dict[Group, list[Program]] = {}
        self.owners: dict[Group, set[int]] = {}
        self.claims: dict[int, Program] = {}  # by worker
        self.compiled: set[Program] = set()  # by a worker

        members = list(members)
        candidates = list(candidates)
        study = list(study)
        self.groups = Groups(engine, [*members, *candidates, *study])
        for member in dict.fromkeys([*members, *candidates]):
            # If members run one after another, a program for the current lengths is as
            # fast, and larger ones are seldom needed.
            if self.groups.of(member).side_by_side:
                self._expect(member, 1)
        for member in study:
            self._expect(member, 0)
        self.add(members)

    def _expect(self, member: Member, count: int) -> None:
        """Make the programs of a member's group large enough for it, with `count` more lanes."""
        group = self.groups.of(member)
        size, so_far = self.sizes.get(group, (Size.needed_by(member), 0))
        self.sizes[group] = Size.max_of([size, Size.needed_by(member)]), so_far + count

    def for_worker(self, worker: int) -> "WorkerQueue":
        """Return a worker's view of the queue."""
        return WorkerQueue(self, worker)

    def add(self, members: Iterable[Member]) -> None:
        """Add members that wait."""
        with self.changed:
            for member in members:
                if member not in self.seen:
                    self.seen.add(member)
                    group = self.groups.of(member)
                    self.pending.setdefault(group, deque()).append(member)
                    self.pending_cost[group] += cost(member)
            self._notify()

    def stop(self) -> None:
        """Make every worker stop after its chunk."""
        with self.changed:
            self.done.set()
            self.changed.notify_all()

    def detach(self) -> None:
        """Accept nothing more from the workers: `train` returns while they finish their chunks."""
        self.stop()
        self.detached = True

    def in_order(self, members: Sequence[Member]) -> list[Result]:
        """Return the results of these members in their order, then those of all others."""
        first = set(members)
        others = [member for member in self.results if member not in first]
        return [self.results[member] for member in [*members, *others]]

    def _notify(self) -> None:
        """Wake every thread that waits for a change. The job is done once no member
        waits or is in flight."""
        if not any(self.pending.values()) and not any(self.in_flight.values()):
            self.done.set()
        self.changed.notify_all()

    # Programs

    def programs_to_compile(self) -> list[Program]:
        """Return the programs of all waiting members, the costliest first."""
        with self.changed:
            groups = [group for group, members in self.pending.items() if members]
            return [
                self._program(group)
                for group in sorted(groups, key=lambda g: -self.pending_cost[g])
            ]

    def claim_program(self, worker: int) -> Program | None:
        """Claim the next program for a worker; see `WorkerQueue`."""
        with self.changed:
            self._release(worker)
            self.claims.pop(worker, None)
            while not self.done.is_set():
                groups = [
                    group
                    for group, members in self.pending.items()
                    if any(self._may_train(worker, member) for member in members)
                ]
                for group in sorted(
                    groups,
                    key=lambda g: (bool(self.owners.get(g)), -self.pending_cost[g]),
                ):
                    program = self._program(group)
                    if not self.owners.get(group) or program in self.compiled:
                        self.owners.setdefault(group, set()).add(worker)
                        self.claims[worker] = program
                        return program
                self.changed.wait()
            return None

    def _may_train(self, worker: int, member: Member) -> bool:
        """Return whether a worker may train a member: suspects train alone, and never
        in this process."""
        return member not in self.failures or (
            worker != 0 and not self.in_flight[worker]
        )

    def _release(self, worker: int) -> None:
        for owners in self.owners.values():
            owners.discard(worker)
        self.changed.notify_all()

    def _program(self, group: Group) -> Program:
        """Return the group's smallest program that serves all waiting members, or a new one."""
        pending = self.pending[group]
        size = Size.max_of(map(Size.needed_by, pending))
        lanes = self.engine.lanes or 1
        expected, count = self.sizes.get(group, (size, 0))
        size = Size.max_of([size, expected])
        if group.side_by_side:
            most = max(len(pending), min(count, MIN_LANES_OF_A_SEARCH))
            lanes = self.engine.lanes or min(most, MAX_LANES)
        else:
            size = size._replace(units=group.spec.architecture.model.units)

        programs = self.programs.setdefault(group, [])
        fitting = [p for p in programs if size.fits(size_of(p)) and p.lanes >= lanes]
        if fitting:
            return min(fitting, key=lambda p: (size_of(p), p.lanes))
        if programs:  # more and longer members came later: grow in few, large steps
            size = Size(
                size.units, *(1 << (length - 1).bit_length() for length in size[1:])
            )
            lanes = self.engine.lanes or 1 << (lanes - 1).bit_length()

        devices = jax.local_device_count() if group.side_by_side else 1
        spec = group.spec.at_width(size.units)
        trainer = Trainer(
            spec, size.max_length, size.max_eval_length, group.loop, group.side_by_side
        )
        programs.append(Program(trainer, -(-lanes // devices) * devices, devices))
        return programs[-1]

    def _group(self, program: Program) -> Group:
        """Return the group of a program, which may have fewer lanes than planned if
        memory is short."""
        trainers = {
            group: [each.trainer for each in programs]
            for group, programs in self.programs.items()
        }
        return next(
            group for group, theirs in trainers.items() if program.trainer in theirs
        )

    # Members

    def take_members(self, worker: int, program: Program, most: int) -> list[Member]:
        """Take a share of the waiting members that fit into the program's buffers; see
        `WorkerQueue`."""
        with self.changed:
            # a worker compiles before it takes members
            if program not in self.compiled:
                self.compiled.add(program)
                self.changed.notify_all()
            group = self._group(program)
            pending = self.pending[group]
            share = -(-len(pending) // self.workers)
            members: list[Member] = []
            others: list[Member] = []
            if any(member in self.failures for member in self.in_flight[worker]):
                most = 0
            while pending and len(members) < min(most, share):
                member = pending.popleft()
                fits = Size.needed_by(member).fits(
                    size_of(program)
                ) and self._may_train(worker, member)
                (members if fits else others).append(member)
                if fits and member in self.failures:
                    break
            pending.extendleft(reversed(others))
            self.in_flight[worker] |= dict.fromkeys(members)
            self.pending_cost[group] -= sum(map(cost, members))
            return members

    def finish(self, worker: int, program: Program, results: Sequence[Result]) -> None:
        """Take a worker's results; see `WorkerQueue`."""
        self.listener.finish(program.name, results)
        with self.changed:
            for each in results:
                self.results[each.member] = each
            members = self.next_members(results) if self.next_members else ()
            for each in results:
                del self.in_flight[worker][each.member]
            self.add(members)

    def worker_died(
        self, worker: int, reason: str
    ) -> tuple[list[Member], list[Member]]:
        """Let a dead worker's members wait again. Its successor has the same number.

        Returns:
            The members that may have killed it: those that it had, or all that wait for
                the program that it
            was compiling; and those among them that have failed, because they had
            killed a worker before.
        """
        with self.changed:
            had = list(self.in_flight[worker])
            program = self.claims.get(worker)
            compiling: list[Member] = []
            if program is not None and program not in self.compiled:
                compiling = list(self.pending[self._group(program)])
            suspects = had or compiling
            self.failures.update(suspects)
            failed = [member for member in suspects if self.failures[member] > 1]
            self.in_flight[worker] = dict.fromkeys(failed)  # until they have ended
            for member in failed if not had else ():
                group = self.groups.of(member)
                self.pending[group].remove(member)
                self.pending_cost[group] -= cost(member)
            for member in had:
                if member not in self.in_flight[worker]:
                    group = self.groups.of(member)
                    self.pending[group].appendleft(member)
                    self.pending_cost[group] += cost(member)
            self._release(worker)
            self._notify()
        if failed:
            assert program is not None
            why = f"two workers ended while they trained it; the second {reason}"
            self.finish(
                worker,
                program,
                [Result.failed(member, program, why) for member in failed],
            )
        return suspects, failed


class WorkerQueue:
    """The queue as one worker sees it, 0 in this process; elsewhere
    `workers.RemoteQueue` stands for it."""

    def __init__(self, queue: Queue, worker: int):
        self.queue = queue
        self.worker = worker

    @property
    def checkpoint_after(self) -> float:
        """Seconds of training between two checkpoints of a member; infinite: none."""
        return self.queue.listener.checkpoint_after

    def should_continue(self) -> bool:
        """Return whether the job goes on; false once it was interrupted or another
        worker has failed."""
        return not self.queue.done.is_set()

    def claim_program(self) -> Program | None:
        """Claim the next program to train; None when all is done. Waits while members
        may still come."""
        return self.queue.claim_program(self.worker)

    def take_members(self, program: Program, most: int) -> list[Member]:
        """Take up to `most` waiting members for a program that was claimed."""
        return self.queue.take_members(self.worker, program, most)

    def load_checkpoints(self, members: Sequence[Member]) -> Mapping[str, Checkpoint]:
        """Return, by key, the checkpoints of those members that have trained before."""
        return self.queue.listener.load_checkpoints(members)

    def save_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Hand in states of members in flight."""
        if not self.queue.detached:
            self.queue.listener.save_checkpoints(checkpoints)

    def add_curve(self, chunk: CurveChunk) -> None:
        """Hand in a piece of a curve."""
        if not self.queue.detached:
            self.queue.listener.add_curve(chunk)

    def finish(self, program: Program, results: Sequence[Result]) -> None:
        """Hand in members that have ended."""
        if not self.queue.detached:
            self.queue.finish(self.worker, program, results)
