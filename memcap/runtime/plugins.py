"""Plug-ins by name: a file of one of memcap's folders, or `module:name` elsewhere.

A module is searched on Python's path, then in the current folder, where a file can be
named but shadows no other module.
"""

import ast
import contextlib
import importlib
import importlib.util
import os
import pkgutil
import shlex
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Generic, TypeVar, cast

from memcap.knobs import UserError, alternatives
from memcap.terminal.words import Waiting, first_paragraph

T = TypeVar("T")
_in_data: ContextVar[bool] = ContextVar("in_data", default=False)


@contextlib.contextmanager
def names_in_data() -> Generator[None]:
    """Let `import_object` only find modules that are already imported, as anybody may
    have written the names in a row or file."""
    token = _in_data.set(True)
    try:
        yield
    finally:
        _in_data.reset(token)


def is_import_path(name: str) -> bool:
    return ":" in name


def command_with_modules(names: Iterable[str], *words: str) -> str:
    """Return a command that imports these names' modules; rows import nothing."""
    modules = {name.partition(":")[0] for name in names if is_import_path(name)}
    options = [word for module in sorted(modules) for word in ("--module", module)]
    return shlex.join(["memcap", *options, *words])


def import_object(name: str, where: str) -> Any:
    """Import `module:name`, an attribute or a submodule; `where` says who named it.

    Raises:
        UserError: there is none, or its module may not be imported (`names_in_data`).
            Errors of the module itself are passed on.
    """
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), attribute]):
        raise UserError(f"{where}={name}: must be MODULE:NAME, as in my_module:MyName")
    if _in_data.get():
        there = vars(sys.modules.get(module_name, object))
        if attribute not in there:
            raise UserError(
                f"{where}={name}: rows import nothing; if you trust that module, name it, as in"
                f" memcap --module {module_name} frontier (in Python: import {module_name})"
            )
        return there[attribute]
    module = import_named(module_name, f"{where}={name}")
    if hasattr(module, attribute):
        return getattr(module, attribute)
    try:
        return importlib.import_module(f"{module_name}.{attribute}")
    except ModuleNotFoundError as error:
        if error.name != f"{module_name}.{attribute}":
            raise
        raise UserError(
            f"{where}={name}: the module {module_name} has no {attribute}"
        ) from error


def raised(error: BaseException, module: str) -> str:
    trace = error.__traceback__
    place = ""
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == module:
            place = f", at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    text = str(error).strip().split("\n")[0]
    return f"raises {type(error).__name__}: {text}{place}"


@contextlib.contextmanager
def calling(what: str, module: str) -> Generator[None]:
    """Run a user's code: say `what` if it is slow; raise UserError if it fails."""
    try:
        with Waiting(f"waits for {what}"):
            yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{what} {raised(error, module)}") from error


def import_named(name: str, what: str) -> ModuleType:
    """Import a module, or raise UserError with `what` the user wrote.

    Errors of the module itself are passed on.
    """
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
        importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except SystemExit as error:
        raise UserError(f"{what}: {raised(error, name)}") from error
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise UserError(
            f"{what}: no module {name} on Python's path or in the current folder"
        ) from error


def import_file(path: Path, name: str) -> ModuleType:
    """Import a file as a package, so that it can import files beside it relatively."""
    beside = [str(path.parent)]
    spec = importlib.util.spec_from_file_location(
        name, path, submodule_search_locations=beside
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Folder(Generic[T]):
    """A package whose files are found by name: each is a `T`.

    Args:
        package: the package's name.
        what: the kind of thing, for errors: "command", "figure".
        functions: names of functions that each must have.
        shared: files that the others share.
        elsewhere: modules outside the package, by the name of the plug-in.
    """

    def __init__(
        self,
        package: str,
        what: str,
        functions: Sequence[str],
        shared: Sequence[str] = (),
        elsewhere: Mapping[str, str] = MappingProxyType({}),
    ):
        self.package = package
        self.what = what
        self.functions = functions
        self.shared = shared
        self.elsewhere = elsewhere

    @property
    def names(self) -> list[str]:
        """The names in the package, sorted; none is imported."""
        path = sys.modules[self.package].__path__
        names = {file.name for file in pkgutil.iter_modules(path)}
        return sorted(names - {*self.shared} | {*self.elsewhere})

    def summaries(self) -> dict[str, str]:
        """Return each docstring's first paragraph, by name; none is imported."""
        return {name: self._summary(name) for name in self.names}

    def find(self, name: str) -> T:
        """Import the one of this name, or `module:name`; raise UserError if there is
        none, or if it lacks a function."""
        if is_import_path(name):
            plugin = import_object(name, self.what)
        elif name in self.names:
            plugin = importlib.import_module(self._module(name))
        else:
            names = alternatives(name, self.names, "MODULE:NAME of your own")
            raise UserError(f"{name}: no such {self.what}; {names}")
        for function in self.functions:
            if not callable(getattr(plugin, function, None)):
                raise UserError(
                    f"{self.what}={name}: has no function {function}; {self.package} says what a"
                    f" {self.what} must have"
                )
        return cast(T, plugin)

    def _module(self, name: str) -> str:
        return self.elsewhere.get(name, f"{self.package}.{name}")

    def _summary(self, name: str) -> str:
        spec = importlib.util.find_spec(self._module(name))
        assert spec is not None
        assert spec.origin is not None
        text = ast.get_docstring(
            ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        )
        return first_paragraph(text)


def modules(package: str) -> Iterable[ModuleType]:
    files = pkgutil.iter_modules(sys.modules[package].__path__)
    return [
        importlib.import_module(f"{package}.{name}")
        for name in sorted(f.name for f in files)
    ]


def classes(package: str, base: type[T], *others: str) -> dict[str, type[T]]:
    """Return the sorted classes that derive from `base`, by their own `name`.

    They are of a package and of other modules; ValueError if two share a name.
    """
    classes = [
        (vars(value)["name"], value)
        for module in [*modules(package), *map(importlib.import_module, others)]
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and value.__module__ == module.__name__
        and vars(value).get("name")
    ]
    names = sorted(name for name, _ in classes)
    if len(set(names)) < len(names):
        raise ValueError(f"{package}: two have one name: {', '.join(names)}")
    return dict(sorted(classes))
