"""Every file of sweeps/ composes, all its members resolve, and each of its grids trains for a moment."""

from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from study_checks import ONE_LANE

from memcap.launch.app import register, version_base
from memcap.launch.jobs import settings, values_of
from memcap.recipes import root
from memcap.studies.axes import members
from memcap.studies.search import Bisect
from memcap.training.engine import train

SWEEPS = sorted(path.stem for path in (root() / "sweeps").glob("*.yaml"))


def composed(*overrides: str):
    register()
    with initialize_config_dir(str(root() / "conf"), **version_base()):
        return values_of(compose("config", list(overrides)))


def test_there_are_sweeps():
    assert "first_study" in SWEEPS


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_composes_and_its_members_resolve(name):
    values = composed(f"sweeps={name}")
    assert values["study"] == name
    assert values["out"] == f"outputs/{name}"
    settings(values)
    found = members(values)
    grids = OmegaConf.to_container(OmegaConf.load(root() / "sweeps" / f"{name}.yaml"))["axes"]
    assert len(found) == sum(len(members(values | {"axes": grid})) for grid in grids), "grids overlap"
    assert len({m.key for m in found}) == len(found)
    if values["design"] == "bisect":
        assert 0 < len(Bisect(found, {}).first()) < len(found)


@pytest.mark.parametrize("name", SWEEPS)
def test_each_grid_of_a_sweep_trains_for_a_moment(name):
    values = composed(f"sweeps={name}")
    first = [members(values | {"axes": grid})[0] for grid in values["axes"]]
    brief = [
        replace(m, recipe=replace(m.recipe, budget=2), evaluation=replace(m.evaluation, sequences=16))
        for m in first
    ]
    for ended in train(brief, ONE_LANE):
        assert ended.steps == 2
        assert np.isfinite(ended.train_loss)


def test_a_value_on_the_command_line_reaches_every_member():
    found = members(composed("sweeps=first_study", "recipe.budget=7", "seed=100", "evaluation.sequences=5"))
    assert {m.recipe.budget for m in found} == {7}
    assert {m.evaluation.sequences for m in found} == {5}
    assert {m.seed for m in found} == {100, 101, 102, 103}
