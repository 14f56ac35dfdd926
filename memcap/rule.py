"""The rule by which a net is judged: what it must reach, when it is tested for that,
and when its training ends. Tasks and networks are not known here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from memcap.config.knobs import MOST, UserError, check, field_values, knob
from memcap.terminal.printing import bound

NEAR = 0.01  # accuracy below the criterion at which a net in training is evaluated
NEAR_ERROR = 1.5  # the same for errors, as a multiple of the criterion
RARELY = 5  # chunks between evaluations of a solved net for a stricter verdict
DEVIATIONS = 3  # standard deviations by which a score on few sequences may be worse
PATIENCE = 10  # least evaluations without a lower loss
# Least share of the steps so far without a lower loss: one that fell late may fall
# late again.
PATIENT_SHARE = 0.4


class Stream(IntEnum):
    """A member's streams of random numbers, which never overlap."""

    TRAIN = 0
    EVALUATE = 1
    STRETCH = 2
    LENGTHS = 3
    PROBE = 4
    UP_TO = 5


class Verdict(StrEnum):
    """What a net was found to be; each is also a column of rows."""

    SOLVED = "solved"
    STEADY = "steady"
    UP_TO = "up_to"

    @property
    def words(self) -> str:
        """The verdict in words: "its net is ..."."""
        return "right at every lag" if self == Verdict.UP_TO else self.value


# The streams on which a net is tested, in this order, and the verdict of each
TESTS = {
    Stream.EVALUATE: Verdict.SOLVED,
    Stream.UP_TO: Verdict.UP_TO,
    Stream.STRETCH: Verdict.STEADY,
}


@dataclass(frozen=True)
class Evaluation:
    """The rule by which a member counts as solved."""

    every: int = knob(
        100, "training steps between held-out evaluations", at_least=1, at_most=MOST
    )
    sequences: int = knob(
        2048,
        "fresh sequences in an evaluation, in blocks of 256",
        at_least=1,
        at_most=1 << 20,
    )
    successive: int = knob(
        2, "successive evaluations that must pass", at_least=1, at_most=100
    )
    stretch: int = knob(
        20,
        "factor by which the lag (or length) is longer when the trained net is tested once more",
        at_least=1,
        at_most=100,
    )
    until: str | None = knob(
        None,
        "verdict at which training stops: solved; steady, also right at the stretched length; or"
        " up_to, also right at every shorter lag; null: steady if the task is a stream, otherwise"
        " solved",
        choices=tuple(Verdict),
        before="solved",
    )
    lengths: str | int | None = knob(
        None,
        "rising lags (for a stream: lengths) at which a member is scored once it has ended, as in"
        " '41 100 500'; null: none",
        before=None,
    )

    def __post_init__(self) -> None:
        check(self, "evaluation")
        if self.lengths is None:
            return
        words = str(self.lengths).split()
        numbers = [int(word) if word.isdecimal() else 0 for word in words]
        rise = all(one < other for one, other in pairwise([0, *numbers]))
        if not numbers or not rise:
            raise UserError(
                f"evaluation.lengths={self.lengths}: must be rising whole numbers, as in '41"
                " 100 500'"
            )
        object.__setattr__(self, "lengths", " ".join(map(str, numbers)))

    @property
    def block(self) -> int:
        """The number of sequences that an evaluation draws at once."""
        return min(256, self.sequences)

    def unlike(self, usual: "Evaluation") -> dict[str, Any]:
        """Return the values that differ from those of `usual` and affect a verdict, by name."""
        others = field_values(usual) | {"lengths": self.lengths}
        return {
            name: value
            for name, value in field_values(self).items()
            if value != others[name]
        }


