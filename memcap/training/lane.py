"""A member in flight, as the host sees it, and its checkpoint: all that it takes to train on as if nobody had
stopped it.

A member's data are drawn from its seed and its step, and its evaluations are counted, so there is nothing
else to keep.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from memcap import loops
from memcap.config import Member
from memcap.training.early_stopping import Verdict
from memcap.training.step import Trainer


@dataclass(frozen=True)
class Checkpoint:
    """A member between two chunks.

    Args:
        key: of the member.
        program: what trains it, in words (`program_of`); only the same one goes on from here.
        lane: what the host knows of it, as plain values: `Lane.notes`.
        state: the leaves of its `TrainState`.
    """

    key: str
    program: str
    lane: dict[str, Any]
    state: Sequence[np.ndarray]

    @property
    def loop(self) -> str:
        """What ran it over time, as `memcap.loops.version` calls it."""
        return self.program.rpartition(" ")[2]


def program_of(trainer: Trainer) -> str:
    """What decides how a state is laid out and what comes of it, in words. Buffers and lanes don't."""
    together = "side by side" if trainer.side_by_side else "one after another"
    return f"{trainer.shape!r} {together} {loops.version(trainer.loop)}"


@dataclass
class Lane:
    """A member in flight.

    Args:
        verdict: on the member.
        before: steps taken before the chunk in hand.
        loss: mean over the last chunk.
        seconds: its share of the time so far.
        since: when it came into its lane, on the monotonic clock.
    """

    verdict: Verdict
    before: int = 0
    loss: float = math.nan
    seconds: float = 0.0
    since: float = field(default_factory=time.monotonic)

    @classmethod
    def resumed(cls, member: Member, notes: dict[str, Any]) -> "Lane":
        """The lane of a member that goes on, from its `notes`."""
        return cls(Verdict(member, **notes["verdict"]), notes["before"], notes["loss"], notes["seconds"])

    @property
    def member(self) -> Member:
        """Who is in the lane."""
        return self.verdict.member

    @property
    def notes(self) -> dict[str, Any]:
        """All but the member, and when it came here: plain values."""
        verdict = {name: value for name, value in vars(self.verdict).items() if name != "member"}
        return {"before": self.before, "loss": self.loss, "seconds": self.seconds, "verdict": verdict}

    def advanced(self, step: int, running: bool, losses: np.ndarray) -> None:
        """Take note of a chunk. The step that diverged has a loss, but does not count as taken."""
        taken = step - self.before + (not running)
        if taken:
            self.loss = float(np.mean(losses[:taken]))
        if not running:
            self.verdict.status = "diverged"
