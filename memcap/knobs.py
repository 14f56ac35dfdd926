"""Knobs: dataclass fields with a default, a range and a meaning; and the one error that a user's mistake becomes."""

import math
from dataclasses import field, fields
from typing import Any


class UserError(Exception):
    """Something that the user can mend. The command prints it as one line and exits with status 2, without a traceback."""


def knob(
    default: Any,
    doc: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    choices: tuple[Any, ...] | None = None,
) -> Any:
    """A dataclass field that says what it means and what it allows. `check` enforces the range; None passes it."""
    allowed = {"at_least": at_least, "above": above, "at_most": at_most, "below": below, "choices": choices}
    return field(default=default, metadata={"doc": doc, **allowed})


def allowed(metadata: Any) -> str:
    """The range of a knob in words, for an error message or a help text."""
    if metadata.get("choices") is not None:
        return "one of " + ", ".join(map(str, metadata["choices"]))
    words = {"at_least": "at least", "above": "above", "at_most": "at most", "below": "below"}
    return " and ".join(f"{word} {metadata[k]:g}" for k, word in words.items() if metadata.get(k) is not None)


def check(owner: Any, where: str) -> None:
    """Raise UserError, in one line, at the first field of the dataclass `owner` whose value is out of its range.

    Args:
        owner: a dataclass instance whose fields were made by `knob`.
        where: dotted prefix under which the user sets the fields, such as "task".
    """
    for f in fields(owner):
        value, limits = getattr(owner, f.name), f.metadata
        if value is None or not limits or not isinstance(value, (int, float, str)):
            continue
        if limits["choices"] is not None:
            fits = value in limits["choices"]
        elif isinstance(value, str):
            continue
        else:
            fits = math.isfinite(value) and all(
                (
                    limits["at_least"] is None or value >= limits["at_least"],
                    limits["above"] is None or value > limits["above"],
                    limits["at_most"] is None or value <= limits["at_most"],
                    limits["below"] is None or value < limits["below"],
                )
            )
        if not fits:
            name = f"{where}.{f.name}" if where else f.name
            raise UserError(f"{name}={value}: must be {allowed(limits) or 'a finite number'} ({limits['doc']})")
