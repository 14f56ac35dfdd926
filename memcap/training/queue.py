"""The queue of a job, shared by all workers: members waiting or in flight, and results.

A worker claims the costliest free program, or else helps with one that another has
compiled, so that the compilation cache serves it. A dead worker's members wait as
suspects: each trains alone, and not in this process; one that kills a second worker has
failed.
"""

import math
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from memcap.config.member import Engine, Member
from memcap.training.host import Checkpoint, CurveChunk, Result
from memcap.training.program import Group, Groups, Program, Size, size_of, way_of
from memcap.training.step import Trainer

MAX_LANES = 4096  # members in flight on an accelerator, if its memory holds so many
# least lanes of an adaptive search, if it has that many candidates
MIN_LANES_OF_A_SEARCH = 256


class Listener:
    """Listener to a training, called from several threads; ignores all events."""

    # seconds of training between two checkpoints of a member; infinite: none
    checkpoint_after = math.inf

    def add_curve(self, chunk: CurveChunk) -> None:
        """Take a piece of a curve; after a worker's death it begins again earlier."""

    def finish(self, program: str, results: Sequence[Result]) -> None:
        """Take results of ended members; `program` is the name of theirs."""

    def save_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Take states of members in flight, from which any worker can continue them."""

    def load_checkpoints(self, members: Sequence[Member]) -> Mapping[str, Checkpoint]:
        """Return, by key, checkpoints of members that have trained before."""
        return {}

    def tick(self) -> None:
        """Do regular work, several times a second, in the thread of `train`."""


def cost(member: Member) -> float:
    """Return the rough cost of a member's whole budget; the costliest start first."""
    recipe = member.recipe
    model = member.model
    return work(recipe.budget, member.length, recipe.batch, model.layers, model.units)


def work(steps: Any, length: Any, batch: Any, layers: Any, units: Any) -> Any:
    return steps * length * batch * (layers * (units + 8.0) ** 2)


