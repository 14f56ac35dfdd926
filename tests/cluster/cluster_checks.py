"""Helpers of the clusters' tests: one sweep of mixed tasks, the command in a process of
its own, and rows compared."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from memcap.store.rows import one_per_key

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-P", "-m", "memcap"]
QUICK = ["evaluation.every=20", "evaluation.sequences=64", "evaluation.stretch=2"]
# 200 members in 4 jobs.
SWEEP = [
    "-m",
    "task=latch,delay_line,adding,copy",
    "task.lag=4",
    "axes={model.units: 1..5, seed: 10}",
]
SWEEP += ["recipe.budget=40", *QUICK]
OF_A_RUN = [
    "compile_seconds",
    "run_seconds",
    "population",
    "finished",
    "program_steps",
    "git_commit",
]  # and not of a member


def environment(folder):
    """Variables of a process whose home is the folder; the compilation cache is everybody's."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    own = {
        "HOME": str(folder),
        "XDG_CACHE_HOME": cache,
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WANDB_")
    } | own


def memcap(folder, *arguments, status=0):
    """Stdout and stderr of the command, which runs in the folder."""
    words = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


def same(rows, others):
    """Return whether two tables hold the same members with the same results, to float rounding."""
    rows, others = (
        one_per_key([table]).drop(OF_A_RUN).sort("key") for table in (rows, others)
    )
    assert [
        name
        for name in rows.columns
        if rows[name].dtype != pl.Float64 and not rows[name].equals(others[name])
    ] == []
    for column in ("final", "best", "train_loss", "stretched"):
        assert rows[column].to_list() == pytest.approx(
            others[column].to_list(), rel=1e-3, nan_ok=True
        )
