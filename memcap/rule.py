"""The rule by which a net is judged: what it must reach, when it is tested and ends.

After each chunk of `Evaluation.every` steps the engine asks the rule which `tests` are
due (`is_due`) and reports their scores (`update`), while its `status` is "running".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum, IntEnum, StrEnum
from typing import Any, ClassVar, NamedTuple

import numpy as np

from memcap.knobs import MOST, UserError, Values, check, field_values, knob
from memcap.terminal.words import bound

# A net that is not solved yet is evaluated if its training accuracy is at most this much
# below the criterion, or its training error at most this multiple of it.
NEAR_ACCURACY = 0.01
NEAR_ERROR = 1.5
# A solved net that trains on, for a stricter verdict, is tested after every fifth chunk.
CHUNKS_BETWEEN_TESTS = 5
# A score on few sequences may miss the criterion by so many standard deviations.
DEVIATIONS = 3
# The version of the rule by which `anywhere` is confirmed (memcap/confirmation.py); it
# enters the key of members that train until then.
CONFIRMATION = 2
# A lag that has at most so many sequences of a length is scored on all of them.
MOST_SEQUENCES = 1 << 10
# Where the loss decides, training ends once the loss has not fallen for ten evaluations,
# for 1,000 steps and for 0.4 of all steps so far: a loss that fell late may fall late
# again.
PATIENCE = 10
PATIENT_STEPS = 1000
PATIENT_SHARE = 0.4


class Stream(IntEnum):
    """A member's streams of random sequences, which never overlap.

    The flag `Task.stream` is something else: a task's sequences have no end of their
    own.
    """

    TRAIN = 0  # batches of training
    EVALUATE = 1  # held-out sequences at the member's own lag
    STRETCH = 2  # held-out ones at the stretched lag (or length)
    LENGTHS = 3  # at each of `Evaluation.lengths`: lags, or for a stream lengths
    PROBE = 4  # of memcap/probes/
    UP_TO = 5  # held-out ones at each lag up to the member's own
    LOOK = 6  # at the lags of UP_TO, and at lengths with filler before the task
    # at every lag up to the member's own and at drawn lengths, fresh each time
    CONFIRM = 7


class Split(Enum):
    """A part of a file's sequences, for a net that is judged by its loss."""

    VALIDATION = 0
    HELD_OUT = 1


class Verdict(StrEnum):
    """A level of right answers that a net reached; each is also a column of rows."""

    SOLVED = "solved"  # right at its own lag
    STEADY = "steady"  # solved, and right at a longer lag or length
    UP_TO = "up_to"  # solved, and right at every shorter lag
    # solved, and right at every shorter lag, wherever in a sequence it begins
    ANYWHERE = "anywhere"

    @property
    def description(self) -> str:
        """The verdict as it ends the sentence "its net is ..."."""
        other = {
            Verdict.UP_TO: "right at every lag",
            Verdict.ANYWHERE: "right at every lag, anywhere",
        }
        return other.get(self, self.value)


# The verdicts on a net that is right at every shorter lag, too
SHORTER_LAGS = (Verdict.UP_TO, Verdict.ANYWHERE)
# The streams on which a net is tested, and the verdict of each. EVALUATE comes first, as
# a net must pass there before it is tested for a stricter verdict.
TESTS: dict[Stream | Split, Verdict] = {
    Stream.EVALUATE: Verdict.SOLVED,
    Stream.UP_TO: Verdict.UP_TO,
    Stream.LOOK: Verdict.ANYWHERE,
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
        "factor by which the lag (or length) is longer when the trained net is tested once more;"
        " for a stream: length over lag",
        at_least=1,
        at_most=100,
    )
    until: str | None = knob(
        None,
        "verdict at which training stops: solved; steady, also right at the stretched length;"
        " up_to, also right at every shorter lag; or anywhere, also right wherever in a sequence"
        " it begins, confirmed on fresh sequences; null: steady if the task is a stream,"
        " otherwise solved",
        choices=tuple(Verdict),
        before="solved",  # the value of all members before there was this knob
    )  # A `Member` replaces null by the usual verdict of its task.
    lengths: str | int | None = knob(
        None,
        "rising lags (for a stream: lengths) at which a member is scored once it has ended, as in"
        " '41 100 500'; null: none",
        before=None,  # as for `until`
    )

    def __post_init__(self) -> None:
        check(self, "evaluation")
        if self.lengths is None:
            return
        texts = str(self.lengths).split()
        are_whole = all(text.isdecimal() for text in texts)
        numbers = [int(text) for text in texts] if are_whole else []
        are_rising = numbers == sorted(set(numbers))
        if not numbers or numbers[0] == 0 or not are_rising:
            raise UserError(
                f"evaluation.lengths={self.lengths}: must be rising whole numbers, as in '41"
                " 100 500'"
            )
        object.__setattr__(self, "lengths", " ".join(map(str, numbers)))

    @property
    def block(self) -> int:
        return min(256, self.sequences)

    def differences(self, usual: "Evaluation") -> Values:
        """Return the values that differ from `usual`; `lengths` affects no verdict."""
        expected = field_values(usual)
        return {
            name: value
            for name, value in field_values(self).items()
            if name != "lengths" and value != expected[name]
        }


