"""The Hydra application behind `memcap train`: compose, check every member of every job, then train."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from memcap.config import Engine, Evaluation, Recipe, Tracking, defaults, root, task_defaults, typed
from memcap.knobs import UserError
from memcap.models.network import Model
from memcap.studies.axes import members
from memcap.tasks import task_classes


def register() -> None:
    """Give Hydra the defaults of every dataclass, so that they live in one place and unknown keys are refused."""
    os.environ["MEMCAP_ROOT"] = str(root())
    store = ConfigStore.instance()
    groups = {"model": Model, "recipe": Recipe, "evaluation": Evaluation, "engine": Engine, "tracking": Tracking}
    store.store(name="schema", node={name: defaults(cls) for name, cls in groups.items()})
    for name in task_classes():
        store.store(group="schema/task", name=name, node=task_defaults(name))


def values_of(config: DictConfig) -> dict[str, Any]:
    """The job's config as plain values, without Hydra's own part."""
    own = OmegaConf.masked_copy(
        config, [k for k in config if k != "hydra"]
    )  # Hydra's part can't be resolved before a job
    values = OmegaConf.to_container(own, resolve=True)
    assert isinstance(values, dict)
    known = {"task", "model", "recipe", "evaluation", "engine", "tracking", "seed", "axes", "study", "out"}
    unknown = [str(k) for k in values if k not in known]
    if unknown:
        raise UserError(f"{unknown[0]}: no such key; one of {', '.join(sorted(known))}")
    return {str(k): v for k, v in values.items()}


def settings(values: dict[str, Any]) -> tuple[Engine, Tracking]:
    """The parts of a job's config that decide no result."""
    for name in ("study", "out"):
        if not isinstance(values[name], str) or not values[name]:
            raise UserError(f"{name}={values[name]}: must be text")
    return typed(Engine, values["engine"], "engine"), typed(Tracking, values["tracking"], "tracking")


class CheckFirst(Callback):
    """Checks every member of every job before Hydra makes a folder or anything trains.

    Hydra turns a callback's exceptions into warnings, so a mistake is printed and ends the process from here.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """One job."""
        self._check([config])

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """All jobs of a multirun; with a sweeper that makes up its jobs as it goes, each job is checked as it starts."""
        if not config.hydra.sweeper._target_.endswith("BasicSweeper"):
            return
        overrides = list(config.hydra.overrides.task)
        overrides += [f"{k}={v}" for k, v in (config.hydra.sweeper.params or {}).items()]
        instance = GlobalHydra.instance().hydra
        assert instance is not None
        parser = OverridesParser.create(config_loader=instance.config_loader)
        batches = BasicSweeper.split_arguments(parser.parse_overrides(overrides), None)
        jobs = (job for batch in batches for job in batch)
        self._check(instance.config_loader.load_sweep_config(config, list(job)) for job in jobs)

    def _check(self, configs: Any) -> None:
        try:
            for config in configs:
                values = values_of(config)
                settings(values)
                members(values)
        except UserError as error:
            print(f"memcap: {error}", file=sys.stderr)
            sys.exit(2)


def job(config: DictConfig) -> dict[str, int]:
    """Train one job's members. Returns how many there are and how many were solved."""
    from memcap.report import finish
    from memcap.studies.job import run
    from memcap.tracking import open_tracker

    values = values_of(config)
    engine, tracking = settings(values)
    found, folder = members(values), Path(values["out"])
    tags = sorted({m.task.name for m in found} | {m.model.cell for m in found})
    with open_tracker(
        tracking.mode,
        project=tracking.project,
        entity=tracking.entity,
        study=values["study"],
        directory=folder,
        tags=tags,
        wandb_mode=tracking.wandb,
    ) as tracker:
        rows = run(found, engine, folder, values["study"], tracker)
        multirun = OmegaConf.select(config, "hydra.mode") == RunMode.MULTIRUN
        finish(rows, folder, values["study"], tracker, quiet=multirun)
    return {"members": rows.height, "solved": int(rows["solved"].sum())}


def main() -> None:
    """Run Hydra on sys.argv."""
    register()
    for noisy in ("jax", "matplotlib"):  # Hydra's root logger would show their remarks on absent TPUs and fonts
        logging.getLogger(noisy).setLevel(logging.WARNING)
    hydra.main(version_base="1.3", config_path=str(root() / "conf"), config_name="config")(job)()
