"""Members train to the rows and weights that they had, bit for bit: by several loops,
in a search, and as a resumed study.

    python -m tests.test_golden_rows                writes golden_rows.parquet anew, on
                                                    jaxlib 0.10.2
    python -m tests.test_golden_rows native WORD    adds a case as it is here, if names
                                                    say too little

Compared are the columns of golden_rows.parquet; one that comes later is not. Sums are
taken in an order that the vectors of the processor decide, by XLA's loops too, and by
the LSTM in C also its family and the compiler: the file names them, and elsewhere the
rows are not compared. Of one name two processors may have rows of their own by XLA's
loops (a further word in `machine`); then those of either will do.
"""

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import memcap

FILE = Path(__file__).with_name("golden_rows.parquet")
JAXLIB = "0.10.2"
# They differ with the machine, the versions and the hour.
PASSING = [
    "compile_seconds",
    "run_seconds",
    "population",
    "git_commit",
    "finished",
    "backend",
    "device",
]
PASSING += ["xla_flags", "memcap", "python", "jax", "jaxlib", "flax", "optax"]

SHORT = {"budget": 60, "batch": 16, "every": 20, "sequences": 64, "stretch": 2}
LATCH = {"task": "latch", "recipe": "hold", **SHORT}
COUNT = {"task": "count", "scale": None, "units": 2, **SHORT}
WINDOWS = {"task": "windows", "units": 2, **SHORT}
DELAY = {"task": "delay_line", "lag": 2, "units": 4, "seed": 2, **SHORT}
CURRICULUM = {**DELAY, "lag": 4, "recipe": "curriculum", "warmup": 5, "budget": 120}
# Of each case the loop, the design, and lists of grids of axes: each list is trained in
# the folder that those before it have filled.
CASES = {
    "while": (
        "while",
        "grid",
        [
            [
                CURRICULUM,
                {
                    **COUNT,
                    "lag": 6,
                    "cell": "linear",
                    "recipe": "descent",
                    "lr": 10.0,
                },  # diverges
                {
                    **LATCH,
                    "lag": 3,
                    "units": 2,
                    "cell": "lstm+noise0.1",
                    "recipe": "forget_bias",
                },
                {
                    **LATCH,
                    "lag": 3,
                    "units": 2,
                    "readout": "lstm",
                    "recipe": "forget_bias",
                },
                {
                    **COUNT,
                    "lag": 3,
                    "cell": "GRUCell",
                    "recipe": "own_start",
                    "seed": 2,
                },
                {
                    "task": "adding",
                    "lag": [4, 6],
                    "units": 3,
                    "cell": "LRU",
                    "recipe": "own_start",
                    **SHORT,
                },
                {**WINDOWS, "lag": 3, "cell": "OptimizedLSTMCell", "recipe": "descent"},
            ]
        ],
    ),
    "masked": (
        "masked",
        "grid",
        [
            [
                {**LATCH, "lag": [2, 5], "units": [1, 3], "seed": 2},
                CURRICULUM,
                {**DELAY, "recipe": "hold"},
            ]
        ],
    ),
    "native": (
        "native",
        "grid",
        [[{**LATCH, "lag": [2, 5], "units": [1, 3], "seed": 2}, CURRICULUM]],
    ),
    "search": (
        "while",
        "bisect",
        [
            [
                {
                    **DELAY,
                    "lag": 1,
                    "units": [1, 2, 3, 4],
                    "seed": 4,
                    "recipe": "hold",
                    "budget": 400,
                }
            ]
        ],
    ),
    "resumed": (
        "while",
        "grid",
        [
            [{**LATCH, "lag": 5, "units": 2, "seed": 2}],
            [{**LATCH, "lag": [3, 5], "units": [1, 2], "seed": 2}],
        ],
    ),
}


