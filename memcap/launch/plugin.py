"""Registration of memcap's launchers and sweeper with Hydra.

If Hydra found them in a plugin folder, every other Hydra program would import memcap,
and JAX with it.
"""

import sys
from types import ModuleType
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.plugin import Plugin

# Hydra finds plugins by name, and accepts only those whose module has this name.
MODULE = "hydra_plugins.memcap"


def register_plugin(plugin: type[Plugin], group: str, name: str, node: Any) -> None:
    """Register a plugin, a class with `__module__` MODULE, as the choice `name` of a group such as
    "hydra/launcher", with its config."""
    Plugins.instance().register(plugin)
    package, _, stem = MODULE.partition(".")
    home = sys.modules.setdefault(package, ModuleType(package)).__dict__.setdefault(
        stem, ModuleType(MODULE)
    )
    setattr(home, plugin.__qualname__, plugin)
    ConfigStore.instance().store(group=group, name=name, node=node, provider="memcap")
