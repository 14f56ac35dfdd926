"""The Hydra application behind `memcap train`: compose, check every member of every job, then train."""

import contextlib
import inspect
import logging
import os
import re
import shlex
import sys
from collections.abc import Generator, Hashable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import hydra
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from memcap import jax_setup
from memcap.knobs import UserError, defaults
from memcap.launch import launcher, slurm
from memcap.launch.jobs import (
    GROUPS,
    KNOWN,
    Job,
    chosen_tasks,
    fields_of,
    job_of,
    look_where_hydra_does,
    settings,
    values_of,
)
from memcap.launch.session import Training, stop
from memcap.launch.sources import PaperSource, Places, TaskSource
from memcap.launch.sweeper import JobLoader
from memcap.recipes import of_yaml, root
from memcap.studies import shards
from memcap.training.engine import settled

PLUGINS = {  # by what is missing without them
    "hydra/launcher/joblib": "hydra-joblib-launcher",
    "hydra/launcher/ray": "hydra-ray-launcher",
    "hydra/launcher/submitit_local": "hydra-submitit-launcher",
    "hydra/launcher/submitit_slurm": "hydra-submitit-launcher",
    "hydra/sweeper/ax": "hydra-ax-sweeper",
    "hydra/sweeper/nevergrad": "hydra-nevergrad-sweeper",
    "hydra/sweeper/optuna": "hydra-optuna-sweeper",
}
HERE = (".PopulationLauncher", ".BasicLauncher")  # run jobs in this process
THEIRS = (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError)  # what they raise of configs
HYDRAS_VALUE_ERRORS = ("Config group override", "Only one of --run", "The --resolve flag")


@cache
def register() -> None:
    """Give Hydra the defaults of every dataclass, so that they live in one place and unknown keys are
    refused."""
    schema = ConfigStore.instance()
    schema.store(name="schema", node={name: defaults(cls) for name, cls in GROUPS.items()})
    for plugin in (TaskSource, PaperSource, Places):
        Plugins.instance().register(plugin)
    launcher.register()
    slurm.register()


def complaint(error: Exception, overrides: Sequence[str] = ()) -> str:
    """What Hydra or OmegaConf complains of, in one line: what was wrong, what is allowed, where.

    Args:
        error: theirs.
        overrides: what the user typed.
    """
    text = str(error)
    if isinstance(error, (YAMLError, UnicodeDecodeError)):
        return of_yaml(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        if plugin := PLUGINS.get(error.missing_cfg_file):
            return f"{group}={choice}: comes with a plugin that is not installed; pip install {plugin}"
        if error.options:
            where = {"task": ", or MODULE:CLASS for your own", "sweeps": " (sweeps/)"}.get(
                group, f" (conf/{group}/)"
            )
            return f"{group}={choice}: no such choice; one of {', '.join(error.options)}{where}"
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: Hydra cannot read it; write KEY=VALUE, as in task.lag=8, and quote what has"
            " spaces or"
            " brackets, as in 'axes={model.units: [1, 2]}'"
        )
    if ambiguous := re.search(r"Ambiguous value for argument '(.*?)'\n", text):
        return (
            f"{ambiguous[1]}: several values need -m (a job each); axes='{{KEY: [VALUE, VALUE]}}' makes"
            " them one job"
        )
    if unknown := re.match(r"Could not override '([^']+)'", text):
        group, _, field = unknown[1].rpartition(".")
        if not group:
            return f"{field}: no such key; one of {', '.join(sorted(KNOWN))}"
        if group == "task":
            chosen = chosen_tasks(overrides)
            lacks = next((name for name in chosen if field not in fields_of(group, name)), chosen[0])
            who = group if len(chosen) == 1 else f"{group}={lacks}"
            return f"{unknown[1]}: no such field; {who} has {', '.join(fields_of(group, lacks))}"
        if group in GROUPS:
            return f"{unknown[1]}: no such field; {group} has {', '.join(fields_of(group))}"
        return f"{unknown[1]}: no such key; memcap train --cfg all prints every key"
    if text.startswith(HYDRAS_VALUE_ERRORS[0]):
        return (
            "task, model, recipe, tracking and sweeps take a name, as in task=latch; memcap train --help"
            " lists them"
        )
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    key = getattr(cause, "full_key", None)
    if cause is not error and isinstance(cause, OmegaConfBaseException):
        text += f" ({cause})"
    text = re.sub(r"(full_key|object_type|reference_type)[:=] ?\S*", "", text.split("Config search path:")[0])
    text = " ".join(re.sub(r"^In '[^']*': ", "", text).split()).replace(" )", ")")
    return f"{key}: {text}" if key else text


