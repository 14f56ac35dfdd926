"""Gu & Dao (2023): what is drawn and judged, on rows that nobody trained."""

from itertools import product

import pytest
from study_rows import group, table

from memcap.launch.app import compose_jobs
from memcap.papers import NOT_MEASURED
from memcap.papers.gu2023.paper import NAMES, PAPER, TASKS, curves, draw, without_order

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


def test_nets_as_in_the_paper_but_for_the_minimal_ones():
    data = rows()
    assert holds(data) == [True, True, True, False, True]
    plain, stuck, _, minimal, _ = (claim.judge(data).ours for claim in PAPER.claims)
    assert plain == "linear at least 1.000, with 16; LRU at least 1.000, with 16"
    assert stuck == "0 of 12 nets; the best: linear 0.56, LRU 0.56; without order 0.53"
    assert minimal == "minGRU at least 0.547, with 16; minLSTM at least 0.547, with 16"
    assert holds(data) == [claim.expected for claim in PAPER.claims]


def test_time_invariant_nets_that_solve_it_and_others_that_do_not_deny_the_paper():
    assert holds(rows(lambda task, cell, numbers: 1.0)) == [True, False, True, True, True]
    assert holds(rows(lambda task, cell, numbers: 0.98)) == [False, True, False, False, False]
    one = rows(lambda task, cell, numbers: 0.0 if cell in ("linear", "minLSTM", "lstm") else 1.0)
    assert holds(one) == [False, False, True, False, False]
    wide = rows(lambda task, cell, numbers: 1.0 if numbers >= 32 else 0.6)
    assert holds(wide) == [False] * 5, "a width of 16 numbers counts, too"


def test_a_cell_that_was_not_trained_leaves_its_claims_unmeasured():
    claims = PAPER.claims
    assert (
        claims[0].judge(rows(cells=("linear",))) == claims[1].judge(rows(cells=("linear",))) == NOT_MEASURED
    )
    assert holds(rows(cells=("linear", "LRU"), tasks=("copy",))) == [True, None, None, None, None]
    assert holds(rows(cells=("GRUCell", "lstm"))) == [None, None, None, None, True]


def test_nets_that_diverged_have_recalled_nothing():
    lost = group(
        "selective_copy", 16, {16: (0, 3)}, knobs=KNOBS, cell="selective_LRU", carry_numbers=16, diverged=2
    )
    assert curves(table(lost)).select("accuracy", "greatest", "seeds").row(0) == (0.0, 0.5, 3)


def test_what_is_drawn_are_medians_a_panel_a_task():
    data = rows()
    drawn = draw(data)
    assert drawn.data.equals(curves(data))
    assert drawn.data.height == len(TASKS) * len(NAMES) * len(NUMBERS)
    for axes, task in zip(drawn.figure.axes, TASKS, strict=True):
        assert axes.get_title() == TASKS[task]
        bars = {bar.get_label(): bar.lines[0] for bar in axes.containers}
        assert list(bars) == list(NAMES)
        for cell, line in bars.items():
            assert list(line.get_ydata()) == [learns(task, cell, numbers) for numbers in NUMBERS]
            assert [round(x / line.get_xdata()[0]) for x in line.get_xdata()] == [1, 2, 4]
        grey = [
            line.get_ydata()[0]
            for line in axes.get_lines()
            if line.get_label() in ("_without_order", "_chance")
        ]
        assert grey == [ORDER, 0.25]
    legend = [entry.get_text() for part in drawn.figure.legends for entry in part.get_texts()]
    assert set(NAMES.values()) < set(legend)


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
