"""The products of training: results of members that have ended, and curves and checkpoints of those in
flight."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from memcap.config import Member
from memcap.training.program import Program, loop_version
from memcap.training.step import Trainer


@dataclass(frozen=True)
class Result:
    """The result of a member.

    Args:
        member: the member.
        status: "solved", "unsolved" (budget used up), "diverged", or "failed": it took two workers with it.
        steps: training steps taken.
        solved: steps until it was solved, including the evaluations that confirmed it; steady: steps until it
            was steady; None if never.
        score: last held-out score; best: best one; stretched: last score at `evaluation.stretch` times the
            lag (or length).
        train_loss: mean over the last chunk, in nats or squared error.
        weights: nested dict of arrays.
        compile_seconds: of the member's program, which all members in it share.
        run_seconds: the member's share of the time that its program's executables ran, evaluations included.
        loop: name of its loop over time (memcap/loops/); side_by_side: whether the program's members ran
            under `vmap`.
        program_units, program_steps: width and length of the program, to which the member was padded.
        reason: why it failed.
        at_lengths: (score, share of whole sequences right) at each of `evaluation.lengths`.
        up_to: steps until it was right at every lag up to its own; None if never. mean: of the scores there;
            worst: the worst of them, at `worst_lag`; NaN and None if not evaluated.
        validation_loss, held_out_loss: losses at the lowest validation loss; NaN unless members are judged by
            it.
    """

    member: Member
    status: str
    steps: int
    solved: int | None
    steady: int | None
    score: float
    best: float
    stretched: float
    train_loss: float
    weights: dict[str, Any]
    compile_seconds: float
    run_seconds: float
    loop: str
    side_by_side: bool
    program_units: int
    program_steps: int
    reason: str | None = None
    at_lengths: tuple[tuple[float, float], ...] = ()
    up_to: int | None = None
    mean: float = math.nan
    worst: float = math.nan
    worst_lag: int | None = None
    validation_loss: float = math.nan
    held_out_loss: float = math.nan

    @classmethod
    def failed(cls, member: Member, program: Program, reason: str) -> "Result":
        """Return the result of a member that no worker could train: no measurement."""
        trainer, nan = program.trainer, math.nan
        size = program.spec.architecture.model.units, trainer.max_length
        scores = (nan, nan, nan, nan)
        ways = trainer.loop, trainer.side_by_side
        return cls(member, "failed", 0, None, None, *scores, {}, 0.0, 0.0, *ways, *size, reason)

    @property
    def passed(self) -> bool:
        """True if it reached what `evaluation.until` asks for: solved, steady, or right up to its lag."""
        return getattr(self, str(self.member.evaluation.until)) is not None


@dataclass(frozen=True)
class CurveChunk:
    """A piece of a member's curve.

    Args:
        member: the member.
        first_step: steps taken before the chunk.
        losses: (steps of the chunk,) float32, the training loss of each.
        train_score: running training score at the chunk's end; score: held-out score, None if it was not
            evaluated.
        lag: lag of the member's curriculum at the chunk's end; None without a curriculum.
        worst: held-out score at the worst lag up to its own; None if it was not evaluated.
        lr: learning rate of the next step; None where it is not known.
        validation_loss: of members that are judged by it; None if it was not evaluated.
    """

    member: Member
    first_step: int
    losses: np.ndarray
    train_score: float
    score: float | None
    lag: int | None = None
    worst: float | None = None
    lr: float | None = None
    validation_loss: float | None = None

    def points(self, most: int | None = None) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield (step, values) for each step; the last one has the scores. A chunk without steps is a further
        evaluation of the last step.

        Args:
            most: most points to yield; if there are more steps, a point has the mean loss since the previous
                one.
        """
        metric, last = self.member.task.metric, self.first_step + len(self.losses)
        count = min(most or len(self.losses), len(self.losses))
        ends = np.unique(np.linspace(0, len(self.losses), count + 1).astype(int))

        for start, end in pairwise(ends.tolist()):
            step, point = self.first_step + end, {"train/loss": float(self.losses[start:end].mean())}
            if step == last:
                point[f"train/{metric}"] = self.train_score
                beside = {"train/lag": self.lag, "train/lr": self.lr}
                point |= {name: value for name, value in beside.items() if value is not None}
                point |= self._held_out()
            yield step, point

        if not len(self.losses) and (scores := self._held_out()):
            yield last, scores

    def _held_out(self) -> dict[str, float]:
        """Return the held-out scores and the loss that were evaluated."""
        scores = {f"eval/{self.member.task.metric}": self.score, "eval/worst": self.worst}
        scores["eval/loss"] = self.validation_loss
        return {name: score for name, score in scores.items() if score is not None}


@dataclass(frozen=True)
class Checkpoint:
    """A member between two chunks.

    Args:
        key: of the member.
        program: its program in words (`program_id`); only an equal one may continue it.
        host_state: the host's part, as plain values: `train_loop.Lane.to_dict`.
        state: the leaves of its `TrainState`.
    """

    key: str
    program: str
    host_state: dict[str, Any]
    state: Sequence[np.ndarray]

    @property
    def loop(self) -> str:
        """The loop that ran it over time, as `memcap.training.program.loop_version` calls it."""
        return self.program.rpartition(" ")[2]


def program_id(trainer: Trainer) -> str:
    """Return a program in words: all that decides the layout of a state and its results, so no buffers or
    lanes."""
    together = "side by side" if trainer.side_by_side else "one after another"
    return f"{trainer.spec!r} {together} {loop_version(trainer)}"
