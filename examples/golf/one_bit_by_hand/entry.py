"""One bit in one unit: a symbol overwrites the cell, and all else keeps it."""

import memcap
from memcap.models.constructed import constructed

TASK = "latch"
LAG = 50


def net():
    task = memcap.tasks.Latch()
    model, weights = constructed(task, LAG)
    return memcap.Trained(memcap.Member(task, LAG, model=model), weights)
