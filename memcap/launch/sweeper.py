"""Composes the jobs of a multirun quickly.

Hydra reads all files again and builds the defaults list anew whenever a job is composed: to check it, in the
sweeper and in the launcher. Most jobs differ in plain values, `task.lag=8`, which no file and no choice
depends on: those are set in a copy of what Hydra composed for the first job of the same choices.
"""

import pickle
import re
from typing import Any

from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

# A group is never written with a dot, and of the config's own keys only these have none.
VALUE = re.compile(r"(?:seed|axes|design|study|out|(?!hydra\.)\w+(?:\.\w+)+)=")


class JobLoader(ConfigLoaderImpl):
    """Hydra's loader, with a faster `load_sweep_config` that gives the same.

    Args:
        config_search_path: of the loader that it stands in for.
    """

    def __init__(self, config_search_path: ConfigSearchPath):
        super().__init__(config_search_path)
        # By choices: the config before any plain value is set. Pickled, as that makes a copy 7 times sooner
        # than deepcopy.
        self._composed: dict[tuple[str, ...], bytes] = {}
        self._parsed: dict[str, Override] = {}  # by their text

    def __reduce__(self) -> tuple[Any, ...]:
        """To other processes goes Hydra's own loader: they compose few jobs, of classes that may not pickle
        there."""
        ours = ("_composed", "_parsed")
        return (
            object.__new__,
            (ConfigLoaderImpl,),
            {name: value for name, value in vars(self).items() if name not in ours},
        )

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The config of one job.

        Args:
            master_config: the multirun's, the same in every call.
            sweep_overrides: of the job.

        Raises:
            HydraException: as Hydra's own.
        """
        choices = tuple(text for text in sweep_overrides if not VALUE.match(text))
        if any(text[:1] in "+~" for text in choices):  # these add and delete in the order in which they stand
            return super().load_sweep_config(master_config, sweep_overrides)
        if choices not in self._composed:
            self._composed[choices] = pickle.dumps(super().load_sweep_config(master_config, list(choices)))
        config = pickle.loads(self._composed[choices])
        OmegaConf.copy_cache(from_config=master_config, to_config=config)  # one ${now:...} for all
        overrides = [self._override(text) for text in sweep_overrides]
        self.validate_sweep_overrides_legal(overrides, RunMode.RUN, from_shell=True)
        self._apply_overrides_to_config(
            [each for each in overrides if VALUE.match(each.input_line or "")], config
        )
        config.hydra.overrides.task = sweep_overrides
        if dirname := getattr(
            config_loader_impl, "get_overrides_dirname", None
        ):  # since Hydra 1.4 a resolver does it
            config.hydra.job.override_dirname = dirname(overrides, **config.hydra.job.config.override_dirname)
        return config

    def _override(self, text: str) -> Override:
        if text not in self._parsed:
            (self._parsed[text],) = OverridesParser.create().parse_overrides([text])
        return self._parsed[text]
