"""Names, ids and tags, from real members."""

from memcap.config import Member
from memcap.models.network import Model
from memcap.printing import member_name
from memcap.recipes import Recipe
from memcap.tasks import task_class
from memcap.tracking.runs import of_cell, of_member, of_study


def member(task="delay_line", lag=8, units=7, seed=3, **knobs):
    return Member(
        task_class(task)(**knobs), lag, model=Model(units=units), recipe=Recipe("chrono"), seed=seed
    )


def test_a_member_has_a_readable_name_and_the_key_as_its_id():
    ours = member()
    run = of_member(ours)
    assert (run.id, run.name, run.kind) == (ours.key, "delay_line-L8-u7-s3", "member")
    assert run.tags == ("delay_line", "lag 8", "chrono", "lstm")
    assert run.config == ours.config
    assert of_member(member(symbols=4)).name == "delay_line(symbols=4)-L8-u7-s3"


def test_members_share_a_cell_if_they_differ_in_the_seed_alone():
    run = of_cell(member(), "a")
    assert (run.name, run.kind) == ("delay_line-L8-u7", "cell")
    assert of_cell(member(seed=5), "a") == run
    others = [
        of_cell(member(units=8), "a"),
        of_cell(member(lag=9), "a"),
        of_cell(member(symbols=4), "a"),
        of_cell(member(), "b"),
    ]
    assert len({run.id, *(other.id for other in others)}) == 5


def test_a_study_has_one_id_and_jobs_that_share_it_have_their_own():
    assert of_study("first") == of_study("first")
    assert (
        len(
            {
                of_study("first").id,
                of_study("second").id,
                of_study("first", "0 of 2").id,
                of_study("first", "1 of 2").id,
            }
        )
        == 4
    )
    assert of_study("first", "0 of 2").name == "first 0 of 2"


def test_ids_are_what_wandb_takes():
    for run in (of_member(member()), of_cell(member(), "a/b c"), of_study("a/b c")):
        assert len(run.id) <= 64
        assert not set("/\\#?%: ") & set(run.id)
        assert all(len(tag) <= 64 for tag in run.tags)


def test_a_member_has_one_name_here_and_in_status():
    assert (
        of_member(member(units=9, seed=3)).name == member_name("delay_line", 8, 9, 3) == "delay_line-L8-u9-s3"
    )
