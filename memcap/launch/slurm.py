"""Hydra's launcher `population_slurm`: runs each population of a multirun as a task of
a SLURM array, through submitit.

A population here is a set of jobs that share programs on an accelerator
(memcap/training/program.py), or a few widths on a CPU. The launcher's parameters are
those of `submitit_slurm`. This process waits, then gives each job its results, as the
launcher `population` does.
"""

import logging
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import polars as pl
from hydra.core.utils import env_override

from memcap.config.member import Engine
from memcap.knobs import UserError
from memcap.launch import launcher
from memcap.launch.jobs import Job
from memcap.launch.launcher import MODULE, PopulationLauncher, Results
from memcap.launch.session import Session
from memcap.training.program import Groups

log = logging.getLogger(__name__)
ON_ACCELERATOR = Groups(Engine(loop="associative"))


class ArrayTask:
    """The callable of a task of the array; `environment` are the variables of
    `hydra.job.env_set`."""

    def __init__(self, session: Session, environment: dict[str, str]):
        self.session = session
        self.environment = environment

    def __call__(self, jobs: Sequence[Job]) -> pl.DataFrame:
        """Train the jobs as one, and return their rows."""
        with env_override(self.environment):
            return self.session.train(jobs)

    def checkpoint(self, jobs: Sequence[Job]) -> Any:
        """Return the task that submitit runs after a preemption: the same, for the
        missing members."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, jobs)


class SlurmPopulationLauncher(PopulationLauncher):
    """Trains each population in a task of one array; `parameters` are those of `submitit_slurm`."""

    __module__ = MODULE

    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters

    def merge_key(self, job: Job, place: int) -> Hashable:
        """Split the groups of `population` by the programs that the job's members need."""
        return super().merge_key(job, place), frozenset(
            ON_ACCELERATOR.of(member) for member in job.members
        )

    def train_groups(self, groups: Sequence[dict[int, Job]]) -> Iterator[Results]:
        """Submit all of them, then wait for one after another."""
        import submitit
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
        from submitit.core.utils import FailedJobError, UncompletedJobError

        parameters = dict(self.parameters)
        common = {field.name for field in fields(BaseQueueConf)}
        task = ArrayTask(self.session, dict(self.config.hydra.job.env_set))
        try:
            executor = submitit.AutoExecutor(
                parameters.pop("submitit_folder"),
                cluster="slurm",
                slurm_max_num_timeout=parameters.pop("max_num_timeout"),
            )
            executor.update_parameters(
                **{k if k in common else f"slurm_{k}": v for k, v in parameters.items()}
            )
            tasks = executor.map_array(task, [list(jobs.values()) for jobs in groups])
        except RuntimeError as error:  # SLURM is missing, or refuses
            raise UserError(
                f"hydra/launcher=population_slurm: {str(error).splitlines()[-1]}"
            ) from error
        log.info(
            f"submitted {len(tasks)} tasks: {', '.join(each.job_id for each in tasks)}"
        )
        for each, jobs in zip(tasks, groups, strict=True):
            try:
                yield self.rows_by_job(jobs, each.result())
            except (
                FailedJobError
            ) as error:  # with the task's traceback; the other tasks go on
                yield dict.fromkeys(jobs, error)
            except UncompletedJobError:
                end = f"SLURM's task {each.job_id} ended as {each.state}"
                error = UserError(f"{end}; the same command trains what is missing")
                yield dict.fromkeys(jobs, error)


def register() -> None:
    """Register the launcher with Hydra, with the parameters of the plugin for `submitit_slurm`."""
    launcher.register(SlurmPopulationLauncher, "population_slurm", ["submitit_slurm"])
