"""Plans: the programs of members, compiled before training, here or elsewhere."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import jax

from memcap import loops
from memcap.config.member import Engine, Member
from memcap.knobs import grouped
from memcap.planning.devices import DEVICES, Device, compile_for
from memcap.planning.step_cost import StepCost, step_cost
from memcap.runtime import cores
from memcap.training.program import (
    Executables,
    Groups,
    Program,
    compiled,
    needed_memory,
)
from memcap.training.queue import Queue, cost

CHOSEN_BY_PLATFORM = (*loops.GENERAL, "native")  # loops that differ on an accelerator


def elsewhere(engine: Engine) -> Engine:
    return (
        replace(engine, loop="associative")
        if engine.loop in CHOSEN_BY_PLATFORM
        else engine
    )


def group_programs(
    members: Iterable[Member], study: Iterable[Member], engine: Engine, searched: bool
) -> list[tuple[Program, list[Member]]]:
    """Group members by the programs to compile, the costliest first.

    Args:
        members, study, engine: as for `Queue`.
        searched: whether `members` are all candidates, requested a few at a time.
    """
    loops.check(engine.loop)
    members = list(members)
    study = list(study)
    groups = Groups(engine, [*members, *study])
    pending = grouped(members, groups.of)
    whole = grouped(study, groups.of)
    programs = []
    for group in sorted(pending, key=lambda group: -sum(map(cost, pending[group]))):
        waiting = (
            pending[group][:1] if searched and group.side_by_side else pending[group]
        )
        others = whole.get(group, ())
        (program,) = (
            Queue(waiting, engine, candidates=others)
            if searched
            else Queue(waiting, engine, study=others)
        ).programs_to_compile()
        programs.append((program, pending[group]))
    return programs


@dataclass(frozen=True)
class ProgramPlan:
    """A program and its demands on a device."""

    code: Executables  # the compiled program, with as many lanes as fit
    members: Sequence[Member]  # the members that would train in it
    device: Device | None  # the device, if its numbers are known, or None

    @property
    def program(self) -> Program:
        return self.code.program

    @cached_property
    def memory(self) -> float:
        return needed_memory(self.program, self.code.train_chunk, self.code.evaluate)

    @property
    def lanes_at_once(self) -> int:
        return (
            self.program.lanes // self.program.devices
            if self.program.trainer.side_by_side
            else 1
        )

    @cached_property
    def step_cost(self) -> StepCost:
        return step_cost(self.program)

    @cached_property
    def flops(self) -> float:
        """Operations of a step's products, in all lanes of a device at once."""
        return self.lanes_at_once * self.step_cost.flops

    @cached_property
    def bytes(self) -> float:
        """Bytes moved by a step's passes over time, in all lanes of a device."""
        return self.lanes_at_once * sum(self.step_cost.buffer_bytes)

    @property
    def floor(self) -> float | None:
        """Least seconds of a step, at peak speed or bandwidth (uncached bytes)."""
        if self.device is None:
            return None
        buffers = (self.lanes_at_once * size for size in self.step_cost.buffer_bytes)
        uncached = sum(max(0.0, size - self.device.cache) for size in buffers)
        return max(self.flops / self.device.peak, uncached / self.device.bandwidth)

    @property
    def steps(self) -> float:
        """Training steps, if members take their whole budgets and no lane is empty."""
        budgets = [member.recipe.budget for member in self.members]
        return max(max(budgets), sum(budgets) / self.program.lanes)


def compile_plan(
    programs: Sequence[tuple[Program, list[Member]]],
    device: Device | None,
    when_done: Callable[[int], None] = lambda count: None,
) -> list[ProgramPlan]:
    """Compile programs for a device, or None: this machine.

    `when_done` gets the number of compiled programs, as it grows.
    """
    here = jax.devices()[0].device_kind
    target = device or next(
        (each for each in DEVICES.values() if each.kind == here), None
    )

    def plan(program: Program, members: list[Member]) -> ProgramPlan:
        code = compiled(program) if device is None else compile_for(program, device)
        return ProgramPlan(code, members, target)

    with ThreadPoolExecutor(cores.count()) as pool:
        plans = []
        for each in pool.map(plan, *zip(*programs, strict=True)) if programs else ():
            plans.append(each)
            when_done(len(plans))
        return plans
