"""The rule by which a member counts as solved, and its words, which figures and pages quote."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from memcap.config.member import Evaluation, Member
from memcap.tasks import Task
from memcap.tasks.base import DEVIATIONS
from memcap.terminal.printing import bound

NEAR = 0.01  # evaluate once the running training accuracy is at most this far below the criterion
# evaluate once the running training error is at most this many times the criterion
NEAR_ERROR = 1.5
RARELY = 5  # chunks between evaluations of a solved member for a stricter verdict


def near(task: Task, train_score: float, threshold: float) -> bool:
    """Return whether a running training score is good enough to evaluate; NaN is not.
    It decides no more."""
    return task.passes(
        train_score,
        threshold - NEAR if task.higher_is_better else NEAR_ERROR * threshold,
    )


def criterion(metric: str, threshold: float) -> str:
    """Return the criterion in words: "accuracy at least 0.99"."""
    return (
        f"{metric} at {'least' if metric == 'accuracy' else 'most'} {bound(threshold)}"
    )


def rule(criterion: str, evaluation: Evaluation, of_file: bool = False) -> str:
    """Return the rule in words, for a criterion in words; `of_file`: all held-out
    sequences are evaluated."""
    which = (
        "all held-out sequences"
        if of_file
        else f"{evaluation.sequences:,} fresh sequences"
    )
    return (
        f"Solved: {criterion} on {which}, in {evaluation.successive} evaluations in a row. After"
        f" every {evaluation.every} training steps, a net is evaluated if its running training"
        f" score is near the criterion (an accuracy within {NEAR:g}, an error within"
        f" {NEAR_ERROR:g} times); if not, the count starts anew. A net is also evaluated at the"
        " end of the budget."
    )


def steady_rule(stretch: int | str, every: int) -> str:
    """Say what "steady" means; `stretch` and `every` are those of `Evaluation`."""
    return (
        f"Steady: solved, and the same weights meet the criterion on sequences of {stretch} times"
        f" the lag. A solved net is tested for this at once, then every {RARELY * every} training"
        " steps, and at the end of the budget. Until one of these tests passes, it trains on."
    )


def up_to_rule(every: int) -> str:
    """Say what "right up to a lag" means; `every` is that of `Evaluation`."""
    return (
        "Up to: solved, and the same weights are right at every lag tested, from the smallest to"
        " the net's own (all lags to 8, then eight per doubling; 256 sequences each). Right"
        " means that the mean of the scores meets the criterion, and that no score misses it by"
        f" more than {DEVIATIONS} standard deviations of a net that just meets it. A solved net"
        f" is tested for this at once, then every {RARELY * every} training steps, and at the end"
        " of the budget. Until one of these tests passes, it trains on."
    )


@dataclass
class Verdicts:
    """The results of a member's held-out evaluations."""

    member: Member
    # "running", "solved", "unsolved" (budget used up), "diverged", or "failed": it took
    # two workers with it
    status: str = "running"
    score: float = math.nan  # last held-out score
    best: float = math.nan  # the best so far; NaN before the first
    stretched: float = (
        math.nan
    )  # last score at the stretched lag (or length); NaN before the first
    mean: float = math.nan  # mean score over all lags up to its own
    worst: float = math.nan  # the worst of them, at `worst_lag`; NaN before
    worst_lag: int | None = None
    # steps until it was solved, including the evaluations that confirmed it, was
    # steady, and was right at every shorter lag; None before
    solved: int | None = None
    steady: int | None = None
    up_to: int | None = None
    validation_loss: float = (
        math.nan
    )  # its lowest; NaN unless members are judged by it (`lowest_loss.py`)
    held_out_loss: float = math.nan  # with the same weights

    def verdicts(self) -> dict[str, Any]:
        """Return the fields of `Verdicts` alone, by name."""
        return {field.name: getattr(self, field.name) for field in fields(Verdicts)}


@dataclass
class EarlyStopping(Verdicts):
    """Decides after each chunk whether a member trains on, by its held-out evaluations."""

    passed: int = 0  # number of successive evaluations that passed, up to the last one
    evaluations: int = 0  # number of evaluations so far

    @property
    def running(self) -> bool:
        """True while the member trains on."""
        return self.status == "running"

    def wants_evaluation(self, step: int, train_score: float) -> bool:
        """Return whether to evaluate on held-out sequences after a chunk that ended at `step`."""
        if self.solved is None:
            is_due = near(self.member.task, train_score, self.member.facts.threshold)
        else:
            is_due = step % (RARELY * self.member.evaluation.every) == 0
        return self.running and (is_due or self._at_end(step))

    def update(self, step: int, score: float | None, loss: float = math.nan) -> None:
        """Decide after a chunk; `score`: held-out score, None if it was not evaluated.

        At the end of the budget a net that has just passed is evaluated again, on other
        sequences, until it has passed often enough or fails.
        """
        if not self.running:
            return
        if score is None:
            self.passed = 0
            return
        task = self.member.task
        passes = self._passes(score)
        self.evaluations = self.evaluations + 1
        self.score = score
        self.best = float(
            (np.fmax if task.higher_is_better else np.fmin)(self.best, score)
        )
        self.passed = self.passed + 1 if passes else 0
        if self.solved is None and self.passed >= self.member.evaluation.successive:
            self.solved = step
        if self.solved is None:
            if self._at_end(step) and not passes:
                self.status = "unsolved"
        elif self.member.evaluation.until == "solved" or (
            self._at_end(step) and not passes
        ):
            self.status = "solved"

    def wants_stretched(self) -> bool:
        """Return whether to evaluate at the stretched length: at the end, or while it
        trains for that."""
        return not self.running or (
            self.member.evaluation.until == "steady" and self._has_just_passed
        )

    def update_stretched(self, step: int, score: float, loss: float = math.nan) -> None:
        """Decide after an evaluation at the stretched length: steady is solved and
        right at both lengths."""
        self.stretched = score
        if self._settles(step, self._passes(score)):
            self.steady = step

    def wants_lags(self) -> bool:
        """Return whether to evaluate at every lag up to its own: at the end, or while
        it trains for that."""
        return self.member.evaluation.until == "up_to" and (
            not self.running or self._has_just_passed
        )

    def update_lags(self, step: int, scores: Sequence[float]) -> None:
        """Decide after an evaluation at each of `Member.lags_up_to`, on a block of
        sequences each."""
        task = self.member.task
        self.mean = float(np.mean(scores))
        place = int(np.argmin(scores) if task.higher_is_better else np.argmax(scores))
        self.worst = scores[place]
        self.worst_lag = self.member.lags_up_to[place][0]
        least = task.allowed(self.member.facts.threshold, self.member.evaluation.block)
        if self._settles(
            step, self._passes(self.mean) and task.passes(self.worst, least)
        ):
            self.up_to = step

    @property
    def _has_just_passed(self) -> bool:
        return self.solved is not None and self.passed > 0

    def _settles(self, step: int, passes: bool) -> bool:
        """Return whether an evaluation for a stricter verdict settles it; end the
        member if it is time."""
        if self.solved is None or self.status == "diverged":
            return False
        settled = passes and self.passed > 0
        if self.running and (settled or self._at_end(step)):
            self.status = "solved"
        return settled

    def _passes(self, score: float) -> bool:
        return self.member.task.passes(score, self.member.facts.threshold)

    def _at_end(self, step: int) -> bool:
        return step >= self.member.recipe.budget
