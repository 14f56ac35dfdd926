import logging
import math
import threading
import time

import numpy as np
import pytest

from memcap.tracking.background import BackgroundTracker, MemberRecord, StudyRecord, plain


class ListSink:
    def __init__(self):
        self.records = []

    def write(self, record):
        self.records.append(record)


class BrokenSink:
    def write(self, record):
        raise OSError("disk\nfull")


class StuckSink:
    """A sink that hangs, as a server that accepts a connection and never answers."""

    def __init__(self):
        self.entered, self.release = threading.Event(), threading.Event()

    def write(self, record):
        self.entered.set()
        self.release.wait()


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


def test_records_arrive_whole_and_in_order(caplog):
    sink = ListSink()
    with BackgroundTracker([("list", lambda: sink)]) as tracker:
        tracker.curve("a", 0, {"train/loss": 1.0})
        tracker.curve("b", 0, {"train/loss": 2.0})
        tracker.curve("a", 10, {"train/loss": math.inf})
        tracker.member("a", {"lag": 3}, {"solved": True})
        tracker.member("c", {"lag": 4}, {"solved": False})
        tracker.study("frontier", [{"lag": 3, "u50": 2.5}])
    assert sink.records == [
        MemberRecord("a", {"lag": 3}, {"solved": True}, {0: {"train/loss": 1.0}, 10: {"train/loss": math.inf}}),
        MemberRecord("c", {"lag": 4}, {"solved": False}, {}),
        StudyRecord("frontier", [{"lag": 3, "u50": 2.5}], None),
    ]
    assert warnings(caplog) == []


def test_what_the_caller_changes_later_does_not_change_the_record():
    sink, config, values = ListSink(), {"task": {"lag": 3}}, {"loss": 1.0}
    with BackgroundTracker([("list", lambda: sink)]) as tracker:
        tracker.curve("a", 0, values)
        tracker.member("a", config, {})
        config["task"]["lag"] = values["loss"] = 99
    assert sink.records == [MemberRecord("a", {"task": {"lag": 3}}, {}, {0: {"loss": 1.0}})]


def test_the_producer_is_done_while_the_sink_still_hangs(caplog):
    sink = StuckSink()
    tracker = BackgroundTracker([("stuck", lambda: sink)], patience=0.2, at_most=40)

    def produce():
        for member in range(300):
            for step in range(20):
                tracker.curve(f"m{member}", step, {"train/loss": 1.0})
            tracker.member(f"m{member}", {}, {})
        tracker.study("frontier", [])

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    assert sink.entered.wait(30)
    producer.join(30)
    blocked = producer.is_alive()  # nobody has let the sink go
    start = time.monotonic()
    tracker.close()
    waited = time.monotonic() - start
    sink.release.set()
    assert not blocked
    assert waited < 20
    assert warnings(caplog) == ["W&B: gave up waiting; 301 records were not mirrored"]


def test_close_waits_longer_than_its_patience_while_records_arrive():
    class SlowSink(ListSink):
        def write(self, record):
            time.sleep(0.1)
            super().write(record)

    sink = SlowSink()
    with BackgroundTracker([("slow", lambda: sink)], patience=0.5) as tracker:
        for member in range(10):
            tracker.member(f"m{member}", {}, {})
    assert len(sink.records) == 10


def test_close_has_a_bound_even_while_records_arrive(caplog):
    class SlowSink:
        def write(self, record):
            time.sleep(0.1)

    tracker = BackgroundTracker([("slow", SlowSink)], patience=5, at_most=0.3)
    for member in range(600):
        tracker.member(f"m{member}", {}, {})
    start = time.monotonic()
    tracker.close()
    assert time.monotonic() - start < 30  # a minute of work was waiting
    assert len(warnings(caplog)) == 1


def test_a_record_that_one_sink_refuses_goes_to_the_next_with_one_warning(caplog):
    sink = ListSink()
    with BackgroundTracker([("online", BrokenSink), ("offline", lambda: sink)]) as tracker:
        for member in "abc":
            tracker.member(member, {}, {})
    assert [record.member_id for record in sink.records] == ["a", "b", "c"]
    assert warnings(caplog) == ["W&B online does not work and is left: disk full"]


def test_a_sink_that_cannot_be_made_counts_as_broken(caplog):
    def make():
        raise SystemExit("no core")

    sink = ListSink()
    with BackgroundTracker([("online", make), ("offline", lambda: sink)]) as tracker:
        tracker.member("a", {}, {})
    assert len(sink.records) == 1
    assert warnings(caplog) == ["W&B online does not work and is left: no core"]


def test_after_the_last_sink_tracking_is_off(caplog):
    with BackgroundTracker([("offline", BrokenSink)]) as tracker:
        for member in range(50):
            tracker.member(f"m{member}", {}, {})
    tracker.curve("late", 0, {"loss": 0.0})
    tracker.member("late", {}, {})
    tracker.close()
    assert warnings(caplog) == ["W&B offline does not work and is left: disk full"]


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
        with BackgroundTracker([("list", lambda: sink)]) as tracker:
            tracker.member("a", {}, {})
            tracker.curve("b", 0, {"loss": 1.0})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert [record.member_id for record in sink.records] == ["a"]


def test_plain_takes_whatever_a_row_may_hold():
    value = {"a": np.float32(0.5), "b": np.arange(2), 3: (None, True, {"p": np.int64(7)}), "nan": np.float32("nan")}
    got = plain(value)
    assert math.isnan(got.pop("nan"))
    assert got == {"a": 0.5, "b": [0, 1], "3": [None, True, {"p": 7}]}
    assert plain(ValueError) == "<class 'ValueError'>"
