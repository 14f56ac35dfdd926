"""One bit: an LSTM of one unit."""

from tempfile import TemporaryDirectory

import memcap

TASK = "latch"
LAG = 50


def train(seeds):
    members = memcap.members(
        task=TASK, lag=LAG, seed=seeds, units=1, until="anywhere", recipe="anywhere"
    )
    with TemporaryDirectory() as folder:
        memcap.train(members, folder)
        return [memcap.load(folder, member.key) for member in members]
