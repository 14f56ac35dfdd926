"""Whether a verdict could be another: of outcomes shuffled over what they compare,
claims hold by chance only, and of rows with an effect no claim holds that denies it."""

import numpy as np
import polars as pl
import pytest
from study_rows import group, seeds, table

from memcap import findings, store
from memcap.findings import NOT_MEASURED, Claim, Effect, Finding, Paper, resample
from memcap.findings.resample import (
    OUTCOMES,
    find_chance,
    give_narrower,
    groups,
    shuffle,
)

# of the published 400 a claim may hold in 20
SHUFFLES = 20
AT_MOST = 3
NAMES = sorted(findings.papers())


def two_cells():
    nets = [
        seeds("latch", 5, *({"final": k + at} for k in range(4)), cell=cell)
        for at, cell in PLACES
    ]
    return table(*nets, group("adding", 5, {2: (1, 3)}, final=-1.0))


PLACES = ((0, "lstm"), (10, "GRUCell"))


def finals(rows, **which):
    return sorted(rows.filter(**which)["final"])


def test_a_shuffle_gives_each_outcome_to_one_net_that_is_alike():
    rows = two_cells()
    rng = np.random.default_rng(0)
    mixed = shuffle(rows, groups(rows, ["task"]), rng)
    assert finals(mixed, task="latch") == finals(rows, task="latch")
    assert finals(mixed, cell="lstm") != finals(rows, cell="lstm")
    assert mixed.drop(OUTCOMES).equals(rows.drop(OUTCOMES))


def test_a_claim_is_judged_on_nets_that_differ_in_what_it_compares():
    def ahead(rows):
        own = [
            rows.filter(task="latch", cell=cell)["final"].min() for _, cell in PLACES
        ]
        return Finding("", own[0] < own[1])

    def any_net(rows):
        return Finding("", rows["final"].max() > 0)

    def best(rows):
        return Finding("", rows.filter(task="latch", cell="lstm")["final"].max() > 20)

    claims = (
        Claim("ahead", "", "", ahead, within=("task",)),
        Claim("any", "", "", any_net),
        Claim("best", "", "", best, why="no"),
    )
    found = resample.resample(Paper("", "", claims), two_cells(), 40)
    assert found["within"].to_list() == ["task", "", ""]
    assert 0.1 < found["shuffled"][0] < 0.9
    assert found["shuffled"].to_list()[1:] == [1.0, None]
    assert found["bootstrapped"].to_list() == [1.0, 1.0, 1.0]


def width_at(rows, lag):
    """The narrowest width with a net that is solved."""
    return rows.filter(lag=lag, solved=True)["units"].min()


def two_lags():
    """Nets of which two units are enough at both lags."""
    widths = {1: (0, 4), 2: (4, 4), 4: (4, 4)}
    return table(*(group("latch", lag, widths) for lag in (5, 50)))


def test_nets_have_the_outcomes_of_narrower_ones_as_if_they_needed_more_units():
    rows = two_lags()
    for steps, units in ((1, 4), (2, None)):
        wider = give_narrower(rows, steps, lag=50)
        assert (width_at(wider, 5), width_at(wider, 50)) == (2, units)
        assert wider.drop(OUTCOMES).equals(rows.drop(OUTCOMES))


def test_a_claim_of_no_effect_holds_by_chance_unless_it_sees_the_effect():
    def same(rows):
        return Finding("", width_at(rows, 5) == width_at(rows, 50))

    def some_width(rows):
        return Finding("", width_at(rows, 50) is not None)

    effect = Effect("4 for 2", lambda rows: give_narrower(rows, lag=50))
    claims = (
        Claim("same", "", "", same, within=("units",), denies=effect),
        Claim("blind", "", "", some_width, within=("units",), denies=effect),
    )
    found = resample.resample(Paper("", "", claims), two_lags(), 20)
    assert found["shuffled"].to_list() == [1.0, 1.0]
    assert found["seen"].to_list() == [1.0, 0.0]
    assert find_chance(found).to_list() == ["blind"]


def test_a_shuffle_that_is_not_measured_does_not_deny_a_claim():
    def where_measured(rows):
        return Finding("", True) if rows["solved"][0] else NOT_MEASURED

    rows = two_lags()[::-1]
    claims = (Claim("measured", "", "", where_measured),)
    found = resample.resample(Paper("", "", claims), rows, 40)
    assert found["shuffled"].to_list() == [1.0]


@pytest.mark.parametrize("name", NAMES)
def test_each_claim_that_holds_falls_in_95_percent_of_the_published_shuffles(name):
    there = findings.folder(name)
    shuffled = pl.read_csv(there / "resampled.csv", schema=resample.COLUMNS)
    verdicts = pl.read_csv(there / "verdicts.csv")
    same = ["claim", "whose", "verdict"]
    assert shuffled.select(same).equals(verdicts.select(same))
    within = [", ".join(claim.within) for claim in findings.find(name).PAPER.claims]
    assert shuffled["within"].fill_null("").to_list() == within
    assert find_chance(shuffled).to_list() == []
    effects = [claim.denies for claim in findings.find(name).PAPER.claims]
    sizes = [effect and effect.size for effect in effects]
    assert shuffled["effect"].to_list() == sizes


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_claim_that_holds_does_not_hold_of_shuffled_outcomes(name):
    again = resample.resample(
        findings.find(name).PAPER, store.read(findings.folder(name)), SHUFFLES
    )
    # as `find_chance`, with room for the chance of so few: a claim of no effect holds of
    # shuffles, too, and must fall where the effect that it denies is put in
    by_chance = pl.col("shuffled") * SHUFFLES > AT_MOST
    blind = pl.col("seen").fill_null(0) * SHUFFLES < SHUFFLES - AT_MOST
    assert again.filter(by_chance, blind)["claim"].to_list() == []
