"""Sixteen bits: an LSTM of 21 units."""

from tempfile import TemporaryDirectory

import memcap

TASK = "copy"
LAG = 50
KNOBS = ["items=16"]


def train(seeds):
    members = memcap.members(
        task=TASK,
        lag=LAG,
        seed=seeds,
        items=16,
        units=21,
        until="anywhere",
        recipe="anywhere",
        lr=0.03,
    )
    with TemporaryDirectory() as folder:
        memcap.train(members, folder)
        return [memcap.load(folder, member.key) for member in members]
