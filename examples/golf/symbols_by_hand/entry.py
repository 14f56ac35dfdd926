"""One of 32 symbols in one unit, as one of 32 levels."""

import memcap
from memcap.models.constructed import constructed

TASK = "latch"
LAG = 50
KNOBS = ["symbols=32"]


def net():
    task = memcap.tasks.Latch(symbols=32)
    model, weights = constructed(task, LAG)
    return memcap.Trained(memcap.Member(task, LAG, model=model), weights)
