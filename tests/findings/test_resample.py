"""Whether a verdict could be another: of outcomes shuffled over what they compare,
claims hold by chance only."""

import numpy as np
import polars as pl
import pytest
from study_rows import group, seeds, table

from memcap import findings, store
from memcap.findings import Claim, Finding, Paper, resample
from memcap.findings.resample import BY_CHANCE, OUTCOMES, groups, shuffle

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


@pytest.mark.parametrize("name", NAMES)
def test_each_claim_that_holds_falls_in_95_percent_of_the_published_shuffles(name):
    shuffled, verdicts = (
        pl.read_csv(findings.folder(name) / f"{file}.csv")
        for file in ("resampled", "verdicts")
    )
    same = ["claim", "whose", "verdict"]
    assert shuffled.select(same).equals(verdicts.select(same))
    within = [", ".join(claim.within) for claim in findings.find(name).PAPER.claims]
    assert shuffled["within"].fill_null("").to_list() == within
    assert (shuffled.filter(verdict="holds")["shuffled"] <= BY_CHANCE).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_claim_that_holds_does_not_hold_of_shuffled_outcomes(name):
    again = resample.resample(
        findings.find(name).PAPER, store.read(findings.folder(name)), SHUFFLES
    )
    assert (
        again.filter(pl.col("shuffled") * SHUFFLES > AT_MOST)["claim"].to_list() == []
    )
