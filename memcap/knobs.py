"""Knobs, dataclass fields with a default, a range and a meaning; and `UserError`."""

import difflib
import errno
import hashlib
import json
import math
import operator
import types
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import MISSING, field, fields
from functools import cache, lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
Values = dict[str, Any]  # by name
MOST = 1_000_000_000  # steps and seeds are int32 operands of the compiled programs
LONGEST_LINE = 690  # characters of an error
LONGEST_TEXT = 4096  # characters of a name or a path, as of Linux
LONGEST = 1_000_000  # steps of a sequence; `LONGEST` times `evaluation.stretch` is an int32 operand
BOUNDS = {
    "at_least": operator.ge,
    "above": operator.gt,
    "at_most": operator.le,
    "below": operator.lt,
}
KNOB_COLUMNS = ("knob", "default", "range", "meaning")
KINDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}
# the disk is full or gone
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
# What a knob acts on. Code that does a part of training over again (a loop in C, a script, an
# export) names what it serves, and refuses a knob that acts on anything else.
Acts = Literal[
    "label",  # nothing but names
    "start",  # the first weights
    "schedule",  # numbers of steps, of the learning rate, and of the lag
    "update",  # what a gradient does to the weights
    "batch",  # which sequences are drawn
    "layers",  # which cells there are, how wide, and what reads them
    "frozen",  # which weights are trained
]
_hints = cache(get_type_hints)


@cache
def names_of(cls: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls))


def printable(text: str) -> str:
    """Escape line ends and control characters of a text, which may be a stranger's."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in text
    )


class UserError(Exception):
    """A mistake that the user can mend; the command prints it as one line, with status
    2.

    It may quote the user's text: characters that would end the line are escaped, and
    what is too long loses its middle.
    """

    def __init__(self, line: str):
        if len(line) > LONGEST_LINE:
            line = f"{line[: LONGEST_LINE - 305]} ... {line[-300:]}"
        super().__init__(printable(line))


def of_disk(error: OSError) -> str | None:
    """Say what is wrong with a file; None if the user cannot mend it."""
    if error.filename is None and error.errno not in DISK_ERRORS:
        return None
    return f"{error.filename or 'disk'}: cannot be read or written ({error.strerror})"


def alternatives(
    name: str, known: Iterable[str], own: str = "", most: int = MOST
) -> str:
    """Name the known names like an unknown one, or the first `most` of all, and `own`,
    what else may be given."""
    known = list(known)
    by_end = {each.rpartition("/")[2]: each for each in known}  # without its folder
    if alike := difflib.get_close_matches(name.rpartition("/")[2], by_end):
        return f"did you mean {' or '.join(by_end[each] for each in alike)}?"
    text = f"one of {', '.join(known[:most])}"
    if len(known) > most:
        text += f" and {len(known) - most} more (memcap train --help lists all)"
    return f"{text}, or {own}" if own else text


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Ask whether the most similar name was meant; "" if none is similar."""
    by_end = {each.rpartition(".")[2]: each for each in names}  # without its group
    alike = difflib.get_close_matches(name.rpartition(".")[2], by_end, n=1)
    return "".join(f"did you mean {by_end[each]}? " for each in alike)


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Group items by a key, in the order in which they come."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def field_values(owner: Any) -> Values:
    return {name: getattr(owner, name) for name in names_of(type(owner))}


def set_words(owner: Any, without: Collection[str] = ()) -> list[str]:
    """Return the fields that differ from their defaults, as NAME=VALUE for Hydra."""
    usual = _default(type(owner))
    values = {
        k: v
        for k, v in field_values(owner).items()
        if k not in without and v != usual[k]
    }
    return [f"{k}={'null' if v is None else v}" for k, v in values.items()]


@cache
def _default(cls: Any) -> Values:
    return field_values(cls())


def knob(
    default: Any,
    doc: str,
    *,
    acts: Acts | None = None,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    choices: tuple[Any, ...] | None = None,
    kw_only: bool = False,
    before: Any = MISSING,
) -> Any:
    """Make a dataclass field with a meaning and a range, which `check` enforces; None
    always passes.

    Args:
        default: the default value.
        doc: its meaning in a few words.
        acts: what it acts on, for `unknown_knob` and `acting_on`; None: unknown, so
            nothing serves it.
        at_least, above, at_most, below: range of a number.
        choices: the allowed values.
        kw_only: whether the dataclass takes it only by keyword.
        before: of a knob added after rows were published, the value of all earlier
            members. At this value a member's key leaves it out, so that those rows are
            still found; a row without it has this value.
    """
    allowed = {
        "at_least": at_least,
        "above": above,
        "at_most": at_most,
        "below": below,
        "choices": choices,
    }
    return field(
        default=default,
        kw_only=kw_only,
        metadata={"doc": doc, "acts": acts, **allowed, "before": before},
    )


def keyed(owner: Any) -> Values:
    """Return the fields as plain values, without those at their `before`."""
    values = (
        (name, getattr(owner, name), before) for name, before in _befores(type(owner))
    )
    return {
        name: value
        for name, value, before in values
        if before is MISSING or value != before
    }


def acting_on(cls: Any, *acts: Acts) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls) if f.metadata.get("acts") in acts)


