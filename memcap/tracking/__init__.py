"""Tracking: curves, rows and the frontier, mirrored to W&B. A mirror only: nothing is ever read back from it."""

from memcap.tracking.curve import MOST_POINTS
from memcap.tracking.tracker import NoTracker, Tracker, open_tracker

__all__ = ["MOST_POINTS", "NoTracker", "Tracker", "open_tracker"]
