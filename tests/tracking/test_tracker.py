"""The thread beside a job: what it sends, says and costs, and how it ends."""

import threading
import time
from pathlib import Path

import pytest
from followed_files import OURS, members_of, put_rows
from test_mirror import NAMES, TOKEN, ListService, use

from memcap.store.shards import Study
from memcap.tracking import Tracker, Tracking, mirror, services


class HangingService(ListService):
    def __init__(self):
        super().__init__()
        self.goes_on = threading.Event()

    def send(self, run, points, summary=None):
        super().send(run, points, summary)
        self.goes_on.wait(60)


@pytest.fixture(params=[ListService])
def service(request, monkeypatch):
    service = request.param()
    use(monkeypatch, service)
    services.warn_once.cache_clear()
    yield service
    if isinstance(service, HangingService):
        service.goes_on.set()


hanging = pytest.mark.parametrize("service", [HangingService], indirect=True)


def start():
    study = Study(Path("study"), "study", session=OURS)
    return Tracker(Tracking("wandb"), study, members_of(range(3)))


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_rows_are_sent_while_the_job_trains_and_the_results_at_its_end(service, capsys):
    with start() as ours:
        put_rows(Path("study"), TOKEN, [0])
        wait_for(lambda: service.names == NAMES[:1])
        put_rows(Path("study"), TOKEN, [0, 1])
    assert (service.names, len(service.results)) == (NAMES[:2], 1)
    assert (ours.where, capsys.readouterr().err) == ("2 calls", "")
    assert not [
        each for each in threading.enumerate() if each.name == "memcap-tracking"
    ]


def test_nothing_to_send_makes_no_service(monkeypatch, capsys):
    monkeypatch.setattr(services.Sender, "call", lambda *_: pytest.fail("called"))
    with start() as ours:
        pass
    assert (ours.where, capsys.readouterr().err) == ("", "")


@hanging
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit])
def test_a_service_that_hangs_is_left_behind(service, monkeypatch, capsys, error):
    """A mistake waits for nobody, an interrupt half a second, and the end a minute."""
    monkeypatch.setattr(mirror, "SECONDS_AT_THE_END", 2.0)
    ours = start()
    put_rows(Path("study"), TOKEN, [0])
    wait_for(lambda: service.runs)
    put_rows(Path("study"), TOKEN, range(3))
    began = time.monotonic()
    ours.__exit__(error, None, None)
    waited = {None: 2, ValueError: 2, KeyboardInterrupt: 0.5, SystemExit: 0}[error]
    assert waited <= time.monotonic() - began < waited + 1.5
    said = capsys.readouterr().err
    left = "memcap: tracking: 3 members and the results were not sent; this sends them:"
    wanted = "" if error is SystemExit else f"{left} memcap mirror study\n"
    assert said.endswith(wanted)
    assert bool(said) == bool(wanted)


def test_a_folder_that_cannot_be_read_is_a_warning(service, monkeypatch, capsys):
    def send(self, last=False):
        raise ValueError("disk gone")

    monkeypatch.setattr("memcap.tracking.mirror.Mirror.send", send)
    start().__exit__(None, None, None)
    said = capsys.readouterr().err
    assert said == "memcap: tracking does not work and is left: disk gone\n"


@pytest.mark.parametrize("mode", ["auto", "online", "offline"])
def test_disabled_by_the_environment_is_off(monkeypatch, mode):
    assert not Tracking("wandb", wandb=mode).is_disabled
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert Tracking("wandb", wandb=mode).is_disabled
