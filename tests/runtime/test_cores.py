"""How many cores a process was given, by whom."""

import os

import pytest

from memcap.runtime import cores
from memcap.runtime.cores import CORES_VARIABLE, SLURM_VARIABLES, quotas


@pytest.fixture(autouse=True)
def eight(monkeypatch):
    """A process that may use eight cores, and was told nothing else."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "quotas", lambda: iter(()))
    for name in (CORES_VARIABLE, *SLURM_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 8),
        ({"SLURM_CPUS_PER_TASK": "3", "SLURM_CPUS_ON_NODE": "6"}, 3),
        ({"SLURM_CPUS_ON_NODE": "6"}, 6),
        ({"SLURM_CPUS_ON_NODE": "64"}, 8),
        ({"SLURM_CPUS_PER_TASK": "", "SLURM_CPUS_ON_NODE": "16(x2)"}, 8),
        ({"MEMCAP_CORES": "1", "SLURM_CPUS_ON_NODE": "6"}, 1),
    ],
)
def test_the_least_that_anybody_says(monkeypatch, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cores.count() == expected


def test_a_quota_counts(monkeypatch):
    monkeypatch.setattr(cores, "quotas", lambda: iter([4, 2]))
    assert cores.count() == 2


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        (
            "0::/job/step",
            {"job/cpu.max": "150000 100000", "job/step/cpu.max": "max 100000"},
            [2],
        ),
        (
            "0::/job/step",
            {"cpu.max": "50000 100000", "job/cpu.max": "300000 100000"},
            [3, 1],
        ),
        ("0::/not/seen/inside", {"cpu.max": "300000 100000"}, [3]),
        (
            "4:memory:/job\n3:cpu,cpuacct:/job\n0::/",
            {
                "cpu,cpuacct/job/cpu.cfs_quota_us": "250000",
                "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
            },
            [3],
        ),
        (
            "1:cpu:/job",
            {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"},
            [],
        ),
        (
            "1:cpuset:/job",
            {
                "cpuset/job/cpu.cfs_quota_us": "100000",
                "cpuset/job/cpu.cfs_period_us": "100000",
            },
            [],
        ),
        ("0::/job", {"job/cpu.max": "nonsense"}, []),
    ],
)
def test_quotas_of_cgroups(tmp_path, own, files, expected):
    (tmp_path / "own").write_text(own + "\n")
    for name, text in files.items():
        path = tmp_path / "cgroups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert list(quotas(tmp_path / "cgroups", tmp_path / "own")) == expected


def test_a_machine_without_cgroups_has_no_quota(tmp_path):
    assert list(quotas(tmp_path, tmp_path / "none")) == []