def _typed_in(config: DictConfig) -> list[str]:
    """The overrides of the command line as they stand there, ${...} and all."""
    typed_in = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    return [str(override) for override in typed_in] if isinstance(typed_in, list) else []


def _check_folder(folder: Path) -> None:
    """Raise UserError if a study can't be written to the folder, or if the rows that it holds can't be
    read."""
    try:
        above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        raise UserError(
            f"out={folder}: cannot be written ({error.strerror}); set out to another folder"
        ) from error
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UserError(
            f"out={folder}: cannot be written ({above.name} is no folder that can); set out to another folder"
        )
    if above == folder:
        shards.read(folder)


def checked(config: DictConfig, jobs: Iterable[DictConfig]) -> list[Job]:
    """The jobs of a run or a multirun: every member of them is checked, and the rows that are there.

    Args:
        config: of the run.
        jobs: the config of each job; composed one by one, so that what is wrong with one is said as of all.

    Raises:
        UserError: the first mistake, in one line.
    """
    look_where_hydra_does(config.hydra)
    try:
        found = [job_of(each) for each in jobs]
        for folder in sorted({job.settings.folder for job in found}):
            _check_folder(folder)
    except THEIRS as error:
        raise UserError(complaint(error, _typed_in(config))) from error
    return found


def _makes_all_jobs_at_once(config: DictConfig) -> bool:
    """Whether the sweeper is Hydra's own, and not one that makes up its jobs as it goes."""
    return config.hydra.sweeper._target_.endswith("BasicSweeper")


def _multirun(config: DictConfig) -> Iterator[DictConfig]:
    """The configs of the jobs of a multirun, as Hydra's own sweeper makes them; its loader is a `JobLoader`
    from then on."""
    app = GlobalHydra.instance().hydra
    assert app is not None
    overrides = [f"{k}={v}" for k, v in (config.hydra.sweeper.params or {}).items()] + _typed_in(config)
    parsed = OverridesParser.create(config_loader=app.config_loader).parse_overrides(overrides)
    for each in parsed:
        if each.is_sweep_override() and next(each.sweep_string_iterator(), None) is None:
            choices = ", ".join(app.config_loader.get_group_options(each.key_or_group))
            raise UserError(
                f"{each.input_line}: matches nothing, so there is no job"
                + (f"; one of {choices}" if choices else "")
            )
    for batch in BasicSweeper.split_arguments(parsed, None):
        for job in batch:
            with _composing():
                composed = app.config_loader.load_sweep_config(config, list(job))
            yield composed


@contextlib.contextmanager
def _composing() -> Generator[None]:
    """Within, only configs are read: whoever nests without end there is one of them."""
    try:
        yield
    except RecursionError as error:
        raise UserError(of_yaml(error)) from error


def _load_jobs_quickly() -> None:
    """Have Hydra compose the jobs of this process by a `JobLoader`."""
    app = GlobalHydra.instance().hydra
    assert app is not None
    app.config_loader = JobLoader(app.config_loader.get_search_path())


class CheckFirst(Callback):
    """Checks every member of every job, and the rows that are there, before Hydra makes a folder or anything
    trains."""

    training: ClassVar[
        Training
    ]  # of the command; Hydra makes the callback from a config, which can't hold it

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """One job."""
        self._check(config, [config], here=True)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """All jobs of a multirun; with a sweeper that makes up its jobs as it goes, each job is checked as it
        starts."""
        _load_jobs_quickly()
        if _makes_all_jobs_at_once(config):
            self._check(config, _multirun(config), here=config.hydra.launcher._target_.endswith(HERE))
        else:
            self.training.expect([Job(settings(values_of(config)), ())])

    def _check(self, config: DictConfig, jobs: Iterable[DictConfig], here: bool) -> None:
        try:
            found = checked(config, jobs)
            self.training.expect(found)
            if here:  # elsewhere there may be other devices
                jax_setup.platform()
                for engine in dict.fromkeys(job.settings.engine for job in found):
                    settled(engine)
        except UserError as error:
            stop(str(error))