class Queue:
    """Members waiting and in flight; thread-safe.

    Args:
        members, engine, listener, next_members: as for `memcap.training.engine.train`.
        workers: number of workers; each takes at most a fair share of waiting members.
        candidates: all members that `next_members` may return, for the programs' sizes.
        study: all members of the study, which size programs even if already trained.
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

        # Members
        self.seen: set[Member] = set()
        self.pending: dict[Group, deque[Member]] = {}
        self.pending_cost: dict[Group, float] = defaultdict(float)
        self.in_flight: dict[int, dict[Member, None]] = {
            worker: {} for worker in range(workers + 1)
        }
        self.results: dict[Member, Result] = {}  # in the order in which members ended
        # deaths of workers that had the member
        self.failures: Counter[Member] = Counter()

        # Programs
        # largest size and number of members
        self.sizes: dict[Group, tuple[Size, int]] = {}
        self.programs: dict[Group, list[Program]] = defaultdict(list)
        # a program may get fewer lanes than planned, if memory is short
        self.group_of: dict[Trainer, Group] = {}
        self.owners: dict[Group, set[int]] = defaultdict(set)
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
        """Make the programs of a member's group fit it, with `count` more lanes."""
        group = self.groups.of(member)
        size, so_far = self.sizes.get(group, (Size.needed_by(member), 0))
        self.sizes[group] = Size.max_of([size, Size.needed_by(member)]), so_far + count

    def add(self, members: Iterable[Member]) -> None:
        with self.changed:
            for member in members:
                if member not in self.seen:
                    self.seen.add(member)
                    self._wait(member)
            self._notify()

    def _wait(self, member: Member) -> None:
        group = self.groups.of(member)
        pending = self.pending.setdefault(group, deque())
        append = pending.appendleft if member in self.failures else pending.append
        append(member)
        self.pending_cost[group] += cost(member)

    def stop(self) -> None:
        with self.changed:
            self.done.set()
            self.changed.notify_all()

    def detach(self) -> None:
        """Ignore results from now on: `train` returns before chunks end."""
        self.stop()
        self.listener = Listener()
        self.next_members = None

    def in_order(self, members: Sequence[Member]) -> list[Result]:
        first = set(members)
        others = [member for member in self.results if member not in first]
        return [self.results[member] for member in [*members, *others]]

    def _notify(self) -> None:
        if not any(self.pending.values()) and not any(self.in_flight.values()):
            self.done.set()
        self.changed.notify_all()

    # Programs

    def programs_to_compile(self) -> list[Program]:
        with self.changed:
            groups = [group for group, members in self.pending.items() if members]
            groups.sort(key=lambda group: -self.pending_cost[group])
            return [self._program(group) for group in groups]

    def claim_program(self, worker: int) -> Program | None:
        """Wait for a worker's next program, and claim it; None when all is done."""
        with self.changed:
            self._release(worker)
            self.claims.pop(worker, None)
            while not self.done.is_set():
                groups = [
                    group
                    for group, members in self.pending.items()
                    if any(self._may_train(worker, member) for member in members)
                ]
                groups.sort(key=lambda g: (bool(self.owners[g]), -self.pending_cost[g]))
                for group in groups:
                    program = self._program(group)
                    if not self.owners[group] or program in self.compiled:
                        self.owners[group].add(worker)
                        self.claims[worker] = program
                        return program
                self.changed.wait()
            return None

    def _may_train(self, worker: int, member: Member) -> bool:
        suspect = member in self.failures
        return not suspect or (worker != 0 and not self.in_flight[worker])

    def _release(self, worker: int) -> None:
        for owners in self.owners.values():
            owners.discard(worker)
        self.changed.notify_all()

    def _program(self, group: Group) -> Program:
        """Return the group's smallest program for all waiting members, or a new one."""
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

        programs = self.programs[group]
        fitting = [p for p in programs if size.fits(size_of(p)) and p.lanes >= lanes]
        if fitting:
            return min(fitting, key=lambda p: (size_of(p), p.lanes))
        if programs:  # more and longer members came later: grow in few, large steps
            longest = map(_power_of_2, (size.max_length, size.max_eval_length))
            size = Size(size.units, *longest)
            lanes = self.engine.lanes or _power_of_2(lanes)

        devices = jax.local_device_count() if group.side_by_side else 1
        spec = group.spec.at_width(size.units)
        trainer = Trainer(
            spec, size.max_length, size.max_eval_length, group.loop, group.side_by_side
        )
        self.group_of[trainer] = group
        programs.append(Program(trainer, -(-lanes // devices) * devices, devices))
        return programs[-1]

    # Members

    def take_members(self, worker: int, program: Program, most: int) -> list[Member]:
        """Take a share of the waiting members that fit a claimed program."""
        with self.changed:
            # a worker compiles before it takes members
            if program not in self.compiled:
                self.compiled.add(program)
                self.changed.notify_all()
            group = self.group_of[program.trainer]
            pending = self.pending[group]
            share = min(most, -(-len(pending) // self.workers))
            if any(member in self.failures for member in self.in_flight[worker]):
                share = 0
            members: list[Member] = []
            others: list[Member] = []
            size = size_of(program)
            while pending and len(members) < share:
                member = pending.popleft()
                fits = Size.needed_by(member).fits(size)
                takes = fits and self._may_train(worker, member)
                (members if takes else others).append(member)
                if takes and member in self.failures:
                    break
            pending.extendleft(reversed(others))
            self.in_flight[worker] |= dict.fromkeys(members)
            self.pending_cost[group] -= sum(map(cost, members))
            return members

    def finish(self, worker: int, program: Program, results: Sequence[Result]) -> None:
        self.listener.finish(program.name, results)
        with self.changed:
            self.results |= {result.member: result for result in results}
            members = self.next_members(results) if self.next_members else ()
            for result in results:
                del self.in_flight[worker][result.member]
            self.add(members)

    @property
    def checkpoint_after(self) -> float:
        """Seconds of training between two checkpoints of a member; infinite: none."""
        return self.listener.checkpoint_after

    def should_continue(self) -> bool:
        """Return false once the job was interrupted or a worker has failed."""
        return not self.done.is_set()

    def load_checkpoints(self, members: Sequence[Member]) -> Mapping[str, Checkpoint]:
        return self.listener.load_checkpoints(members)

    def save_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        self.listener.save_checkpoints(checkpoints)

    def add_curve(self, chunk: CurveChunk) -> None:
        self.listener.add_curve(chunk)

    def worker_died(
        self, worker: int, reason: str
    ) -> tuple[list[Member], list[Member]]:
        """Let a dead worker's members wait again.

        Return the members that may have killed it: its own, or all waiting for the
        program that it was compiling; and those that have failed, as they had killed
        one before.
        """
        with self.changed:
            suspects = list(self.in_flight[worker])
            program = self.claims.get(worker)
            if not suspects and program is not None and program not in self.compiled:
                group = self.group_of[program.trainer]
                suspects = list(self.pending[group])
                self.pending[group].clear()
                self.pending_cost[group] = 0.0
            self.failures.update(suspects)
            failed = [member for member in suspects if self.failures[member] > 1]
            self.in_flight[worker] = dict.fromkeys(failed)  # until they have ended
            for member in reversed(suspects):
                if member not in self.in_flight[worker]:
                    self._wait(member)
            self._release(worker)
            self._notify()
        if failed:
            assert program is not None
            why = f"two workers ended while they trained it; the second {reason}"
            way = way_of(program)
            results = [Result.failed(member, why, way) for member in failed]
            self.finish(worker, program, results)
        return suspects, failed


def _power_of_2(number: int) -> int:
    return 1 << (number - 1).bit_length()