@dataclass(frozen=True)
class Criterion:
    """The score that a net must reach."""

    metric: str  # "accuracy", or "mse", of which less is better
    value: float

    @property
    def higher_is_better(self) -> bool:
        """Tell whether the score is an accuracy."""
        return self.metric == "accuracy"

    def passes(self, score: Any) -> Any:
        """Tell whether a score, or each of an array, is good enough; NaN is not."""
        if self.higher_is_better:
            return score >= self.value
        return score <= self.value

    def is_near(self, training_score: float) -> bool:
        """Tell whether a running training score is good enough to evaluate."""
        if self.higher_is_better:
            return training_score >= self.value - NEAR
        return training_score <= NEAR_ERROR * self.value

    def on_few(self, sequences: int) -> "Criterion":
        """Return the criterion that a net which just meets this one fails by chance
        alone in one of many evaluations of so few sequences.

        Answers in one sequence may be wrong together, so sequences are counted: each
        right or wrong, or with a squared Gaussian error.
        """
        least = self.value
        if self.higher_is_better:
            least = least - DEVIATIONS * math.sqrt(least * (1 - least) / sequences)
        else:
            least = least * (1 + DEVIATIONS * math.sqrt(2 / sequences))
        return Criterion(self.metric, least)

    def passes_all(self, scores: Sequence[float] | np.ndarray, sequences: int) -> bool:
        """Tell whether the mean of scores is good enough, and each of them, on so many
        sequences, up to chance."""
        worst = scores[self.worst(scores)]
        return self.passes(float(np.mean(scores))) and self.on_few(sequences).passes(
            worst
        )

    def worst(self, scores: Sequence[float] | np.ndarray) -> int:
        """Return the place of the worst score."""
        return int(np.argmin(scores) if self.higher_is_better else np.argmax(scores))

    @property
    def words(self) -> str:
        """The criterion in words: "accuracy at least 0.99"."""
        side = "least" if self.higher_is_better else "most"
        return f"{self.metric} at {side} {bound(self.value)}"


@dataclass(kw_only=True)
class Verdicts:
    """The results of a member's held-out evaluations."""

    # "running", "solved", "unsolved" (budget used up), "diverged", or "failed": it took
    # two workers with it
    status: str = "running"
    score: float = math.nan  # the last held-out score
    best: float = math.nan  # the best so far
    stretched: float = math.nan  # the last score at the stretched lag (or length)
    mean: float = math.nan  # mean score over all lags up to its own
    worst: float = math.nan  # the worst of them
    worst_lag: int | None = None
    # The steps after which it had each verdict, with the evaluations that confirmed it
    solved: int | None = None
    steady: int | None = None
    up_to: int | None = None
    validation_loss: float = math.nan  # its lowest; NaN unless that decides
    held_out_loss: float = math.nan  # with the same weights

    def verdicts(self) -> dict[str, Any]:
        """Return the fields of `Verdicts` alone, by name."""
        return {item.name: getattr(self, item.name) for item in fields(Verdicts)}


@dataclass
class Score(Verdicts):
    """Judges a net by its score on held-out sequences, after each chunk of training."""

    criterion: Criterion
    evaluation: Evaluation
    budget: int
    passed: int = 0  # number of successive evaluations that passed, up to the last one
    evaluations: int = 0  # number of evaluations so far
    by_loss: ClassVar[bool] = False  # whether a loss decides, on validation's sequences

    def state(self) -> dict[str, Any]:
        """Return what changes while a net trains, by name."""
        settings = ("criterion", "evaluation", "budget")
        values = vars(self).items()
        return {name: value for name, value in values if name not in settings}

    @property
    def running(self) -> bool:
        """True while the member trains on."""
        return self.status == "running"

    def wants(self, stream: Stream, step: int, training_score: float) -> bool:
        """Return whether to test the net on a stream after a chunk that ended at `step`."""
        if stream == Stream.EVALUATE:
            if self.solved is None:
                due = self.criterion.is_near(training_score)
            else:
                due = step % (RARELY * self.evaluation.every) == 0
            return self.running and (due or self._at_end(step))
        is_goal = TESTS[stream] == self.evaluation.until
        if not self.running:
            return is_goal or stream == Stream.STRETCH
        return is_goal and self.solved is not None and self.passed > 0

    def update(
        self,
        stream: Stream,
        step: int,
        scores: Mapping[int, float],
        loss: float = math.nan,
    ) -> None:
        """Decide after a test.

        At the end of the budget a net that has just passed is evaluated again, on other
        sequences, until it has passed often enough or fails.

        Args:
            stream, step: as for `wants`.
            scores: by lag; empty if the net was not tested.
            loss: the mean loss.
        """
        if stream == Stream.EVALUATE and self.running:
            self._update_solved(step, *scores.values())
        elif stream == Stream.STRETCH and scores:
            (self.stretched,) = scores.values()
            if self._settles(step, self.criterion.passes(self.stretched)):
                self.steady = step
        elif stream == Stream.UP_TO and scores:
            values = list(scores.values())
            place = self.criterion.worst(values)
            self.mean = float(np.mean(values))
            self.worst = values[place]
            self.worst_lag = list(scores)[place]
            passes = self.criterion.passes_all(values, self.evaluation.block)
            if self._settles(step, passes):
                self.up_to = step

    def _update_solved(self, step: int, score: float | None = None) -> None:
        if score is None:
            self.passed = 0
            return
        passes = self.criterion.passes(score)
        better = np.fmax if self.criterion.higher_is_better else np.fmin
        self.evaluations += 1
        self.score = score
        self.best = float(better(self.best, score))
        self.passed = self.passed + 1 if passes else 0
        if self.solved is None and self.passed >= self.evaluation.successive:
            self.solved = step
        fails_at_end = self._at_end(step) and not passes
        if self.solved is None:
            if fails_at_end:
                self.status = "unsolved"
        elif self.evaluation.until == Verdict.SOLVED or fails_at_end:
            self.status = "solved"

    def _settles(self, step: int, passes: bool) -> bool:
        """Return whether a test for a stricter verdict settles it; end the member if it
        is time."""
        if self.solved is None or self.status == "diverged":
            return False
        settled = passes and self.passed > 0
        if self.running and (settled or self._at_end(step)):
            self.status = "solved"
        return settled

    def _at_end(self, step: int) -> bool:
        return step >= self.budget


