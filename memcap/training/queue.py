"""The members that wait, those in flight, and the results: shared by all workers of a job.

Members that differ only in what is an operand share a program. A worker claims the costliest program that nobody else has; if
all are taken it helps with one that another worker has already compiled, so that the compilation cache serves it. A dead
worker's members wait again.
"""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

import jax

from memcap.config import Engine, Member
from memcap.training.population import Chunk, Result
from memcap.training.program import Program, lengths, side_by_side
from memcap.training.step import Shape, Trainer

MOST_LANES = 4096  # members in flight on an accelerator; what its memory holds may be fewer


class Listener:
    """What happens while members train; every method may be called from several threads. This one ignores it all."""

    def curve(self, chunk: Chunk) -> None:
        """A piece of a member's curve. A member that was taken over from a dead worker begins again at step 0."""

    def ended(self, population: str, results: Sequence[Result]) -> None:
        """Members have ended; `population` names the program that trained them."""


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
    """

    def __init__(
        self,
        members: Iterable[Member],
        engine: Engine,
        workers: int = 1,
        listener: Listener | None = None,
        more: Callable[[Sequence[Result]], Iterable[Member]] | None = None,
    ):
        self.engine, self.workers, self.listener, self.more = engine, workers, listener or Listener(), more
        self.changed = threading.Condition(threading.RLock())
        self.known: set[Member] = set()
        self.waiting: dict[Shape, deque[Member]] = {}
        self.work: dict[Shape, float] = defaultdict(float)  # cost of what waits
        self.programs: dict[Shape, list[Program]] = {}
        self.owners: dict[Shape, set[int]] = {}
        self.running: set[Program] = set()  # compiled by a worker
        self.deaths: Counter[Member] = Counter()
        self.held: dict[int, dict[Member, None]] = {worker: {} for worker in range(workers)}
        self.found: dict[Member, Result] = {}
        self.over = threading.Event()  # all done, or stopped
        self.add(members)

    def add(self, members: Iterable[Member]) -> None:
        """Let more members wait."""
        with self.changed:
            for member in members:
                if member not in self.known:
                    self.known.add(member)
                    shape = Shape.of(member)
                    self.waiting.setdefault(shape, deque()).append(member)
                    self.work[shape] += cost(member)
            self._look()

    def stop(self) -> None:
        """Let every worker end after its chunk."""
        with self.changed:
            self.over.set()
            self.changed.notify_all()

    def _look(self) -> None:
        """Let everybody look again at what has changed; all is over once nothing waits and nothing is in flight."""
        if not any(self.waiting.values()) and not any(self.held.values()):
            self.over.set()
        self.changed.notify_all()

    def claim(self, worker: int) -> Program | None:
        """See `QueueClient.claim`."""
        with self.changed:
            self._leave(worker)
            while not self.over.is_set():
                waiting = [shape for shape, members in self.waiting.items() if members]
                for shape in sorted(waiting, key=lambda s: (bool(self.owners.get(s)), -self.work[s])):
                    program = self._program(shape)
                    if not self.owners.get(shape) or program in self.running:
                        self.owners.setdefault(shape, set()).add(worker)
                        return program
                self.changed.wait()
            return None

    def _leave(self, worker: int) -> None:
        for owners in self.owners.values():
            owners.discard(worker)
        self.changed.notify_all()

    def _program(self, shape: Shape) -> Program:
        """The smallest program of this shape whose buffers and lanes serve all that wait; a new one if there is none."""
        steps, stretched = (max(each) for each in zip(*map(lengths, self.waiting[shape]), strict=True))
        together = side_by_side(self.engine)
        lanes = self.engine.lanes or (min(len(self.waiting[shape]), MOST_LANES) if together else 1)
        made = self.programs.setdefault(shape, [])
        fitting = [p for p in made if p.trainer.holds(steps, stretched) and p.lanes >= lanes]
        if fitting:
            return min(fitting, key=lambda p: (p.trainer.steps, p.trainer.evaluation_steps, p.lanes))
        if made:  # more and longer members came later: grow in few, large steps
            steps, stretched = (1 << (n - 1).bit_length() for n in (steps, stretched))
            lanes = self.engine.lanes or 1 << (lanes - 1).bit_length()
        devices = jax.local_device_count() if together else 1
        trainer = Trainer(shape, steps, stretched, together, self.engine.scan == "plain")
        made.append(Program(trainer, -(-lanes // devices) * devices, devices))
        return made[-1]

    def take(self, worker: int, program: Program, most: int) -> list[Member]:
        """See `QueueClient.take`: a share of what waits and fits into the program's buffers."""
        with self.changed:
            if program not in self.running:  # a worker compiles before it takes
                self.running.add(program)
                self.changed.notify_all()
            waiting = self.waiting[program.shape]
            share = -(-len(waiting) // self.workers)
            taken: list[Member] = []
            longer: list[Member] = []
            while waiting and len(taken) < min(most, share):
                member = waiting.popleft()
                (taken if program.trainer.holds(*lengths(member)) else longer).append(member)
            waiting.extendleft(reversed(longer))
            self.held[worker] |= dict.fromkeys(taken)
            self.work[program.shape] -= sum(map(cost, taken))
            return taken

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

    def lost(self, worker: int) -> int:
        """A worker has died: its members wait again, for the others. Returns how many.

        Raises:
            RuntimeError: a member has now taken two workers with it; the third may be this process.
        """
        with self.changed:
            members, self.held[worker] = self.held[worker], {}
            self.deaths.update(list(members))
            fatal = [member for member in members if self.deaths[member] > 1]
            if fatal:
                raise RuntimeError(f"two workers died while they trained {fatal[0].config}: is there too little memory?")
            for member in members:
                self.waiting[Shape.of(member)].appendleft(member)
                self.work[Shape.of(member)] += cost(member)
            self._leave(worker)
            self._look()
            return len(members)


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

    def curve(self, chunk: Chunk) -> None:
        """See `QueueClient`."""
        self.queue.listener.curve(chunk)

    def ended(self, program: Program, results: Sequence[Result]) -> None:
        """See `QueueClient`."""
        self.queue.ended(self.worker, program, results)
