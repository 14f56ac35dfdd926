"""Eight pairs of key and value: a delta net of eight units."""

from tempfile import TemporaryDirectory

import memcap

TASK = "mqar"
LAG = 16
KNOBS = ["pairs=8", "symbols=32"]


def train(seeds):
    members = memcap.members(
        task=TASK,
        lag=LAG,
        seed=seeds,
        pairs=8,
        symbols=32,
        cell="delta_net",
        units=8,
        recipe="own_start",
        lr=0.02,
        schedule="arrive",
        curriculum=0.15,
        advance=0.95,
        deadline=0.7,
    )
    with TemporaryDirectory() as folder:
        memcap.train(members, folder)
        return [memcap.load(folder, member.key) for member in members]
