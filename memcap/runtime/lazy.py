"""Late import of JAX, at its first use, like Python 3.15's `lazy import`: commands that
only read a task's facts start without it, which saves most of a second.

A file of `LATE` says `import jax`, `import jax.numpy as jnp` and `from jax import lax`
like any file, and gets modules that are imported when one of their names is first used.
It has `from __future__ import annotations`, because an annotation such as `jax.Array`
would otherwise use JAX.
"""

import builtins
import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

LATE = (
    "memcap.tasks.",
    "memcap.own.task.",
    "memcap.scripts.",
    "memcap.training.curriculum.",
)


class LazyModule(ModuleType):
    """A module that is imported when one of its names is first used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


JAX = LazyModule("jax")
vars(JAX).update(numpy=LazyModule("jax.numpy"), lax=LazyModule("jax.lax"))


def import_late(
    name: str,
    globals_: Any = None,
    locals_: Any = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """Import a module as `__import__` does, but JAX only at its first use."""
    if name == "jax" or (name == "jax.numpy" and not fromlist):
        return JAX
    return __import__(name, globals_, locals_, fromlist, level)


class LateLoader(SourceFileLoader):
    """Runs a file whose import statements call `import_late`."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the file."""
        vars(module)["__builtins__"] = vars(builtins) | {"__import__": import_late}
        super().exec_module(module)


class Finder:
    """Finds the files of `LATE`."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        """Return the spec of a module; None: it is not one of these."""
        spec = (
            PathFinder.find_spec(name, path, target)
            if f"{name}.".startswith(LATE)
            else None
        )
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = LateLoader(name, spec.loader.path)
        return spec


def install() -> None:
    """Start finding the files of `LATE`."""
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)
