"""Groups of members that share compiled programs, and the sizes of those programs.

On a CPU a program serves all lengths, at no cost. On accelerators compiling takes
longer than a short study trains, so members of several widths and lengths share a
program, padded to the widest and longest of them. That is exact: a unit whose weights
are all zero outputs zero and never learns. Widths are grouped up to 4, 16, 64, ...
units, lengths up to 64, 256, ... steps. Members with and without a curriculum share a
program: without one, a member starts where a curriculum ends.

On a CPU XLA's loops have a program per width: padding would take time, and published
rows would change in their last bits. Loops in C skip the padding, which then costs only
the optimizer's time for its weights (`Loop.seconds_per_padded_weight`). There widths
share a program if that is less than compiling another one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from memcap import loops
from memcap.config.member import Engine, Member
from memcap.training.program import Program, lengths, loop_of
from memcap.training.step import TrainSpec

SMALLEST_WIDTH = 4
SMALLEST_BUFFER = 64
GROWTH = 4
# to compile another program, on a core of an AMD EPYC (Zen 4); see `python -m benchmarks study`
SECONDS_A_PROGRAM = 1.0


class Group(NamedTuple):
    """Members that share programs: of one spec, except for the width where it is
    padded, and with lengths of one bucket."""

    spec: TrainSpec  # at the width of their bucket
    bucket: int  # of lengths; 0 where a program serves every length at no cost
    loop: str  # over time
    side_by_side: bool  # whether they run under `vmap`


def bucket(number: int, smallest: int) -> int:
    """Return the first of smallest, smallest * GROWTH, smallest * GROWTH^2, ... that is
    at least `number`."""
    size = smallest
    while size < number:
        size *= GROWTH
    return size


class Groups:
    """The groups of a study's members. Programs of loops in C depend on all `members`
    of the study; one that is not among them has a program per width."""

    def __init__(self, engine: Engine, members: Iterable[Member] = ()):
        self.engine = engine
        steps: dict[str, Counter[TrainSpec]] = defaultdict(Counter)
        for member in dict.fromkeys(members):
            spec = TrainSpec.of(member)
            loop, side_by_side = loop_of(spec, member.length, engine)
            if not side_by_side and spec.can_pad:
                steps[loop][spec] += member.recipe.budget
        self.programs: dict[TrainSpec, TrainSpec] = {}
        for loop, counts in steps.items():
            cost = loops.padding_cost(loop)
            if cost is not None:
                self.programs |= shared_programs(counts, cost)

    def of(self, member: Member) -> Group:
        """Return the group of a member."""
        spec = TrainSpec.of(member)
        choice = loop_of(spec, member.length, self.engine)
        if not choice.side_by_side:
            return Group(self.programs.get(spec, spec), 0, *choice)
        spec = replace(spec, curriculum=True)
        if spec.can_pad:
            spec = spec.at_width(bucket(member.model.units, SMALLEST_WIDTH))
        return Group(spec, bucket(member.length, SMALLEST_BUFFER), *choice)


def shared_programs(
    steps: Mapping[TrainSpec, int], seconds_per_weight: float
) -> dict[TrainSpec, TrainSpec]:
    """Return the spec of the program in which the members of each spec train, given
    their training steps and the cost of a padding weight per step; one loop serves them
    all.

    From the widest down, a width joins the current program if padding its members takes
    less than compiling another one.
    """
    shared: dict[TrainSpec, TrainSpec] = {}
    wider: dict[
        TrainSpec, TrainSpec
    ] = {}  # the current program, by what all widths have in common
    for spec in sorted(steps, key=lambda spec: -spec.architecture.model.units):
        family = spec.at_width(1)
        program = wider.get(family, spec)
        weights = program.architecture.parameters() - spec.architecture.parameters()
        if steps[spec] * weights * seconds_per_weight > SECONDS_A_PROGRAM:
            program = spec
        shared[spec] = wider[family] = program
    return shared


class Size(NamedTuple):
    """Size of a program: units, the longest training sequence, the longest of an evaluation."""

    units: int
    max_length: int
    max_eval_length: int

    @classmethod
    def needed_by(cls, member: Member) -> "Size":
        """Return the size that a member needs."""
        return cls(member.model.units, *lengths(member))

    @classmethod
    def max_of(cls, sizes: Iterable["Size"]) -> "Size":
        """Return the size into which all of these fit."""
        return cls(*map(max, zip(*sizes, strict=True)))

    def fits(self, other: "Size") -> bool:
        """Return whether this size is at most as large in every dimension."""
        return all(mine <= theirs for mine, theirs in zip(self, other, strict=True))


def size_of(program: Program) -> Size:
    """Return the size of a program."""
    trainer = program.trainer
    return Size(
        program.spec.architecture.model.units,
        trainer.max_length,
        trainer.max_eval_length,
    )