def trained(case, folder):
    """The rows of a case, trained in a folder, and their weights in words. What this
    file knows of memcap is here."""
    engines = {
        "masked": {"loop": "associative", "lanes": 4}
    }  # of a diagonal cell; masked of all others
    loop, design, parts = CASES[case]
    engine = memcap.Engine(**engines.get(loop, {"loop": loop}), workers=1)
    for grids in parts:
        members = [member for axes in grids for member in memcap.members(**axes)]
        rows = memcap.train(
            members, folder, study=case, design=design, engine=engine, progress=False
        )
    weights = [digest(memcap.load(folder, key).weights) for key in rows["key"]]
    return rows.with_columns(weights=pl.Series(weights)).drop(PASSING, strict=False)


def digest(weights, path=""):
    """Names, shapes and bits of weights, as 16 hex digits."""
    if isinstance(weights, dict):
        text = " ".join(
            f"{name}:{digest(weights[name])}" for name in sorted(weights)
        ).encode()
    else:
        array = np.asarray(weights)
        text = f"{array.dtype} {array.shape} ".encode() + array.tobytes()
    return hashlib.sha256(text).hexdigest()[:16]


def machine(case):
    """On what the bits of a case depend beside jaxlib: the processor's vectors and, in
    C, its family and the compiler."""
    cpu = Path("/proc/cpuinfo")
    words = cpu.read_text() if cpu.exists() else ""
    vectors = next(
        (name for name in ("avx512f", "avx2") if name in words.split()), "unknown"
    )
    processor = f"{platform.machine()} {vectors}"
    if CASES[case][0] != "native":
        return processor
    macros = subprocess.run(
        ["cc", "-dM", "-E", "-x", "c", "/dev/null"],
        capture_output=True,
        text=True,
        check=True,
    )
    family = re.search(r"cpu family\s*: (\d+)", words)
    compiler = re.search("__VERSION__ (.*)", macros.stdout)[1]
    return f"{processor} family {family and family[1]} cc {compiler}"


@cache
def golden():
    return pl.read_parquet(FILE)


@pytest.mark.parametrize("case", CASES)
def test_rows_and_weights_are_what_they_were(case, tmp_path):
    if version("jaxlib") != JAXLIB:
        pytest.skip(
            f"golden_rows.parquet is of jaxlib {JAXLIB}, this is {version('jaxlib')}: other bits"
        )
    if CASES[case][0] == "native" and not shutil.which("cc"):
        pytest.skip("the LSTM in C needs a compiler")
    golden_rows = golden().filter(study=case)
    machines = golden_rows["machine"].unique().sort()
    if not (alike := [each for each in machines if each.startswith(machine(case))]):
        pytest.skip(
            f"golden rows of {case} are of {', '.join(machines)}, this is {machine(case)}"
        )
    now = trained(case, tmp_path)
    differ = [
        differences(golden_rows.filter(machine=each).drop("machine"), now)
        for each in alike
    ]
    assert min(differ, key=len) == {}, "then, and now"


def differences(then, now):
    """By member and column, the value that was and the one that is."""
    now = now.select(then.columns).sort("key")
    assert now["key"].to_list() == then["key"].to_list(), "other members were trained"
    assert now.schema == then.schema
    return {
        f"{row['task']} {row['cell']} lag {row['lag']} units {row['units']} seed {row['seed']}: {name}": (  # noqa: E501
            value,
            row[name],
        )
        for row, old in zip(
            now.iter_rows(named=True), then.iter_rows(named=True), strict=True
        )
        for name, value in old.items()
        if value != row[name]
    }


if __name__ == "__main__":
    cases, word = (sys.argv[1:2], f" {sys.argv[2]}") if sys.argv[1:] else (CASES, "")
    tables = [golden()] if word else []
    for each in cases:
        with tempfile.TemporaryDirectory() as scratch:
            rows = trained(each, Path(scratch)).with_columns(
                machine=pl.lit(machine(each) + word)
            )
        tables.append(rows.select(tables[0].columns) if word else rows)
    pl.concat(tables).sort("study", "machine", "key").write_parquet(
        FILE, compression="zstd"
    )
