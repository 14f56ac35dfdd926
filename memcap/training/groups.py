"""Which members share compiled programs, and how large these must be.

On a CPU a program serves all lengths, at no cost. On accelerators compiling takes longer than a short study trains, so members
of several widths and lengths share a program, padded to the widest and longest of them. That is exact: a unit whose weights are
all zero says zero and never learns. Widths are put together up to 4, 16, 64, ... units, lengths up to 64, 256, ... steps. A
member without a curriculum shares the program of those with one: it starts where theirs ends.

On a CPU XLA's loops have a program a width: units that pad would take their time, and published rows would change in their last
bits. The LSTM in C leaves such units out, so only the optimizer goes over their weights (WIDTHS_IN_C).
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from memcap.cells import cell_class
from memcap.config import Engine, Member
from memcap.training.kernel import kernel_of
from memcap.training.program import Program, lengths, side_by_side
from memcap.training.step import Shape

SMALLEST_WIDTH, SMALLEST_BUFFER, GROWTH = 4, 64, 4
WIDTHS_IN_C = 2  # growth of the widths that share a program in C: up to 4, 8, 16, 32, ... units


class Group(NamedTuple):
    """Members that share programs: of one shape, but for their width where it is padded, and of lengths of one bucket.

    shape: theirs, at the width of their bucket; bucket: of lengths, 0 where a program serves every length at no cost.
    """

    shape: Shape
    bucket: int


def bucket(number: int, smallest: int, growth: int = GROWTH) -> int:
    """The first of smallest, smallest * growth, smallest * growth^2, ... that is at least `number`."""
    found = smallest
    while found < number:
        found *= growth
    return found


def group_of(member: Member, engine: Engine) -> Group:
    """The group of a member, where the engine is settled."""
    shape, units = Shape.of(member), member.model.units
    if side_by_side(engine):
        shape = replace(shape, curriculum=True)
        if cell_class(member.model.cell).pads:
            shape = shape.at_width(bucket(units, SMALLEST_WIDTH))
        return Group(shape, bucket(member.length, SMALLEST_BUFFER))
    if kernel_of(shape, member.length, engine) == "native":
        shape = shape.at_width(bucket(units, SMALLEST_WIDTH, WIDTHS_IN_C))
    return Group(shape, 0)


class Size(NamedTuple):
    """What a program must hold: units, steps of a sequence, steps of the longest evaluation."""

    units: int
    steps: int
    stretched: int

    @classmethod
    def of(cls, member: Member) -> "Size":
        """What a member needs."""
        return cls(member.model.units, *lengths(member))

    @classmethod
    def most(cls, sizes: Iterable["Size"]) -> "Size":
        """What holds all of them."""
        return cls(*map(max, zip(*sizes, strict=True)))

    def holds(self, other: "Size") -> bool:
        """Whether it is as large in every way."""
        return all(mine >= theirs for mine, theirs in zip(self, other, strict=True))


def size_of(program: Program) -> Size:
    """What a program holds."""
    trainer = program.trainer
    return Size(program.shape.architecture.model.units, trainer.steps, trainer.evaluation_steps)
