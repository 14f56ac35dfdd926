"""The parity of up to 50 bits: an LSTM of three units."""

from tempfile import TemporaryDirectory

import memcap

TASK = "parity"
LAG = 50


def train(seeds):
    members = memcap.members(
        task=TASK, lag=LAG, seed=seeds, units=3, until="anywhere", recipe="anywhere"
    )
    with TemporaryDirectory() as folder:
        memcap.train(members, folder)
        return [memcap.load(folder, member.key) for member in members]
