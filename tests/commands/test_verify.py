"""`memcap verify`: what is whole is counted, what is not is named."""

import json

import numpy as np
import pytest
from command import SMALL, files, memcap
from study_rows import group

from memcap import store
from memcap.config.member import Member, member_of
from memcap.store import curves, shards
from memcap.store.files import write_weights
from memcap.studies.checkpoints import Checkpoints
from memcap.tasks.latch import Latch
from memcap.training.engine import Checkpoint

pytestmark = pytest.mark.usefixtures("quick_file")


def net(row):
    """Weights of a row's net."""
    member = member_of(json.loads(row["config"]))
    return member.architecture.init(member.init, [0])


@pytest.fixture
def study(tmp_path):
    """A working directory with a study of two populations: three members and one."""
    rows = group("latch", 5, {1: (1, 3), 2: (1, 1)})
    folder = tmp_path / "outputs" / "made_up"
    shards.prepare(folder)
    for units in (1, 2):
        population = f"p{units}"
        of_width = [
            row | {"population": population} for row in rows if row["units"] == units
        ]
        weights = {row["key"]: net(row) for row in of_width}
        shards.write(folder, population, of_width, weights)
    return tmp_path


def keys(study, units):
    return sorted(store.read(study).filter(units=units)["key"])


def test_a_whole_study_is_counted_in_one_line(study):
    before = files(study)
    done = memcap(study, "verify")
    assert (done.status, done.err) == (0, "")
    assert done.out == "OK: 4 rows in 2 files, 2 files of weights\n"
    assert memcap(study, "verify", "outputs/made_up").out == done.out
    assert files(study) == before
    told = json.loads(memcap(study, "verify", "--json").out)
    found = {"rows": 4, "row_files": 2, "weight_files": 2, "wrong": []}
    assert told == found | {"curve_files": 0, "checkpoint_files": 0}


def turned(path):
    """One bit of the file turned over; a new file, as for the caches."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


NO_NET = "weights/p2.npz: no sound weights of K4"


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("rows/p1 bit", [".parquet: damaged: its bytes"]),
        (
            "weights/p1 bit",
            [
                "weights/p1.npz: not a readable npz",
                "weights/p1.npz: no sound weights of K1, K2, K3",
            ],
        ),
        ("weights/p2 gone", [NO_NET]),
        ("weights/p2 other", [NO_NET]),
        (
            "weights/p2 less",
            ["weights/p2.npz: member K4: lacks or adds the arrays readout/bias"],
        ),
        (
            "weights/p2 wide",
            ["member K4: readout/bias is float64[2], and must be float32[2]"],
        ),
        ("weights/p2 nan", ["weights/p2.npz: member K4: readout/bias is not finite"]),
    ],
)
def test_what_is_wrong_is_named(study, harm, says):
    name, _, what = harm.partition(" ")
    folder = study / "outputs" / "made_up"
    members = [*keys(study, 1), *keys(study, 2)]
    (path,) = folder.glob(f"{name}.*")
    last = net(store.read(study).filter(key=members[3]).row(0, named=True))
    match what:
        case "bit":
            turned(path)
        case "gone":
            path.unlink()
        case "less":
            del last["readout"]["bias"]
        case "wide":
            last["readout"]["bias"] = np.zeros(2)
        case "nan":
            last["readout"]["bias"][0] = np.nan
    if what in ("less", "wide", "nan", "other"):
        write_weights(path, {"another" if what == "other" else members[3]: last})
    before = files(study)
    if name == "weights/p2":
        words = ("outputs/made_up", "--layout", "flax", "-o", "net.npz")
        assert memcap(study, "export", members[3], *words).status == 2
    done = memcap(study, "verify")
    assert (done.status, done.err) == (1, "")
    *lines, last = done.out.splitlines()
    named = done.out
    for number, key in enumerate(members, 1):
        named = named.replace(key, f"K{number}")
    for line, part in zip(named.splitlines(), says, strict=False):
        assert part in line
    problems = "1 problem" if len(says) == 1 else "2 problems"
    assert last.startswith("Read: ")
    assert last.endswith(f"; {problems}")
    assert json.loads(memcap(study, "verify", "--json").out)["wrong"] == lines
    rows_only = memcap(study, "verify", "--rows-only")
    assert rows_only.status == (1 if name == "rows/p1" else 0)
    assert files(study) == before


def half_trained(folder):
    """A checkpoint of a member that has no row."""
    member = Member(Latch(), 5)
    kept = Checkpoints(folder, [member])
    kept.keep(
        [Checkpoint(member.key, "p xla", {"steps": 10}, [np.arange(3.0)])],
        {member.key: {10: {"train/loss": np.inf}}},
    )
    kept.write()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("curves/p1 bit", ".parquet: damaged: its bytes"),
        ("checkpoints/* text", ".npz: not a readable npz file"),
    ],
)
def test_curves_and_checkpoints_are_looked_at(study, harm, says):
    folder = study / "outputs" / "made_up"
    curves.write(
        folder, "p1", {key: {1: {"train/loss": 0.5}} for key in keys(study, 1)}
    )
    half_trained(folder)
    sound = "OK: 4 rows in 2 files, 2 files of weights, 1 file of curves, 1 file of checkpoints\n"
    assert memcap(study, "verify").out == sound
    name, _, what = harm.partition(" ")
    (path,) = folder.glob(f"{name}.*")
    match what:
        case "bit":
            turned(path)
        case "text":
            path.write_text("no table")
    done = memcap(study, "verify")
    assert (done.status, done.err) == (1, "")
    line, last = done.out.splitlines()
    assert line.startswith(str(path.relative_to(study)))
    assert says in line
    assert last.endswith("; 1 problem")
    assert memcap(study, "verify", "--rows-only").status == 0


@pytest.mark.slow
def test_a_study_that_was_trained_is_sound(tmp_path):
    words = "OK: 4 rows in {0} files, 2 files of weights, {0} files of curves\n"
    memcap(tmp_path, "train", *SMALL, "axes={model.units: [1, 2], seed: 2}")
    assert memcap(tmp_path, "verify").out == words.format(2)
    memcap(tmp_path, "collect")
    assert memcap(tmp_path, "verify").out == words.format(3)
