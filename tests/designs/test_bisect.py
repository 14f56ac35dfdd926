"""The design `bisect`: sound whatever the results and their order, and what it saves and loses against the
full grid.

Simulated: lags 1 2 3 5 8 12 16 20 25 32 40 50, widths 1 .. 64, 8 seeds; mu at .87 to 1.03 x lag, 10 % to 90 %
within a factor of 1.2 to 1.6 in units, lapse 0 to .1. The same outcomes are shown to both designs; a solved
member costs .3 of its budget. Measured over 300 studies: 525 of 6144 members, 1/10.8 of the grid's run-steps
(5 % to 95 % of studies: 1/9.8 to 1/12.0), and 2 workers as busy as they can be (wall time 1.00 x work / 2).
Posterior medians within one unit of the grid's, share of lags:

| lag | 1 | 2 | 3 | 5 | 8 | 12 | 16 | 20 | 25 | 32 | 40 | 50 | all |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
| u50 | 1.00 | 1.00 | 1.00 | .99 | 1.00 | .96 | .95 | .90 | .81 | .77 | .63 | .65 | .889 |
| u50: two grids, other seeds | 1.00 | 1.00 | 1.00 | .99 | .98 | .94 | .89 | .88 | .79 | .75 | .62 | .69 | .879 |
| u90 | .99 | .99 | .98 | .96 | .94 | .76 | .68 | .60 | .53 | .41 | .33 | .34 | .709 |
| u90: two grids, other seeds | .94 | .96 | .93 | .87 | .80 | .71 | .55 | .53 | .50 | .35 | .33 | .39 | .656 |

Members and run-steps do not depend on the fit; medians and intervals do, and these are of an earlier prior
(slopes log-uniform on [0.7, 60]). 8 studies with today's, which the test prints, give within one unit u50
.875 and u90 .646 of 96 lags, and intervals that hold the truth in .969 and .969; 300 have yet to be simulated
with it. Single searches of 1 .. 64 with it (u50 of 3 to 48 units, first guess within 10 % r.m.s., lapse 0 to
.2, 300 each): 10 % to 90 % within a factor of 1.02-1.13, u50 .983 and u90 .950; 1.13-1.6, .950 and .957;
1.6-3, .973 and .973.

So a bisection agrees with its grid about as well as another grid would. At long lags that is within a few
units: no design agrees within one unit at all 12 lags at once (u50 in .16 of the studies, two grids in .20;
u90 in none). Within a unit or a tenth of the grid's: u50 .989 and u90 .921 of lags. The 95 % intervals hold
the truth in .950 (u50) and .973 (u90) of lags, the grid's in .944 and .956; high / low at lag 16 is 1.19 and
1.41, the grid's 1.11 and 1.20. At lags of 20 and more the r.m.s. error is about twice the grid's.
"""  # noqa: E501

import heapq
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from study_checks import config, refusal

from memcap.config import Member
from memcap.designs.axes import members
from memcap.designs.bisect import Bisect, seeds_needed
from memcap.designs.design import Outcome
from memcap.models.model import Model
from memcap.recipes import Recipe
from memcap.tasks import task_class
from memcap.thresholds.curve import INDEPENDENT, interval, posterior

LAGS = (1, 2, 3, 5, 8, 12, 16, 20, 25, 32, 40, 50)
TASK = task_class("delay_line")()
STUDIES = 8  # of the simulation; the table above has 300

steady = settings(max_examples=60, derandomize=True, deadline=None)


def grid(lags, widths, seeds) -> list[Member]:
    """The members of a full grid. widths: the same for all lags, or a list a lag."""
    return [
        Member(TASK, lag, model=Model(units=units), seed=seed)
        for lag, some in zip(
            lags, widths if isinstance(widths[0], (list, tuple)) else [widths] * len(lags), strict=True
        )
        for units in some
        for seed in range(seeds)
    ]


def trained(found, outcome, known=None, pick=lambda flying: 0):
    """Run a design to its end. outcome: Member -> bool; pick: which of the members in flight ends next."""
    known = {member: Outcome(solved) for member, solved in (known or {}).items()}
    design = Bisect(found, known)
    flying = design.first_members()
    results = {}
    while flying:
        member = flying.pop(pick(flying))
        results[member] = outcome(member)
        more = design.next_members(member, Outcome(results[member]))
        assert len({*more, *flying, *results, *known}) == len(more) + len(flying) + len(results) + len(
            known
        ), "asked twice"
        flying += more
    assert design.estimate == 0
    return results


