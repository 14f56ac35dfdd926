"""Composes the jobs of a multirun quickly.

Hydra reads all files again and builds the defaults list anew whenever it composes a job. Most jobs differ in
plain values, `task.lag=8`, which no file and no choice depends on: those are set in a copy of what Hydra
composed for the first job of the same choices.
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

# A group is never written with a dot, and of the config's own keys only these have none.
VALUE = re.compile(r"(?:seed|axes|design|study|out|(?!hydra\.)\w+(?:\.\w+)+)=")


class Composer:
    """The jobs of one multirun, composed as Hydra would, from a base for each choice of groups.

    Args:
        loader: Hydra's.
        config: of the multirun.
    """

    def __init__(self, loader: ConfigLoader, config: DictConfig):
        self._loader, self._multirun = loader, config
        # By choices: the config before any plain value is set. Pickled, as that makes a copy 5 times sooner
        # than deepcopy.
        self._bases: dict[tuple[str, ...], bytes] = {}
        self._parsed: dict[str, Override] = {}  # by their text
        self._jobs: dict[tuple[str, ...], Job] = {}

    def job(self, overrides: Sequence[str]) -> Job:
        """Return the job of these overrides, its members checked.

        It is made once, though it is wanted twice, to be checked and to be trained.

        Raises:
            UserError: the first mistake, in one line.
            HydraException: as Hydra's own.
        """
        key = tuple(overrides)
        if key not in self._jobs:
            self._jobs[key] = job_of(self._with_values(overrides) or self._composed_by_hydra(overrides))
        return self._jobs[key]

    def config(self, overrides: Sequence[str]) -> DictConfig:
        """Compose the config of the job of these overrides.

        Raises:
            HydraException: as Hydra's own.
        """
        config = self._with_values(overrides)
        if config is None:
            return self._composed_by_hydra(overrides)
        OmegaConf.copy_cache(from_config=self._multirun, to_config=config)  # one ${now:...} for all
        own = [each for each in map(self._parse, overrides) if not each.is_hydra_override()]
        config.hydra.overrides.task = [each.input_line for each in own]
        job = config.hydra.job
        if not OmegaConf.is_interpolation(job, "override_dirname"):  # since Hydra 1.4 it is one
            job.override_dirname = _override_dirname(own, job.config.override_dirname)
        return config

    def _with_values(self, overrides: Sequence[str]) -> DictConfig | None:
        """Set the values of a job in a copy of the base of its choices.

        Return None where only Hydra can do it, or say what is wrong.
        """
        choices = tuple(text for text in overrides if not VALUE.match(text))
        if any(text[:1] in "+~" for text in choices):  # these add and delete in the order in which they stand
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
                    OmegaConf.update(config, each.key_or_group, each.value(), merge=True)
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
    """Return `hydra.job.override_dirname`, a folder's name that says the overrides."""
    lines = sorted(
        str(each.input_line) for each in overrides if each.key_or_group not in options.exclude_keys
    )
    return options.item_sep.join(lines).replace("=", options.kv_sep)
