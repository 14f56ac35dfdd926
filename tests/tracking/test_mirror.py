import logging
import math
import threading
import time

import numpy as np
import pytest
from test_runs import member

from memcap.tracking import mirror
from memcap.tracking.mirror import BackgroundTracker, plain
from memcap.tracking.runs import ProgressRecord, Run, RunRecord, StudyRecord, of_cell, of_member


class ListSink:
    replaceable = True

    def __init__(self):
        self.records, self.killed = [], False

    def write(self, record):
        self.records.append(record)

    def close(self):
        return f"{len(self.records)} records"

    def kill(self):
        self.killed = True


class BrokenSink(ListSink):
    def write(self, record):
        raise OSError("disk\nfull")


class StuckSink(ListSink):
    """A sink that hangs until it is killed, as a server that accepts a connection and never answers; from
    which record on."""

    def __init__(self, works=0):
        super().__init__()
        self.works, self.entered, self.release = works, threading.Event(), threading.Event()

    def write(self, record):
        super().write(record)
        if len(self.records) <= self.works:
            return
        self.entered.set()
        self.release.wait()
        if self.killed:
            raise RuntimeError("killed")

    def kill(self):
        super().kill()
        self.release.set()


def run_of(name, config=None, row=None, points=None):
    """The record of a member that nobody announced."""
    return RunRecord(
        Run(name, name, "member", config=config or {}), points or {}, row if row is not None else {}
    )


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_records_arrive_whole_and_in_order(caplog):
    sink = ListSink()
    with BackgroundTracker([lambda: sink]) as tracker:
        tracker.curve("a", 0, {"train/loss": 1.0})
        tracker.curve("b", 0, {"train/loss": 2.0})
        tracker.curve("a", 10, {"train/loss": math.inf})
        tracker.member("a", {"lag": 3}, {"solved": True})
        tracker.member("c", {"lag": 4}, {"solved": False})
        tracker.study("frontier", [{"lag": 3, "u50": 2.5}])
    assert sink.records == [
        run_of("a", {"lag": 3}, {"solved": True}, {0: {"train/loss": 1.0}, 10: {"train/loss": math.inf}}),
        run_of("c", {"lag": 4}, {"solved": False}),
        StudyRecord([{"lag": 3, "u50": 2.5}], None),
    ]
    assert tracker.where == "3 records"
    assert warnings(caplog) == []


def test_what_the_caller_changes_later_does_not_change_the_record():
    sink, config, values = ListSink(), {"task": {"lag": 3}}, {"loss": 1.0}
    with BackgroundTracker([lambda: sink]) as tracker:
        tracker.curve("a", 0, values)
        tracker.member("a", config, {})
        config["task"]["lag"] = values["loss"] = 99
    assert sink.records == [run_of("a", {"task": {"lag": 3}}, points={0: {"loss": 1.0}})]


def test_the_producer_is_done_while_the_sink_still_hangs(caplog):
    sink = StuckSink(works=1)
    tracker = BackgroundTracker([lambda: sink], at_most=1, otherwise="; do this")

    def produce():
        for number in range(300):
            for step in range(20):
                tracker.curve(f"m{number}", step, {"train/loss": 1.0})
            tracker.member(f"m{number}", {}, {})
        tracker.study("frontier", [])

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    assert sink.entered.wait(30)
    producer.join(30)
    blocked = producer.is_alive()  # nobody has let the sink go
    start = time.monotonic()
    tracker.close()
    assert time.monotonic() - start < 20
    assert not blocked
    assert sink.killed
    assert warnings(caplog) == ["tracking: 300 of the members and results were not mirrored; do this"]


def test_a_sink_that_never_answered_makes_room_for_the_next_before_the_time_is_up(caplog):
    stuck, sink = StuckSink(), ListSink()
    with BackgroundTracker([lambda: stuck, lambda: sink], at_most=2) as tracker:
        tracker.member("a", {}, {})
        assert stuck.entered.wait(30)
    assert (stuck.killed, sink.records) == (True, [run_of("a")])
    assert warnings(caplog) == ["killed"]


def test_a_slow_sink_without_a_next_one_has_all_the_time_there_is(caplog):
    class SlowSink(ListSink):
        replaceable = False

        def write(self, record):
            time.sleep(1.2)
            super().write(record)

    sink = SlowSink()
    with BackgroundTracker([lambda: sink], at_most=2) as tracker:
        tracker.member("a", {}, {})
    assert (sink.killed, sink.records, warnings(caplog)) == (False, [run_of("a")], [])