class LagScore(NamedTuple):
    """The score of a net at one lag, and whether it is right there."""

    first: float  # the score where the task begins at the first step
    later: float  # over all places where it begins later; as `first` if there are none
    place: float  # at that of the later places where it is worst
    worst: float  # the worst that fails, or the worse of `first` and `later`
    is_exact: bool  # whether it is over all sequences that there are
    passes: bool


@dataclass(frozen=True)
class Criterion:
    """The score that a net must reach."""

    metric: str  # "accuracy", or "mse", of which less is better
    value: float

    def __str__(self) -> str:
        side = "least" if self.higher_is_better else "most"
        return f"{self.metric} at {side} {bound(self.value)}"

    @property
    def higher_is_better(self) -> bool:
        return self.metric == "accuracy"

    def passes(self, score: Any) -> Any:
        """Return whether scores are good enough; NaN is not."""
        if self.higher_is_better:
            return score >= self.value
        return score <= self.value

    def is_near(self, training_score: float) -> bool:
        """Return whether a training score is good enough to evaluate the net."""
        if self.higher_is_better:
            return training_score >= self.value - NEAR_ACCURACY
        return training_score <= NEAR_ERROR * self.value

    def with_margin(self, sequences: int) -> "Criterion":
        """Return the criterion for a score on a few sequences, weaker by what chance
        does.

        That is three standard deviations: of the share of right sequences, each right
        with a probability equal to the criterion, or of the mean of squared Gaussian
        errors. Sequences are counted, as answers of one may be wrong together.
        """
        if self.higher_is_better:
            deviation = math.sqrt(self.value * (1 - self.value) / sequences)
            return Criterion(self.metric, self.value - DEVIATIONS * deviation)
        relative = math.sqrt(2 / sequences)
        return Criterion(self.metric, self.value * (1 + DEVIATIONS * relative))

    @property
    def allowed(self) -> float:
        """The mean error that it allows: a wrong share, or a squared error."""
        return self.score(self.value)

    def score(self, error: Any) -> Any:
        return 1 - error if self.higher_is_better else error

    def passes_at_all_lags(
        self, scores: Sequence[float] | np.ndarray, sequences: int
    ) -> bool:
        """Return whether the mean of the scores at several lags meets the criterion,
        and the worst meets it with the margin for so many `sequences`."""
        worst = scores[self.index_of_worst(scores)]
        is_mean_enough = self.passes(float(np.mean(scores)))
        return is_mean_enough and self.with_margin(sequences).passes(worst)

    def index_of_worst(self, scores: Sequence[float] | np.ndarray) -> int:
        return int(np.argmin(scores) if self.higher_is_better else np.argmax(scores))


@dataclass(kw_only=True)
class Assessment:
    """The results of the tests of a net so far."""

    # "running"; "solved"; "unsolved", when its training ended without that; "diverged";
    # or "failed": two worker processes died of it
    status: str = "running"
    score: float = math.nan  # the last score on held-out sequences
    best: float = math.nan  # the best so far
    stretched: float = math.nan  # the last score at the stretched lag (or length)
    mean: float = math.nan  # mean score over all lags up to its own
    worst: float = math.nan  # the worst of them
    worst_lag: int | None = None  # and its lag
    # number of lags at which every sequence was tried, at every length
    exact_lags: int = 0
    # The training step at which the net got each verdict; None: it did not
    solved: int | None = None
    steady: int | None = None
    up_to: int | None = None
    anywhere: int | None = None
    # The lowest loss on validation's sequences, and the loss of the same weights on
    # held-out ones; NaN where scores decide
    validation_loss: float = math.nan
    held_out_loss: float = math.nan

    def assessment(self) -> Values:
        return {item.name: getattr(self, item.name) for item in fields(Assessment)}


