"""Tracking: curves, rows and the frontier, mirrored to W&B or trackio. A mirror only: nothing is ever read back from it."""

from memcap.tracking.curve import MOST_POINTS, Points, add_point, thin
from memcap.tracking.tracker import MODES, RUNS, WANDB_MODES, NoTracker, Tracker, open_tracker

__all__ = ["MODES", "MOST_POINTS", "RUNS", "WANDB_MODES", "NoTracker", "Points", "Tracker", "add_point", "open_tracker", "thin"]
