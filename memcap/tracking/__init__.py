"""Tracking: curves, rows and the frontier, mirrored to W&B or trackio. A mirror only: nothing is ever read
back from it."""

from memcap.studies.curves import MOST_POINTS, Points, add_point, thin
from memcap.tracking.mirror import MOST_MEMBER_RUNS
from memcap.tracking.settings import MODES, RUNS, WANDB_MODES, Tracking
from memcap.tracking.tracker import NoTracker, Tracker, open_tracker

__all__ = [
    "MODES",
    "MOST_MEMBER_RUNS",
    "MOST_POINTS",
    "RUNS",
    "WANDB_MODES",
    "NoTracker",
    "Points",
    "Tracker",
    "Tracking",
]
__all__ += ["add_point", "open_tracker", "thin"]
