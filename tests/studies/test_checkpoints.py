"""A member goes on from its checkpoint, or begins anew: whichever, its row is that of
one that was never stopped."""

import importlib
import math
import random
import signal

import numpy as np
import pytest
from polars.testing import assert_frame_equal
from study_checks import ONE_LANE, config
from study_rows import fake
from watching import Watcher, run_watched

from memcap.config.member import Engine
from memcap.designs.axes import members
from memcap.runtime.signals import Interrupted
from memcap.store import curves, shards
from memcap.store.heartbeat import JobProgress
from memcap.store.shards import Study
from memcap.studies import checkpoints, environment
from memcap.studies.checkpoints import Checkpoints
from memcap.studies.run import run_study
from memcap.studies.writer import StudyWriter
from memcap.terminal.words import warn_once
from memcap.training import train_loop
from memcap.training.engine import Checkpoint, CurveChunk

pytestmark = pytest.mark.usefixtures("quick_file")

TIMES = ("compile_seconds", "run_seconds", "finished", "population")
BUDGET = 60
FIRST = {}  # by key: the first step that a job took


class Stops(Watcher):
    """Ctrl-C once members have taken so many steps; remembers the curves."""

    def __init__(self, last=None):
        self.last = last
        self.curves = {}

    def curve(self, key, step, values):
        self.curves.setdefault(key, {})[step] = dict(values)
        if step == self.last:
            raise Interrupted(signal.SIGTERM)


@pytest.fixture
def fingerprints():
    """Computed anew after the test."""
    yield
    environment._fingerprint.cache_clear()


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """States are handed in after every chunk, whatever it costs; the first step that a
    job takes of each member is noted."""
    monkeypatch.setattr("memcap.studies.writer.SECONDS_OF_TRAINING", 0.0)
    monkeypatch.setattr(train_loop, "MAX_SAVING", math.inf)
    warn_once.cache_clear()
    curve = StudyWriter.add_curve

    def noted(self, chunk):
        FIRST.setdefault(chunk.member.key, chunk.first_step + 1)
        curve(self, chunk)

    monkeypatch.setattr(StudyWriter, "add_curve", noted)


def slow(axes=None, **changes):
    """Members that are never near the criterion, in chunks of 10 steps."""
    return members(
        config(
            axes,
            **{"recipe__budget": BUDGET, "recipe__batch": 16, "recipe__lr": 1e-6}
            | changes,
        )
    )


def stopped(found, folder, step=35, engine=ONE_LANE):
    with pytest.raises(Interrupted) as caught:
        run_watched(Stops(step), found, engine, Study(folder, "s"))
    return caught.value.rows_saved, caught.value.half_trained


def gone_on(found, folder, engine=ONE_LANE):
    """The first steps of the members, in their order, and the rows."""
    FIRST.clear()
    rows = run_study(found, engine, Study(folder, "s"))
    return [FIRST.get(member.key) for member in found], rows


def assert_as_whole(found, rows, folder, engine=ONE_LANE):
    lines = curves.read(folder)
    whole = run_study(found, engine, Study(folder / "whole", "s"))
    assert_frame_equal(rows.drop(TIMES), whole.drop(TIMES), check_exact=True)
    assert_frame_equal(lines, curves.read(folder / "whole"), check_exact=True)


def held(folder):
    return sorted((folder / "checkpoints").glob("*"))


def test_an_interrupted_member_goes_on_from_its_last_chunk(tmp_path, capfd):
    found = slow({"seed": 2})
    assert stopped(found, tmp_path) == (0, 1)
    assert len(held(tmp_path)) == 1
    first, rows = gone_on(found, tmp_path)
    assert first == [31, 1]
    assert (
        "memcap: half-trained, and gone on with: 1 member\n" in capfd.readouterr().err
    )
    assert not (tmp_path / "checkpoints").exists()
    assert_as_whole(found, rows, tmp_path)


def test_a_member_that_begins_again_leaves_nothing_of_its_curve_beyond():
    """As after the death of its worker."""
    (member,) = slow()
    writer = StudyWriter(JobProgress(1, Study(None, "s")))
    for before in (0, 10, 20, 10):
        losses = np.full(5, before, np.float32)
        writer.add_curve(CurveChunk(member, before, losses, 0.5, None))
    assert list(writer.running[member.key]) == [*range(1, 6), *range(11, 16)]


@pytest.mark.breadth
def test_members_in_lanes_side_by_side_go_on(tmp_path):
    engine = Engine(loop="associative", lanes=2, workers=1)
    found = slow({"model.units": [1, 2]})
    stopped(found, tmp_path, engine=engine)
    first, rows = gone_on(found, tmp_path, engine)
    assert first == [31, 31]
    assert_as_whole(found, rows, tmp_path, engine)


@pytest.mark.breadth
def test_a_member_in_another_program_begins_anew(tmp_path):
    found = slow()
    engine = Engine(loop="associative", lanes=1, workers=1)
    stopped(found, tmp_path)
    first, rows = gone_on(found, tmp_path, engine)
    assert first == [1]
    assert_as_whole(found, rows, tmp_path, engine)


