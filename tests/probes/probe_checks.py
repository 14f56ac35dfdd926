"""Nets for the tests of probes: hand-set ones, which are oracles, and random ones,
which nothing was trained in."""

import jax
import numpy as np

from memcap.config.member import Member
from memcap.config.recipes import Recipe
from memcap.models.constructed import constructed
from memcap.models.model import Model
from memcap.trained import Trained


def hand_set(task, lag):
    """The net that solves the task by hand-set weights."""
    model, weights = constructed(task, lag)
    return Trained(Member(task, lag, model=model), weights)


def untrained(
    task, lag, cell="lstm", units=3, scale=1.0, readout="dense", layers=1, **model
):
    """A net with weights as drawn, times a scale."""
    recipe = Recipe("forget_bias" if cell == "lstm" else "own_start")
    net = Model(cell, units, readout, layers, **model)
    member = Member(task, lag, model=net, recipe=recipe)
    weights = member.architecture.init(member.init, [units, lag])
    scaled = jax.tree.map(lambda leaf: np.asarray(scale * leaf, leaf.dtype), weights)
    return Trained(member, scaled)
