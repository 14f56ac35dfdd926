"""How many CPU cores this process was given: by affinity, cgroups, SLURM, and the launcher that runs its job
beside others."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

SHARE = "MEMCAP_CORES"  # set in a job that a launcher runs beside others: its share of the cores
SLURMS = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")  # the first is set where it was asked for


def cores() -> int:
    """CPU cores that this process may use, at least 1."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    slurms = [count for name in SLURMS if (count := _number(name))]
    return max(1, min([there, *quotas(), *slurms[:1], *filter(None, [_number(SHARE)])]))


def _number(name: str) -> int:
    """An environment variable's whole number; 0 where it holds none."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else 0


def quotas(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """Cores that each cgroup of this process leaves it, rounded up, in versions 1 and 2.

    A container may see the name that its cgroup has outside and only the cgroup itself inside: the folder at
    the top.
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
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if controllers else ("cpu.max",)
        for each in [folder, *folder.parents[: len(folder.relative_to(top).parts)]]:
            quota, period = _read(*(each / name for name in names))
            if quota.isdecimal() and period.isdecimal():  # "max" and -1: no quota
                yield math.ceil(int(quota) / int(period))


def _read(*paths: Path) -> tuple[str, str]:
    """The two words that the files hold; two empty ones where they don't."""
    try:
        quota, period = " ".join(path.read_text() for path in paths).split()
    except (OSError, ValueError):
        return "", ""
    return quota, period
