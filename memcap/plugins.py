"""What is found by name: a file of one of memcap's rooms, or `module:name` for what lives outside the package.

A module outside is looked for where Python looks, and last in the current folder: so that a file there can be named, but takes no
other module's place.
"""

import importlib
import os
import pkgutil
import sys
from collections.abc import Iterable
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
        UserError: there is no such module or no such object in it. What the module itself raises is passed on.
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
        raise UserError(f"{where}={name}: no module {module_name} on Python's path or in the current folder") from error
    if hasattr(module, attribute):
        return getattr(module, attribute)
    try:
        return importlib.import_module(f"{module_name}.{attribute}")
    except ModuleNotFoundError as error:
        raise UserError(f"{where}={name}: the module {module_name} has no {attribute}") from error


def files(package: ModuleType) -> list[str]:
    """Names of a room's files, in alphabetical order, without importing them."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def modules(package: ModuleType) -> Iterable[ModuleType]:
    """A room's files, imported."""
    return [importlib.import_module(f"{package.__name__}.{name}") for name in files(package)]