@dataclass
class ScoreRule(Assessment):
    """Judges a net by its scores on held-out sequences."""

    criterion: Criterion
    evaluation: Evaluation
    budget: int  # training steps
    # number of evaluations that passed in a row, after successive chunks: it is 0 again
    # after a chunk without an evaluation. So above 0 the present weights have passed.
    passes_in_a_row: int = 0
    evaluations: int = 0  # number of evaluations so far
    looks_right: bool = False  # whether the last look passed, and is to be confirmed
    draws: int = 0  # number of draws to confirm looks so far
    by_loss: ClassVar[bool] = False  # whether a loss decides, on validation's sequences
    tests: ClassVar[tuple[Stream | Split, ...]] = tuple(TESTS)  # in their order

    def state(self) -> Values:
        """Return what changes while a net trains, by name."""
        settings = ("criterion", "evaluation", "budget")
        values = vars(self).items()
        return {name: value for name, value in values if name not in settings}

    @property
    def running(self) -> bool:
        return self.status == "running"

    def is_due(self, test: Stream | Split, step: int, training_score: float) -> bool:
        """Return whether a test is due after a chunk that ended at `step`.

        A net that has ended is still tested on the stretched stream, and for the
        verdict it trained for: its row has these scores.
        """
        if test == Stream.EVALUATE:
            if self.solved is None:
                is_time = self.criterion.is_near(training_score)
            else:
                is_time = step % (CHUNKS_BETWEEN_TESTS * self.evaluation.every) == 0
            return self.running and (is_time or self._at_end(step))
        is_goal = TESTS[test] == self.evaluation.until
        if not self.running:
            return is_goal or test == Stream.STRETCH
        return is_goal and self.solved is not None and self.passes_in_a_row > 0

    def update(
        self,
        test: Stream | Split,
        step: int,
        scores: Mapping[int, float],
        loss: float = math.nan,
    ) -> None:
        """Record a test and its verdict, and end the training if it is time.

        A net that at the end of the budget has passed, but not often enough, is
        evaluated further without a step, until it has passed often enough or fails.

        Args:
            test, step: as for `is_due`.
            scores: by lag; empty if the net was not tested.
            loss: the mean loss, of sequences that lie in a file.
        """
        if test == Stream.EVALUATE and self.running:
            if scores:
                (score,) = scores.values()
                self._update_solved(step, score)
            else:
                self.passes_in_a_row = 0
        elif test == Stream.STRETCH and scores:
            (self.stretched,) = scores.values()
            passes = self.criterion.passes(self.stretched)
            self._update_stricter(Verdict.STEADY, step, passes)
        elif test in (Stream.UP_TO, Stream.LOOK) and scores:
            self._record_lags(scores)
            values = list(scores.values())
            passes = self.criterion.passes_at_all_lags(values, self.evaluation.block)
            if test == Stream.UP_TO:
                self._update_stricter(Verdict.UP_TO, step, passes)
            elif passes and self.running and self.solved is not None:
                self.looks_right = True
            else:
                self._update_stricter(Verdict.ANYWHERE, step, passes=False)

    def next_draw(self) -> int:
        self.draws += 1
        return self.draws - 1

    def confirm(self, step: int, scores: Mapping[int, LagScore]) -> None:
        """Record the attempt to confirm a look (`looks_right`), and its verdict.

        `scores` are at every lag, or at those tried up to one that fails.
        """
        self.looks_right = False
        *_, (lag, last) = scores.items()
        if last.passes:
            self._record_lags({lag: score.worst for lag, score in scores.items()})
            self.exact_lags = sum(score.is_exact for score in scores.values())
        else:
            self.worst_lag = lag
            self.worst = last.worst
        self._update_stricter(Verdict.ANYWHERE, step, last.passes)

    def _record_lags(self, scores: Mapping[int, float]) -> None:
        values = list(scores.values())
        index = self.criterion.index_of_worst(values)
        self.mean = float(np.mean(values))
        self.worst = values[index]
        self.worst_lag = list(scores)[index]

    def _update_solved(self, step: int, score: float) -> None:
        passes = self.criterion.passes(score)
        better = np.fmax if self.criterion.higher_is_better else np.fmin
        self.evaluations += 1
        self.score = score
        self.best = float(better(self.best, score))
        self.passes_in_a_row = self.passes_in_a_row + 1 if passes else 0
        if self.solved is None and self.passes_in_a_row >= self.evaluation.successive:
            self.solved = step
        fails_at_end = self._at_end(step) and not passes
        if self.solved is None:
            if fails_at_end:
                self.status = "unsolved"
        elif self.evaluation.until == Verdict.SOLVED or fails_at_end:
            # The net was solved at some evaluation, and stays so whatever its last score.
            # Where it trains for a stricter verdict, `_update_stricter` ends it instead.
            self.status = "solved"

    def _update_stricter(self, verdict: Verdict, step: int, passes: bool) -> None:
        """Record a verdict that only a solved net can get; end the training if it is
        time.

        A running net is tested only for the verdict it trains for (`is_due`).
        """
        if self.solved is None or self.status == "diverged":
            return
        is_reached = passes and self.passes_in_a_row > 0
        if is_reached:
            setattr(self, verdict, step)
        if self.running and (is_reached or self._at_end(step)):
            self.status = "solved"

    def _at_end(self, step: int) -> bool:
        return step >= self.budget