def test_an_interrupt_waits_for_nobody():
    sink = StuckSink(works=1)

    def train():
        with BackgroundTracker([lambda: sink]) as tracker:
            tracker.member("a", {}, {})
            tracker.member("b", {}, {})
            assert sink.entered.wait(30)
            raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        train()
    assert time.monotonic() - start < 3
    assert sink.killed


def test_a_patient_tracker_writes_all():
    class SlowSink(ListSink):
        def write(self, record):
            time.sleep(0.1)
            super().write(record)

    sink = SlowSink()
    with BackgroundTracker([lambda: sink], at_most=math.inf) as tracker:
        for member in range(10):
            tracker.member(f"m{member}", {}, {})
    assert len(sink.records) == 10


def test_close_has_a_bound_even_while_records_arrive(caplog):
    class SlowSink(ListSink):
        def write(self, record):
            time.sleep(0.1)

    tracker = BackgroundTracker([SlowSink], at_most=0.3)
    for number in range(600):
        tracker.member(f"m{number}", {}, {})
    start = time.monotonic()
    tracker.close()
    assert time.monotonic() - start < 30  # a minute of work was waiting
    assert len(warnings(caplog)) == 1


def test_a_record_that_one_sink_refuses_goes_to_the_next_with_one_warning(caplog):
    sink = ListSink()
    with BackgroundTracker([BrokenSink, lambda: sink]) as tracker:
        for member in "abc":
            tracker.member(member, {}, {})
    assert [record.run.id for record in sink.records] == ["a", "b", "c"]
    assert warnings(caplog) == ["disk full"]


def test_a_sink_that_cannot_be_made_counts_as_broken(caplog):
    def make():
        raise SystemExit("no core")

    sink = ListSink()
    with BackgroundTracker([make, lambda: sink]) as tracker:
        tracker.member("a", {}, {})
    assert len(sink.records) == 1
    assert warnings(caplog) == ["no core"]


def test_after_the_last_sink_tracking_is_off(caplog):
    with BackgroundTracker([BrokenSink]) as tracker:
        for member in range(50):
            tracker.member(f"m{member}", {}, {})
    tracker.curve("late", 0, {"loss": 0.0})
    tracker.member("late", {}, {})
    tracker.close()
    assert warnings(caplog) == ["disk full"]


def test_sinks_that_cannot_be_listed_turn_tracking_off(caplog):
    def sinks():
        raise ImportError("no module named wandb")
        yield

    with BackgroundTracker(sinks()) as tracker:
        tracker.member("a", {}, {})
    assert len(warnings(caplog)) == 1


def test_ctrl_c_goes_through_and_what_has_ended_is_kept():
    sink = ListSink()

    def train():
        with BackgroundTracker([lambda: sink]) as tracker:
            tracker.member("a", {}, {})
            tracker.curve("b", 0, {"loss": 1.0})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert [record.run.id for record in sink.records] == ["a"]


def test_plain_takes_whatever_a_row_may_hold():
    value = {
        "a": np.float32(0.5),
        "b": np.arange(2),
        3: (None, True, {"p": np.int64(7)}),
        "nan": np.float32("nan"),
    }
    got = plain(value)
    assert math.isnan(got.pop("nan"))
    assert got == {"a": 0.5, "b": [0, 1], "3": [None, True, {"p": 7}]}
    assert plain(ValueError) == "<class 'ValueError'>"


ROW = {"solved": True, "steady": True, "evaluation_until": "steady", "status": "solved", "steps": 9}


def trained(tracker, member, steps=3):
    for step in range(1, steps + 1):
        tracker.curve(member.key, step, {"train/loss": 1 / step})
    tracker.member(member.key, member.config, ROW)


def test_a_member_that_trains_long_streams_its_curve_and_every_point_comes_once(monkeypatch):
    monkeypatch.setattr(mirror, "LIVE_AFTER", 0.0)
    monkeypatch.setattr(mirror, "SECONDS_BETWEEN_POINTS", 0.0)
    sink, ours = ListSink(), member()
    with BackgroundTracker([lambda: sink]) as tracker:
        tracker.begin([ours])
        trained(tracker, ours, steps=40)
    records = [record for record in sink.records if isinstance(record, RunRecord)]
    assert {record.run.id for record in records} == {ours.key}
    assert [record.row for record in records] == [None] * (len(records) - 1) + [ROW]
    assert len(records) > 10
    assert [step for record in records for step in record.points] == list(range(1, 41))


