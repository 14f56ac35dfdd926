"""A job as Hydra composed it: its members, checked, and how to train them."""

import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from memcap.config import recipes
from memcap.config.member import Engine, Member, task_defaults
from memcap.config.recipes import Recipe
from memcap.designs import DESIGNS
from memcap.designs.axes import check_count, members, raced_axes
from memcap.designs.members import search_by, unsplit_part
from memcap.knobs import UserError, Values, defaults, typed
from memcap.models.model import Model
from memcap.rule import Evaluation
from memcap.runtime import plugins
from memcap.store import shards
from memcap.store.shards import Study
from memcap.tasks import task_classes
from memcap.terminal.words import warn_once
from memcap.tracking import Tracking

GROUPS = {
    "model": Model,
    "recipe": Recipe,
    "evaluation": Evaluation,
    "engine": Engine,
    "tracking": Tracking,
}
JOB_KEYS = ("task", *GROUPS, "seed", "axes", "design", "precision", "study", "out")


@dataclass(frozen=True)
class Settings:
    """A job's config besides its members; jobs that share it can be trained as one."""

    engine: Engine  # how members share the machine
    tracking: Tracking  # where curves are mirrored
    study: Study  # the study that the job trains, in a folder

    @property
    def folder(self) -> Path:
        assert self.study.folder is not None
        return self.study.folder

    @property
    def at_the_end(self) -> "Settings":
        """The settings by which jobs, such as shares, count as one study."""
        return replace(self, engine=Engine(), study=replace(self.study, design=""))


@dataclass(frozen=True)
class Job:
    """The members and settings of one job."""

    settings: Settings
    members: tuple[Member, ...]

    def merge_key(self, place: int) -> tuple[Settings, int | None]:
        """Return a key that jobs share if they are trained as one. A design that
        chooses members by results trains by itself, hence `place`, the job's number."""
        return self.settings, place if self.settings.study.is_searched else None


def job_of(config: DictConfig, choices: Mapping[str, Any] | None = None) -> Job:
    values = values_of(config, choices)
    decided = settings(values)
    raced = raced_axes(values, decided.study.design)
    if raced is not None:
        if decided.study.design != "race":
            names = ", ".join(raced[0]["recipe"])
            rates = ", ".join(f"{rate:g}" for rate in raced[0].get("recipe.lr", ()))
            warn_once(
                f"no recipe is recommended for {values['task']['name']}: design=race compares"
                f" {names}{f' at learning rates {rates}' * bool(rates)} before it searches the"
                " widths; recipe=NAME trains by that one alone"
            )
        values = values | {"axes": raced}
        decided = replace(decided, study=replace(decided.study, design="race"))
    study = decided.study
    job = Job(decided, tuple(share(members(values), decided.engine, study.design)))
    if study.is_searched:
        search_by(study.design, job.members, {}, study.precision)
    return job


def share(members: Sequence[Member], engine: Engine, design: str) -> list[Member]:
    """Return this job's share of a study's members: every `engine.shards`-th one.

    Neighbours differ in seed, then width, so each job gets some of every lag. Members
    that need each other's results (`memcap.designs.members.unsplit_part`) stay
    together.
    """
    if engine.shards == 1:
        return list(members)
    places: dict[Hashable, int] = {}
    shared = []
    for member in members:
        place = places.setdefault(unsplit_part(member, design), len(places))
        if place % engine.shards == engine.shard:
            shared.append(member)
    return shared


def values_of(config: DictConfig, choices: Mapping[str, Any] | None = None) -> Values:
    """Return a job's config as plain values, without Hydra's own part. `choices` are
    the files chosen, by group, if that part lacks them."""
    choices = choices or OmegaConf.select(config, "hydra.runtime.choices") or {}
    values = {}
    for name in config:
        if name != "hydra":
            value = config[name]
            if OmegaConf.is_config(value):
                value = OmegaConf.to_container(value, resolve=True)
            values[str(name)] = value
    for name in values:
        if name == "sweeps":
            raise UserError(
                f"sweeps={choices.get(name)}: its file must begin with the line: # @package"
                " _global_"
            )
        if name not in JOB_KEYS:
            raise UserError(
                f"{name}: no such key; one of {', '.join(sorted(JOB_KEYS))}"
            )
    for name in JOB_KEYS:
        if name not in values:
            raise UserError(f"{name}: was deleted; a job needs it")
        if name in ("task", *GROUPS) and not isinstance(values[name], dict):
            raise UserError(
                f"{name}={values[name]}: must hold fields, as in"
                f" {name}.{fields_of(name)[0]}=VALUE"
            )
    _check_choice(choices, values)
    return values