def passing(results, lag, need, seeds):
    """Widths known to pass and known not to, from the results alone."""
    solved = Counter(m.model.units for m, good in results.items() if m.lag == lag and good)
    failed = Counter(m.model.units for m, good in results.items() if m.lag == lag and not good)
    return {u for u, n in solved.items() if n >= need}, {u for u, n in failed.items() if n > seeds - need}


@st.composite
def studies(draw, monotone=False):
    """Lags, widths of each lag, seeds, and outcomes of the full grid; monotone: a seed solves from some width
    on."""
    lags = sorted(draw(st.sets(st.integers(1, 60), min_size=1, max_size=5)))
    widths = [sorted(draw(st.sets(st.integers(1, 40), min_size=3, max_size=20))) for _ in lags]
    seeds = draw(st.integers(1, 9))
    found = grid(lags, widths, seeds)
    if monotone:
        edges = {(lag, seed): draw(st.integers(0, 42)) for lag in lags for seed in range(seeds)}
        outcomes = {m: m.model.units >= edges[m.lag, m.seed] for m in found}
    else:
        rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
        share = dict(zip(lags, rng.uniform(0, 1, len(lags)), strict=True))
        outcomes = {m: bool(rng.random() < share[m.lag]) for m in found}
    return lags, widths, seeds, outcomes


@steady
@given(studies(), st.randoms(use_true_random=False))
def test_ends_with_neighbours_whatever_the_results_and_their_order(study, random):
    lags, widths, seeds, outcomes = study
    results = trained(outcomes, outcomes.get, pick=lambda flying: random.randrange(len(flying)))
    assert results.keys() <= outcomes.keys()
    for lag, some in zip(lags, widths, strict=True):
        for need in seeds_needed(seeds):
            passed, not_passed = passing(results, lag, need, seeds)
            place = some.index(min(passed)) if passed else len(some)
            assert place == 0 or some[place - 1] in not_passed


@steady
@given(studies(monotone=True), st.randoms(use_true_random=False))
def test_where_counts_are_monotone_the_thresholds_are_those_of_the_grid(study, random):
    lags, _, seeds, outcomes = study
    results = trained(outcomes, outcomes.get, pick=lambda flying: random.randrange(len(flying)))
    for lag in lags:
        for need in seeds_needed(seeds):
            mine, full = passing(results, lag, need, seeds)[0], passing(outcomes, lag, need, seeds)[0]
            assert min(mine, default=None) == min(full, default=None)


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


@steady
@given(studies(), st.randoms(use_true_random=False))
def test_what_is_known_is_used_and_not_trained(study, random):
    *_, outcomes = study
    known = {m: good for m, good in outcomes.items() if random.random() < 0.3}
    assert not trained(outcomes, outcomes.get, known).keys() & known.keys()
    assert trained(outcomes, outcomes.get, outcomes) == {}


