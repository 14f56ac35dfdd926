"""What the study's run streams."""

from test_runs import member

from memcap.tracking.so_far import SoFar


def row(passed, until="solved"):
    return {"solved": passed, "steady": passed and until == "steady", "evaluation_until": until}


def test_members_are_counted_once_and_the_frontier_is_the_narrowest_cell_that_half_of_its_seeds_pass():
    so_far = SoFar()
    for units, verdicts in {4: [True, False, False], 5: [True, False], 6: [True, True]}.items():
        for seed, passed in enumerate(verdicts):
            so_far.add(member(units=units, seed=seed), row(passed), trained=units > 4)
    so_far.add(member(units=6, seed=0), row(passed=True))
    so_far.add(member(lag=20), row(passed=False))
    found = so_far.values()
    assert (found["study/done"], found["study/solved"]) == (8, 4)
    assert {name: value for name, value in found.items() if name.startswith("frontier/")} == {
        "frontier/delay_line-L8": 5
    }
    assert found["study/members_a_second"] > 0
    assert so_far.values()["study/members_a_second"] == 0


def test_a_stream_passes_once_it_is_steady():
    so_far = SoFar()
    so_far.add(member(), row(passed=True) | {"evaluation_until": "steady"})
    assert not [name for name in so_far.values() if name.startswith("frontier/")]
    so_far.add(member(seed=4), row(passed=True, until="steady"))
    assert so_far.values()["frontier/delay_line-L8"] == 7
