"""What a compiled program does in a time step, read from its text: kernels, whole
buffers that they write, collectives.

The text is that of XLA's compilers for CPUs, GPUs and TPUs. A loop over time is told
from others by what it carries: arrays with an axis of T steps. So compile with a T that
no other axis has.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

# What costs nothing by itself: names, and places in memory.
FREE = frozenset(
    ("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while")
)
# The only ways to make an array with an axis of time in a time step: none of them
# touches more than a row.
ROWS = FREE | {"dynamic-update-slice"}
COLLECTIVE = re.compile(
    r"all-|collective-|reduce-scatter|ragged-all|send|recv|partition-id|replica-id"
)
_HEAD = re.compile(r"(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_DIMENSIONS = re.compile(r"\[([\d,]+)\]")
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+))\[([\d,]+)\]")
# It leaves what lies there, or moves to or from a TPU's fast memory while others compute.
UNWRITTEN = re.compile(
    r'custom_call_target="(AllocateBuffer|ConcatBitcast)"| \S+-(start|done)\('
)
_CALLED = re.compile(
    r"(?:calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.\-]+)"
)
_TRIPS = re.compile(r'known_trip_count[":{\s]+n[":\s]+(\d+)')
_LIMIT = re.compile(r" = [su]\d+\S* constant\((\d+)\)")


class Instruction(NamedTuple):
    """One line of a program's text: `name = type op(...)`; `line` is all of it."""

    name: str
    type: str
    op: str
    line: str

    @property
    def called(self) -> list[str]:
        """Names of the computations that it calls."""
        return _CALLED.findall(self.line)


def computations(text: str) -> dict[str, list[Instruction]]:
    """All computations of a program by name."""
    found: dict[str, list[Instruction]] = {}
    inside: list[Instruction] = []
    for line in text.splitlines():
        if not line.startswith((" ", "}")) and (head := _HEAD.match(line)):
            inside = found.setdefault(head[1], [])
        elif line.startswith("  ") and " = " in line:
            inside.append(_instruction(line))
    return found


def _instruction(line: str) -> Instruction:
    name, _, rest = line.strip().removeprefix("ROOT ").partition(" = ")
    end = 0
    depth = 0
    # a tuple's type has spaces and brackets of its own
    while rest[end] != " " or depth:
        depth += (rest[end] in "({[") - (rest[end] in ")}]")
        end += 1
    return Instruction(
        name.lstrip("%"), rest[:end], rest[end + 1 :].partition("(")[0], line.strip()
    )


@dataclass(frozen=True)
class TimeLoop:
    """The loop over time of one pass, forward or back.

    Args:
        kernels: what runs in a time step, each with the type of what it writes.
        whole: of all instructions of a step, also inside of kernels, those that make an
            array with an axis of T steps, other than by replacing a row of it.
        collectives: those by which devices wait for each other.
    """

    kernels: tuple[Instruction, ...]
    whole: tuple[Instruction, ...]
    collectives: tuple[Instruction, ...]


def time_loops(text: str, steps: int) -> list[TimeLoop]:
    """The loops over time of a program, in the order of its text.

    Args:
        text: of the compiled program.
        steps: T.
    """
    known = computations(text)
    loops: dict[str, Instruction] = {}
    for instruction in (
        i for inside in known.values() for i in inside if i.op == "while"
    ):
        if _long(instruction.type, steps) and _trips(known, instruction) in (
            None,
            steps,
        ):
            loops[_part(instruction, "body")] = instruction
    outer = {
        body
        for body in loops
        if any(each in loops.values() for each in _reached(known, body))
    }
    return [_loop(known, body, steps) for body in loops if body not in outer]


def bytes_outside(text: str, steps: int) -> int:
    """Bytes that one training step, or one block of an evaluation, writes outside of
    its loops over time into arrays with an axis of T steps."""
    known = computations(text)
    loops = [
        i
        for inside in known.values()
        for i in inside
        if i.op == "while" and _long(i.type, steps)
    ]
    written = [
        i.type
        for inside in known.values()
        if any(loop in inside for loop in loops)
        for i in inside
        if i.op not in FREE and not UNWRITTEN.search(i.line)
    ]
    return sum(
        math.prod(map(int, dimensions.split(","))) * int(bits or 8) // 8
        for _, bits, dimensions in _ARRAY.findall(" ".join(written))
        if str(steps) in dimensions.split(",")
    )


def _part(loop: Instruction, name: str) -> str:
    """The name of a loop's body or condition."""
    return re.findall(rf"\b{name}=%?([\w.\-]+)", loop.line)[0]


def _trips(known: dict[str, list[Instruction]], loop: Instruction) -> int | None:
    """How often a loop runs, if that is a constant: GPUs' and CPUs' compilers say it,
    TPUs' compares with it."""
    said = _TRIPS.findall(loop.line) or [
        n
        for i in _reached(known, _part(loop, "condition"))
        for n in _LIMIT.findall(i.line)
    ]
    return int(said[0]) if said else None


def _long(text: str, steps: int) -> bool:
    """Whether a type has an array with an axis of time."""
    return any(
        str(steps) in dimensions.split(",") for dimensions in _DIMENSIONS.findall(text)
    )


def _loop(known: dict[str, list[Instruction]], body: str, steps: int) -> TimeLoop:
    every = list(_reached(known, body))
    return TimeLoop(
        tuple(i for i in known[body] if i.op not in FREE),
        tuple(
            i
            for i in every
            if i.op not in ROWS and i.op != "fusion" and _long(i.type, steps)
        ),
        tuple(i for i in every if COLLECTIVE.match(i.op)),
    )


def _reached(known: dict[str, list[Instruction]], name: str) -> Iterator[Instruction]:
    """The instructions of a computation, and of those that it calls."""
    for instruction in known[name]:
        yield instruction
        for called in instruction.called:
            yield from _reached(known, called)
