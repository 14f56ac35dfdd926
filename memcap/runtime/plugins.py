"""Plug-ins, found by name: a file of one of memcap's folders, or `module:name` for an
object elsewhere.

A module elsewhere is searched on Python's path, and last in the current folder, so that
a file there can be named but does not shadow another module.
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
    """Keep names from a row or a file, which anybody may have written, from importing
    anything: within this context `import_object` only finds modules that this process
    has already imported."""
    token = _in_data.set(True)
    try:
        yield
    finally:
        _in_data.reset(token)


def is_import_path(name: str) -> bool:
    """Return whether a name has the form `module:name`."""
    return ":" in name


def command_with_modules(names: Iterable[str], *words: str) -> str:
    """Return a command of memcap that first imports the modules of these names, as
    rows themselves import nothing: memcap --module my_tasks frontier."""
    modules = {name.partition(":")[0] for name in names if is_import_path(name)}
    options = [word for module in sorted(modules) for word in ("--module", module)]
    return shlex.join(["memcap", *options, *words])


def import_object(name: str, where: str) -> Any:
    """Import the object called `module:name`: an attribute of the module, or a module
    of that package. `where` is the field or argument that has the name, for the error.

    Raises:
        UserError: there is no such module, or no such object in it; or within
            `names_in_data` the module is not imported. Errors of the module itself are
            passed on.
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
    """Say in words what code of a module raised, and at which of its lines."""
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
    """Run code of a user's module: say `what` if it takes long, and raise UserError that
    says it if the code fails."""
    try:
        with Waiting(f"waits for {what}"):
            yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{what} {raised(error, module)}") from error


def import_named(name: str, what: str) -> ModuleType:
    """Import a module by its name; raise UserError, with `what` the user wrote, if
    there is none. Errors of the module itself are passed on."""
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
    """Import the file of memcap at this path as a package of this name; it imports the
    files beside it by `from .file import ...`."""
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
        shared: files that the others share, and that are not plug-ins themselves.
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
        """The names in the package, in alphabetical order; none is imported."""
        path = sys.modules[self.package].__path__
        names = {file.name for file in pkgutil.iter_modules(path)}
        return sorted(names - {*self.shared} | {*self.elsewhere})

    def summaries(self) -> dict[str, str]:
        """Return the first paragraph of each one's docstring, by name; none is imported."""
        return {name: self._summary(name) for name in self.names}

    def find(self, name: str) -> T:
        """Import the one of this name: a file of the package, or `module:name` for an
        object elsewhere. Raise UserError if there is none, or if it lacks a
        function."""
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
    """Import all files of a package, in alphabetical order."""
    files = pkgutil.iter_modules(sys.modules[package].__path__)
    return [
        importlib.import_module(f"{package}.{name}")
        for name in sorted(f.name for f in files)
    ]


def classes(package: str, base: type[T], *others: str) -> dict[str, type[T]]:
    """Import the classes of a package and of other modules that derive from `base`, by
    their own `name`, in alphabetical order; raise ValueError if two have the same."""
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
