"""Fast composition of the jobs of a multirun.

Hydra reads all files again and rebuilds the defaults list whenever it composes a job.
Most jobs differ only in plain values, `task.lag=8`, on which no file and no choice
depends: these are set in a copy of what Hydra composed for the first job with the same
choices.
"""

import pickle
import re
from collections.abc import Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from memcap.launch.errors import composing
from memcap.launch.jobs import Job, job_of

# Groups are written without a dot, as are only these of the config's own keys.
VALUE = re.compile(r"(?:seed|axes|design|study|out|(?!hydra\.)\w+(?:\.\w+)+)=")


class Composer:
    """The jobs of one multirun, composed as Hydra would from a base for each choice of groups."""

    def __init__(self, loader: ConfigLoader, config: DictConfig):
        self._loader = loader
        self._multirun = config
        # By choices: the config before any plain value is set. Pickled, as that copies
        # 5 times faster than deepcopy.
        self._bases: dict[tuple[str, ...], bytes] = {}
        self._parsed: dict[str, Override] = {}  # by their text
        self._jobs: dict[tuple[str, ...], Job] = {}

    def job(self, overrides: Sequence[str]) -> Job:
        """Return the job of these overrides, with its members checked; made once and
        used twice, for checking and for training. Raise UserError, or HydraException as
        Hydra does, at the first mistake.
        """
        key = tuple(overrides)
        if key not in self._jobs:
            self._jobs[key] = job_of(
                self._with_values(overrides) or self._composed_by_hydra(overrides)
            )
        return self._jobs[key]

    def config(self, overrides: Sequence[str]) -> DictConfig:
        """Compose the config of the job of these overrides; raise HydraException as Hydra does."""
        config = self._with_values(overrides)
        if config is None:
            return self._composed_by_hydra(overrides)
        OmegaConf.copy_cache(
            from_config=self._multirun, to_config=config
        )  # one ${now:...} for all
        own = [
            each for each in map(self._parse, overrides) if not each.is_hydra_override()
        ]
        config.hydra.overrides.task = [each.input_line for each in own]
        job = config.hydra.job
        if not OmegaConf.is_interpolation(
            job, "override_dirname"
        ):  # an interpolation since Hydra 1.4
            job.override_dirname = _override_dirname(own, job.config.override_dirname)
        return config

    def _with_values(self, overrides: Sequence[str]) -> DictConfig | None:
        """Set the values of a job in a copy of the base of its choices; None if only
        Hydra can do it."""
        choices = tuple(text for text in overrides if not VALUE.match(text))
        if any(
            text[:1] in "+~" for text in choices
        ):  # these add and delete in their order
            return None
        try:
            parsed = list(map(self._parse, overrides))
        except HydraException:
            return None
        if any(each.is_sweep_override() for each in parsed):
            return None
        if choices not in self._bases:
            self._bases[choices] = pickle.dumps(self._composed_by_hydra(choices))
        config = pickle.loads(self._bases[choices])
        try:
            for text, each in zip(overrides, parsed, strict=True):
                if VALUE.match(text):
                    OmegaConf.update(
                        config, each.key_or_group, each.value(), merge=True
                    )
        except OmegaConfBaseException:
            return None
        return config

    def _composed_by_hydra(self, overrides: Sequence[str]) -> DictConfig:
        with composing():
            return self._loader.load_sweep_config(self._multirun, list(overrides))

    def _parse(self, text: str) -> Override:
        if text not in self._parsed:
            (self._parsed[text],) = OverridesParser.create().parse_overrides([text])
        return self._parsed[text]


def _override_dirname(overrides: Sequence[Override], options: DictConfig) -> str:
    lines = sorted(
        str(each.input_line)
        for each in overrides
        if each.key_or_group not in options.exclude_keys
    )
    return options.item_sep.join(lines).replace("=", options.kv_sep)
