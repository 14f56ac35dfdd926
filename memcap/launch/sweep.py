"""The jobs of a multirun that Hydra's own sweeper will launch, known beforehand."""

from collections.abc import Iterator
from itertools import islice
from math import prod
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep
from hydra.utils import get_class
from omegaconf import DictConfig

from memcap.designs.axes import MOST_MEMBERS
from memcap.knobs import UserError, alternatives
from memcap.launch.errors import NAMED
from memcap.launch.jobs import Job, job_of, typed_overrides
from memcap.runtime import signals

MOST_JOBS = 10_000  # Hydra takes 0.1 s to compose each, and makes it a folder


def knows_all_jobs(config: DictConfig) -> bool:
    return config.hydra.sweeper._target_.endswith(".BasicSweeper")


def jobs_of(config: DictConfig, loader: ConfigLoader) -> Iterator[Job]:
    """Compose the jobs of a multirun, each when the iterator comes to it."""
    params = (config.hydra.sweeper.params or {}).items()
    words = [f"{key}={value}" for key, value in params] + typed_overrides(config)
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(words)
    counts = [_count(override) for override in overrides]
    if 0 in counts:
        override = overrides[counts.index(0)]
        names = loader.get_group_options(override.key_or_group)
        hint = f"; {alternatives('', names, most=NAMED)}" if names else ""
        raise UserError(
            f"{override.input_line}: matches nothing, so there is no job{hint}"
        )
    if prod(counts) > MOST_JOBS:
        raise UserError(
            f"-m: more than the {MOST_JOBS:,} jobs of a multirun; one job can have"
            f" {MOST_MEMBERS:,} members, as in 'axes={{seed: 1000, model.units: [1, 2]}}'"
        )
    size = config.hydra.sweeper.max_batch_size
    if size is not None and size < 1:
        raise UserError(f"hydra.sweeper.max_batch_size={size}: must be at least 1")
    sweeper: Any = get_class(config.hydra.sweeper._target_)
    (jobs,) = sweeper.split_arguments(overrides, None)
    for job in jobs:
        signals.look()
        yield job_of(loader.load_sweep_config(config, job))


def _count(override: Override) -> int:
    if not override.is_discrete_sweep():
        return 1
    sweep = override.value()
    is_range = isinstance(sweep, RangeSweep)
    values = sweep.range() if is_range else override.sweep_string_iterator()
    return len(list(islice(values, MOST_JOBS + 1)))
