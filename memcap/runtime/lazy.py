"""JAX, imported when it is first used, as by Python 3.15's `lazy import`: what only asks a task for its facts
starts without it, which saves most of a second.

    from memcap.runtime.lazy import jax, jnp, lax

A module that does so has `from __future__ import annotations`, as an annotation such as `jax.Array` would use
JAX otherwise.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["jax", "jnp", "lax"]


class LazyModule(ModuleType):
    """A module that is imported when one of its names is first asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
    from jax import lax
else:
    jax, jnp, lax = map(LazyModule, ("jax", "jax.numpy", "jax.lax"))
