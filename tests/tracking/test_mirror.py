"""What a mirror sends of the news of a folder, to services that do nothing, break or refuse."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from test_runs import member

from memcap.store import curves
from memcap.store.follow import News
from memcap.store.heartbeat import MEMBERS
from memcap.store.rows import frame
from memcap.tracking import Tracking, mirror
from memcap.tracking.mirror import Sender, StudyMirror
from memcap.tracking.report import Report
from memcap.tracking.runs import run_of_member, run_of_seeds


class ListService:
    """Remembers what came, in order."""

    def __init__(self):
        self.calls = []
        self.closed = False

    def run(self, run, points, row):
        self.calls.append((run, points, row))

    def progress(self, values):
        self.calls.append(values)

    def result(self, table, image):
        self.calls.append((table, image))

    def close(self):
        self.closed = True
        return f"{len(self.calls)} calls"

    @property
    def runs(self):
        return [
            call for call in self.calls if isinstance(call, tuple) and len(call) == 3
        ]


class BrokenService(ListService):
    def run(self, run, points, row):
        raise OSError("disk\nfull")


@pytest.fixture
def sender(monkeypatch):
    """Makes a sender to the services that a test lists."""

    def make(*services):
        monkeypatch.setattr(
            mirror, "services", lambda target: iter([("it", each) for each in services])
        )
        return Sender(Tracking("wandb").target("study", Path("outputs")))

    return make


def row_of(ours, passed=True):
    return {
        "key": ours.key,
        "study": "study",
        "config": json.dumps(ours.config, sort_keys=True),
        "metric": ours.metric,
        "status": "solved" if passed else "unsolved",
        "solved": passed,
        "steady": passed,
        "up_to": False,
        "evaluation_until": "steady",
        "steps": 9,
        "finished": datetime(2025, 1, 1, tzinfo=UTC),
    }


def news(ended=(), members=(), curve=None, earlier=(), running=(), over=False):
    """Of members that have ended, and others that run, each with the points of a curve."""
    points = (
        {1: {"train/loss": 1.0}, 2: {"train/loss": 0.5}} if curve is None else curve
    )
    lines = {each.key: curves.table({each.key: points}) for each in (*ended, *running)}
    named = [
        (each.key, each.name, each.metric, json.dumps(each.config), "study")
        for each in members
    ]
    return News(
        frame([row_of(each) for each in ended]),
        frame([row_of(each) for each in earlier]),
        lines,
        pl.DataFrame(named, {**MEMBERS, "study": pl.String}, orient="row"),
        over,
    )


def make_study(sender, runs="auto"):
    return StudyMirror(sender, "study", runs)


def test_a_member_is_sent_whole_once_it_has_ended(sender):
    service = ListService()
    ours = [member(seed=k) for k in range(2)]
    study = make_study(sender(lambda: service))
    study.update(news(members=ours))
    assert service.calls == []
    study.update(news(ended=ours[:1]))
    ((run, points, row),) = service.calls
    assert run == run_of_member(ours[0])
    assert points == {1: {"train/loss": 1.0}, 2: {"train/loss": 0.5}}
    assert (row["status"], row["steps"], row["finished"]) == (
        "solved",
        9,
        "2025-01-01 00:00:00+00:00",
    )
    assert (study.sender.report.sent, study.left) == (1, 0)


def test_a_member_of_which_only_the_row_is_known_has_the_name_that_its_config_gives(
    sender,
):
    service = ListService()
    ours = member(symbols=4)
    make_study(sender(lambda: service)).update(news(ended=[ours]))
    assert service.runs[0][0].name == ours.name == "delay_line(symbols=4)-L8-u7-s3"


def test_the_study_s_run_says_what_its_members_are(sender):
    it = sender(ListService)
    ours = [member(seed=k) for k in range(2)]
    StudyMirror(it, "study", "auto", "memcap train task=latch").update(
        news(members=ours)
    )
    run = it.target.study
    assert (run.config["command"], run.config["members"]) == (
        "memcap train task=latch",
        2,
    )
    assert (run.config["task.lag"], run.tags[0]) == ([8], "delay_line")
    for known, of_rows, says in (
        ("c0", "c1", "c0"),
        (None, "c1", "c1"),
        (None, None, None),
    ):
        new = news(ended=ours)
        it = sender(ListService)
        rows = new.rows.with_columns(git_commit=pl.lit(of_rows, pl.String))
        StudyMirror(it, "study", "auto", git_commit=known).update(
            new._replace(rows=rows)
        )
        assert it.target.study.config["git_commit"] == says


def test_numbers_that_are_none_come_through(sender):
    service = ListService()
    ours = member()
    curve = {
        1: {"train/loss": math.inf},
        2: {"train/loss": math.nan, "eval/accuracy": -math.inf},
    }
    make_study(sender(lambda: service)).update(news(ended=[ours], curve=curve))
    points = service.runs[0][1]
    assert (points[1], points[2]["eval/accuracy"]) == (
        {"train/loss": math.inf},
        -math.inf,
    )
    assert math.isnan(points[2]["train/loss"])


def cannot_be_made():
    raise SystemExit("disk full")


@pytest.mark.parametrize("broken", [BrokenService, cannot_be_made])
def test_a_service_that_breaks_is_left_with_one_warning_and_what_it_refused_goes_to_the_next(
    sender, broken
):
    service = ListService()
    ours = [member(seed=k) for k in range(3)]
    study = make_study(sender(broken, lambda: service))
    study.update(news(ended=ours))
    assert [run.id for run, _, _ in service.runs] == [each.key for each in ours]
    assert study.sender.report.warnings == ("it does not work and is left: disk full",)
    assert study.finish().where == "3 calls"


def test_after_the_last_service_nothing_is_sent_and_all_is_left(sender):
    study = make_study(sender(BrokenService))
    study.update(news(ended=[member(seed=k) for k in range(5)]))
    report = study.finish([])
    assert report == Report(
        "it", 0, ("it does not work and is left: disk full",), "", 6
    )
    assert not study.sender.works


def test_a_report_that_cannot_be_written_holds_up_nothing(sender, tmp_path):
    (tmp_path / "jobs").write_bytes(b"")  # no folder
    service = ListService()
    own = sender(lambda: service)
    own.path = tmp_path / "jobs" / "0.mirror.json"
    own.send(lambda each: each.progress({"a": 1}), count=1)
    assert own.close(left=0) == Report("it", 1, (), "1 calls", 0)


def test_a_service_that_cannot_be_found_is_one_warning():
    sender = Sender(Tracking("no_such_module:Service").target("study", Path("outputs")))
    sender.send(lambda service: service.progress({}))
    (line,) = sender.report.warnings
    assert "no module no_such_module" in line
    assert not sender.works


def test_a_member_that_trains_long_streams_its_curve_and_every_point_comes_once(
    sender, monkeypatch
):
    monkeypatch.setattr(mirror, "STREAM_AFTER", 0.0)
    service = ListService()
    ours = member()
    study = make_study(sender(lambda: service))
    curve = {step: {"train/loss": 1 / step} for step in range(1, 41)}
    study.update(news(members=[ours]))
    for last in (10, 10, 15, 30):
        study.update(
            news(
                running=[ours], curve={step: curve[step] for step in range(1, last + 1)}
            )
        )
    study.update(news(ended=[ours], curve=curve))
    assert {run.id for run, _, _ in service.runs} == {ours.key}
    assert [row is None for _, _, row in service.runs] == [True, True, True, False]
    steps = [step for _, points, _ in service.runs for step in points]
    assert steps == sorted(set(steps))
    assert (steps[:10], steps[-10:]) == (list(range(1, 11)), list(range(31, 41)))


def test_a_live_member_that_begins_again_goes_on_where_it_was_and_its_curve_stays_small(
    sender, monkeypatch
):
    monkeypatch.setattr(mirror, "STREAM_AFTER", 0.0)
    service = ListService()
    ours = member()
    study = make_study(sender(lambda: service))
    study.update(news(members=[ours]))
    for last in (200, 100):
        curve = {step: {"train/loss": 0.0} for step in range(1, last + 1)}
        study.update(news(running=[ours], curve=curve))
    study.update(
        news(ended=[ours], curve={step: {"train/loss": 0.0} for step in range(1, 401)})
    )
    first, last = (list(points) for _, points, _ in service.runs)
    assert (len(first), first[0], first[-1]) == (mirror.POINTS_AT_ONCE, 1, 200)
    assert (last[0], last[-1]) == (201, 400)


def test_a_member_that_has_just_begun_is_not_streamed(sender):
    service = ListService()
    ours = member()
    study = make_study(sender(lambda: service))
    study.update(news(members=[ours], running=[ours]))
    study.update(news(running=[ours]))
    assert service.calls == []


def test_the_study_has_points_and_a_result(sender, monkeypatch):
    service = ListService()
    ours = [member(units=units) for units in (5, 6, 7)]
    study = make_study(sender(lambda: service))
    study.update(news(members=ours, earlier=ours[:1]))
    study.update(news(ended=ours[1:2], earlier=ours[:1]))
    assert len(service.calls) == 1
    monkeypatch.setattr(mirror, "SECONDS_BETWEEN_POINTS", 0.0)
    study.update(news(ended=ours[2:], earlier=ours[:1]))
    monkeypatch.setattr(mirror, "SECONDS_BETWEEN_POINTS", 1000.0)
    study.update(news(ended=ours[2:]))  # again: it counts once
    study.finish([{"lag": 3, "u50": 2.5}], Path("frontier.png"))
    points = [call for call in service.calls if isinstance(call, dict)]
    assert [point["study/done"] for point in points] == [3, 3]
    assert (points[0]["study/solved"], points[0]["frontier/delay_line-L8"]) == (3, 5)
    assert (
        points[0]["study/members_a_second"] > points[1]["study/members_a_second"] == 0
    )
    assert service.calls[-1] == ([{"lag": 3, "u50": 2.5}], Path("frontier.png"))
    assert study.left == 0


@pytest.mark.parametrize(("runs", "most"), [("auto", 3), ("seeds", 1000)])
def test_seeds_have_the_runs_of_a_large_study(sender, monkeypatch, runs, most):
    monkeypatch.setattr(mirror, "MOST_MEMBER_RUNS", most)
    monkeypatch.setattr(mirror, "STREAM_AFTER", 0.0)
    service = ListService()
    ours = [member(units=units, seed=seed) for units in (5, 6) for seed in range(2)]
    study = make_study(sender(lambda: service), runs)
    study.update(news(members=ours, running=ours))
    for each in ours:
        assert len(service.runs) == (each.config["model"]["units"] == 6)
        study.update(news(ended=[each]))
        study.update(news(ended=ours[:1]))  # its row again, which counts once
    assert [run for run, _, _ in service.runs] == [
        run_of_seeds(each, "study") for each in (ours[0], ours[2])
    ]
    _, points, summary = service.runs[0]
    assert summary["members"] == 2
    assert points[2] == {
        "train/loss/q25": 0.5,
        "train/loss/q50": 0.5,
        "train/loss/q75": 0.5,
    }
    assert study.sender.report.sent == 4


def test_a_group_of_which_a_search_wanted_no_more_seeds_comes_last(sender):
    service = ListService()
    ours = [member(seed=seed) for seed in range(3)]
    study = make_study(sender(lambda: service), "seeds")
    study.update(news(members=ours, ended=ours[:1]))
    assert service.calls == []
    study.finish()
    assert [(run, row["members"]) for run, _, row in service.calls] == [
        (run_of_seeds(ours[0], "study"), 1)
    ]


def test_groups_of_which_members_ended_in_an_earlier_command_are_counted_as_not_sent(
    sender,
):
    service = ListService()
    ours = [member(seed=seed) for seed in range(3)]
    study = make_study(sender(lambda: service), "seeds")
    study.update(news(members=ours[1:], earlier=ours[:1]))
    study.update(news(ended=ours[1:], earlier=ours[:1]))
    study.finish()
    assert service.calls == []
    assert study.left == 2


@pytest.mark.parametrize(("on_disk", "written"), [(0, 3), (1, 2), (2, 1), (9, 0)])
def test_members_that_come_one_by_one_have_runs_until_they_are_too_many(
    sender, monkeypatch, on_disk, written
):
    """As those of a sampler, and of a command of which many share a folder."""
    monkeypatch.setattr(mirror, "MOST_MEMBER_RUNS", 3)
    service = ListService()
    ours = [member(seed=seed) for seed in range(4)]
    others = [member(units=9, seed=seed) for seed in range(on_disk)]
    study = make_study(sender(lambda: service))
    for each in ours:
        study.update(news(members=[each], earlier=others))
        study.update(news(ended=[each], earlier=others))
    assert [run for run, _, _ in service.runs] == [
        run_of_member(each) for each in ours[:written]
    ]
    assert study.left == 4 - written


class FakeFollower:
    """Gives one news after another."""

    def __init__(self, *all_news):
        self.news = list(all_news)
        self.polls = 0

    def poll(self):
        self.polls += 1
        return self.news.pop(0) if self.news else news(over=True)


def test_what_a_mirror_is_told_of_is_known_before_the_first_row(sender):
    service = ListService()
    ours = [member(seed=seed) for seed in range(2)]
    study = make_study(sender(lambda: service), "seeds")
    follower = FakeFollower(news(ended=ours[:1]), news(ended=ours[1:]))
    mirror.mirror(
        follower, lambda name: study, None, lambda: None, news(members=ours).members
    )
    ((run, _, row),) = service.calls
    assert (run, row["members"]) == (run_of_seeds(ours[0], "study"), 2)


def test_a_mirror_looks_once_more_after_the_end(sender):
    service = ListService()
    ours = [member(seed=seed) for seed in range(2)]
    ended = []
    study = make_study(sender(lambda: service))
    follower = FakeFollower(news(ended=ours[:1]), news(ended=ours[1:]), news())
    mirror.mirror(
        follower, lambda name: study, lambda: bool(ended), lambda: ended.append(True)
    )
    assert (follower.polls, len(service.runs)) == (2, 2)


def test_a_mirror_with_nobody_beside_it_ends_when_no_job_trains(sender):
    service = ListService()
    study = make_study(sender(lambda: service))
    follower = FakeFollower(news(), news(ended=[member()], over=True), news())
    mirrors = mirror.mirror(follower, lambda name: study, None, lambda: None)
    assert (follower.polls, mirrors) == (2, {"study": study})


def test_a_study_that_is_not_wanted_is_left_alone(sender):
    follower = FakeFollower(news(ended=[member()], over=True))
    assert mirror.mirror(follower, lambda name: None, None, lambda: None) == {}