@pytest.mark.parametrize("what", ["versions", "code"])
@pytest.mark.usefixtures("fingerprints")
def test_another_stack_begins_anew(tmp_path, monkeypatch, capfd, what):
    found = slow()
    stopped(found, tmp_path)
    other = {
        "versions": ("environment", lambda: {"jaxlib": "0.0"}),
        "code": ("_code", lambda module: "edited"),
    }
    monkeypatch.setattr(environment, *other[what])
    environment._fingerprint.cache_clear()
    assert gone_on(found, tmp_path)[0] == [1]
    said = (
        "half-trained by other code, another loop, other versions or another device, so begun"
        " anew: 1 member"
    )
    assert said in capfd.readouterr().err
    # for who goes back to it; the next job sees that its member has a row
    assert len(held(tmp_path)) == 1
    monkeypatch.undo()
    run_study(found, ONE_LANE, Study(tmp_path, "s"))
    assert held(tmp_path) == []


def test_an_edited_module_is_other_code(tmp_path, monkeypatch):
    path = tmp_path / "my_edited_task.py"
    path.write_text("before = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module(path.stem)
    before = environment._code.__wrapped__(path.stem)
    path.write_text("after = 2\n")
    assert environment._code.__wrapped__(path.stem) != before


@pytest.mark.breadth
def test_rows_do_not_tell_where_a_study_was_stopped(tmp_path):
    """The shorter member is alone when the study goes on; its program is the one that it would have
    shared."""
    long, short = slow({"task.lag": [9, 3]})
    run_study([long], ONE_LANE, Study(tmp_path, "s"))
    first, rows = gone_on([long, short], tmp_path)
    assert first == [None, 1]
    assert rows["program_steps"].to_list() == [long.length] * 2
    assert_as_whole([long, short], rows, tmp_path)


@pytest.mark.breadth
def test_a_job_goes_on_with_its_own_members_and_leaves_those_of_another(tmp_path):
    """As the jobs of engine.shards do, in one folder."""
    ours, theirs = slow({"seed": 2})
    stopped([ours, theirs], tmp_path, engine=Engine(loop="while", lanes=2, workers=1))
    assert gone_on([ours], tmp_path)[0] == [31]
    assert len(held(tmp_path)) == 1
    assert gone_on([theirs], tmp_path)[0] == [31]
    assert held(tmp_path) == []


def test_a_member_with_half_a_state_begins_anew(tmp_path, capfd):
    (member,) = slow()
    stopped([member], tmp_path)
    (path,) = held(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    first, rows = gone_on([member], tmp_path)
    assert first == [1]
    assert f"begin anew; set aside as {path.name}.bad" in capfd.readouterr().err
    assert_as_whole([member], rows, tmp_path)


def test_of_several_states_the_one_that_is_furthest_counts(tmp_path):
    (member,) = slow()
    for step in (15, 35, 25):
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        stopped([member], tmp_path / str(step), step)
        (path,) = held(tmp_path / str(step))
        path.rename(tmp_path / "checkpoints" / path.name)
    assert gone_on([member], tmp_path)[0] == [31]


def a_state(member):
    return Checkpoint(
        member.key, "p while", {"steps": 10}, [np.arange(3.0), np.int32(1)]
    )


def test_a_state_is_kept_until_its_members_row_is_written(tmp_path):
    """A row waits some seconds to be written: killed in between, the member goes on."""
    first, second = found = slow({"seed": 2})
    shards.prepare(tmp_path)
    writer = StudyWriter(
        JobProgress(2, Study(tmp_path, "s")), Checkpoints(tmp_path, found, ONE_LANE)
    )
    writer.save_checkpoints([a_state(member) for member in found])
    writer.finish("population", [fake(first)])  # written at once, as none was before
    assert set(writer.load_checkpoints(found)) == {second.key}
    writer.finish("population", [fake(second)])
    assert set(writer.load_checkpoints(found)) == {second.key}
    writer.flush()
    assert writer.load_checkpoints(found) == {}


def test_a_write_that_was_interrupted_is_made_up_for(tmp_path, monkeypatch):
    (member,) = slow()
    kept = Checkpoints(tmp_path, [member], ONE_LANE)
    kept.keep([a_state(member)], {})

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "write_npz", interrupted)
        with pytest.raises(KeyboardInterrupt):
            kept.write()
    kept.write()
    assert len(held(tmp_path)) == 1


def test_a_member_of_another_config_begins_anew_and_leaves_the_checkpoint_to_its_own(
    tmp_path,
):
    found = slow()
    others = slow(recipe__lr=2e-6)
    stopped(found, tmp_path)
    assert gone_on(others, tmp_path)[0] == [1]
    assert gone_on(found, tmp_path)[0] == [31]


def test_a_flipped_bit_is_noticed(tmp_path, capfd):
    (member,) = slow()
    stopped([member], tmp_path)
    (path,) = held(tmp_path)
    content = path.read_bytes()
    (sound,) = Checkpoints(tmp_path, [member], ONE_LANE).states.values()
    draw = random.Random(0)
    for place in draw.sample(range(len(content)), 10):
        for file in held(tmp_path):
            file.unlink()
        flipped = bytearray(content)
        flipped[place] ^= 1 << draw.randrange(8)
        bad = path.with_name(f"{place}.npz")  # a new file, as for the caches
        bad.write_bytes(flipped)
        states = Checkpoints(tmp_path, [member], ONE_LANE).states
        if states:  # bytes that say nothing were hit, such as a date
            assert all(map(np.array_equal, states[member.key].state, sound.state))
        else:
            assert held(tmp_path) == [bad.with_name(f"{bad.name}.bad")]
            assert f"{bad}: not a readable npz file" in capfd.readouterr().err
