"""The interval of a share in an answer's first sentence, and what a pass is of whole sequences."""

import pytest
from scipy.stats import binomtest
from study_rows import group, sharp, table

from memcap.answers.answer import Question, answer
from memcap.answers.words import sentences, wilson
from memcap.frontiers.frontier import frontier
from memcap.tasks.copy import Copy
from memcap.tasks.latch import Latch


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            Copy(items=16),
            [
                "A net passes if 99 % of the symbols are right. Then at least 84 % of whole"
                " sequences of 16 symbols are right."
            ],
        ),
        (Latch(), []),
    ],
    ids=["copy", "latch"],
)
def test_a_pass_says_what_it_is_of_whole_sequences(task, said):
    knobs = vars(task)
    found = answer(
        Question(task, 20), frontier(table(group(task.name, 20, sharp(3), knobs=knobs)))
    )
    assert [
        line for line in sentences(found) if line.startswith("A net passes")
    ] == said


@pytest.mark.parametrize(
    ("passed", "runs"), [(0, 8), (1, 1), (7, 8), (28, 29), (73, 86), (86, 86)]
)
def test_it_is_wilsons(passed, runs):
    interval = binomtest(passed, runs).proportion_ci(method="wilson")
    low, high = wilson(passed, runs)
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=1e-4)
    assert 0 <= low < high <= 1
    assert "-" not in f"{low:.0f}"
