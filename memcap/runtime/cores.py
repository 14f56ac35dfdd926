"""The CPU cores that this process may use: by affinity, cgroups, SLURM and launcher."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

# the share of the cores of a job that a launcher runs beside others
CORES_VARIABLE = "MEMCAP_CORES"
# The first is set only if it was requested.
SLURM_VARIABLES = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")


def count() -> int:
    visible = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        visible = len(os.sched_getaffinity(0))
    by_slurm = next(filter(None, map(_env_int, SLURM_VARIABLES)), 0)
    limits = [visible, *quotas(), by_slurm, _env_int(CORES_VARIABLE)]
    return min(limit for limit in limits if limit)


def _env_int(name: str) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else 0


def quotas(
    cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """Yield the cores that each of this process's cgroups (v1, v2) allows, rounded up.

    A container may see the outer name, but its cgroup at the top.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = cgroups / controllers
        folder = top / path.strip("/")
        names = ["cpu.max"]
        if controllers:  # version 1
            names = ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        above = folder.parents[: len(folder.relative_to(top).parts)]
        for cgroup in (folder, *above):
            quota, period = _quota_and_period(*(cgroup / name for name in names))
            if quota.isdecimal() and period.isdecimal():  # "max" and -1: no quota
                yield math.ceil(int(quota) / int(period))


def _quota_and_period(*paths: Path) -> tuple[str, str]:
    try:
        quota, period = " ".join(path.read_text() for path in paths).split()
    except (OSError, ValueError):
        return "", ""
    return quota, period
