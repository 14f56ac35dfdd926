"""One sweep of 200 members under every launcher that runs on one machine: the same
rows, one line a job, and one end."""

import pytest
from cluster_checks import QUICK, SWEEP, memcap, same

from memcap import store

pytestmark = pytest.mark.cluster

RAY = [
    "+hydra.launcher.ray.init.num_cpus=2",
    "+hydra.launcher.ray.init.include_dashboard=false",
]
RAY += ["+hydra.launcher.ray.init._node_ip_address=127.0.0.1"]
ELSEWHERE = {
    "joblib": ("joblib", []),
    "submitit_local": ("submitit", []),
    "ray": ("ray", RAY),
}  # its plugin, and what it needs


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Rows of the sweep under Hydra's own launcher, one job after another."""
    folder = tmp_path_factory.mktemp("basic")
    memcap(folder, "train", *SWEEP, "hydra/launcher=basic")
    rows = store.read(folder)
    assert rows.height == 200
    assert 20 < rows["solved"].sum() < 180
    return rows


def ended(out):
    """What a multirun says at its end, once."""
    assert (out.count("Training frontier"), out.count("Figure: ")) == (1, 1)
    assert "\n200 members, " in out


@pytest.mark.parametrize("launcher", ELSEWHERE)
def test_a_launcher_with_processes_of_its_own(tmp_path, alone, launcher):
    plugin, needed = ELSEWHERE[launcher]
    pytest.importorskip(
        f"hydra_plugins.hydra_{plugin}_launcher",
        reason=f"pip install hydra-{plugin}-launcher",
    )
    out, err = memcap(tmp_path, "train", *SWEEP, f"hydra/launcher={launcher}", *needed)
    rows = store.read(tmp_path)
    same(rows, alone)
    assert set(rows["matmul_precision"]) == {"highest"}
    ended(out)
    assert (
        out.count("#0") == 1
    )  # a line a job: the job's own, or where that goes to a file the launcher's
    assert "libtpu" not in out + err


@pytest.mark.parametrize("launcher", ["population", "joblib"])
def test_optuna_gets_the_score_of_each_job(tmp_path, launcher):
    pytest.importorskip(
        "hydra_plugins.hydra_optuna_sweeper", reason="pip install hydra-optuna-sweeper"
    )
    pytest.importorskip(
        "hydra_plugins.hydra_joblib_launcher",
        reason="pip install hydra-joblib-launcher",
    )
    sweep = [
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=4",
        "hydra.sweeper.n_jobs=2",
        f"hydra/launcher={launcher}",
    ]
    tried = [
        "task=latch",
        "task.lag=4",
        "axes={seed: 2}",
        "model.units=choice(1,2)",
        "recipe.budget=40",
    ]
    tried += [*QUICK]
    out, _ = memcap(tmp_path, "train", "-m", *sweep, *tried)
    rows = store.read(tmp_path)
    scores = [
        rows["steps_to_solve"].fill_null(80).filter(rows["units"] == units).mean()
        for units in rows["units"].unique()
    ]
    assert f"Best value: {min(scores)}" in out
    assert out.count("Training frontier") == 1
