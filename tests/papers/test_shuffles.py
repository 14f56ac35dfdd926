"""Whether a verdict could be another: of outcomes shuffled over conditions, claims hold by chance only."""

import numpy as np
import pytest

from memcap import papers, store

OUTCOMES = ["status", "solved", "steady", "steps", "steps_to_solve", "steps_to_steady"]
OUTCOMES += ["final", "best", "stretched", "train_loss", "score_at_lengths", "whole_at_lengths"]
SHUFFLES, BY_CHANCE = 20, 3
# It rests on one net, as its text says: another net's outcome does as well in a quarter of the shuffles.
ONE_NET, ONE_NET_BY_CHANCE = {("voelker2019", 1)}, 10
UNTRAINED = [("jaeger2001", k) for k in (0, 1)]  # of nets that have no rows: test_jaeger2001.py


def shuffled(rows, seed):
    """The rows, each with the outcome of another one, drawn among those with the same metric."""
    rng, order = np.random.default_rng(seed), np.arange(rows.height)
    for metric in rows["metric"].unique().sort():
        own = np.flatnonzero((rows["metric"] == metric).to_numpy())
        order[own] = rng.permutation(own)
    return rows.with_columns(rows.select(OUTCOMES)[order])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(papers.summaries()))
def test_a_claim_that_holds_does_not_hold_of_shuffled_outcomes(name):
    rows, paper = store.read(papers.folder(name)), papers.find(name).PAPER
    claims = paper.claims
    judged = [k for k, claim in enumerate(claims) if claim.expected and (name, k) not in UNTRAINED]
    assert all(paper.findings(rows)[k].holds for k in judged)
    holds = dict.fromkeys(judged, 0)
    for seed in range(SHUFFLES):
        found = paper.findings(shuffled(rows, seed))
        for k in judged:
            holds[k] += found[k].holds is True
    by_chance = {k: ONE_NET_BY_CHANCE if (name, k) in ONE_NET else BY_CHANCE for k in judged}
    assert {claims[k].text: n for k, n in holds.items() if n > by_chance[k]} == {}, f"of {SHUFFLES} shuffles"
