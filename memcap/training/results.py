"""Results of members that have ended, and curves and checkpoints of those in training."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from memcap.config.member import Member
from memcap.rule import Assessment
from memcap.training.program import Program, loop_version
from memcap.training.step import Trainer


@dataclass(kw_only=True)
class Result(Assessment):
    """The result of a member."""

    member: Member = field(kw_only=False)
    steps: int = 0  # training steps taken
    train_loss: float  # mean over the last chunk, in nats or squared error
    weights: dict[str, Any]  # nested dict of arrays
    # of the member's program, which all members in it share
    compile_seconds: float = 0.0
    # the member's share of the time that its program ran, evaluations included
    run_seconds: float = 0.0
    loop: str  # name of its loop over time (memcap/loops/)
    side_by_side: bool  # whether the program's members ran under `vmap`
    program_units: int  # width of the program, to which the member was padded
    program_steps: int  # and its length
    reason: str | None = None  # why it failed
    # (score, share of whole sequences right) at each of `evaluation.lengths`
    at_lengths: tuple[tuple[float, float], ...] = ()

    @classmethod
    def failed(cls, member: Member, program: Program, reason: str) -> "Result":
        """Return the result of a member that no worker could train: no measurement."""
        return cls(
            member,
            status="failed",
            train_loss=math.nan,
            weights={},
            reason=reason,
            **way_of(program),
        )

    @property
    def passed(self) -> bool:
        """True if it reached what `evaluation.until` asks for: solved, steady, or right
        up to its lag."""
        return getattr(self, str(self.member.evaluation.until)) is not None


@dataclass(frozen=True)
class CurveChunk:
    """A piece of a member's curve."""

    member: Member
    first_step: int  # steps taken before the chunk
    losses: np.ndarray  # (steps of the chunk,) float32, the training loss of each
    train_score: float  # running training score at the chunk's end
    score: float | None  # held-out score, None if it was not evaluated
    # lag of the member's curriculum at the chunk's end; None without a curriculum
    lag: int | None = None
    # held-out score at the worst lag up to its own; None if it was not evaluated
    worst: float | None = None
    # learning rate of the next step; None where it is not known
    lr: float | None = None
    # of members that are judged by it; None if it was not evaluated
    validation_loss: float | None = None

    def points(self, most: int | None = None) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield (step, values) for each step, or `most` of them, with the mean loss
        since the previous one; the last has the scores. A chunk without steps is a
        further evaluation of the last step.
        """
        metric = self.member.task.metric
        last = self.first_step + len(self.losses)
        count = min(most or len(self.losses), len(self.losses))
        ends = np.unique(np.linspace(0, len(self.losses), count + 1).astype(int))

        for start, end in pairwise(ends.tolist()):
            step = self.first_step + end
            point = {"train/loss": float(self.losses[start:end].mean())}
            if step == last:
                point[f"train/{metric}"] = self.train_score
                beside = {"train/lag": self.lag, "train/lr": self.lr}
                point |= {
                    name: value for name, value in beside.items() if value is not None
                }
                point |= self._held_out()
            yield step, point

        if not len(self.losses) and (scores := self._held_out()):
            yield last, scores

    def _held_out(self) -> dict[str, float]:
        scores = {
            f"eval/{self.member.task.metric}": self.score,
            "eval/worst": self.worst,
        }
        scores["eval/loss"] = self.validation_loss
        return {name: score for name, score in scores.items() if score is not None}


@dataclass(frozen=True)
class Checkpoint:
    """A member between two chunks."""

    key: str  # of the member
    # its program in words (`program_id`); only an equal one may continue it
    program: str
    # the host's part, as plain values: `train_loop.Lane.to_dict`
    host_state: dict[str, Any]
    state: Sequence[np.ndarray]  # the leaves of its `TrainState`

    @property
    def loop(self) -> str:
        """The loop that ran it over time, as `memcap.training.program.loop_version` calls it."""
        return self.program.rpartition(" ")[2]


def way_of(program: Program) -> dict[str, Any]:
    """Return the fields of a `Result` that say in which program its member was trained."""
    trainer = program.trainer
    sizes = {
        "program_units": program.spec.architecture.model.units,
        "program_steps": trainer.max_length,
    }
    return {"loop": trainer.loop, "side_by_side": trainer.side_by_side, **sizes}


def program_id(trainer: Trainer) -> str:
    """Return a program in words: all that decides the layout of a state and its results."""
    together = "side by side" if trainer.side_by_side else "one after another"
    return f"{trainer.spec!r} {together} {loop_version(trainer)}"
