"""Gu & Dao (2023): what is drawn and judged, on rows that nobody trained."""

from itertools import product

import pytest
from study_rows import group, table

from memcap.launch.app import compose_jobs
from memcap.papers.gu2023.paper import NAMES, PAPER, TASKS, curves, without_order

KNOBS = {"items": 4, "symbols": 4}
NUMBERS = (8, 16, 32)
ORDER = 0.53125


def learns(task, cell, numbers):
    """As the paper has it, and as minGRU and minLSTM do here: accuracy of a net."""
    if cell in ("minGRU", "minLSTM") or (task == "selective_copy" and cell in ("linear", "LRU")):
        return ORDER + numbers / 1000
    return 1.0 if numbers >= 16 else 0.6


def rows(accuracy=learns, cells=tuple(NAMES), tasks=tuple(TASKS), seeds=2):
    """So many seeds of each cell and width; accuracy: of nets of a task, a cell and so many carry numbers."""
    groups = []
    for task, cell, numbers in product(tasks, cells, NUMBERS):
        final = accuracy(task, cell, numbers)
        solved = seeds if final >= 0.99 else 0
        columns = {"cell": cell, "carry_numbers": numbers, "final": final}
        groups.append(group(task, 16, {numbers: (solved, seeds)}, knobs=KNOBS, **columns))
    return table(*groups)


def holds(data):
    return [claim.judge(data).holds for claim in PAPER.claims]


@pytest.mark.parametrize(
    ("items", "symbols", "accuracy"), [(1, 5, 1.0), (2, 2, 0.75), (3, 2, 0.75), (4, 4, ORDER)]
)
def test_who_knows_what_came_but_not_in_what_order(items, symbols, accuracy):
    """Two bits: 00 and 11 are known, of 01 and 10 one of two; three bits: 2 of 8 are all right, of the others
    two thirds."""
    assert without_order(items, symbols) == pytest.approx(accuracy)


def test_nets_that_diverged_have_recalled_nothing():
    lost = group(
        "selective_copy", 16, {16: (0, 3)}, knobs=KNOBS, cell="selective_LRU", carry_numbers=16, diverged=2
    )
    assert curves(table(lost)).select("accuracy", "greatest", "seeds").row(0) == (0.0, 0.5, 3)


def test_all_cells_of_the_study_have_the_same_carry_numbers_and_training():
    (job,) = (job for jobs in compose_jobs(["sweeps=gu2023"]) for job in jobs)
    trained = {}
    for member in job.members:
        numbers = trained.setdefault((member.task.name, member.model.cell), set())
        numbers.add(member.architecture.carry_numbers())
    assert set(trained) == set(product(TASKS, NAMES))
    assert {frozenset(numbers) for numbers in trained.values()} == {frozenset({8, 16, 32, 64})}
    recipes = [member.recipe for member in job.members]
    assert {(r.schedule, r.warmup, r.batch, r.clip, r.budget) for r in recipes} == {
        ("cosine", 0, 64, 1.0, 3000)
    }
