"""The Hydra application behind `memcap train`: compose, check every member of every
job, then train."""

import argparse
import contextlib
import inspect
import logging
import os
import re
import shlex
import sys
from collections.abc import Generator, Hashable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import hydra
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from memcap import loops
from memcap.config.knobs import UserError, defaults
from memcap.config.member import Member
from memcap.config.recipes import check_aliases, of_yaml
from memcap.launch import launcher, slurm, sweeper
from memcap.launch.check import check, typed_overrides, typed_words
from memcap.launch.composer import Composer
from memcap.launch.errors import HYDRA_ERRORS, composing, explaining, mistakes_end
from memcap.launch.jobs import (
    GROUPS,
    Job,
    job_of,
    settings,
    use_config_folders,
    values_of,
)
from memcap.launch.preview import preview
from memcap.launch.session import Session
from memcap.launch.sources import SearchPath, TaskSource, config_dir
from memcap.launch.sweeper import expand
from memcap.runtime import jax_setup, signals
from memcap.runtime.project import root
from memcap.terminal.printing import Waiting

IN_PROCESS = (".PopulationLauncher", ".BasicLauncher")  # run jobs in this process
GRIDS = (".GridSweeper", ".BasicSweeper")  # these know all jobs before any runs
# options with which `--cfg job` is left to Hydra
OTHERS = [
    "help",
    "hydra_help",
    "run",
    "multirun",
    "shell_completion",
    "config_path",
    "config_name",
    "info",
]

FLAGS = {
    "--help -h": "memcap's help",
    "--hydra-help": "this help",
    "--resolve": "with --cfg: with ${...} resolved",
    "--run -r": "one job (the default)",
    "--multirun -m": "a job for each combination of values, as in task.lag=5,50",
    "--shell-completion -sc": (
        "install=SHELL or uninstall=SHELL prints what completes words there"
    ),
}
OPTIONS = {
    "--package -p": "with --cfg: the part that is printed",
    "--config-path -cp": "another folder of configs in place of memcap's",
    "--config-name -cn": "another config in place of memcap's",
    "--config-dir -cd": "a folder of configs beside memcap's",
}


class HydraParser(argparse.ArgumentParser):
    """Hydra's command line, as Hydra documents it. A mistake in a flag gives one line."""

    def __init__(self) -> None:
        super().__init__(
            prog="memcap train",
            add_help=False,
            epilog="Its overrides: https://hydra.cc/docs",
        )
        self.add_argument("overrides", nargs="*", help="KEY=VALUE, as in task.lag=8")
        for flags, about in FLAGS.items():
            self.add_argument(*flags.split(), action="store_true", help=about)
        for flags, about in OPTIONS.items():
            self.add_argument(*flags.split(), help=about)
        self.add_argument(
            "--version", action="version", version=f"Hydra {hydra.__version__}"
        )
        about = "print the config of the job, Hydra's own part, or both"
        self.add_argument("--cfg", "-c", choices=["job", "hydra", "all"], help=about)
        parts = ["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"]
        about = f"print what Hydra found: {', '.join(parts)}"
        self.add_argument(
            "--info",
            "-i",
            nargs="?",
            const="all",
            choices=parts,
            metavar="PART",
            help=about,
        )

    def error(self, message: str) -> NoReturn:
        """Raise the complaint as a user's mistake."""
        hint = "see memcap train --help"
        if "unrecognized" in message and "=" in message:
            hint = "put options such as -m first"
            if re.search(r" --\w+(\.\w+)*=", message):
                hint = "write KEY=VALUE without dashes; a sweep of W&B does by ${args_no_hyphens}"
        raise UserError(f"{message.removeprefix('argument ')}; {hint}")


@cache
def register() -> None:
    """Register the defaults of every dataclass with Hydra, which then refuses unknown keys."""
    schema = ConfigStore.instance()
    schema.store(
        name="schema", node={name: defaults(cls) for name, cls in GROUPS.items()}
    )
    for plugin in (TaskSource, SearchPath):
        Plugins.instance().register(plugin)
    for plugins in (launcher, slurm, sweeper):
        plugins.register()


class CheckMembers(Callback):
    """Checks every member and the existing rows before Hydra makes a folder or anything trains."""

    # The command's; Hydra makes the callback from a config, which cannot hold it.
    session: ClassVar[Session]

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check one job."""
        with mistakes_end():
            self._check(config, map(job_of, [config]), here=True)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check all jobs of a multirun; one that a sweeper makes up as it goes is
        checked as it starts."""
        self.session.composer = Composer(GlobalHydra.instance().config_loader(), config)
        here = config.hydra.launcher._target_.endswith(IN_PROCESS)
        with mistakes_end():
            if _makes_all_jobs_at_once(config):
                with Waiting(
                    "checking the members of all jobs"
                ):  # takes a while if there are very many
                    self._check(config, _multirun(config, self.session.composer), here)
            else:
                self.session.ledger.expect([Job(settings(values_of(config)), ())])
        if not here:
            self.session.wait_elsewhere()

    def _check(self, config: DictConfig, jobs: Iterable[Job], here: bool) -> None:
        checked = check(config, jobs)
        if here:  # another machine may have other devices
            jax_setup.platform()
            for loop in dict.fromkeys(job.settings.engine.loop for job in checked):
                loops.check(loop)
        self.session.ledger.expect(checked)


def _makes_all_jobs_at_once(config: DictConfig) -> bool:
    return config.hydra.sweeper._target_.endswith(GRIDS)