@dataclass
class LowestLoss(Score):
    """Judges a net by its loss on validation's sequences, until that falls no more.

    The held-out sequences are evaluated only with the weights of the lowest loss: they
    choose nothing.
    """

    lowest: int = 0  # the step of the lowest loss
    falls: bool = False  # whether that was the last evaluation
    by_loss: ClassVar[bool] = True

    def wants(self, stream: Stream, step: int, training_score: float) -> bool:
        """Return true for validation's sequences after every chunk, and for the
        held-out ones if their loss fell."""
        if stream == Stream.EVALUATE:
            return self.running
        return stream == Stream.STRETCH and self.falls

    def update(
        self,
        stream: Stream,
        step: int,
        scores: Mapping[int, float],
        loss: float = math.nan,
    ) -> None:
        """Decide after an evaluation of validation's sequences, and note the results on
        those held out."""
        if stream == Stream.STRETCH and scores:
            (score,) = scores.values()
            self.score = score
            self.stretched = score
            self.held_out_loss = loss
        if stream != Stream.EVALUATE:
            return
        self.falls = False
        if not self.running or not scores:
            return
        self.evaluations += 1
        self.falls = loss < self.validation_loss or math.isnan(self.validation_loss)
        if self.falls:
            (self.best,) = scores.values()
            self.validation_loss = loss
            self.lowest = step
        patience = max(PATIENCE * self.evaluation.every, PATIENT_SHARE * step)
        if self._at_end(step) or step - self.lowest >= patience:
            self.status = "unsolved"


def solved_words(criterion: str, evaluation: Evaluation, of_file: bool = False) -> str:
    """Say what "solved" means, for a criterion in words; `of_file`: all held-out
    sequences are evaluated."""
    which = f"{evaluation.sequences:,} fresh sequences"
    if of_file:
        which = "all held-out sequences"
    return (
        f"Solved: {criterion} on {which}, in {evaluation.successive} evaluations in a row. After"
        f" every {evaluation.every} training steps, a net is evaluated if its running training"
        f" score is near the criterion (an accuracy within {NEAR:g}, an error within"
        f" {NEAR_ERROR:g} times); if not, the count starts anew. A net is also evaluated at the"
        " end of the budget."
    )


def steady_words(stretch: int | str, every: int) -> str:
    """Say what "steady" means; `stretch` and `every` are those of `Evaluation`."""
    return (
        f"Steady: solved, and the same weights meet the criterion on sequences of {stretch} times"
        f" the lag. {_tested_words(every)}"
    )


def up_to_words(every: int) -> str:
    """Say what "right up to a lag" means; `every` is that of `Evaluation`."""
    return (
        "Up to: solved, and the same weights are right at every lag tested, from the smallest to"
        " the net's own (all lags to 8, then eight per doubling; 256 sequences each). Right"
        " means that the mean of the scores meets the criterion, and that no score misses it by"
        f" more than {DEVIATIONS} standard deviations of a net that just meets it."
        f" {_tested_words(every)}"
    )


def _tested_words(every: int) -> str:
    return (
        f"A solved net is tested for this at once, then every {RARELY * every} training"
        " steps, and at the end of the budget. Until one of these tests passes, it trains on."
    )