def unknown_knob(serves: Collection[Acts], **parts: Any) -> str | None:
    """Find a knob that is not served, so that one added later cannot be ignored.

    Args:
        serves: what knobs may act on.
        parts: dataclasses by the prefix of their knobs, such as "model".

    Returns:
        The first such knob that is not at its `before`, as NAME=VALUE, or None.
    """
    for part, owner in parts.items():
        served = acting_on(type(owner), *serves)
        for name, before in _befores(type(owner)):
            value = getattr(owner, name)
            if name not in served and value != before:
                return f"{part}.{name}={'null' if value is None else value}"
    return None


@cache
def _befores(cls: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((f.name, f.metadata.get("before", MISSING)) for f in fields(cls))


def completed(cls: Any, values: Values) -> Values:
    """Invert `keyed`: add later fields, at their `before`."""
    return _later(cls) | values


@cache
def _later(cls: Any) -> Values:
    return {name: before for name, before in _befores(cls) if before is not MISSING}


def key_of(config: str) -> str:
    return hashlib.sha256(config.encode()).hexdigest()[:16]


def allowed(metadata: Any) -> str:
    if metadata.get("choices") is not None:
        return "one of " + ", ".join(map(str, metadata["choices"]))
    limits = {word.replace("_", " "): metadata.get(word) for word in BOUNDS}
    return " and ".join(
        f"{word} {_short(limit)}" for word, limit in limits.items() if limit is not None
    )


def knobs_in_words(cls: Any, prefix: str) -> list[tuple[str, str, str, str]]:
    hints = _hints(cls)
    return [
        (
            f"{prefix}.{f.name}",
            plain(f.default),
            _range(f.metadata, hints[f.name]),
            f.metadata.get("doc", ""),
        )
        for f in fields(cls)
    ]


def _range(metadata: Any, hint: Any) -> str:
    kinds = get_args(hint) or (hint,)
    text = allowed(metadata)
    if not metadata.get("choices"):
        kind = next(KINDS[kind] for kind in kinds if kind in KINDS)
        text = f"{kind}, {text}" if text else kind
    return f"null, or {text}" if type(None) in kinds else text


def plain(value: Any) -> str:
    """Write a default as YAML does."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _short(limit: float) -> str:
    return f"{limit:g}" if abs(limit) < 1e5 else f"{limit:,}"


def check(owner: Any, where: str) -> None:
    """Raise UserError for the first field out of its `knob`'s range, under the prefix
    `where`, such as "task"."""
    for f in fields(owner):
        value = getattr(owner, f.name)
        limits = f.metadata
        if (
            value is None
            or "choices" not in limits
            or not isinstance(value, (int, float, str))
        ):
            continue
        if limits["choices"] is not None:
            fits = value in limits["choices"]
        elif isinstance(value, str):
            if len(value) > LONGEST_TEXT:
                raise UserError(
                    f"{where}.{f.name}={value}: must have at most {LONGEST_TEXT:,} characters"
                )
            continue
        else:
            bounds = {word: limits[word] for word in BOUNDS if limits[word] is not None}
            fits = math.isfinite(value) and all(
                BOUNDS[word](value, limit) for word, limit in bounds.items()
            )
        if not fits:
            name = f"{where}.{f.name}" if where else f.name
            raise UserError(
                f"{name}={value}: must be {allowed(limits) or 'a finite number'}"
                f" ({limits['doc']})"
            )


def defaults(cls: Any) -> Values:
    return {f.name: f.default for f in fields(cls) if f.default is not MISSING}


def typed(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build a dataclass; refuse an unknown key, a wrong type, a value out of range."""
    items = tuple((key, type(value), value) for key, value in values.items())
    try:
        return _typed(cls, items, where)
    except TypeError:  # for a list or a dict, which has no hash
        return _typed.__wrapped__(cls, items, where)


@lru_cache(maxsize=4096)
def _typed(cls: type[T], items: tuple[tuple[str, type, Any], ...], where: str) -> T:
    """Build a dataclass once per set of values and their types, as 1 equals True."""
    hints = _hints(cls)
    names = names_of(cls)
    for key, _, _ in items:
        if key not in names:
            raise UserError(
                f"{where}.{key}: no such field; {did_you_mean(key, names)}{where} has"
                f" {', '.join(names)}"
            )
    built = cls(
        **{
            key: _converted(value, hints[key], f"{where}.{key}")
            for key, _, value in items
        }
    )
    check(built, where)
    return built


def _converted(value: Any, hint: Any, name: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        kinds = get_args(hint)
        if type(value) in kinds:
            return value
        hint = next(h for h in kinds if h is not types.NoneType)
    words = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
    }
    if hint not in words:
        raise UserError(
            f"{name}: is declared as {hint}; a knob is an int, float, bool or str, or one of"
            " these or None"
        )
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):
        try:  # YAML reads 1e-3 as text
            return float(value)
        except ValueError:
            pass
    if type(value) is not hint:
        raise UserError(f"{name}={_shown(value)}: must be {words[hint]}")
    return value


def _shown(value: Any) -> str:
    """Return a value as shown in an error: text like a number is quoted, a table named
    by type."""
    text = str(value)
    if not isinstance(value, str):
        return type(value).__name__ if "\n" in text else text
    return repr(value) if value.replace(".", "", 1).lstrip("-").isdecimal() else text


def whole(value: Any, name: str, least: int, most: int) -> int:
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not least <= value <= most
    ):
        raise UserError(
            f"{name}={_shown(value)}: must be a whole number, at least {least} and at most {most}"
        )
    return value