def _multirun(config: DictConfig, composer: Composer) -> Iterable[Job]:
    loader = GlobalHydra.instance().config_loader()
    for overrides in expand(
        config.hydra.sweeper.params, typed_overrides(config), loader
    ):
        signals.look()
        yield composer.job(overrides)


def compose_jobs(
    overrides: Sequence[str], folder: Path | None = None, multirun: bool = False
) -> list[list[Job]]:
    """Compose and check what `memcap train` would train with these overrides,
    --config-dir and -m. Return the jobs, in lists of those that it would train as
    one."""
    register()
    overrides = typed_words(overrides)
    _check_config_dir(folder)
    mode = RunMode.MULTIRUN if multirun else RunMode.RUN
    with explaining(overrides), _composed(overrides, folder, mode) as (loader, config):
        if not multirun:
            return [check(config, map(job_of, [config]))]
        if not _makes_all_jobs_at_once(config):
            raise UserError(
                "-m: this hydra/sweeper makes up its jobs as it goes, so they cannot be planned;"
                " plan one of them, without -m"
            )
        return merge_jobs(
            config, check(config, _multirun(config, Composer(loader, config)))
        )


@contextlib.contextmanager
def _composed(
    overrides: Sequence[str], folder: Path | None, mode: RunMode
) -> Generator[tuple[ConfigLoader, DictConfig]]:
    """Compose a command's config without Hydra's own command line. Yield Hydra's
    loader, and the config."""
    with (
        config_dir(folder),
        initialize_config_dir(str(root() / "conf"), **version_base()),
    ):
        loader = GlobalHydra.instance().config_loader()
        with composing():
            config = loader.load_configuration("config", list(overrides), mode)
        yield loader, config


def _check_config_dir(folder: Path | str | None) -> None:
    if folder is not None and not (str(folder) and Path(folder).is_dir()):
        raise UserError(f"--config-dir {folder}: no such folder")
    for path in Path(folder).rglob("*.yaml") if folder is not None else ():
        if path.is_file():
            check_aliases(path)


def merge_jobs(config: DictConfig, jobs: Sequence[Job]) -> list[list[Job]]:
    """Group the jobs of a multirun that the launcher trains as one, which only
    `population` does."""
    together = config.hydra.launcher._target_.endswith(
        launcher.PopulationLauncher.__name__
    )
    merged: dict[Hashable, list[Job]] = {}
    for place, job in enumerate(jobs):
        merged.setdefault(job.merge_key(place) if together else place, []).append(job)
    return list(merged.values())


def main(arguments: Sequence[str]) -> list[Path]:
    """Run Hydra on the arguments. Return the folder of each study that was trained."""
    register()
    logging.raiseExceptions = (
        False  # Hydra prints by logging: else a closed pipe gives a traceback a line
    )
    os.environ["HYDRA_FULL_ERROR"] = (
        "1"  # Hydra then raises, and memcap decides what the user sees
    )
    arguments = typed_words(arguments)
    parsed = HydraParser().parse_args(list(arguments))
    if parsed.hydra_help:
        print(HydraParser().format_help(), end="")
        return []
    if parsed.package is not None and parsed.cfg is None:
        raise UserError(
            "--package: says which part --cfg prints, as in --cfg job --package task"
        )
    if (
        parsed.shell_completion
        and "COMP_LINE" not in os.environ
        and "query=" in " ".join(arguments)
    ):
        raise UserError(
            "-sc query: is asked by a shell as it completes a line; -sc install=bash says how"
        )
    _check_config_dir(parsed.config_dir)
    sys.argv = ["memcap", *arguments]
    try:
        with explaining(parsed.overrides):
            if parsed.cfg == "job" and not any(
                getattr(parsed, each) for each in OTHERS
            ):
                _print_job(parsed)
                return []
            with Session(
                shlex.join(["memcap", "train", *arguments])
            ) as CheckMembers.session:
                run = hydra.main(
                    config_path=str(root() / "conf"), config_name="config", **_options()
                )
                run(CheckMembers.session)()
    except RecursionError as error:
        if CheckMembers.session.ledger.expected:  # then all configs had been read
            raise
        raise UserError(of_yaml(error)) from error
    return [study.folder for study in CheckMembers.session.ledger.expected]


def _print_job(parsed: argparse.Namespace) -> None:
    """Print the config of a job with its members' values; if it cannot be trained,
    raise the mistake."""
    folder = None if parsed.config_dir is None else Path(parsed.config_dir)
    members: Sequence[Member] = ()
    wrong = None
    with _composed(parsed.overrides, folder, RunMode.RUN) as (_, config):
        use_config_folders(config.hydra)
        try:
            members = job_of(config).members
        except (UserError, *HYDRA_ERRORS) as error:
            wrong = error
        print(preview(config, members, parsed.package, parsed.resolve), end="")
    if wrong is not None:
        raise wrong


def version_base() -> dict[str, Any]:
    """Return the `version_base`, which Hydra 1.3 requires and 1.4 does not."""
    is_new = "execution_whitelist" in inspect.signature(hydra.main).parameters
    return {} if is_new else {"version_base": "1.3"}


def _options() -> dict[str, Any]:
    """Return the options of `hydra.main`; since 1.4 they include what a config's
    `_target_` may run."""
    return version_base() or {
        "execution_whitelist": ["memcap.*", "hydra.*", "hydra_plugins.*"]
    }
