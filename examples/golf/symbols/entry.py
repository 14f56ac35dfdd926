"""One of 32 symbols: an LSTM of four units."""

from tempfile import TemporaryDirectory

import memcap

TASK = "latch"
LAG = 50
KNOBS = ["symbols=32"]


def train(seeds):
    members = memcap.members(
        task=TASK,
        lag=LAG,
        seed=seeds,
        symbols=32,
        units=4,
        until="anywhere",
        recipe="anywhere",
    )
    with TemporaryDirectory() as folder:
        memcap.train(members, folder)
        return [memcap.load(folder, member.key) for member in members]
