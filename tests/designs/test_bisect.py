"""The design `bisect`: sound whatever the results and their order. What it saves is measured by
`python -m tests.designs.simulation`, and held in test_designs.py."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from design_checks import run
from hypothesis import given, settings, strategies as st
from study_checks import refusal

from memcap.config.member import Member
from memcap.config.recipes import Recipe
from memcap.designs.bisect import Bisect, seeds_needed
from memcap.designs.design import Outcome
from memcap.models.model import Model
from memcap.tasks import task_class

TASK = task_class("delay_line")()

steady = settings(max_examples=60, derandomize=True, deadline=None)
few = settings(steady, max_examples=20)


def grid(lags, widths, seeds) -> list[Member]:
    """The members of a full grid. widths: the same for all lags, or a list a lag."""
    if isinstance(widths[0], int):
        widths = [widths] * len(lags)
    return [
        Member(TASK, lag, model=Model(units=units), seed=seed)
        for lag, some in zip(lags, widths, strict=True)
        for units in some
        for seed in range(seeds)
    ]


def trained(found, solves, known=None, **how):
    """Run the design to its end: whether each member that it trained solved the task."""
    known = {member: Outcome(solved) for member, solved in (known or {}).items()}
    ends, _ = run(Bisect(found, known), lambda m: Outcome(solves(m)), known, **how)
    return {member: end.passed for member, end in ends.items()}


def in_any_order(outcomes, random):
    """Run a design to its end; members end in a random order."""
    return trained(
        outcomes, outcomes.get, pick=lambda flying: random.randrange(len(flying))
    )


def passing(results, lag, need, seeds):
    """Widths known to pass and known not to, from the results alone."""
    counts = {True: Counter(), False: Counter()}
    for member, solved in results.items():
        counts[solved][member.model.units] += member.lag == lag
    return tuple(
        {units for units, count in counts[solved].items() if count >= least}
        for solved, least in ((True, need), (False, seeds - need + 1))
    )


@st.composite
def studies(draw, monotone=False):
    """Lags, widths of each lag, seeds, and outcomes of the full grid; monotone: a seed
    solves from some width on."""
    lags = sorted(draw(st.sets(st.integers(1, 60), min_size=1, max_size=5)))
    widths = [
        sorted(draw(st.sets(st.integers(1, 40), min_size=3, max_size=20))) for _ in lags
    ]
    seeds = draw(st.integers(1, 9))
    found = grid(lags, widths, seeds)
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    if monotone:
        edges = {lag: rng.integers(0, 43, seeds) for lag in lags}
        outcomes = {m: bool(m.model.units >= edges[m.lag][m.seed]) for m in found}
    else:
        share = {lag: rng.random() for lag in lags}
        outcomes = {m: bool(rng.random() < share[m.lag]) for m in found}
    return lags, widths, seeds, outcomes


@pytest.mark.slow
@steady
@given(studies(), st.randoms(use_true_random=False))
def test_ends_with_neighbours_whatever_the_results_and_their_order(study, random):
    lags, widths, seeds, outcomes = study
    results = in_any_order(outcomes, random)
    assert results.keys() <= outcomes.keys()
    for lag, some in zip(lags, widths, strict=True):
        for need in seeds_needed(seeds):
            passed, not_passed = passing(results, lag, need, seeds)
            place = some.index(min(passed)) if passed else len(some)
            assert place == 0 or some[place - 1] in not_passed


@pytest.mark.slow
@steady
@given(studies(monotone=True), st.randoms(use_true_random=False))
def test_where_counts_are_monotone_the_thresholds_are_those_of_the_grid(study, random):
    lags, _, seeds, outcomes = study
    results = in_any_order(outcomes, random)
    for lag in lags:
        for need in seeds_needed(seeds):
            mine = passing(results, lag, need, seeds)[0]
            full = passing(outcomes, lag, need, seeds)[0]
            assert min(mine, default=None) == min(full, default=None)


@pytest.mark.slow
@steady
@given(studies(monotone=True), st.randoms(use_true_random=False))
def test_the_estimate_is_a_bound_where_counts_are_monotone(study, random):
    *_, outcomes = study
    design = Bisect(outcomes, {})
    flying = design.first_members()
    bounds = [design.estimate]
    while flying:
        member = flying.pop(random.randrange(len(flying)))
        flying += design.next_members(member, Outcome(outcomes[member]))
        bounds.append(design.estimate)
    assert all(bound >= left for left, bound in enumerate(reversed(bounds)))


@pytest.mark.slow
@steady
@given(studies(), st.randoms(use_true_random=False))
def test_what_is_known_is_used_and_not_trained(study, random):
    *_, outcomes = study
    known = {m: good for m, good in outcomes.items() if random.random() < 0.3}
    assert not trained(outcomes, outcomes.get, known).keys() & known.keys()
    assert trained(outcomes, outcomes.get, outcomes) == {}


def test_the_fewest_seeds_that_can_settle_a_verdict():
    """Of 8, 4 may settle u50. At the narrowest width all of them solve; for u90 (7 of
    8) two failures would do, so 2, then 1."""
    found = grid((1,), (1, 2, 3), 8)
    design = Bisect(found, {})
    first = design.first_members()
    assert [(m.model.units, m.seed) for m in first] == [(1, 0), (1, 1), (1, 2), (1, 3)]
    asked = [len(design.next_members(m, Outcome(True))) for m in first]
    assert asked == [0, 0, 0, 2]
    assert seeds_needed(8) == (4, 7)
    assert seeds_needed(4) == (2, 3)
    assert seeds_needed(1) == (1, 1)


def test_a_lag_starts_where_the_lags_before_point():
    """Lags 1 and 2 need 1 and 2 units; the first width asked at lag 5 is 5, and lag 12
    waits for lag 5."""
    asked = list(
        trained(grid((1, 2, 5, 12), range(1, 41), 4), lambda m: m.model.units >= m.lag)
    )
    assert first_widths(asked) == {1: 1, 2: 2, 5: 5, 12: 12}
    u50_of_5 = max(
        i
        for i, m in enumerate(asked)
        if m.lag == 5 and m.seed < 2 and m.model.units == 4
    )
    assert next(i for i, m in enumerate(asked) if m.lag == 12) > u50_of_5


def under(member: Member, lr: float) -> Member:
    """The member under a recipe of its own."""
    return replace(member, recipe=Recipe("forget_bias", lr=lr))


def first_widths(asked) -> dict[int, int]:
    """The width that was asked for first, by lag."""
    return {m.lag: m.model.units for m in reversed(list(asked))}


@pytest.mark.slow
@few
@given(study=studies())
def test_each_recipe_task_and_number_of_layers_is_searched_as_if_it_were_alone(study):
    mine = {under(m, 1): good for m, good in study[-1].items()}
    others = {
        other: not good
        for m, good in mine.items()
        for other in (
            under(m, 2),
            replace(m, task=task_class("latch")()),
            replace(m, model=replace(m.model, layers=2)),
        )
    }
    together = trained([*mine, *others], (mine | others).get)
    for alone in (mine, others):
        assert list(trained(alone, alone.get)) == [m for m in together if m in alone]


@pytest.mark.parametrize(
    ("of_16", "asked"),
    [(2, {6: 3, 8: 4, 12: 4, 16: 4, 24: 4, 32: 4}), (3, {6: 3, 8: 4, 12: 4, 16: 4})],
)
def test_where_a_wider_width_does_not_pass_the_search_goes_on_until_two_in_a_row_do(
    of_16, asked
):
    """As a GRU on parity: 3 of 3 at 6 units, 2 of 4 at 8. Of 4 seeds u90 needs 3."""
    solve = {6: 3, 8: 2, 12: 3, 16: of_16, 24: 3, 32: 3}
    found = grid((1,), (1, 2, 3, 4, *solve), 4)
    results = trained(found, lambda m: m.seed < solve.get(m.model.units, 0))
    counts = Counter(m.model.units for m in results)
    assert {units: count for units, count in counts.items() if units in solve} == asked


@steady
@given(studies(), st.randoms(use_true_random=False))
def test_two_widths_in_a_row_pass_at_last_or_the_widest_was_asked(study, random):
    """From the narrowest that passes on, of those whose verdict is known."""
    lags, widths, seeds, outcomes = study
    need = seeds_needed(seeds)[1]
    results = in_any_order(outcomes, random)
    for lag, some in zip(lags, widths, strict=True):
        passed, failed = passing(results, lag, need, seeds)
        above = [
            units
            for units in some
            if passed and units >= min(passed) and units in passed | failed
        ]
        assert not passed or some[-1] in above or {*above[-2:]} <= passed


def test_what_it_costs_where_no_width_solves():
    """From a guess of 25: five failures of 8 seeds settle u50, and u90 with it. Longer
    lags begin at the widest."""
    lags = (20, 25, 64)
    known = {m: m.model.units >= 20 for m in grid(lags[:1], range(1, 65), 8)}
    results = trained(grid(lags, range(1, 65), 8), lambda m: False, known)
    assert Counter((m.lag, m.model.units) for m in results) == {
        **{(25, units): 5 for units in (25, 27, 31, 39, 55, 64)},
        (64, 64): 5,
    }


def test_designs_that_cannot_be_searched_are_refused_in_a_line():
    two_widths = grid((4,), (1, 2), 8)
    text = refusal(lambda: Bisect(two_widths, {}))
    assert "delay_line at lag 4 has 2 of the 3 widths" in text
    assert "list more in model.units, or set design=grid" in text
    text = refusal(lambda: Bisect([*two_widths, *grid((4,), (3,), 4)], {}))
    assert "other seeds at 3 units than at 1" in text
    assert "design=grid" in text
