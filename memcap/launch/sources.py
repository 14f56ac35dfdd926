"""Hydra's group `task`, made from the tasks themselves, and its group `sweeps`.

A task's choice is its name, and has the defaults of its knobs. So a task needs no file
in conf/, and `task=my_module:MyTask` works on the command line, in a study file and in
a defaults list. Hydra lists one folder of a group alone, so the studies in the folders
of sweeps/ are named here, for `glob(*)`, completion and errors. A plugin puts tasks and
studies on Hydra's search path; `glob(*)` in a multirun would not see them through
`hydra.searchpath`.
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
        """Return memcap's own scheme."""
        return "memcap"

    def available(self) -> bool:
        """Return True: it is always available."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Return whether a path is one of the groups, or their parent folder."""
        return config_path.strip("/") in ("", GROUP, STUDIES)

    def is_config(self, config_path: str) -> bool:
        """Return whether a path is one of the tasks."""
        group, name = _parts(config_path)
        is_task = name in task_classes() or plugins.is_import_path(name)
        return group == GROUP and is_task

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names in a group, or the group of the tasks itself."""
        path = config_path.strip("/")
        if path == "" and results_filter in (None, ObjectType.GROUP):
            return [GROUP]
        if path == GROUP and results_filter in (None, ObjectType.CONFIG):
            return [*task_classes()]
        return choices() if path == STUDIES else []

    def load_config(self, config_path: str) -> ConfigResult:
        """Load the defaults of one task."""
        values = task_defaults(_parts(config_path)[1])
        return ConfigResult(
            config=OmegaConf.create(values),
            path=self.full_path(),
            provider=self.provider,
            header={"package": None},
        )


class SearchPath(SearchPathPlugin):
    """The search paths of groups that are not in conf/: `sweeps`, and `task`, made from
    the tasks."""

    folders: ClassVar[
        list[Path]
    ] = []  # a --config-dir that Hydra's own command line does not see

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add all places to the search path."""
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
    """Return the group and the name of a config."""
    group, _, name = config_path.strip("/").partition("/")
    return group, name.removesuffix(".yaml")
