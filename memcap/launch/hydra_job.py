"""What `hydra.core.utils.run_job` does around a job, in a fraction of its time.

Hydra copies the config of each job five times, node by node, and writes all of its YAML anew, which takes
longer than to train a tiny member. Here it is copied once, by pickle, and of the YAML is written what differs
from the job before. Files, log, callbacks and what is returned are the same.
"""

import logging
import os
import pickle
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import (
    JobReturn,
    JobRuntime,
    JobStatus,
    configure_log,
    env_override,
    run_job,
)
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, flag_override, open_dict, read_write

LONGEST = 100  # characters of a key that YAML has on one line


def job_runner(context: HydraContext) -> Callable[[TaskFunction, DictConfig], JobReturn]:
    """What runs the jobs of a multirun, each by a function and its config: of Hydra 1.3 `JobRunner`, of
    another its own `run_job`, as that may do other things."""
    if hydra.__version__.startswith("1.3."):
        return JobRunner(context).run
    return lambda function, config: run_job(
        function, config, "hydra.sweep.dir", "hydra.sweep.subdir", hydra_context=context
    )


class JobRunner:
    """Runs the jobs of one multirun.

    Args:
        context: Hydra's.
    """

    def __init__(self, context: HydraContext):
        self.callbacks = context.callbacks
        self.yamls = {name: Yaml() for name in ("config", "hydra", "overrides")}

    def run(self, function: TaskFunction, config: DictConfig) -> JobReturn:
        """Run a job.

        Args:
            function: whose value the job returns. It gets the whole config, and leaves it as it is.
            config: of the job, with its number.

        Returns:
            As Hydra's own: what the function raises is in there.
        """
        folder, before = os.getcwd(), HydraConfig.instance().cfg
        # Hydra's own keeps a copy that hides the other keys; who asks for `hydra` gets the same.
        HydraConfig.instance().cfg = cast(HydraConf, config)
        chdir = bool(config.hydra.job.chdir)
        try:
            output = os.path.join(
                str(OmegaConf.select(config, "hydra.sweep.dir")),
                str(OmegaConf.select(config, "hydra.sweep.subdir")),
            )
            with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
                config.hydra.runtime.output_dir = os.path.abspath(output)
            OmegaConf.set_readonly(config.hydra, True)
            returned = LateJobReturn(config)
            Path(output).mkdir(parents=True, exist_ok=True)
            if chdir:
                os.chdir(output)
            returned.working_dir = output if chdir else folder
            configure_log(config.hydra.job_logging, config.hydra.verbose)
            if config.hydra.output_subdir is not None:
                self._write(config, Path(config.hydra.runtime.output_dir) / config.hydra.output_subdir)
            with env_override(dict(config.hydra.job.env_set)):
                self.callbacks.on_job_start(config=config, task_function=function)
                try:
                    returned.return_value = function(config)
                    returned.status = JobStatus.COMPLETED
                except Exception as error:
                    returned.return_value, returned.status = error, JobStatus.FAILED
            returned.task_name = JobRuntime.instance().get("name")
            for handler in logging.getLogger().handlers:
                handler.flush()
            self.callbacks.on_job_end(config=config, job_return=returned)
            return returned
        finally:
            HydraConfig.instance().cfg = before
            if chdir:
                os.chdir(folder)

    def _write(self, config: DictConfig, folder: Path) -> None:
        own = cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))
        hydras = {"hydra": own.pop("hydra")}
        files = {"config": own, "hydra": hydras, "overrides": hydras["hydra"]["overrides"]["task"]}
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / f"{name}.yaml").write_text(self.yamls[name].dump(content), encoding="utf-8")


class LateJobReturn(JobReturn):
    """A `JobReturn` that makes its configs when they are asked for: few ask, and there may be thousands.

    Args:
        config: of the job.
    """

    def __init__(self, config: DictConfig):
        super().__init__(overrides=list(config.hydra.overrides.task))
        del self.cfg, self.hydra_cfg
        self._pickled = pickle.dumps(config)

    @cached_property
    def cfg(self) -> DictConfig:  # ty: ignore[incompatible-mutable-override]
        """The job's own config."""
        config = pickle.loads(self._pickled)
        with read_write(config), open_dict(config):
            del config["hydra"]
        return config

    @cached_property
    def hydra_cfg(self) -> DictConfig:  # ty: ignore[incompatible-mutable-override]
        """Hydra's part of it."""
        config = OmegaConf.create()
        with flag_override(config, "no_deepcopy_set_nodes", True):
            config["hydra"] = pickle.loads(self._pickled).hydra
        return config


class Yaml:
    """`OmegaConf.to_yaml` for one config after another: only what differs from the last is written anew."""

    def __init__(self) -> None:
        self._last: dict[tuple[Any, ...], tuple[str, str]] = {}  # value and text, by path
        self._heads: dict[tuple[Any, ...], str] = {}  # by path

    def dump(self, config: Any) -> str:
        """The text of a config, which is given as plain values."""
        return self._text((), config)

    def _text(self, path: tuple[Any, ...], value: Any) -> str:
        """The lines of a value with its key; `path` has keys, and places in lists, its own being the last."""
        value_now = repr(value)
        value_then, text = self._last.get(path, ("", ""))
        if value_now != value_then:
            text = self._new_text(path, value)
            self._last[path] = value_now, text
        return text

    def _new_text(self, path: tuple[Any, ...], value: Any) -> str:
        if isinstance(value, dict) and value and all(map(_is_short, value)):
            parts = [self._text((*path, key), each) for key, each in value.items()]
            return self._head(path) + "".join(parts)
        if isinstance(value, list) and value and not any(isinstance(each, (dict, list)) for each in value):
            parts = [self._text((*path, place), each) for place, each in enumerate(value)]
            return self._head(path) + "".join(parts)
        return "".join(_nested_lines(path, value)[max(len(path) - 1, 0) :])

    def _head(self, path: tuple[Any, ...]) -> str:
        """The line of a key that has others below it."""
        if path not in self._heads:
            self._heads[path] = _nested_lines(path, {"": ""})[len(path) - 1] if path else ""
        return self._heads[path]


def _nested_lines(path: tuple[Any, ...], value: Any) -> list[str]:
    """The lines of a value at its place: one of each key above it, then its own."""
    for each in reversed(path):
        value = [value] if isinstance(each, int) else {each: value}
    return OmegaConf.to_yaml(value).splitlines(keepends=True)


def _is_short(key: Any) -> bool:
    return isinstance(key, str) and len(key) < LONGEST
