"""What a mirror sends of a folder, to services that remember, break or refuse."""

import pytest
from followed_files import OURS, THEIRS, key, members_of, put_job, put_rows

from memcap.store import curves
from memcap.store.shards import Study
from memcap.tracking import Tracking, mirror, services
from memcap.tracking.mirror import Mirror

TOKEN = f"{OURS}00000000"
NAMES = [f"latch-L5-u1-s{seed}" for seed in range(9)]


class ListService:
    """Remembers what came, in order."""

    def __init__(self):
        self.runs = []
        self.points = []
        self.results = []

    def send(self, run, points, summary=None):
        self.runs.append((run, points, summary))

    def show(self, run, values):
        self.points.append((run, values))

    def show_results(self, run, table, figure):
        self.results.append((run, table, figure.name))

    def close(self):
        return f"{len(self.runs)} calls"

    @property
    def names(self):
        return [run.name for run, _, _ in self.runs]


class BrokenService(ListService):
    def send(self, run, points, summary=None):
        raise OSError("disk\nfull")


@pytest.fixture
def service(monkeypatch):
    """The service of every mirror."""
    service = ListService()
    use(monkeypatch, service)
    return service


def use(monkeypatch, service):
    monkeypatch.setattr(services, "Wandb", lambda *_: service)


def mirror_of(folder, session=OURS, seeds=range(9)):
    study = Study(folder / "study", "study", session=session, command="a command")
    return Mirror(Tracking("wandb"), study, members_of(seeds))


def test_what_was_not_sent_is_sent_once_as_a_shard_grows(tmp_path, service):
    ours = mirror_of(tmp_path)
    ours.send()  # there is no folder yet
    for seeds in ([0], [0], [0, 1, 2]):
        put_rows(tmp_path / "study", TOKEN, seeds)
        ours.send()
    assert sorted(service.names) == NAMES[:3]
    run, points, row = service.runs[0]
    assert (run.id, points) == (key(0), {1: {"train/loss": 0.0}})
    assert (row["status"], row["finished"]) == ("solved", "2025-01-01 00:00:00+00:00")
    assert run.config["study"] == "study"


def test_a_member_that_is_trained_again_is_sent_again(tmp_path, service):
    ours = mirror_of(tmp_path)
    put_rows(tmp_path / "study", TOKEN, [0, 1], status="failed")
    ours.send()
    put_rows(tmp_path / "study", f"{OURS}11111111", [0], later=5)
    ours.send()
    assert service.names[2:] == NAMES[:1]
    assert service.runs[-1][2]["status"] == "solved"


def test_rows_of_other_commands_and_studies_are_left_to_them(tmp_path, service):
    put_rows(tmp_path / "study", f"{THEIRS}00000000", [0])
    put_rows(tmp_path / "study", f"{OURS}11111111", [1], study="other")
    put_rows(tmp_path / "study", TOKEN, [2])
    mirror_of(tmp_path, seeds=[0, 2]).send()
    assert service.names == [NAMES[2]]
    mirror_of(tmp_path, session="", seeds=[]).send()
    assert sorted(service.names[1:]) == [NAMES[0], NAMES[2]]


@pytest.mark.parametrize("part", ["rows", "curves"])
def test_a_bad_file_holds_up_no_other_one(tmp_path, service, part):
    name = put_rows(tmp_path / "study", TOKEN, [0]).stem
    put_rows(tmp_path / "study", f"{OURS}11111111", [1])
    (bad,) = (tmp_path / "study" / part).glob(f"{name}.*")
    bad.write_bytes(bad.read_bytes()[:-50])
    mirror_of(tmp_path).send()
    points = {run.name: points for run, points, _ in service.runs}
    assert points[NAMES[1]]
    assert points.get(NAMES[0], {}) == {}
    assert (NAMES[0] in points) == (part == "curves")


def test_a_curve_in_training_grows_and_every_point_comes_once(tmp_path, service):
    put_job(tmp_path / "study", TOKEN, [0])
    curve = {step: {"train/loss": 1 / step} for step in range(1, 201)}
    ours = mirror_of(tmp_path)
    for last in (100, 100, 50, 150):  # it may begin again
        some = {step: curve[step] for step in range(1, last + 1)}
        curves.write_running(tmp_path / "study", TOKEN, {key(0): some})
        ours.send()
    put_rows(tmp_path / "study", TOKEN, [0])
    curves.write(
        tmp_path / "study", "0123456789abcdef-" + TOKEN + "-0", {key(0): curve}
    )
    ours.send()
    assert [row is None for _, _, row in service.runs] == [True, True, False]
    steps = [step for _, points, _ in service.runs for step in points]
    assert steps == sorted(set(steps))
    assert [len(points) for _, points, _ in service.runs[:2]] == [10, 10]
    assert (steps[0], steps[-1]) == (1, 200)


@pytest.mark.parametrize("others_train", [False, True])
def test_who_sees_the_folder_whole_sends_its_results(tmp_path, service, others_train):
    """A search may have wanted no more seeds, and another command may train on."""
    put_rows(tmp_path / "study", TOKEN, [0, 1])
    if others_train:
        put_job(tmp_path / "study", f"{THEIRS}00000000", [5])
    ours = mirror_of(tmp_path)
    where = ours.finish()
    if others_train:
        assert (service.points, service.results) == ([], [])
    else:
        assert (where, len(service.runs)) == ("2 calls", 2)
        ((run, values),) = service.points
        assert (run.name, run.config["members"]) == ("study", 9)
        wanted = {"study/done": 2, "study/solved": 2, "frontier/latch-L5": 1}
        assert wanted.items() <= values.items()
        ((run, table, figure),) = service.results
        assert (table[0]["lag"], figure) == (5, "frontier.png")
        assert ours.left() == ""


def test_the_study_s_run_has_a_point_now_and_then(tmp_path, service, monkeypatch):
    monkeypatch.setattr(mirror, "SECONDS_BETWEEN_POINTS", 0.0)
    ours = mirror_of(tmp_path)
    for seeds in ([0], [0], [0, 1]):
        put_rows(tmp_path / "study", TOKEN, seeds)
        ours.send()
    assert [values["study/done"] for _, values in service.points] == [1, 2]
    assert ours.finish(with_results=False) == "2 calls"
    assert service.results == []


def test_the_study_s_run_begins_with_the_first_member_that_ends(
    tmp_path, service, monkeypatch
):
    """A member in training alone says nothing of the study, and stops nothing."""
    monkeypatch.setattr(mirror, "SECONDS_BETWEEN_POINTS", 0.0)
    put_job(tmp_path / "study", TOKEN, [0])
    some = {100: {"train/loss": 0.5}}
    curves.write_running(tmp_path / "study", TOKEN, {key(0): some})
    ours = mirror_of(tmp_path)
    ours.send()
    assert service.names == NAMES[:1]
    assert service.points == []


class ExitingService(ListService):
    def send(self, run, points, summary=None):
        raise SystemExit("disk full")


@pytest.mark.parametrize("broken", [BrokenService, ExitingService])
def test_a_service_that_breaks_is_left_with_one_warning(
    tmp_path, monkeypatch, capsys, broken
):
    use(monkeypatch, broken())
    services.warn_once.cache_clear()
    put_rows(tmp_path / "study", TOKEN, range(3))
    ours = mirror_of(tmp_path)
    assert ours.finish() == ""
    said = "memcap: W&B does not work and is left: disk full\n"
    assert capsys.readouterr().err == said
    left = "tracking: 3 members and the results were not"
    assert ours.left().startswith(left)
