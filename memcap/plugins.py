"""What is found by name: a file of one of memcap's folders, or `module:name` for what lives outside the
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


def files(package: ModuleType, inner: str = "") -> list[str]:
    """Names of a folder's files, in alphabetical order, without importing them.

    Args:
        package: the folder.
        inner: where each one is a folder of its own, which file in it is meant, as in "paper".
    """
    if inner:
        return sorted(
            path.parent.name for place in package.__path__ for path in Path(place).glob(f"*/{inner}.py")
        )
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def modules(package: ModuleType) -> Iterable[ModuleType]:
    """A folder's files, imported."""
    return [importlib.import_module(f"{package.__name__}.{name}") for name in files(package)]


def summaries(package: ModuleType, inner: str = "") -> dict[str, str]:
    """A folder's files with the first line of each one's docstring, in alphabetical order, without importing
    them. Arguments as in `files`."""
    lines = {}
    for name in files(package, inner):
        spec = importlib.util.find_spec(_module_name(package, name, inner))
        assert spec is not None
        assert spec.origin is not None
        text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
        lines[name] = (text or "").partition("\n")[0]
    return lines


def _module_name(package: ModuleType, name: str, inner: str) -> str:
    return ".".join(part for part in (package.__name__, name, inner) if part)


def find(package: ModuleType, name: str, what: str, parts: Sequence[str], inner: str = "") -> Any:
    """One file of a folder, imported, or an object outside the package that stands for one.

    Args:
        package: the folder.
        name: a file of the folder, or `module:name`.
        what: what the folder holds, for the errors: "command", "figure".
        parts: functions that a file of this folder has.
        inner: as in `files`.

    Raises:
        UserError: there is no such file or object, or it lacks a part.
    """
    if is_outside(name):
        found = outside(name, what)
    elif name in files(package, inner):
        found = importlib.import_module(_module_name(package, name, inner))
    else:
        raise UserError(
            f"{name}: no such {what}; one of {', '.join(files(package, inner))}, or MODULE:NAME of your own"
        )
    for part in parts:
        if not callable(getattr(found, part, None)):
            raise UserError(
                f"{what}={name}: has no function {part}; {package.__name__} says what a {what} must have"
            )
    return found