def test_a_live_member_that_begins_again_goes_on_where_it_was_and_its_curve_stays_small(monkeypatch):
    monkeypatch.setattr(mirror, "LIVE_AFTER", 0.0)
    sink, ours = ListSink(), member()
    with BackgroundTracker([lambda: sink]) as tracker:
        tracker.begin([ours])
        for step in [*range(1, 201), *range(1, 401)]:
            monkeypatch.setattr(mirror, "SECONDS_BETWEEN_POINTS", 0.0 if step == 200 else 1e9)
            tracker.curve(ours.key, step, {"train/loss": 0.0})
        tracker.member(ours.key, ours.config, ROW)
    first, last = (list(record.points) for record in sink.records if isinstance(record, RunRecord))
    assert (len(first), first[0], first[-1]) == (mirror.POINTS_AT_ONCE, 1, 200)
    assert (last[0], last[-1]) == (201, 400)


def test_a_short_member_is_written_whole_and_the_study_has_points(monkeypatch):
    sink, ours = ListSink(), [member(units=units) for units in (5, 6, 7)]
    with BackgroundTracker([lambda: sink]) as tracker:
        tracker.begin(ours, [{**ROW, "key": ours[0].key}])
        trained(tracker, ours[1])
        monkeypatch.setattr(mirror, "SECONDS_BETWEEN_POINTS", 0.0)
        trained(tracker, ours[2])
        tracker.study("any", [])
    runs = [record for record in sink.records if isinstance(record, RunRecord)]
    assert [(record.run, record.row) for record in runs] == [(of_member(each), ROW) for each in ours[1:]]
    points = [record.values for record in sink.records if isinstance(record, ProgressRecord)]
    assert [point["study/done"] for point in points] == sorted(point["study/done"] for point in points)
    assert (points[-1]["study/done"], points[-1]["study/solved"], points[-1]["frontier/delay_line-L8"]) == (
        3,
        3,
        5,
    )


@pytest.mark.parametrize(("runs", "most"), [("auto", 3), ("cell", 1000)])
def test_cells_have_the_runs_of_a_large_study(monkeypatch, runs, most):
    monkeypatch.setattr(mirror, "MOST_MEMBER_RUNS", most)
    monkeypatch.setattr(mirror, "LIVE_AFTER", 0.0)
    sink, ours = ListSink(), [member(units=units, seed=seed) for units in (5, 6) for seed in range(2)]
    with BackgroundTracker([lambda: sink], study="large", runs=runs) as tracker:
        tracker.begin(ours)
        for each in ours:
            trained(tracker, each)
    assert [record.run for record in sink.records] == [of_cell(ours[0], "large"), of_cell(ours[2], "large")]
    assert sink.records[0].points[2] == {"train/loss/q25": 0.5, "train/loss/q50": 0.5, "train/loss/q75": 0.5}


def test_jobs_of_one_member_each_have_the_cells_of_their_study(monkeypatch):
    monkeypatch.setattr(mirror, "MOST_MEMBER_RUNS", 3)
    sink, ours = ListSink(), [member(units=units, seed=seed) for units in (5, 6) for seed in range(2)]
    with BackgroundTracker([lambda: sink], study="large") as tracker:
        tracker.begin(ours)
        for each in ours:
            tracker.begin([each], in_all=4)
            trained(tracker, each)
    assert [(record.run, record.row["members"]) for record in sink.records] == [
        (of_cell(ours[0], "large"), 2),
        (of_cell(ours[2], "large"), 2),
    ]


@pytest.mark.parametrize(("on_disk", "written"), [(0, 3), (1, 3), (2, 2), (9, 0)])
def test_members_that_come_one_by_one_have_runs_until_they_are_too_many(
    monkeypatch, caplog, on_disk, written
):
    """As those of a sampler, and of a command of which many share a folder."""
    monkeypatch.setattr(mirror, "MOST_MEMBER_RUNS", 3)
    monkeypatch.setattr(mirror, "LIVE_AFTER", 0.0)
    sink, ours = ListSink(), [member(seed=seed) for seed in range(4)]
    with BackgroundTracker([lambda: sink], otherwise="; do this") as tracker:
        for number, each in enumerate(ours):
            tracker.begin([each], in_all=max(on_disk, 1) + number)
            trained(tracker, each)
    assert [record.run for record in sink.records] == [of_member(each) for each in ours[:written]]
    assert warnings(caplog) == [
        f"tracking: {4 - written} of the members and results were not mirrored; do this"
    ]


def test_members_of_cells_that_began_in_an_earlier_job_are_counted_as_not_mirrored(caplog):
    sink, ours = ListSink(), [member(seed=seed) for seed in range(3)]
    with BackgroundTracker([lambda: sink], runs="cell", otherwise="; do this") as tracker:
        tracker.begin(ours, [{**ROW, "key": ours[0].key}])
        for each in ours[1:]:
            trained(tracker, each)
    assert sink.records == []
    assert warnings(caplog) == ["tracking: 2 of the members and results were not mirrored; do this"]
