"""The Hydra application behind `memcap train`: compose, check, then train."""

import argparse
import contextlib
import inspect
import logging
import os
import re
import shlex
import sys
import traceback
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
from hydra.main import get_args_parser
from hydra.types import RunMode
from omegaconf import DictConfig

from memcap import loops
from memcap.config.recipes import of_yaml
from memcap.knobs import UserError, defaults
from memcap.launch import launcher
from memcap.launch.errors import HYDRA_ERRORS, MISTAKES, SHOWN, exit_with, explain
from memcap.launch.jobs import (
    GROUPS,
    Job,
    check,
    job_of,
    settings,
    typed_overrides,
    typed_words,
    values_of,
)
from memcap.launch.session import Session
from memcap.launch.sources import SearchPath, TaskSource, config_dir
from memcap.launch.sweep import jobs_of, knows_all_jobs
from memcap.runtime import ROOT
from memcap.terminal.words import Waiting
from memcap.training.engine import start_jax

IN_PROCESS = (".PopulationLauncher", ".BasicLauncher")  # run jobs in this process


def hydra_parser() -> argparse.ArgumentParser:
    parser = get_args_parser()
    parser.prog = "memcap train"
    parser.error = _complain
    for action in parser._actions:  # argparse wants texts; one of Hydra's is an object
        action.help = str(action.help)
    return parser


def _complain(message: str) -> NoReturn:
    hint = "see memcap train --help"
    if "unrecognized" in message and "=" in message:
        hint = "put options such as -m first"
    if re.search(r"unrecognized.* --\w+(\.\w+)*=", message):
        hint = "write KEY=VALUE without dashes"
    raise UserError(f"{message.removeprefix('argument ')}; {hint}")


@cache
def register() -> None:
    """Register all defaults with Hydra, which then refuses unknown keys."""
    store = ConfigStore.instance()
    schema = {name: defaults(cls) for name, cls in GROUPS.items()}
    store.store(name="schema", node=schema)
    for plugin in (TaskSource, SearchPath):
        Plugins.instance().register(plugin)
    launcher.register()


