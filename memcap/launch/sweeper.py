"""Hydra's sweeper `grid`, the default of memcap: each combination of swept values is a
job, as in Hydra's own `basic`.

`basic` composes all jobs with Hydra's own loader before it launches any, to see whether
it can, at 50 ms each. Here they have already been composed and checked
(memcap/launch/app.py).
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from memcap.config.knobs import UserError
from memcap.designs.axes import MOST_MEMBERS
from memcap.launch.errors import alternatives
from memcap.launch.plugin import MODULE, register_plugin

MOST_JOBS = 10_000  # Hydra takes milliseconds to compose each, and makes it a folder


@dataclass
class GridSweeperConf:
    """The config `hydra.sweeper`, with the fields of Hydra's own sweeper."""

    _target_: str = f"{MODULE}.GridSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None


class GridSweeper(Sweeper):
    """Launches a job for each combination of swept values, at most `max_batch_size` at
    a time; `params` are overrides beside those of the command line, which take
    precedence."""

    __module__ = MODULE

    def __init__(self, max_batch_size: int | None, params: Mapping[str, str] | None):
        self.max_batch_size = max_batch_size
        self.params = params

    def setup(
        self,
        *,
        hydra_context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
    ) -> None:
        """Make the launcher."""
        self.loader = hydra_context.config_loader
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch the jobs of a command line's overrides, batch by batch. Return what
        its jobs return; raise what the first job that failed raised, once its batch has
        ended."""
        assert self.config is not None
        assert self.launcher is not None
        jobs = expand(self.params, arguments, self.loader)
        size = len(jobs) if self.max_batch_size is None else self.max_batch_size
        if size < 1:
            raise UserError(f"hydra.sweeper.max_batch_size={size}: must be at least 1")
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        returned: list[Sequence[JobReturn]] = []
        for first in range(0, len(jobs), size):
            batch = self.launcher.launch(
                jobs[first : first + size], initial_job_idx=first
            )
            for job in batch:
                _ = job.return_value  # raises the exception of a job that failed
            returned.append(batch)
        return returned


def expand(
    params: Mapping[str, str] | None, arguments: Sequence[str], loader: ConfigLoader
) -> list[list[str]]:
    """Return the overrides of each job of a multirun, by `hydra.sweeper.params` and the
    command line, which takes precedence. Hydra's loader resolves glob(*).

    Raises:
        UserError: there are no jobs.
        HydraException: it cannot read an override.
    """
    overrides = [f"{key}={value}" for key, value in (params or {}).items()] + list(
        arguments
    )
    choices: dict[str, list[str]] = {}  # by key; if one comes twice, the last counts
    for each in OverridesParser.create(config_loader=loader).parse_overrides(overrides):
        key = each.get_key_element()
        if not each.is_sweep_override():
            choices[key] = [f"{key}={each.get_value_element_as_str()}"]
            continue
        if not each.is_discrete_sweep():
            raise UserError(
                f"{each.input_line}: has no end of values; hydra/sweeper=grid takes lists,"
                " range(...) and glob(...)"
            )
        if isinstance(sweep := each.value(), RangeSweep) and not sweep.step:
            raise UserError(
                f"{each.input_line}: has a step of 0, and so no end; give it another step"
            )
        _check_count(_count(each), each.input_line or key)
        choices[key] = [f"{key}={value}" for value in each.sweep_string_iterator()]
        if not choices[key]:
            options = loader.get_group_options(each.key_or_group)
            raise UserError(
                f"{each.input_line}: matches nothing, so there is no job"
                + (f"; {alternatives('', options)}" if options else "")
            )
    _check_count(math.prod(map(len, choices.values())), "-m")
    return [list(job) for job in itertools.product(*choices.values())]


def _check_count(jobs: int, what: str) -> None:
    """Refuse more jobs than a multirun can have, before they are made."""
    if jobs > MOST_JOBS:
        raise UserError(
            f"{what}: {jobs:,} jobs are more than the {MOST_JOBS:,} of a multirun; one job can"
            f" have {MOST_MEMBERS:,} members, as in 'axes={{seed: 1000, model.units: [1, 2]}}'"
        )


def _count(override: Override) -> int:
    """Count the values of an override without making them."""
    sweep = override.value()
    if not isinstance(sweep, RangeSweep):
        return 1  # as typed values they are in memory
    ends = float(sweep.start or 0), float(sweep.stop or 0), float(sweep.step)
    steps = (ends[1] - ends[0]) / ends[2]
    return math.ceil(steps) if math.isfinite(steps) else MOST_JOBS + 1


def register() -> None:
    """Register the sweeper with Hydra."""
    register_plugin(GridSweeper, "hydra/sweeper", "grid", GridSweeperConf)
