"""Hydra's group `task`, made from the tasks themselves, and the studies of papers in the group `sweeps`.

A task's choice is its name, and holds the defaults of its knobs. So a task needs no file in conf/, and
`task=my_module:MyTask` works on the command line, in a study file and in a defaults list. A paper's study
lies in the paper's own folder (memcap/papers/NAME/study.yaml). Tasks and studies are on Hydra's search path
by a plugin, not by `hydra.searchpath`, which `glob(*)` in a multirun would not see.
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

from memcap import papers
from memcap.config import task_defaults
from memcap.runtime import plugins
from memcap.runtime.published import root
from memcap.tasks import task_classes

GROUP = "task"
STUDIES = "sweeps"
FORMER = {"state": "cell_map"}  # studies of sweeps/ by the names that they had


class TaskSource(ConfigSource):
    """The search path entry memcap://tasks."""

    @staticmethod
    def scheme() -> str:
        """Memcap's own."""
        return "memcap"

    def load_config(self, config_path: str) -> ConfigResult:
        """The defaults of one task, or a tracking service of one's own."""
        name = _name(config_path)
        group = config_path.strip("/").partition("/")[0]
        node = OmegaConf.create(task_defaults(name) if group == GROUP else {"mode": name})
        return ConfigResult(
            config=node, path=self.full_path(), provider=self.provider, header={"package": None}
        )

    def available(self) -> bool:
        """Always."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether a path is the group, or the folder it is in."""
        return config_path.strip("/") in ("", GROUP)

    def is_config(self, config_path: str) -> bool:
        """Whether a path is one of the tasks, or a tracking service of one's own."""
        group, _, name = config_path.strip("/").partition("/")
        if plugins.is_import_path(name):
            return group in (GROUP, "tracking")
        return group == GROUP and _name(name) in task_classes()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """What is in the group, and the group itself."""
        path = config_path.strip("/")
        if path == "":
            return [GROUP] if results_filter in (None, ObjectType.GROUP) else []
        return list(task_classes()) if path == GROUP and results_filter in (None, ObjectType.CONFIG) else []


class PaperSource(ConfigSource):
    """The search path entry memcap-papers://studies."""

    @staticmethod
    def scheme() -> str:
        """Memcap's own."""
        return "memcap-papers"

    def load_config(self, config_path: str) -> ConfigResult:
        """Load one study, which sets keys of any group. By its former name its rows lie where they lay."""
        name = _name(config_path)
        if name in FORMER:
            file = root() / STUDIES / f"{FORMER[name]}.yaml"
            node = OmegaConf.merge(OmegaConf.load(file), {"study": name})
        else:
            node = OmegaConf.load(papers.studies()[name])
        return ConfigResult(
            config=node, path=self.full_path(), provider=self.provider, header={"package": "_global_"}
        )

    def available(self) -> bool:
        """Always."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether a path is the group, or the folder it is in."""
        return config_path.strip("/") in ("", STUDIES)

    def is_config(self, config_path: str) -> bool:
        """Whether a path is one of the studies."""
        group, _, name = config_path.strip("/").partition("/")
        return group == STUDIES and _name(name) in (*papers.studies(), *FORMER)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """What is in the group, and the group itself."""
        path = config_path.strip("/")
        if path == "":
            return [STUDIES] if results_filter in (None, ObjectType.GROUP) else []
        return (
            list(papers.studies()) if path == STUDIES and results_filter in (None, ObjectType.CONFIG) else []
        )


class SearchPath(SearchPathPlugin):
    """Where the groups are that are not in conf/: `sweeps` is a folder beside it, and in those of papers;
    `task` is made."""

    folders: ClassVar[list[Path]] = []  # of a --config-dir that Hydra's own command line does not see

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add all of them."""
        search_path.append("memcap", f"file://{root()}")
        search_path.append("memcap", f"{PaperSource.scheme()}://studies")
        search_path.append("memcap", f"{TaskSource.scheme()}://tasks")
        for folder in self.folders:
            search_path.append("command-line", f"file://{folder.absolute()}")


@contextlib.contextmanager
def config_dir(folder: Path | None) -> Generator[None]:
    """Within, Hydra looks in this folder as well, as by --config-dir."""
    SearchPath.folders[:] = [] if folder is None else [folder]
    try:
        yield
    finally:
        SearchPath.folders.clear()


def _name(config_path: str) -> str:
    return config_path.strip("/").rpartition("/")[2].removesuffix(".yaml")
