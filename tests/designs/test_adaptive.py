"""The design `adaptive`: sound whatever the results and their order, the same after a
kill, and as precise as was asked for. What it saves is measured by `python -m
tests.designs.simulation`, and held in test_designs.py."""

import re
from dataclasses import replace

import numpy as np
import pytest
from design_checks import run
from hypothesis import given, settings, strategies as st
from study_checks import refusal

from memcap.config.member import Member
from memcap.config.recipes import Recipe
from memcap.designs.adaptive import ENDS, LEAST_WIDTHS, MOST_WIDTHS, Adaptive
from memcap.designs.bisect import Bisect
from memcap.designs.design import Outcome
from memcap.models.model import Model
from memcap.tasks import task_class
from memcap.thresholds.curve import posterior
from memcap.thresholds.lags import believe

TASK = task_class("delay_line")()
BUDGET = 100
SEEDS = 4
few = settings(max_examples=4, derandomize=True, deadline=None)


def line(
    lags=(2, 5), widths=range(1, 9), seeds=SEEDS, recipe="curriculum"
) -> list[Member]:
    return [
        Member(
            TASK,
            lag,
            model=Model(units=units),
            seed=seed,
            recipe=Recipe(recipe, budget=BUDGET),
        )
        for lag in lags
        for units in widths
        for seed in range(seeds)
    ]


def outcome(member, passed) -> Outcome:
    return Outcome(passed, 30 if passed else BUDGET)


def trained(members, passes, known=None, precision=0.15, **how):
    """Run the design as `run` does: whether each member passed, and those in flight."""
    known = {member: outcome(member, good) for member, good in (known or {}).items()}
    design = Adaptive(members, known, precision)
    ends, flying = run(design, lambda m: outcome(m, passes(m)), known, **how)
    assert flying or design.usual == 0
    return {member: end.passed for member, end in ends.items()}, flying


def step(member) -> bool:
    """A seed in eight fails at any width; a unit more or less is a matter of the seed."""
    return (
        member.seed % 8 != 3
        and member.model.units >= 0.8 * member.lag + member.seed % 2
    )


def chance(seed):
    """A coin for each member, which comes up more often at wide nets."""
    rng = np.random.default_rng(seed)
    coins = {member: rng.random() < member.model.units / 8 for member in line()}
    return coins.get


@pytest.mark.slow
@few
@given(st.integers(0, 1 << 30), st.randoms(use_true_random=False))
def test_ends_and_asks_for_no_member_twice_whatever_the_results_and_their_order(
    seed, random
):
    results, _ = trained(
        line(), chance(seed), pick=lambda flying: random.randrange(len(flying))
    )
    for lag in (2, 5):
        count = sum(member.lag == lag for member in results)
        assert LEAST_WIDTHS * SEEDS <= count <= MOST_WIDTHS * SEEDS


@pytest.mark.slow
def test_the_order_of_results_decides_nothing():
    first, last = (
        trained(line(), step, pick=lambda flying, k=k: k)[0] for k in (0, -1)
    )
    assert first == last


@pytest.mark.slow
@few
@given(st.integers(0, 1 << 30), st.integers(0, 20))
def test_a_study_that_was_killed_asks_for_the_members_in_flight(seed, stop):
    passes = chance(seed)
    results, flying = trained(line(), passes, stop=stop)
    design = Adaptive(
        line(), {member: outcome(member, good) for member, good in results.items()}
    )
    assert set(design.first_members()) == set(flying)
    rest, _ = trained(line(), passes, known=results)
    assert results | rest == trained(line(), passes)[0]


def test_rows_of_another_design_are_taken_up():
    ends, _ = run(Bisect(line(), {}), lambda member: outcome(member, step(member)))
    known = {member: end.passed for member, end in ends.items()}
    alone, _ = trained(line(), step)
    more, _ = trained(line(), step, known=known)
    assert len(more) < len(alone) / 2
    assert (
        trained(line(), step, known={member: step(member) for member in line()})[0]
        == {}
    )


def test_an_interval_is_as_narrow_as_was_asked_for_or_a_unit_or_the_seeds_are_spent():
    members = line((8, 16), range(1, 33), 8)
    counts = {}
    for precision in (0.7, 0.1):
        results, _ = trained(members, step, precision=precision)
        counts[precision] = len(results)
        measured = {}
        for lag in (8, 16):
            runs = {}
            solved = {}
            for member, good in results.items():
                if member.lag == lag:
                    runs[member.model.units] = runs.get(member.model.units, 0) + 1
                    solved[member.model.units] = (
                        solved.get(member.model.units, 0) + good
                    )
            measured[lag] = posterior(
                list(runs), [solved[u] for u in runs], list(runs.values())
            )
        for lag, belief in believe(measured, measured).items():
            low, _, high = belief.quantiles(0.9, ENDS)
            # the design reads it on a coarser grid
            narrow = high / low < 1.02 * (1 + precision) ** 2 or high - low < 1.1
            spent = sum(member.lag == lag for member in results) == MOST_WIDTHS * 8
            assert narrow or spent
            assert low < 0.8 * lag + 1 < high
    assert counts[0.7] < counts[0.1]


def test_it_says_by_now_what_each_lag_takes():
    members = line((2, 5))
    design = Adaptive(members, {})
    design.first_members()
    assert design.frontier == []
    known = {member: outcome(member, step(member)) for member in members}
    design = Adaptive(members, known)
    assert design.first_members() == []
    (said,) = design.frontier
    intervals = re.findall(r"([\d.]+) to ([\d.]+) at lag (\d+)", said)
    assert said.startswith("delay_line, units: ")
    assert [int(lag) for *_, lag in intervals] == [2, 5]
    for low, high, lag in intervals:
        assert float(low) < 0.8 * int(lag) + 1 < float(high)


def test_no_lag_ends_by_a_few_that_happen_to_pass():
    results, _ = trained(
        line((2, 5), range(1, 9), 8),
        lambda member: member.model.units >= 3,
        precision=0.99,
    )
    assert (
        min(sum(member.lag == lag for member in results) for lag in (2, 5))
        >= LEAST_WIDTHS * 8
    )


@pytest.mark.parametrize(
    ("passes", "seeds", "most"),
    [(False, SEEDS, 3 * MOST_WIDTHS * SEEDS), (True, 8, 45)],
)
def test_where_all_widths_pass_or_none_it_ends_soon_at_an_end(passes, seeds, most):
    """A bisection trains 15 members a lag where all pass."""
    members = line((2, 5, 12), range(1, 33), seeds)
    results, _ = trained(members, lambda member: passes)
    assert (1 if passes else 32) in {member.model.units for member in results}
    assert {member.lag for member in results} == {2, 5, 12}
    assert len(results) <= most


@pytest.mark.breadth
def test_each_recipe_is_a_line_of_its_own():
    mine = line(recipe="curriculum")
    others = line(recipe="open_gate")
    together, _ = trained([*mine, *others], step)
    assert set(together) == {*trained(mine, step)[0], *trained(others, step)[0]}


def test_designs_that_cannot_be_searched_are_refused_in_a_line():
    assert "has 2 of the 3 widths" in refusal(lambda: Adaptive(line(widths=(1, 2)), {}))
    both = [replace(m, length=length) for m in line() for length in (16, 32)]
    text = refusal(lambda: Adaptive(both, {}))
    assert "at lag 2 has lengths 16, 32" in text
    assert "design=bisect" in text
