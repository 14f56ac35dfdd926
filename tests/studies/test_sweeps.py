"""Every study, of sweeps/ or of a paper, composes, and its members resolve: once, for
all that needs them."""

import shutil
from collections.abc import Iterator
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from study_checks import ONE_LANE
from study_files import NAMES

from memcap import store
from memcap.config.member import Member, Model
from memcap.designs.axes import axis, members
from memcap.designs.bisect import Bisect
from memcap.designs.race import Race
from memcap.launch.app import compose_jobs, register, version_base
from memcap.launch.jobs import settings, values_of
from memcap.runtime import ROOT
from memcap.store.shards import AGAIN, Study, choice, tables
from memcap.studies.run import what_is_missing
from memcap.tasks import Task, task_classes
from memcap.training.engine import train

pytestmark = pytest.mark.usefixtures("resolved_once")


def composed(*overrides: str) -> dict[str, Any]:
    register()
    with initialize_config_dir(str(ROOT / "conf"), **version_base()):
        return values_of(compose("config", list(overrides)))


def grids(values: dict[str, Any]) -> list[dict[str, list[Any]]]:
    """Each grid of a study, with every value of its axes."""
    return [
        {name: axis(name, listed, values["seed"]) for name, listed in grid.items()}
        for grid in values["axes"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_sweep_composes_and_its_members_resolve(name):
    values = composed(f"sweeps={name}")
    study = name.rpartition("/")[2]
    assert values["study"] == study
    assert values["out"] == f"outputs/{study}"
    settings(values)
    found = members(values)
    assert len(found) == sum(
        np.prod([len(axis) for axis in grid.values()]) for grid in grids(values)
    ), "grids overlap"
    assert len({m.key for m in found}) == len(found)
    if values["design"] == "bisect":
        assert 0 < len(Bisect(found, {}).first_members()) < len(found)


@pytest.mark.slow
@pytest.mark.parametrize("table", tables())
def test_published_rows_are_those_of_the_study_as_it_stands(table, tmp_path):
    """All of a grid; of a search those that it asked for. Who changes a recommendation
    or a file of recipes trains again."""
    name = table.partition("/")[0]  # loops has a folder for each loop
    words = [f"sweeps={choice(name.removesuffix(AGAIN))}"]
    rows = store.read(tables()[table])
    shutil.copy(tables()[table], tmp_path / "rows.parquet")
    if name.endswith(AGAIN):
        words.append(f"seed={rows['seed'].min()}")
    (job,) = (job for jobs in compose_jobs(words) for job in jobs)
    # A race trains its candidates at smaller budgets, too.
    candidates = (
        Race(job.members, {}).candidates
        if job.settings.study.design == "race"
        else job.members
    )
    keys = {member.key for member in candidates}
    assert set(rows["key"]) <= keys
    assert (
        what_is_missing(
            job.members, Study(tmp_path, design=job.settings.study.design)
        ).first
        == []
    )


def brief(member: Member) -> Member:
    """It takes two steps, and is so small that members of many studies share a program."""
    return replace(
        member,
        lag=max(3, member.task.smallest_lag),
        length=None,
        model=replace(member.model, units=2),
        recipe=replace(member.recipe, budget=2, batch=4),
        evaluation=replace(member.evaluation, every=2, sequences=4, stretch=1),
    )


def first_members() -> Iterator[Member]:
    """The first member of each grid of each study."""
    for name in NAMES:
        values = composed(f"sweeps={name}")
        for grid in grids(values):
            yield members(
                values | {"axes": {name: listed[:1] for name, listed in grid.items()}}
            )[0]


def choices(task: Task) -> tuple[Any, ...]:
    """Its kind, and its knobs that are no numbers."""
    return (
        type(task),
        *(knob for knob in astuple(task) if isinstance(knob, (str, bool))),
    )


@pytest.mark.slow
def test_whatever_the_grids_ask_for_trains_for_a_moment():
    """Each task with each choice of its knobs, each model, and each optimiser with and
    without a curriculum are in one member at least. The LSTM learns every task as it is
    in tests/training/test_everything_trains.
    """
    trained = {choices(cls()) for cls in task_classes().values()} | {
        Model("lstm", 2),
        ("adam", True),
    }
    chosen = []
    for member in map(brief, first_members()):
        recipe = member.recipe
        new = {
            choices(member.task),
            member.model,
            (recipe.optimizer, recipe.curriculum is None),
        } - trained
        if new:
            trained |= new
            chosen.append(member)
    assert len(chosen) > 12
    for ended in train(chosen, ONE_LANE):
        assert ended.steps == 2
        assert np.isfinite(ended.train_loss)


def test_a_value_on_the_command_line_reaches_every_member():
    found = members(
        composed(
            "sweeps=first_study",
            "recipe.budget=7",
            "seed=100",
            "evaluation.sequences=5",
        )
    )
    assert {m.recipe.budget for m in found} == {7}
    assert {m.evaluation.sequences for m in found} == {5}
    assert {m.seed for m in found} == {*range(100, 108)}