@steady
@given(studies())
def test_a_second_run_finds_all_it_wants_in_the_store(study):
    """Also where the first was interrupted: what it trained is used, and no member is trained again."""
    *_, outcomes = study
    results = trained(outcomes, outcomes.get)
    half = dict(list(results.items())[: len(results) // 2])
    assert not trained(outcomes, outcomes.get, half).keys() & half.keys()


def test_the_order_of_results_decides_alone():
    found = grid((2, 5, 9), range(1, 20), 4)
    runs = [list(trained(found, lambda m: m.model.units + m.seed >= m.lag)) for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(("solved", "edge"), [(True, 3), (False, 30)])
def test_ends_of_the_widths_that_all_pass_or_none(solved, edge):
    results = trained(grid((7,), range(3, 31), 8), lambda m: solved)
    assert edge in {m.model.units for m in results}
    assert all(good == solved for good in results.values())
    assert len(results) < 8 * 28 / 3


def test_the_fewest_seeds_that_can_settle_a_verdict():
    """Of 8, 4 may settle u50. At the narrowest width all of them solve; for u90 (7 of 8) two failures would
    do, so 2, then 1."""
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
    """Lags 1 and 2 need 1 and 2 units; the first width asked at lag 5 is 5, and lag 12 waits for lag 5."""
    asked = list(trained(grid((1, 2, 5, 12), range(1, 41), 4), lambda m: m.model.units >= m.lag))
    assert first_widths(asked) == {1: 1, 2: 2, 5: 5, 12: 12}
    u50_of_5 = max(i for i, m in enumerate(asked) if m.lag == 5 and m.seed < 2 and m.model.units == 4)
    assert next(i for i, m in enumerate(asked) if m.lag == 12) > u50_of_5


def test_lags_of_another_task_have_searches_of_their_own():
    latch = task_class("latch")()
    found = grid((3,), (1, 2, 3), 2)
    found += [replace(m, task=latch) for m in found]
    results = trained(found, lambda m: m.task is latch)
    assert {m.task for m in results} == {TASK, latch}


def test_each_number_of_layers_has_searches_of_its_own():
    found = grid((3,), (1, 2, 3, 4), 2)
    found += [replace(m, model=replace(m.model, layers=2)) for m in found]
    results = trained(found, lambda m: m.model.units * m.model.layers >= 4)
    passed = [(m.model.layers, m.model.units) for m, ok in results.items() if ok]
    assert {layers: min(u for each, u in passed if each == layers) for layers, _ in passed} == {1: 4, 2: 2}


def under(member: Member, lr: float) -> Member:
    """The member under a recipe of its own."""
    return replace(member, recipe=Recipe("forget_bias", lr=lr))


def first_widths(asked) -> dict[int, int]:
    """The width that was asked for first, by lag."""
    return {m.lag: m.model.units for m in reversed(list(asked))}


@steady
@given(studies())
def test_each_recipe_is_searched_as_if_it_were_alone(study):
    mine, others = ({under(m, lr): good == (lr > 1) for m, good in study[-1].items()} for lr in (1, 2))
    together = trained([*mine, *others], (mine | others).get)
    for alone in (mine, others):
        assert list(trained(alone, alone.get)) == [m for m in together if m in alone]


def test_recipes_start_from_their_own_answers_and_do_not_wait_for_each_other():
    """One needs a unit a lag, the other two; lag 12 waits for the lag 5 of its recipe."""
    found = [under(m, lr) for m in grid((1, 2, 5, 12), range(1, 41), 4) for lr in (1, 2)]
    assert {m.recipe.lr for m in Bisect(found, {}).first_members()} == {1, 2}
    asked = trained(found, lambda m: m.model.units >= m.recipe.lr * m.lag)
    assert [first_widths(m for m in asked if m.recipe.lr == lr)[12] for lr in (1, 2)] == [12, 24]


def test_a_recipe_without_a_shorter_lag_starts_from_the_answers_of_another():
    found = [under(m, 1 if m.lag < 12 else 2) for m in grid((1, 2, 5, 12), range(1, 41), 4)]
    assert first_widths(trained(found, lambda m: m.model.units >= m.lag)) == {1: 1, 2: 2, 5: 5, 12: 12}


@pytest.mark.parametrize(
    ("of_16", "asked"), [(2, {6: 3, 8: 4, 12: 4, 16: 4, 24: 4, 32: 4}), (3, {6: 3, 8: 4, 12: 4, 16: 4})]
)
def test_where_a_wider_width_does_not_pass_the_search_goes_on_until_two_in_a_row_do(of_16, asked):
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
    results = trained(outcomes, outcomes.get, pick=lambda flying: random.randrange(len(flying)))
    for lag, some in zip(lags, widths, strict=True):
        passed, failed = passing(results, lag, need, seeds)
        above = [units for units in some if passed and units >= min(passed) and units in passed | failed]
        assert not passed or some[-1] in above or {*above[-2:]} <= passed


def test_what_it_costs_where_no_width_solves():
    """From a guess of 25: five failures of 8 seeds settle u50, and u90 with it. Longer lags begin at the
    widest."""
    lags = (20, 25, 64)
    known = {m: m.model.units >= 20 for m in grid(lags[:1], range(1, 65), 8)}
    results = trained(grid(lags, range(1, 65), 8), lambda m: False, known)
    assert Counter((m.lag, m.model.units) for m in results) == {
        **{(25, units): 5 for units in (25, 27, 31, 39, 55, 64)},
        (64, 64): 5,
    }


def test_grids_of_several_widths_are_one_chain():
    axes = [{"task.lag": lag, "model.units": [lag, lag + 1, lag + 2], "seed": 2} for lag in (1, 2, 4)]
    results = trained(members(config(axes, task="delay_line")), lambda m: m.model.units > m.lag)
    assert {m.lag for m in results} == {1, 2, 4}


def test_designs_that_cannot_be_searched_are_refused_in_a_line():
    text = refusal(lambda: Bisect(grid((4,), (1, 2), 8), {}))
    assert "delay_line at lag 4 has 2 of the 3 widths" in text
    assert "model.units" in text
    assert "design=grid" in text
    text = refusal(lambda: Bisect([*grid((4,), (1, 2), 8), *grid((4,), (3,), 4)], {}))
    assert "other seeds at 3 units than at 1" in text
    assert "design=grid" in text


def work(member, share=1.0):
    """Of a member that takes this share of its budget."""
    return share * member.length * (member.model.units + 8.0) ** 2


def simulated(found, outcomes, workers):
    """Results of a design whose members go to free workers, longest first; and the wall time over the
    work."""
    design = Bisect(found, {})
    waiting, running, results, now, total = design.first_members(), [], {}, 0.0, 0.0
    while waiting or running:
        waiting.sort(key=work)
        while waiting and len(running) < workers:
            member = waiting.pop()
            took = work(member, 0.3 if outcomes[member] else 1.0)
            total += took
            heapq.heappush(running, (now + took, len(results) + len(running), id(member), member))
        now, *_, member = heapq.heappop(running)
        results[member] = outcomes[member]
        waiting += design.next_members(member, Outcome(results[member]))
    return results, now / total


def quantiles(outcomes, lag):
    """Median, low and high of u50 and u90 by the fit to the counts of a lag."""
    solved, runs = Counter(), Counter()
    for member, good in outcomes.items():
        if member.lag == lag:
            runs[member.model.units] += 1
            solved[member.model.units] += good
    post = posterior(list(runs), [solved[u] for u in runs], list(runs.values()), INDEPENDENT)
    return [[float(x) for x in interval(post, p)[:3]] for p in (0.5, 0.9)]


@pytest.mark.slow
def test_simulated_studies_agree_with_the_grid_and_cost_a_tenth():
    rng = np.random.default_rng(0)
    found = grid(LAGS, range(1, 65), 8)
    near, holds, errors, spent, walls = [], [], [], [], []
    for _ in range(STUDIES):
        mu = np.log2(np.array(LAGS) * rng.uniform(0.9, 1) * rng.uniform(0.97, 1.03, len(LAGS)))
        slope = 2 * logit(0.9) / np.log2(np.exp(rng.uniform(*np.log([1.2, 1.6]), len(LAGS))))
        lapse = rng.uniform(0, 0.1, len(LAGS))
        curve = (1 - lapse[:, None]) * expit(slope[:, None] * (np.log2(np.arange(1, 65)) - mu[:, None]))
        outcomes = dict(
            zip(found, (rng.random((len(LAGS), 64, 8)) < curve[..., None]).ravel().tolist(), strict=True)
        )
        results, wall = simulated(found, outcomes, workers=2)
        walls.append(wall)
        spent.append([sum(0.3 if good else 1.0 for good in rows.values()) for rows in (outcomes, results)])
        for k, lag in enumerate(LAGS):
            mine, full = quantiles(results, lag), quantiles(outcomes, lag)
            truth = [max(1.0, 2 ** (mu[k] + logit(p) / slope[k])) for p in (0.5, 0.9)]
            near.append([abs(a[0] - b[0]) <= 1 for a, b in zip(mine, full, strict=True)])
            holds.append([low <= t <= high for (_, low, high), t in zip(mine, truth, strict=True)])
            errors.append([[x[0] - t for x, t in zip(y, truth, strict=True)] for y in (mine, full)])
    agree = np.array(near).reshape(STUDIES, len(LAGS), 2)
    saved = np.divide(*np.sum(spent, axis=0))
    rms = np.sqrt(np.mean(np.square(errors), axis=0))
    print(
        f"\n{STUDIES} studies; run-steps 1/{saved:.1f} of the grid's; wall with 2 workers"
        f" {2 * np.mean(walls):.2f} x work / 2"
    )
    for p, name in enumerate(("u50", "u90")):
        by_lag = " ".join(
            f"{lag}:{share:.2f}" for lag, share in zip(LAGS, agree[..., p].mean(axis=0), strict=True)
        )
        print(f"{name} within one unit of the grid's: {by_lag}; all {agree[..., p].mean():.3f},", end=" ")
        print(
            f"whole studies {agree[..., p].all(axis=1).mean():.2f}; coverage {np.mean(holds, axis=0)[p]:.3f}",
            end="; ",
        )
        print(f"r.m.s. error {rms[0, p]:.2f}, grid {rms[1, p]:.2f} units")
    assert saved > 9
    assert math.isclose(np.mean(walls), 0.5, rel_tol=0.05)
    assert agree[:, :6, 0].mean() > 0.95
    assert agree[..., 0].mean() > 0.85
    assert agree[:, :4, 1].mean() > 0.9
    assert agree[..., 1].mean() > 0.6
    assert np.all(np.mean(holds, axis=0) > 0.9)