def populations(
    overrides: Sequence[str], folder: Path | None = None, multirun: bool = False
) -> list[list[Job]]:
    """What `memcap train` would train, all of it checked: jobs, those that it would train as one in a list of
    their own.

    Args:
        overrides: as it takes them.
        folder: --config-dir.
        multirun: -m.

    Raises:
        UserError: the first mistake, in one line.
    """
    register()
    _check_config_dir(folder)
    try:
        with initialize_config_dir(str(root() / "conf"), **version_base()):
            app = GlobalHydra.instance().hydra
            assert app is not None
            path = app.config_loader.get_search_path()
            if folder is not None:  # where Hydra's own command puts it
                path.prepend(
                    "command-line", f"file://{folder.absolute()}", SearchPathQuery(provider="schema")
                )
            _load_jobs_quickly()
            with _composing():
                config = app.compose_config(
                    "config", list(overrides), RunMode.MULTIRUN if multirun else RunMode.RUN
                )
            if not multirun:
                return [checked(config, [config])]
            if not _makes_all_jobs_at_once(config):
                raise UserError(
                    "-m: this hydra/sweeper makes up its jobs as it goes, so they cannot be planned; plan"
                    " one of them, without -m"
                )
            return _trained_as_one(config, checked(config, _multirun(config)))
    except THEIRS as error:
        raise UserError(complaint(error, overrides)) from error


def _check_config_dir(folder: Path | str | None) -> None:
    if folder is not None and not Path(folder).is_dir():
        raise UserError(f"--config-dir {folder}: no such folder")


def _trained_as_one(config: DictConfig, jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs of a multirun by what the launcher trains as one; any other launcher than `population` trains
    each by itself."""
    together = config.hydra.launcher._target_.endswith(launcher.PopulationLauncher.__name__)
    found: dict[Hashable, list[Job]] = {}
    for place, job in enumerate(jobs):
        found.setdefault(job.population(place) if together else place, []).append(job)
    return list(found.values())


def main(arguments: Sequence[str]) -> list[Path]:
    """Run Hydra on the arguments.

    Returns:
        The folder of each study that was trained.

    Raises:
        UserError: what Hydra itself complains of.
    """
    register()
    logging.raiseExceptions = False  # Hydra prints by logging: a closed pipe would give a traceback a line
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra raises, and memcap decides what the user sees
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]
    parsed = parser.parse_args(list(arguments))
    _check_config_dir(parsed.config_dir)
    overrides = parsed.overrides
    sys.argv = ["memcap", *arguments]
    try:
        with Training(shlex.join(["memcap", "train", *arguments])) as CheckFirst.training:
            hydra.main(config_path=str(root() / "conf"), config_name="config", **_options())(
                CheckFirst.training
            )()
    except THEIRS as error:
        raise UserError(complaint(error, overrides)) from error
    except RecursionError as error:
        if CheckFirst.training.expected:  # so all configs had been read
            raise
        raise UserError(of_yaml(error)) from error
    except ValueError as error:
        if not str(error).startswith(HYDRAS_VALUE_ERRORS):
            raise
        raise UserError(complaint(error)) from error
    return [study.folder for study in CheckFirst.training.expected]


def version_base() -> dict[str, Any]:
    """Which defaults of Hydra are meant: 1.3 wants to be told, 1.4 no longer."""
    return (
        {} if "execution_whitelist" in inspect.signature(hydra.main).parameters else {"version_base": "1.3"}
    )


def _options() -> dict[str, Any]:
    """What `hydra.main` wants to know: since 1.4 also what a config's `_target_` may run."""
    return version_base() or {"execution_whitelist": ["memcap.*", "hydra.*", "hydra_plugins.*"]}


def _refuse(message: str) -> NoReturn:
    hint = (
        "put options such as -m first"
        if "unrecognized" in message and "=" in message
        else "see memcap train --help"
    )
    raise UserError(f"{message.removeprefix('argument ')}; {hint}")
