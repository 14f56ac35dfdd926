"""`memcap train`: what Hydra is asked for, and what is written. What is refused: test_errors.py."""

from pathlib import Path

import pytest
from command import TINY, files, memcap

from memcap import store
from memcap.launch.app import compose_jobs
from memcap.tasks import task_classes

pytestmark = pytest.mark.usefixtures("quick_file")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def multirun(tmp_path_factory):
    """A folder, the arguments of a multirun of four jobs in it, and what the first run said."""
    folder = tmp_path_factory.mktemp("multirun")
    arguments = ["train", "-m", "task=latch", "task.lag=5,50", "model.units=1,2", *TINY]
    return folder, arguments, memcap(folder, *arguments)


def test_hydra_keeps_its_records_under_the_study(multirun):
    folder, _, _ = multirun
    assert [p.name for p in folder.iterdir()] == ["outputs"]
    names = sorted(p.name for p in (folder / "outputs" / "adhoc").iterdir())
    assert names == ["curves", "figures", "hydra", "jobs", "rows", "weights"]
    assert len(list(folder.glob("outputs/adhoc/hydra/*/*/.hydra/overrides.yaml"))) == 4


@pytest.mark.breadth
def test_a_rerun_trains_nothing(multirun):
    folder, arguments, first = multirun

    before = store.read(folder)
    again = memcap(folder, *arguments)
    assert (again.status, again.err) == (0, "")  # no progress bar
    assert store.read(folder).equals(before)
    frontiers = [done.out.partition("Training frontier")[2] for done in (again, first)]
    assert frontiers[0].splitlines()[:6] == frontiers[1].splitlines()[:6]


def test_a_bad_member_stops_all_jobs_of_a_multirun_before_any_trains(multirun):
    folder, arguments, _ = multirun
    before = files(folder)
    done = memcap(folder, *arguments, "model.units=1,2,-1")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert files(folder) == before


def test_cfg_job_prints_the_whole_configuration(tmp_path):
    done = memcap(tmp_path, "train", "--cfg", "job", "task=latch", "task.lag=5")
    assert done.status == 0
    for part in (
        "task:\n  name: latch\n  lag: 5\n  length: null\n",
        "units: 8",
        "successive: 2",
        "until: null",
        "study: adhoc",
        "out: outputs/${study}",
    ):
        assert part in done.out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("memcap train task=", {f"task={name}" for name in task_classes()}),
        ("memcap train -m task=latch model.u", {"model.units="}),
        ("memcap train sweeps=cells/k", {"sweeps=cells/keys"}),
        ("memcap frontier --json ", set()),  # a path, which the shell completes
    ],
)
def test_completion(tmp_path, monkeypatch, line, expected):
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    done = memcap(tmp_path, "-sc", "query=bash")
    assert done.status == 0
    assert set(done.out.split()) == expected


@pytest.mark.parametrize("arguments", ["train -sc install=bash", "-sc install=bash"])
def test_completion_can_be_installed(tmp_path, arguments):
    done = memcap(tmp_path, *arguments.split())
    assert done.out.rstrip().endswith(
        "complete -o nospace -o default -F hydra_bash_completion memcap"
    )


def test_axes_may_be_pasted_over_several_lines():
    axes = "axes=[{task.lag: [3, 5],BREAK model.units: [1, 2]},BREAK {task.lag: 8}]"
    ((whole,),) = compose_jobs(["task=latch", axes.replace("BREAK", "")])
    ((broken,),) = compose_jobs(["task=latch", axes.replace("BREAK", "\n ")])
    assert whole.members == broken.members
    assert len(whole.members) == 5
