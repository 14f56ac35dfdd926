"""What is found by name: a file of one of memcap's rooms, or `module:name` for what lives outside the
package.

A module outside is looked for where Python looks, and last in the current folder: so that a file there can be
named, but takes no other module's place.
"""

import ast
import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from memcap.knobs import UserError


def is_outside(name: str) -> bool:
    """Whether a name has the form `module:name`."""
    return ":" in name


def outside(name: str, where: str) -> Any:
    """The object called `module:name`: an attribute of the module, or a module of that package.

    Args:
        name: as the user wrote it.
        where: the field or argument that he wrote it in, for the error.

    Raises:
        UserError: there is no such module or no such object in it. What the module itself raises is passed
            on.
    """
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), attribute]):
        raise UserError(f"{where}={name}: must be MODULE:NAME, as in my_module:MyName")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
        importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise UserError(
            f"{where}={name}: no module {module_name} on Python's path or in the current folder"
        ) from error
    if hasattr(module, attribute):
        return getattr(module, attribute)
    try:
        return importlib.import_module(f"{module_name}.{attribute}")
    except ModuleNotFoundError as error:
        if error.name != f"{module_name}.{attribute}":
            raise
        raise UserError(f"{where}={name}: the module {module_name} has no {attribute}") from error


def files(package: ModuleType) -> list[str]:
    """Names of a room's files, in alphabetical order, without importing them."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def modules(package: ModuleType) -> Iterable[ModuleType]:
    """A room's files, imported."""
    return [importlib.import_module(f"{package.__name__}.{name}") for name in files(package)]


def summaries(package: ModuleType) -> dict[str, str]:
    """A room's files with the first line of each one's docstring, in alphabetical order, without importing
    them."""
    found = {}
    for name in files(package):
        spec = importlib.util.find_spec(f"{package.__name__}.{name}")
        assert spec is not None
        assert spec.origin is not None
        text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
        found[name] = (text or "").partition("\n")[0]
    return found


def find(package: ModuleType, name: str, what: str, parts: Sequence[str]) -> Any:
    """One file of a room, imported, or an object outside the package that stands for one.

    Args:
        package: the room.
        name: a file of the room, or `module:name`.
        what: what the room holds, for the errors: "command", "figure".
        parts: functions that a file of this room has.

    Raises:
        UserError: there is no such file or object, or it lacks a part.
    """
    if is_outside(name):
        found = outside(name, what)
    elif name in files(package):
        found = importlib.import_module(f"{package.__name__}.{name}")
    else:
        raise UserError(
            f"{name}: no such {what}; one of {', '.join(files(package))}, or MODULE:NAME of your own"
        )
    for part in parts:
        if not callable(getattr(found, part, None)):
            raise UserError(
                f"{what}={name}: has no function {part}; {package.__name__} says what a {what} must have"
            )
    return found
