"""Hydra's groups `task`, made from the tasks, and `sweeps`.

Hydra lists only one folder of a group, so studies in folders of sweeps/ are named here.
A plugin adds both, as `glob(*)` would not see `hydra.searchpath`.
"""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from memcap.config.member import task_defaults
from memcap.runtime import ROOT, plugins
from memcap.store.shards import choices
from memcap.tasks import task_classes

GROUP = "task"
STUDIES = "sweeps"


class TaskSource(ConfigSource):
    """The search path entry memcap://tasks."""

    @staticmethod
    def scheme() -> str:
        return "memcap"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        """Return whether a path is a group, or the parent folder of groups."""
        return config_path.strip("/") in ("", GROUP, STUDIES)

    def is_config(self, config_path: str) -> bool:
        group, name = _parts(config_path)
        is_task = name in task_classes() or plugins.is_import_path(name)
        return group == GROUP and is_task

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        path = config_path.strip("/")
        if path == "" and results_filter in (None, ObjectType.GROUP):
            return [GROUP]
        if path == GROUP and results_filter in (None, ObjectType.CONFIG):
            return [*task_classes()]
        return choices() if path == STUDIES else []

    def load_config(self, config_path: str) -> ConfigResult:
        values = task_defaults(_parts(config_path)[1])
        return ConfigResult(
            config=OmegaConf.create(values),
            path=self.full_path(),
            provider=self.provider,
            header={"package": None},
        )


class SearchPath(SearchPathPlugin):
    """Adds the groups that are not in conf/ to the search path."""

    folders: ClassVar[
        list[Path]
    ] = []  # a --config-dir that Hydra's own command line does not see

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("memcap", f"file://{ROOT}")
        search_path.append("memcap", f"{TaskSource.scheme()}://tasks")
        for folder in self.folders:
            search_path.append("command-line", f"file://{folder.absolute()}")


@contextlib.contextmanager
def config_dir(folder: Path | None) -> Generator[None]:
    """Let Hydra search this folder as well, like --config-dir."""
    SearchPath.folders[:] = [] if folder is None else [folder]
    try:
        yield
    finally:
        SearchPath.folders.clear()


def _parts(config_path: str) -> tuple[str, str]:
    group, _, name = config_path.strip("/").partition("/")
    return group, name.removesuffix(".yaml")
