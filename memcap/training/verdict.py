"""When a member counts as solved: the rule, and what it says in words. Figures, README and docs quote the words from here."""

import math
from dataclasses import dataclass

import numpy as np

from memcap.config import Evaluation, Member
from memcap.tasks import Task

NEAR = 0.01  # how far below the criterion a running training accuracy may be, for the held-out sequences to be asked
NEAR_ERROR = 1.5  # how many times the criterion a running training error may be


def near(task: Task, train_score: float, threshold: float) -> bool:
    """Whether a running training score is good enough to ask the held-out sequences. It decides nothing else; NaN is not near."""
    return task.passes(train_score, threshold - NEAR if task.higher_is_better else NEAR_ERROR * threshold)


def criterion(metric: str, threshold: float) -> str:
    """The criterion in words: "accuracy at least 0.99"."""
    return f"{metric} at {'least' if metric == 'accuracy' else 'most'} {threshold:.3g}"


def rule(criterion: str, evaluation: Evaluation) -> str:
    """The rule in words.

    Args:
        criterion: what an evaluation must show, in words.
        evaluation: how often, on how much.
    """
    return (
        f"Solved: {criterion} on {evaluation.sequences:,} fresh sequences, in {evaluation.successive} evaluations in a row."
        f" One is made after each {evaluation.every} training steps if the running training score is near the criterion (within"
        f" {NEAR:g}; an error: within {NEAR_ERROR:g} times), and at the end of the budget; {evaluation.every} steps without one"
        " start the count anew."
    )


@dataclass
class Verdict:
    """What held-out evaluations have said of a member so far.

    Args:
        member: whose.
        status: "running", "solved", "unsolved" or "diverged".
        passed: successive evaluations that passed.
        evaluations: how many there were.
        score: of the last one; best: of the best one; NaN before the first.
    """

    member: Member
    status: str = "running"
    passed: int = 0
    evaluations: int = 0
    score: float = math.nan
    best: float = math.nan

    @property
    def running(self) -> bool:
        """Whether the member goes on."""
        return self.status == "running"

    def wants_evaluation(self, step: int, train_score: float) -> bool:
        """Whether to ask the held-out sequences after a chunk that ended at `step`."""
        asked = near(self.member.task, train_score, self.member.facts.threshold)
        return self.running and (asked or self._at_end(step))

    def judge(self, step: int, score: float | None) -> None:
        """The verdict after a chunk; `score`: held-out, None where it wasn't wanted.

        At the end of the budget a net that has just passed is asked again, on other sequences, until the verdict is in.
        """
        if not self.running:
            return
        if score is None:
            self.passed = 0
            return
        task = self.member.task
        passes = task.passes(score, self.member.facts.threshold)
        self.evaluations, self.score = self.evaluations + 1, score
        self.best = float((np.fmax if task.higher_is_better else np.fmin)(self.best, score))
        self.passed = self.passed + 1 if passes else 0
        if self.passed >= self.member.evaluation.successive:
            self.status = "solved"
        elif self._at_end(step) and not passes:
            self.status = "unsolved"

    def _at_end(self, step: int) -> bool:
        return step >= (self.member.recipe.budget or 0)
