"""The symbol of 50 steps ago, at each step: an LSTM of 34 units."""

from tempfile import TemporaryDirectory

import memcap

TASK = "delay_line"
LAG = 50


def train(seeds):
    members = memcap.members(
        task=TASK, lag=LAG, seed=seeds, units=34, recipe="curriculum_ggt"
    )
    with TemporaryDirectory() as folder:
        memcap.train(members, folder)
        return [memcap.load(folder, member.key) for member in members]
