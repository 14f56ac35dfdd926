"""Every study, of sweeps/ or of a paper, composes, all its members resolve, and each of its grids trains
for a moment."""

from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from study_checks import ONE_LANE
from study_files import NAMES, STUDIES

from memcap.launch.app import register, version_base
from memcap.launch.jobs import settings, values_of
from memcap.recipes import root
from memcap.studies.axes import members
from memcap.studies.search import Bisect
from memcap.training.engine import train


def composed(*overrides: str):
    register()
    with initialize_config_dir(str(root() / "conf"), **version_base()):
        return values_of(compose("config", list(overrides)))


def test_there_are_studies_of_sweeps_and_of_papers():
    assert {"first_study", "collins2017", "collins2017_full", "gu2023_rates"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_sweep_composes_and_its_members_resolve(name):
    values = composed(f"sweeps={name}")
    assert values["study"] == name
    assert values["out"] == f"outputs/{name}"
    settings(values)
    found = members(values)
    grids = OmegaConf.to_container(OmegaConf.load(STUDIES[name]))["axes"]
    assert len(found) == sum(len(members(values | {"axes": grid})) for grid in grids), "grids overlap"
    assert len({m.key for m in found}) == len(found)
    if values["design"] == "bisect":
        assert 0 < len(Bisect(found, {}).first_members()) < len(found)


@pytest.mark.parametrize("name", NAMES)
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
