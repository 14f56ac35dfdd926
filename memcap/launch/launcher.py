"""Hydra's launcher `population`: the jobs of a multirun are trained together, as axes inside one job are.

Their members share compiled programs, all workers of a CPU, and the lanes of an accelerator. Each job has
what any launcher gives it: its folder with `.hydra/` and its log, callbacks, a status and a return value; but
Hydra runs it when its members have ended, with a function that hands over what became of them.
"""

import errno
import itertools
import logging
import sys
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import polars as pl
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, configure_log, env_override, run_job, setup_globals
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from jax.errors import JaxRuntimeError
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from memcap.knobs import UserError
from memcap.launch.jobs import Job, job_of, look_where_hydra_does
from memcap.launch.session import Training, in_a_line, named
from memcap.printing import counted

log = logging.getLogger(__name__)

Results = dict[int, pl.DataFrame | Exception]  # by the job's place: its rows, or why it failed


class PopulationLauncher(Launcher):
    """Trains all jobs of a batch that have their settings in common as one, but for searches; see
    `Job.population`."""

    __module__ = (
        "hydra_plugins.memcap"  # Hydra finds plugins by name, and takes none whose name begins otherwise
    )

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives before the launch."""
        assert isinstance(task_function, Training)
        self.context, self.training, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run a batch of jobs.

        Args:
            job_overrides: of each job.
            initial_job_idx: number of the first.

        Returns:
            What each returned or raised. Nothing is raised here but Ctrl-C, and what the disk refuses.
        """
        setup_globals()
        self._log_as_multirun()
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        look_where_hydra_does(self.config.hydra)
        groups: dict[Hashable, dict[int, Job]] = defaultdict(dict)
        refused: Results = {}
        for place, overrides in enumerate(job_overrides):
            try:
                job = job_of(self._composed(overrides, initial_job_idx + place))
                groups[self.shared(job, place)][place] = job
            except (
                Exception
            ) as error:  # a mistake, or a bug in somebody's task: this job fails, the others go on
                refused[place] = error
        log.info(f"Launching {len(job_overrides)} jobs, {counted(len(groups), 'population')}")
        returned: dict[int, JobReturn] = {}
        with env_override(dict(self.config.hydra.job.env_set)):
            for results in itertools.chain(
                [refused], self.trained(list(groups.values()))
            ):  # each group's jobs end with it
                for place, result in results.items():
                    returned[place] = self._returned(job_overrides[place], initial_job_idx + place, result)
        return [returned[place] for place in range(len(job_overrides))]

    def _log_as_multirun(self) -> None:
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)

    def _composed(self, overrides: Sequence[str], number: int) -> DictConfig:
        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = str(number), number
        return config

    def shared(self, job: Job, place: int) -> Hashable:
        """What the jobs that are trained as one have in common; `place` is the job's own among those of the
        batch."""
        return job.population(place)

    def trained(self, populations: Sequence[dict[int, Job]]) -> Iterator[Results]:
        """Train one population after another: yields what became of the jobs of each as it ends."""
        return map(self._trained, populations)

    def _trained(self, jobs: dict[int, Job]) -> Results:
        """Train jobs as one. Where that raises, halve them until the culprit is alone: what had ended is in
        the store."""
        try:
            rows = self.training.train(list(jobs.values()))
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (
                errno.ENOSPC,
                errno.EROFS,
                errno.EIO,
                errno.EDQUOT,
            ):
                raise  # the disk is full or gone, for all
            line = in_a_line(error) if isinstance(error, JaxRuntimeError) else None
            if line and len(jobs) == 1:
                return dict.fromkeys(jobs, UserError(line))
            if len(jobs) == 1 or isinstance(error, UserError):  # a mistake in the settings is one of all
                return dict.fromkeys(jobs, error)
            log.warning(
                f"{len(jobs)} jobs together raised {line or f'{type(error).__name__}: {error}'}; now in"
                " halves"
            )
            places, half = list(jobs), len(jobs) // 2
            parts = [{place: jobs[place] for place in part} for part in (places[:half], places[half:])]
            return self._trained(parts[0]) | self._trained(parts[1])
        return self.handed(jobs, rows)

    def handed(self, jobs: dict[int, Job], rows: pl.DataFrame) -> Results:
        """Each job's own rows, of those of all of them."""
        keys = {place: [member.key for member in job.members] for place, job in jobs.items()}
        return {place: rows.filter(pl.col("key").is_in(keys[place])) for place in jobs}

    def _returned(self, overrides: Sequence[str], number: int, result: pl.DataFrame | Exception) -> JobReturn:
        """Let Hydra run a job that has been trained."""

        def hand_over(_: DictConfig) -> float:
            if isinstance(result, Exception):
                log.error(f"{named()}: failed, {type(result).__name__}: {result}")
                raise result
            return self.training.result(result)

        try:
            config = self._composed(overrides, number)
        except (
            HydraException,
            OmegaConfBaseException,
        ) as error:  # there is no config to give it a folder from
            log.error(f"#{number} {' '.join(overrides)}: failed, {type(error).__name__}: {error}")
            failed = JobReturn(overrides=overrides, status=JobStatus.FAILED)
            failed.return_value = error
            return failed
        returned = run_job(
            task_function=hand_over,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=self.context,
        )
        self._log_as_multirun()
        return returned


def register(
    launcher: type[Launcher] = PopulationLauncher, name: str = "population", parameters: Sequence[str] = ()
) -> None:
    """Make a launcher known to Hydra.

    A folder of plugins that Hydra finds by itself would have every other Hydra program import memcap, and JAX
    with it.

    Args:
        launcher: of `__module__` "hydra_plugins.memcap".
        name: `hydra/launcher=NAME`.
        parameters: configs of the same group that it has its parameters from.
    """
    Plugins.instance().register(launcher)
    package = sys.modules.setdefault("hydra_plugins", ModuleType("hydra_plugins"))
    home = package.__dict__.setdefault(
        "memcap", ModuleType("hydra_plugins.memcap")
    )  # so that it is found by its name
    setattr(home, launcher.__qualname__, launcher)
    node = {"defaults": [*parameters, "_self_"], "_target_": f"{launcher.__module__}.{launcher.__qualname__}"}
    ConfigStore.instance().store(group="hydra/launcher", name=name, node=node, provider="memcap")
