"""Ways to run a cell over time, one file each; `engine.loop` chooses.

    auto           the fastest available that serves the members: on CPUs LSTM and GRU
                   in C if there is a compiler, otherwise XLA's loops
    reproducible   XLA's loops alone, by which a study has the same rows to the bit on
                   machines with the same jaxlib and kind of processor; published
                   studies name it
    NAME           one of this folder: plain, while, masked, associative, native
    MODULE:OBJECT  one of your own, see memcap/loops/base.py

A new file here with an object `LOOP` is found; nothing else changes. Two files may
share a name, such as `while` for the LSTM and for any cell: the one of highest rank
that serves the members runs.
"""

from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from memcap.knobs import UserError, alternatives, unknown_knob
from memcap.loops.base import (
    Loop,
    Pass as Pass,
    Readout as Readout,
    Request,
    outputs_first as outputs_first,
)
from memcap.loops.score import (
    Sums as Sums,
    Targets as Targets,
    loss_and_score_sums as loss_and_score_sums,
)
from memcap.runtime import plugins
from memcap.terminal.words import warn_once

GENERAL = ("auto", "reproducible")


class Choice(NamedTuple):
    """A program's loop by name, and whether members run side by side."""

    loop: str
    side_by_side: bool


@cache
def loops() -> list[Loop]:
    """Return the loops of this folder, highest rank first."""
    modules = plugins.modules(__name__)
    loops = [module.LOOP for module in modules if hasattr(module, "LOOP")]
    return sorted(loops, key=lambda loop: (-loop.rank, loop.name))


def names() -> list[str]:
    return [*GENERAL, *sorted({loop.name for loop in loops()})]


@cache
def _outside(name: str) -> Loop:
    loop = plugins.import_object(name, "engine.loop")
    if isinstance(loop, type) and issubclass(loop, Loop):
        loop = loop()
    if not isinstance(loop, Loop):
        raise UserError(
            f"engine.loop={name}: must be a class or an object of memcap.loops.Loop"
        )
    loop.name = name
    return loop


def _named(name: str) -> list[Loop]:
    """Return the loops of this name, highest rank first, or raise UserError."""
    if plugins.is_import_path(name):
        return [_outside(name)]
    matches = [loop for loop in loops() if loop.name == name]
    if not matches:
        known = alternatives(name, names(), "MODULE:OBJECT for your own")
        raise UserError(f"engine.loop={name}: no such loop; {known}")
    return matches


def resolve(name: str, request: Request) -> Loop:
    """Return the highest-ranked available loop of this name, or of its fallback,
    that serves the request; raise UserError if a named loop does not know one of
    its knobs."""
    if name in GENERAL:
        candidates = [
            loop
            for loop in loops()
            if request.platform in loop.chosen_on
            and (name == "auto" or loop.reproducible)
            and not _unknown_knob(loop, request)
        ]
    else:
        candidates = _named(name)
    for loop in candidates:
        if not loop.refuses(request) and _is_here(loop):
            if knob := _unknown_knob(loop, request):
                raise UserError(
                    f"{knob}: engine.loop={name} does not know this knob;"
                    " engine.loop=auto takes a loop that does"
                )
            return loop
    fallback = candidates[-1].fallback
    assert fallback != name, f"{name}: serves no cell on {request.platform}"
    return resolve(fallback, request)


def _unknown_knob(loop: Loop, request: Request) -> str | None:
    if loop.serves is None or not request.knobs:
        return None
    return unknown_knob(loop.serves, **request.knobs)


def choose(name: str, request: Request) -> Choice:
    loop = resolve(name, request)
    return Choice(loop.name, loop.side_by_side(request.platform))


def _is_here(loop: Loop) -> bool:
    why = loop.missing()
    if why is not None:
        warn_once(
            f"XLA runs the loop, as engine.loop={loop.name} cannot run here: {why}"
        )
    return why is None


def check_name(name: str) -> None:
    if name not in GENERAL:
        _named(name)


def check(name: str) -> None:
    """Raise UserError if no loop of this name can run in this process.

    XLA trains the members of those that cannot.
    """
    if name in GENERAL:
        return
    reasons = []
    for loop in _named(name):
        why = loop.missing()
        if why is None:
            return
        reasons.append(why)
    raise UserError(
        f"engine.loop={name}: cannot run here: {reasons[0]}; engine.loop=reproducible runs"
        " anywhere"
    )


def version(name: str, requests: Iterable[Request]) -> str:
    """Return the `Loop.version` of all loops that serve these requests."""
    versions = [resolve(name, request).version() for request in requests]
    return "+".join(dict.fromkeys(versions))


def row_columns(name: str, side_by_side: bool) -> dict[str, str]:
    """Return the columns of a row that say which loop ran its member.

    Older rows have batching, scan and kernel in place of `loop`.
    """
    scan = "scan" if side_by_side else "loop"
    return {
        "loop": name,
        "batching": "vmap" if side_by_side else "map",
        "scan": "plain" if name == "plain" else scan,
        "kernel": "native" if name == "native" else "xla",
    }


def padding_cost(name: str) -> float | None:
    return _named(name)[0].seconds_per_padded_weight