@dataclass
class LossRule(ScoreRule):
    """Judges a net by its loss on validation's sequences of a file, until it stops
    falling.

    `best`, `score` and `held_out_loss` are of the weights of the lowest validation
    loss. Nothing is stretched, and a net that has ended is "unsolved".
    """

    lowest_step: int = 0  # at which the loss was lowest
    is_lowest: bool = False  # whether the last evaluation had the lowest loss
    by_loss = True
    tests = tuple(Split)

    def is_due(self, test: Stream | Split, step: int, training_score: float) -> bool:
        """Return true for validation, and for held-out if the loss fell."""
        return self.running if test is Split.VALIDATION else self.is_lowest

    def update(
        self,
        test: Stream | Split,
        step: int,
        scores: Mapping[int, float],
        loss: float = math.nan,
    ) -> None:
        if test is Split.HELD_OUT:
            if scores:
                (self.score,) = scores.values()
                self.held_out_loss = loss
            return
        self.is_lowest = False
        if not self.running or not scores:
            return
        self.evaluations += 1
        is_first = math.isnan(self.validation_loss)
        self.is_lowest = is_first or loss < self.validation_loss
        if self.is_lowest:
            (self.best,) = scores.values()
            self.validation_loss = loss
            self.lowest_step = step
        evaluations = PATIENCE * self.evaluation.every
        patience = max(evaluations, PATIENT_STEPS, PATIENT_SHARE * step)
        if self._at_end(step) or step - self.lowest_step >= patience:
            self.status = "unsolved"


def solved_words(criterion: str, evaluation: Evaluation, has_file: bool = False) -> str:
    """Say what "solved" means; `criterion` is in words.

    With a file of sequences all those held out are evaluated.
    """
    which = f"{evaluation.sequences:,} fresh sequences"
    if has_file:
        which = "all held-out sequences"
    return (
        f"Solved: {criterion} on {which}, in {evaluation.successive} evaluations in a row. After"
        f" every {evaluation.every} training steps, a net is evaluated if its running training"
        f" score is near the criterion (an accuracy within {NEAR_ACCURACY:g}, an error within"
        f" {NEAR_ERROR:g} times); if not, the count starts anew. A net is also evaluated at the"
        " end of the budget."
    )


def steady_words(stretch: int | str, every: int) -> str:
    """Say what "steady" means; `stretch` and `every` are those of `Evaluation`."""
    return (
        f"Steady: solved, and the same weights meet the criterion on sequences of {stretch} times"
        f" the lag. {tested_words(every)}"
    )


def up_to_words(every: int) -> str:
    return (
        "Up to: solved, and the same weights are right at every lag tested, from the smallest to"
        " the net's own (all lags to 8, then eight per doubling; 256 sequences each). Right"
        " means that the mean of the scores meets the criterion, and that no score misses it by"
        f" more than {DEVIATIONS} standard deviations of a net that just meets it."
        f" {tested_words(every)}"
    )


def tested_words(every: int) -> str:
    steps = CHUNKS_BETWEEN_TESTS * every
    return (
        f"A solved net is tested for this at once, then every {steps} training"
        " steps, and at the end of the budget. Until one of these tests passes, it trains on."
    )