def _check_choice(choices: Mapping[str, Any], values: Values) -> None:
    """Refuse a task or recipe other than the one chosen, whose knobs the config has."""
    choice = choices.get("task")
    name = values["task"].get("name")
    if choice != name and (
        choice in task_classes() or plugins.is_import_path(str(choice))
    ):
        raise UserError(
            f"task.name={name}: but the knobs are those of task={choice}; choose a task by"
            " task=NAME alone"
        )
    choice = choices.get("recipe")
    name = values["recipe"].get("name")
    if choice in (None, "auto", name):
        return
    in_file = recipes.recipe_file(choice).get("name")
    if in_file is None and name == "auto":
        values["recipe"]["name"] = (
            choice  # a file names its recipe, or is named after it
        )
    elif name != in_file:
        mend = f"write name: {choice} into its file"
        more = mend if in_file is None else "choose a recipe by recipe=NAME alone"
        raise UserError(
            f"recipe.name={name}: but the values are those of recipe={choice}; {more}"
        )


def settings(values: Values) -> Settings:
    for name in ("study", "out"):
        if not isinstance(values[name], str) or not values[name]:
            raise UserError(f"{name}={values[name]}: must be text")
    shards.check_study(values["study"])
    if values["design"] not in DESIGNS:
        raise UserError(
            f"design={values['design']}: must be one of {', '.join(DESIGNS)} (which members of"
            " the axes are trained)"
        )
    engine = typed(Engine, values["engine"], "engine")
    tracking = typed(Tracking, values["tracking"], "tracking")
    study = Study(
        Path(values["out"]), values["study"], values["design"], values["precision"]
    )
    return Settings(engine, tracking, study)


def fields_of(group: str, task: str = "delay_line") -> list[str]:
    if group == "task":
        return [name for name in task_defaults(task) if name != "name"]
    return list(defaults(GROUPS[group]))


def chosen_tasks(overrides: Sequence[str]) -> list[str]:
    """Return the tasks that overrides choose: all for a pattern, the default for none."""
    chosen = [text.partition("=")[2] for text in overrides if text.startswith("task=")]
    if not chosen:
        return ["delay_line"]
    words = re.split(r"[(),\s]+", chosen[-1])
    names = [
        word for word in words if word in task_classes() or plugins.is_import_path(word)
    ]
    return names or list(task_classes())


def use_config_folders(hydra_config: Any) -> None:
    sources = hydra_config.runtime.config_sources
    recipes.use_config_folders(
        Path(source.path) for source in sources if source.schema == "file"
    )


def check(config: DictConfig, jobs: Iterable[Job]) -> list[Job]:
    use_config_folders(config.hydra)
    checked = []
    count = 0
    for job in jobs:
        checked.append(job)
        count += len(job.members)
        check_count(count, "-m: members")
    for folder in sorted({job.settings.folder for job in checked}):
        _check_folder(folder, "out")
        if folder.exists():
            shards.read(folder)
    is_multirun = config.hydra.mode == RunMode.MULTIRUN
    key = "hydra.sweep.dir" if is_multirun else "hydra.run.dir"
    _check_folder(Path(str(OmegaConf.select(config, key))), key)
    return checked


def typed_words(words: Sequence[str]) -> list[str]:
    """Return a command's words with axes on one line, as Hydra's grammar requires."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{word}: is not UTF-8; write it in letters that are"
            ) from error
    return [
        " ".join(word.splitlines()) if word.startswith("axes=") else word
        for word in words
    ]


def typed_overrides(config: DictConfig) -> list[str]:
    overrides = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    assert isinstance(overrides, list)
    return [str(override) for override in overrides]


def _check_folder(folder: Path, name: str) -> None:
    try:
        above = next(
            path for path in (folder, *folder.absolute().parents) if path.exists()
        )
    except OSError as error:
        raise UserError(
            f"{name}={folder}: cannot be written ({error.strerror}); set {name} to another folder"
        ) from error
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UserError(
            f"{name}={folder}: cannot be written ({above.name} is no folder that can); set {name}"
            " to another folder"
        )
