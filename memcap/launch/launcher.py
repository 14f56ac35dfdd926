"""Hydra's launcher `population`: trains the jobs of a multirun together. Hydra then
runs each as usual, with a function that returns the results."""

import itertools
import logging
import sys
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path
from types import ModuleType

import polars as pl
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import (
    JobReturn,
    configure_log,
    env_override,
    run_job,
    setup_globals,
)
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from jax.errors import JaxRuntimeError
from omegaconf import DictConfig, open_dict

from memcap.knobs import DISK_ERRORS, UserError
from memcap.launch.errors import one_line
from memcap.launch.jobs import Job, job_of, use_config_folders
from memcap.launch.session import Session, job_label
from memcap.runtime import signals
from memcap.terminal.words import plural

log = logging.getLogger(__name__)

# Hydra finds plugins by name, and accepts only those whose module has this name. If it
# found them in a plugin folder, every other Hydra program would import memcap, and JAX.
MODULE = "hydra_plugins.memcap"
# by the job's number: its rows, or the error
Results = dict[int, pl.DataFrame | Exception]


class PopulationLauncher(Launcher):
    """Trains all jobs with the same `Job.merge_key` as one."""

    __module__ = MODULE

    def setup(
        self,
        *,
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
    ) -> None:
        assert isinstance(task_function, Session)
        self.context = hydra_context
        self.session = task_function
        self.config = config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Return what each job returned or raised, except Ctrl-C and errors of the
        disk."""
        setup_globals()
        self._log_as_multirun()
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        use_config_folders(self.config.hydra)
        groups: dict[Hashable, dict[int, Job]] = defaultdict(dict)
        refused: Results = {}
        for place, overrides in enumerate(job_overrides):
            signals.look()
            config = self._config(overrides)
            try:
                job = job_of(config)
                groups[job.merge_key(place)][place] = job
            except Exception as error:
                # A mistake, or a bug in a user's task: this job fails, the others go on.
                refused[place] = error
        log.info(
            f"Launching {len(job_overrides)} jobs, {plural(len(groups), 'population')}"
        )
        returned: dict[int, JobReturn] = {}
        with env_override(dict(self.config.hydra.job.env_set)):
            # The jobs of a group end with it.
            for results in itertools.chain(
                [refused], map(self._train, groups.values())
            ):
                for place, result in results.items():
                    signals.look()
                    returned[place] = self._run_hydra_job(
                        job_overrides[place], initial_job_idx + place, result
                    )
                self._log_as_multirun()
        return [returned[place] for place in range(len(job_overrides))]

    def _config(self, overrides: Sequence[str]) -> DictConfig:
        loader = self.context.config_loader
        return loader.load_sweep_config(self.config, list(overrides))

    def _log_as_multirun(self) -> None:
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)

    def _train(self, jobs: dict[int, Job]) -> Results:
        """Train jobs as one; on an error, halve them until the culprit is alone."""
        try:
            rows = self.session.train(list(jobs.values()))
        except Exception as error:
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise
            line = one_line(error) if isinstance(error, JaxRuntimeError) else None
            if line and len(jobs) == 1:
                return dict.fromkeys(jobs, UserError(line))
            if len(jobs) == 1 or isinstance(
                error, UserError
            ):  # a mistake in the settings affects all
                return dict.fromkeys(jobs, error)
            log.warning(
                f"{len(jobs)} jobs together raised {line or f'{type(error).__name__}: {error}'};"
                " now in halves"
            )
            pairs = list(jobs.items())
            half = len(jobs) // 2
            return self._train(dict(pairs[:half])) | self._train(dict(pairs[half:]))
        return {
            place: rows.filter(
                pl.col("key").is_in([member.key for member in job.members])
            )
            for place, job in jobs.items()
        }

    def _run_hydra_job(
        self, overrides: Sequence[str], number: int, result: pl.DataFrame | Exception
    ) -> JobReturn:
        config = self._config(overrides)
        with open_dict(config):
            config.hydra.job.id = str(number)
            config.hydra.job.num = number

        def hand_over(_: DictConfig) -> float:
            if isinstance(result, Exception):
                log.error(f"{job_label()}: failed, {type(result).__name__}: {result}")
                raise result
            return self.session.result(result)

        return run_job(
            hand_over,
            config,
            "hydra.sweep.dir",
            "hydra.sweep.subdir",
            hydra_context=self.context,
        )


def register() -> None:
    Plugins.instance().register(PopulationLauncher)
    package, _, stem = MODULE.partition(".")
    parent = sys.modules.setdefault(package, ModuleType(package))
    home = vars(parent).setdefault(stem, ModuleType(MODULE))
    home.PopulationLauncher = PopulationLauncher
    node = {"_target_": f"{MODULE}.PopulationLauncher"}
    store = ConfigStore.instance()
    store.store(group="hydra/launcher", name="population", node=node, provider="memcap")
