"""Names, ids and tags, from real members; the frontier so far."""

from memcap.config.member import Member
from memcap.config.recipes import Recipe
from memcap.models.model import Model
from memcap.studies.writer import members_table
from memcap.tasks import task_class
from memcap.tracking import runs
from memcap.tracking.runs import run_of_member, run_of_study


def member(task="delay_line", lag=8, units=7, seed=3, row=None, **knobs):
    """As a job writes it down before it trains."""
    model = Model(units=units)
    ours = Member(
        task_class(task)(**knobs), lag, model=model, recipe=Recipe("chrono"), seed=seed
    )
    found = runs.entry(members_table([ours]).row(0, named=True))
    found.row = row or {}
    return found


def test_a_member_has_a_readable_name_and_the_key_as_its_id():
    ours = member()
    run = run_of_member(ours)
    assert (run.id, run.name, run.kind) == (ours.key, "delay_line-L8-u7-s3", "member")
    assert run.tags == ("delay_line", "lag 8", "chrono", "lstm")
    assert run.config == ours.config
    assert run_of_member(member(symbols=4)).name == "delay_line(symbols=4)-L8-u7-s3"


def test_ids_are_those_of_old_projects_and_what_wandb_takes():
    assert run_of_study("two").id == "study-c7c7bac534d042e1"
    run = run_of_study("a/b c", [member()])
    assert len(run.id) <= 64
    assert not set("/\\#?%: ") & set(run.id)
    assert all(len(tag) <= 64 for tag in run.tags)


def test_the_frontier_so_far_is_the_narrowest_group_that_half_of_its_seeds_pass():
    verdicts = {4: [True, False, False], 5: [True, False], 6: [True, True]}

    def passes(passed, until="solved"):
        return {"evaluation_until": until, "solved": True, until: passed}

    ended = [
        member(units=units, seed=seed, row=passes(passed))
        for units, some in verdicts.items()
        for seed, passed in enumerate(some)
    ]
    # a stream passes once it is steady
    ended.append(member(lag=20, row=passes(False, until="steady")))
    assert runs.frontier_so_far(ended) == {"frontier/delay_line-L8": 5}
