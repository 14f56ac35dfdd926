"""What would be trained, before it is: the programs of members, compiled for this machine or for one that
isn't here."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import jax

from memcap import jax_setup, loops
from memcap.config import Engine, Member
from memcap.planning.devices import TARGETS, Target, compile_for
from memcap.planning.step_cost import StepCost, step_cost
from memcap.training.groups import Group, Groups
from memcap.training.program import Compiled, Program, compiled, needed_memory
from memcap.training.queue import Queue, cost

CHOSEN_BY_PLATFORM = (*loops.GENERAL, "native")  # loops that are others on an accelerator


@dataclass(frozen=True)
class Planned:
    """A program and what it asks of a device.

    Args:
        code: as compiled, with as many lanes as fit.
        members: that would train in it.
        target: the device, if its numbers are known.
    """

    code: Compiled
    members: Sequence[Member]
    target: Target | None

    @property
    def program(self) -> Program:
        """The program."""
        return self.code.program

    @cached_property
    def memory(self) -> float:
        """Bytes that each device needs, as the compiler has planned them."""
        return needed_memory(self.program, self.code.train_chunk, self.code.evaluate)

    @property
    def together(self) -> int:
        """Lanes that a device trains at the same time."""
        return self.program.lanes // self.program.devices if self.program.trainer.side_by_side else 1

    @cached_property
    def step_cost(self) -> StepCost:
        """Of a training step of one lane."""
        return step_cost(self.program)

    @cached_property
    def operations(self) -> float:
        """Of the products of a training step, in all lanes that a device trains at the same time."""
        return self.together * self.step_cost.flops

    @cached_property
    def bytes(self) -> float:
        """That the passes over time of a training step hand on, in all lanes that a device trains at the same
        time."""
        return sum(self.together * size for size in self.step_cost.buffer_bytes)

    @property
    def floor(self) -> float | None:
        """Seconds that a training step takes at least: its products at the peak, or what no cache holds at
        the bandwidth."""
        if self.target is None:
            return None
        moved = sum(
            max(0.0, self.together * size - self.target.cache) for size in self.step_cost.buffer_bytes
        )
        return max(self.operations / self.target.peak, moved / self.target.bandwidth)

    @property
    def steps(self) -> float:
        """Training steps of the program, if each member takes its whole budget and no lane is ever empty."""
        budgets = [member.recipe.budget or 0 for member in self.members]
        return max(max(budgets), sum(budgets) / self.program.lanes)


def programs(
    members: Iterable[Member], study: Iterable[Member], engine: Engine, searched: bool
) -> list[tuple[Program, list[Member]]]:
    """The programs that would be made, the costliest first, each with the members that would train in it.

    Args:
        members: to train.
        study: all its members, trained before or not; see `Queue`.
        engine: how to share the machine.
        searched: whether members are asked for as results come, a few at a time; then `members` are all that
            may be.
    """
    loops.check(engine.loop)
    members, study = list(members), list(study)
    grouped = Groups(engine, [*members, *study])
    groups: dict[Group, list[Member]] = {}
    size: dict[Group, list[Member]] = {}
    for kept, found in ((members, groups), (study, size)):
        for member in kept:
            found.setdefault(grouped.of(member), []).append(member)
    made = []
    for group in sorted(groups, key=lambda group: -sum(map(cost, groups[group]))):
        waiting = groups[group][:1] if searched and group.side_by_side else groups[group]
        whole = size.get(group, ())
        (program,) = (
            Queue(waiting, engine, candidates=whole) if searched else Queue(waiting, engine, study=whole)
        ).programs_to_compile()
        made.append((program, groups[group]))
    return made


def plan(found: Sequence[tuple[Program, list[Member]]], target: Target | None) -> list[Planned]:
    """Compile programs, each with its members, for a target; None: for this machine."""
    known = target or next(
        (each for each in TARGETS.values() if each.kind == jax.devices()[0].device_kind), None
    )

    def planned(each: tuple[Program, list[Member]]) -> Planned:
        program, members = each
        return Planned(compiled(program) if target is None else compile_for(program, target), members, known)

    with ThreadPoolExecutor(jax_setup.cores()) as pool:
        return list(pool.map(planned, found))


def elsewhere(engine: Engine) -> Engine:
    """How an accelerator would share itself, where this machine is none."""
    return replace(engine, loop="associative") if engine.loop in CHOSEN_BY_PLATFORM else engine
