"""Several jobs share a study: each member in exactly one of them, with the key that it
has anyway."""

import pytest
from hypothesis import given, settings, strategies as st

import memcap
from memcap.config.member import Engine
from memcap.launch.jobs import share

MEMBERS = memcap.members(
    task=["latch", "delay_line"], lag=[2, 3, 5], units=[1, 2, 3], seed=3
)
RECIPES = memcap.members(
    task="delay_line",
    lag=[2, 3, 5],
    recipe=["forget_bias", "open_gate"],
    units=[1, 2, 3],
    seed=3,
)


@pytest.mark.parametrize("design", ["grid", "bisect", "adaptive"])
@settings(deadline=None, max_examples=20)
@given(shards=st.integers(1, 9))
def test_each_member_is_in_one_share(design, shards):
    shares = [
        share(MEMBERS, Engine(shard=k, shards=shards), design) for k in range(shards)
    ]
    together = [m for part in shares for m in part]
    assert sorted(m.key for m in together) == sorted(m.key for m in MEMBERS)


def test_shares_of_a_grid_are_of_one_size_and_span_all_lags():
    shares = [share(MEMBERS, Engine(shard=k, shards=4), "grid") for k in range(4)]
    assert {len(part) for part in shares} <= {13, 14}
    assert all({m.lag for m in part} == {2, 3, 5} for part in shares)


def test_a_line_of_lags_is_never_split():
    parts = [share(RECIPES, Engine(shard=k, shards=3), "adaptive") for k in range(3)]
    assert [{m.recipe.name for m in part} for part in parts] == [
        {"forget_bias"},
        {"open_gate"},
        set(),
    ]


@pytest.mark.parametrize("members", [MEMBERS, RECIPES])
def test_a_search_is_never_split(members):
    homes: dict = {}
    for k in range(4):
        for m in share(members, Engine(shard=k, shards=4), "bisect"):
            homes.setdefault((m.task, m.lag, m.recipe), set()).add(k)
    assert all(len(jobs) == 1 for jobs in homes.values())
    assert len(set.union(*homes.values())) == 4
