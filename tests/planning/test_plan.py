"""`memcap plan`: the programs of a study before it is trained; on this CPU, and on
accelerators where their compilers are."""

import json

import jax
import pytest
from command import SMALL, files, memcap

from memcap.planning import devices
from memcap.planning.devices import DEVICES
from memcap.tasks.latch import Latch

pytestmark = pytest.mark.usefixtures("quick_file")

AXES = "axes={model.units: [1, 2], seed: 3}"


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """The command would keep JAX off accelerators for good."""
    monkeypatch.setattr(devices, "force_cpu", lambda: None)


def planned(folder, *words):
    done = memcap(folder, "plan", *words, "--json")
    assert done.status == 0, done.err
    return json.loads(done.out)


def test_this_machine(tmp_path):
    told = planned(tmp_path, *SMALL, AXES)
    assert not files(tmp_path)
    assert (told["members"], told["there"], told["at_most"], told["searched"]) == (
        6,
        0,
        6,
        False,
    )
    assert [
        (p["task"], p["cell"], p["members"], p["lanes"], p["units"])
        for p in told["programs"]
    ] == [("latch", "lstm", 3, 1, 2), ("latch", "lstm", 3, 1, 1)]
    assert told["device"] == jax.devices()[0].device_kind
    assert told["floor_seconds"] is None
    for program in told["programs"]:
        assert program["memory_bytes"] > 0
        assert (
            program["step_bytes"]
            > program["steps"] * 6 * program["units"] * program["batch"] * 4
        )
        u = program["units"]
        calls = program["batch"] * program["steps"]
        gates = 8 * u * (u + Latch().features) * calls
        assert 2 * gates < program["step_operations"] < 3.5 * gates


@pytest.mark.breadth
def test_what_is_there_is_not_planned_again_and_gives_the_pace(tmp_path):
    assert planned(tmp_path, *SMALL, AXES)["estimated_seconds"] is None
    assert (
        memcap(tmp_path, "train", *SMALL, "axes={model.units: [1], seed: 3}").status
        == 0
    )
    before = files(tmp_path)
    told = planned(tmp_path, *SMALL, AXES)
    assert files(tmp_path) == before
    assert (told["there"], told["at_most"], told["estimated_from_rows"]) == (3, 3, 3)
    assert [(p["members"], p["units"]) for p in told["programs"]] == [(3, 2)]
    assert 0 < told["estimated_seconds"] < 60
    # three rows of 20 steps do not say how long that takes
    far = planned(tmp_path, *SMALL, "recipe.budget=1000000000", AXES)
    assert far["estimated_seconds"] is None
    done = memcap(tmp_path, "plan", *SMALL, "axes={model.units: [1], seed: 3}")
    assert done.status == 0
    assert (
        done.out
        == "Members: 3, of which outputs/adhoc holds 3. Nothing would be trained.\n"
    )


@pytest.mark.breadth
def test_the_jobs_of_a_multirun_are_planned_as_they_are_trained(tmp_path):
    jobs = [*SMALL, "recipe.batch=16", "model.units=1,2"]
    assert memcap(tmp_path, "train", "-m", *jobs).status == 0
    told = planned(tmp_path, "-m", *jobs, "seed=0,1,2")
    assert told["folder"] == "outputs/adhoc"
    assert (told["there"], told["at_most"], told["estimated_from_rows"]) == (2, 4, 2)
    assert [(p["members"], p["units"]) for p in told["programs"]] == [(2, 2), (2, 1)]


def test_a_multirun_of_several_studies(tmp_path):
    """A program that both need is shown once, with the members of both."""
    axes = "axes={model.units: [1, 2, 3], seed: 1}"
    told = planned(
        tmp_path,
        "-m",
        *SMALL,
        "task.lag=2,3",
        "task.length=5",
        axes,
        "design=grid,bisect,adaptive",
        "out=${design}",
    )
    assert (told["folder"], told["members"], told["searched"]) == (
        "adaptive, bisect, grid",
        18,
        True,
    )
    assert 6 < told["usually"] <= told["at_most"] <= 18
    assert [(p["members"], p["units"]) for p in told["programs"]] == [
        (6, 3),
        (6, 2),
        (6, 1),
    ]


@pytest.mark.breadth
def test_another_launcher_trains_each_job_by_itself(tmp_path):
    """Side by side, the lanes of a program are no more than the members of a job."""
    jobs = ["-m", *SMALL, "engine.loop=associative", "seed=range(0,4)"]
    assert [
        (p["members"], p["lanes"]) for p in planned(tmp_path, *jobs)["programs"]
    ] == [(4, 4)]
    assert [
        (p["members"], p["lanes"])
        for p in planned(tmp_path, *jobs, "hydra/launcher=basic")["programs"]
    ] == [(4, 1)]


@pytest.mark.parametrize(
    "name", [name for name, device in DEVICES.items() if not device.installed]
)
def test_a_compiler_that_is_missing(tmp_path, name):
    done = memcap(tmp_path, "plan", "--device", name)
    line = (
        f"memcap: {name}: its compiler is not installed; pip install 'memcap[targets]' (in a"
        " checkout: make targets)\n"
    )
    assert (done.status, done.out, done.err) == (2, "", line)


@pytest.mark.skipif(
    not DEVICES["h100"].installed,
    reason="its compiler is not installed: make test-targets",
)
def test_a_study_on_an_accelerator(tmp_path):
    told = planned(tmp_path, "--device", "h100", "sweeps=training/delay_line_frontier")
    assert (told["members"], told["searched"]) == (18432, True)
    assert (
        told["programs_in_all"] <= 12
    )  # six for the recipe whose batch is 64, six for the two others
    assert told["programs"]
    assert all(p["memory_bytes"] < DEVICES["h100"].usable for p in told["programs"])
    assert all(
        p["step_floor_seconds"] > 0 and p["batching"] == "vmap"
        for p in told["programs"]
    )
    assert not files(tmp_path)


@pytest.mark.skipif(
    not DEVICES["v5e-4"].installed,
    reason="its compiler is not installed: make test-targets",
)
def test_lanes_are_fewer_where_memory_is_short(tmp_path, monkeypatch):
    short = devices.Device(**{**vars(DEVICES["v5e-4"]), "memory": 24 * 2**20})
    monkeypatch.setitem(DEVICES, "v5e-4", short)
    (program,) = planned(tmp_path, "--device", "v5e-4", *SMALL, "axes={seed: 4096}")[
        "programs"
    ]
    assert program["devices"] == 4
    assert program["lanes"] % 4 == 0
    assert program["lanes"] < 4096
    assert program["memory_bytes"] <= short.usable
