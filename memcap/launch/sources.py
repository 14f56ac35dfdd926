"""Hydra's group `task`, made from the tasks themselves, and the papers' studies in the
group `sweeps`.

A task's choice is its name, and has the defaults of its knobs. So a task needs no file
in conf/, and `task=my_module:MyTask` works on the command line, in a study file and in
a defaults list. A paper's study lies in the paper's own folder
(memcap/papers/NAME/study.yaml). A plugin puts tasks and studies on Hydra's search path;
`glob(*)` in a multirun would not see them through `hydra.searchpath`.
"""

import contextlib
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import Container, OmegaConf

from memcap import papers
from memcap.config.member import task_defaults
from memcap.runtime import plugins
from memcap.runtime.published import root
from memcap.tasks import task_classes

FORMER = {"state": "cell_map"}  # studies of sweeps/ by their former names


class GroupSource(ConfigSource):
    """A place on Hydra's search path that makes the choices of one group."""

    group: ClassVar[str]

    def choices(self) -> Iterable[str]:
        """Return the names of the choices."""
        raise NotImplementedError

    def available(self) -> bool:
        """Return True: it is always available."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Return whether a path is the group, or its parent folder."""
        return config_path.strip("/") in ("", self.group)

    def is_config(self, config_path: str) -> bool:
        """Return whether a path is one of the choices."""
        group, _, name = config_path.strip("/").partition("/")
        return group == self.group and _name(name) in self.choices()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names in the group, or the group itself."""
        path = config_path.strip("/")
        if path == "":
            return [self.group] if results_filter in (None, ObjectType.GROUP) else []
        return (
            [*self.choices()]
            if path == self.group and results_filter in (None, ObjectType.CONFIG)
            else []
        )

    def result(self, node: Container, package: str | None) -> ConfigResult:
        """Return a config in Hydra's form."""
        header = {"package": package}
        return ConfigResult(
            config=node, path=self.full_path(), provider=self.provider, header=header
        )


class TaskSource(GroupSource):
    """The search path entry memcap://tasks."""

    group = "task"

    @staticmethod
    def scheme() -> str:
        """Return memcap's own scheme."""
        return "memcap"

    def choices(self) -> Iterable[str]:
        """Return the names of the tasks."""
        return task_classes()

    def is_config(self, config_path: str) -> bool:
        """Return whether a path is one of the tasks, or a user's own tracking service."""
        group, _, name = config_path.strip("/").partition("/")
        if plugins.is_import_path(name):
            return group in (self.group, "tracking")
        return super().is_config(config_path)

    def load_config(self, config_path: str) -> ConfigResult:
        """Load the defaults of one task, or a user's own tracking service."""
        name = _name(config_path)
        is_task = config_path.strip("/").partition("/")[0] == self.group
        return self.result(
            OmegaConf.create(task_defaults(name) if is_task else {"mode": name}), None
        )


class PaperSource(GroupSource):
    """The search path entry memcap-papers://studies."""

    group = "sweeps"

    @staticmethod
    def scheme() -> str:
        """Return memcap's own scheme."""
        return "memcap-papers"

    def choices(self) -> Iterable[str]:
        """Return the names of the studies."""
        return papers.studies()

    def is_config(self, config_path: str) -> bool:
        """Return whether a path is one of the studies, also by its former name."""
        group, _, name = config_path.strip("/").partition("/")
        return (group == self.group and _name(name) in FORMER) or super().is_config(
            config_path
        )

    def load_config(self, config_path: str) -> ConfigResult:
        """Load one study, of any group's keys; under its former name its rows stay
        where they were."""
        name = _name(config_path)
        if name in FORMER:
            file = root() / self.group / f"{FORMER[name]}.yaml"
            return self.result(
                OmegaConf.merge(OmegaConf.load(file), {"study": name}), "_global_"
            )
        return self.result(OmegaConf.load(papers.studies()[name]), "_global_")


class SearchPath(SearchPathPlugin):
    """The search paths of groups that are not in conf/: `sweeps`, and `task`, made from
    the tasks."""

    folders: ClassVar[
        list[Path]
    ] = []  # a --config-dir that Hydra's own command line does not see

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add all places to the search path."""
        search_path.append("memcap", f"file://{root()}")
        search_path.append("memcap", f"{PaperSource.scheme()}://studies")
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


def _name(config_path: str) -> str:
    return config_path.strip("/").rpartition("/")[2].removesuffix(".yaml")
