"""The last 51 symbols in a chain of 51 units."""

import memcap
from memcap.models.constructed import constructed

TASK = "delay_line"
LAG = 50


def net():
    task = memcap.tasks.DelayLine()
    model, weights = constructed(task, LAG)
    return memcap.Trained(memcap.Member(task, LAG, model=model), weights)
