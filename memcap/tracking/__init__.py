"""Tracking: a study's curves, rows and frontier in W&B. Nothing is ever read back."""

from memcap.tracking.mirror import Mirror, Tracker
from memcap.tracking.settings import MODES, WANDB_MODES, Tracking

__all__ = ["MODES", "WANDB_MODES", "Mirror", "Tracker", "Tracking"]