class CheckMembers(Callback):
    """Checks members and existing rows before anything trains."""

    # The command's; Hydra makes the callback from a config, which cannot hold it.
    session: ClassVar[Session]

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        with mistakes_end(typed_overrides(config)):
            self._check(config, map(job_of, [config]), here=True)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check all jobs, except those that a sweeper makes up as it goes."""
        here = config.hydra.launcher._target_.endswith(IN_PROCESS)
        with mistakes_end(typed_overrides(config)):
            if knows_all_jobs(config):
                with Waiting("checking the members of all jobs"):
                    loader = GlobalHydra.instance().config_loader()
                    self._check(config, jobs_of(config, loader), here)
            else:
                self.session.ledger.expect([Job(settings(values_of(config)), ())])

    def _check(self, config: DictConfig, jobs: Iterable[Job], here: bool) -> None:
        checked = check(config, jobs)
        if here:  # another machine may have other devices
            for engine in dict.fromkeys(job.settings.engine for job in checked):
                start_jax(engine)
                loops.check(engine.loop)
        self.session.ledger.expect(checked)


def compose_jobs(
    overrides: Sequence[str], folder: Path | None = None, multirun: bool = False
) -> list[list[Job]]:
    overrides = typed_words(overrides)
    mode = RunMode.MULTIRUN if multirun else RunMode.RUN
    with explaining(overrides), _composed(overrides, folder, mode) as (loader, config):
        if not multirun:
            return [check(config, map(job_of, [config]))]
        if not knows_all_jobs(config):
            raise UserError(
                "-m: this hydra/sweeper makes up its jobs as it goes, so they cannot be planned;"
                " plan one of them, without -m"
            )
        return merge_jobs(config, check(config, jobs_of(config, loader)))


@contextlib.contextmanager
def _composed(
    overrides: Sequence[str], folder: Path | None, mode: RunMode
) -> Generator[tuple[ConfigLoader, DictConfig]]:
    """Compose a config without Hydra's own command line; yield Hydra's loader, too."""
    register()
    _check_config_dir(folder)
    with (
        config_dir(folder),
        initialize_config_dir(str(ROOT / "conf"), **version_base()),
    ):
        loader = GlobalHydra.instance().config_loader()
        try:
            config = loader.load_configuration("config", list(overrides), mode)
        except RecursionError as error:  # one of the configs nests without end
            raise UserError(of_yaml(error)) from error
        yield loader, config


def _check_config_dir(folder: Path | str | None) -> None:
    if folder is not None and not (str(folder) and Path(folder).is_dir()):
        raise UserError(f"--config-dir {folder}: no such folder")


def merge_jobs(config: DictConfig, jobs: Sequence[Job]) -> list[list[Job]]:
    """Group jobs that are trained as one, which only the launcher `population` does."""
    together = config.hydra.launcher._target_.endswith(".PopulationLauncher")
    merged: dict[Hashable, list[Job]] = {}
    for place, job in enumerate(jobs):
        merged.setdefault(job.merge_key(place) if together else place, []).append(job)
    return list(merged.values())


def main(arguments: Sequence[str]) -> list[Path]:
    """Run Hydra; return the folder of each study that was trained."""
    register()
    # Hydra prints by logging: else a closed pipe gives a traceback a line
    logging.raiseExceptions = False
    # Hydra then raises, and memcap decides what the user sees
    os.environ["HYDRA_FULL_ERROR"] = "1"
    os.environ.setdefault("COMP_LINE", "")  # for -sc query=, if no shell asks
    arguments = typed_words(arguments)
    parser = hydra_parser()
    parsed = parser.parse_args(arguments)
    if parsed.hydra_help:  # Hydra would list all groups of configs, which takes minutes
        parser.print_help()
        return []
    if parsed.experimental_rerun:
        raise UserError("--experimental-rerun: would run a pickle; not in memcap")
    if parsed.package is not None and parsed.cfg is None:
        raise UserError(
            "--package: says which part --cfg prints, as in --cfg job --package task"
        )
    _check_config_dir(parsed.config_dir)
    sys.argv = ["memcap", *arguments]
    session = Session(shlex.join(["memcap", "train", *arguments]))
    CheckMembers.session = session
    with explaining(parsed.overrides):
        # since 1.4 Hydra asks what a config's `_target_` may run
        options = version_base() or {
            "execution_whitelist": ["memcap.*", "hydra.*", "hydra_plugins.*"]
        }
        run = hydra.main(
            config_path=str(ROOT / "conf"), config_name="config", **options
        )
        try:
            with session:
                run(session)()
        except RecursionError as error:
            if session.ledger.expected:  # then all configs had been read
                raise
            raise UserError(of_yaml(error)) from error
    return [study.folder for study in session.ledger.expected]


def version_base() -> dict[str, Any]:
    """Return the `version_base`, which Hydra 1.3 requires and 1.4 does not."""
    is_new = "execution_whitelist" in inspect.signature(hydra.main).parameters
    return {} if is_new else {"version_base": "1.3"}


@contextlib.contextmanager
def mistakes_end(overrides: Sequence[str]) -> Generator[None]:
    try:
        with explaining(overrides):
            yield
    except UserError as error:
        exit_with(str(error))


@contextlib.contextmanager
def explaining(overrides: Sequence[str]) -> Generator[None]:
    try:
        yield
    except HYDRA_ERRORS as error:
        raise UserError(explain(error, overrides)) from error
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        if isinstance(error, ValueError) and str(error).startswith(MISTAKES):
            raise UserError(explain(error)) from error
        if not _is_hydras(error) or isinstance(error, RecursionError):
            raise
        cause = error.__cause__ or error
        raise UserError(
            f"{' '.join(overrides)[:SHOWN]}: Hydra cannot use it ({explain(cause)})"
        ) from error


def _is_hydras(error: Exception) -> bool:
    """Return whether Hydra raised it while it read overrides, made plug-ins or set up
    logs."""
    frames = traceback.extract_tb(error.__traceback__)
    parts = Path(frames[-1].filename).parts[-4:] if frames else ()
    return not {"hydra", "omegaconf", "logging"}.isdisjoint(parts)
