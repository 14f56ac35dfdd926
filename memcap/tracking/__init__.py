"""Tracking: a study's curves, rows and frontier in W&B or trackio.

A process of its own follows the study's folder and sends what is new. Nothing is ever
read back, and nothing here imports a service.
"""

from memcap.tracking.process import MirrorProcess
from memcap.tracking.runs import Run, Target
from memcap.tracking.settings import MODES, RUNS, WANDB_MODES, Tracking

__all__ = ["MODES", "RUNS", "WANDB_MODES", "MirrorProcess", "Run", "Target", "Tracking"]
