"""All tests: flags and the compilation cache ($XDG_CACHE_HOME/memcap), set before JAX
is first used."""

import gc
import importlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import pytest

from memcap.runtime import flags, jax_setup

# XLA would split a program for up to 32 compilers at a time, which costs a third of
# compiling on jaxlib 0.10: tests have a core each. Processes that they start have the
# flag from here.
ONE_COMPILER = "--xla_cpu_parallel_codegen_split_count=1"
if flags.is_known(ONE_COMPILER):
    os.environ["XLA_FLAGS"] = (
        f"{os.environ.get('XLA_FLAGS', '')} {ONE_COMPILER}".strip()
    )
# as a training that comes first in a process does
jax_setup.limit_threads()
# Flax imports absl, whose log handler keeps the stderr of that moment, and Hydra closes
# handlers with their streams: it must be neither a test's own stderr nor what pytest
# captures with.
importlib.import_module("flax")
importlib.import_module(
    "absl.logging"
).get_absl_handler().python_handler.stream = sys.__stderr__

# These take longest and come first: pytest-xdist gives a process whole files, and the
# last should be short.
LONGEST = [
    "benchmarks/",
    "studies/test_sweeps.py",
    "thresholds/test_falls.py",
    "answers/test_answer.py",
    "designs/",
    "tasks/test_interface.py",
    "loops/test_loops.py",
    "thresholds/test_curve.py",
    "training/test_everything_trains.py",
    "models/test_network.py",
    "commands/test_reproduce.py",
    "test_programs.py",
    "training/test_engine.py",
    "training/test_workers.py",
    "tracking/",
    "test_bad_inputs.py",
    "test_reference.py",
    "models/",
    "training/",
    "studies/",
    "launch/",
]
MAPS = Path("/proc/self/maps")
# of 65,530 that Linux gives a process; a compiled program takes some, and at the end XLA aborts
MORE_MAPS = 15_000
most_maps = [MORE_MAPS]
# To count 15,000 takes 16 ms, longer than most tests; in a second a process compiles far fewer.
SECONDS_BETWEEN_COUNTS = 1.0  # of CPU
next_count = [0.0]
WITHOUT_OPTIMISATION = {"xla_backend_optimization_level": 0}
compiled_quickly: list[bool] = []  # whether a test of this file was


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `--share=1/2` choose every other test, by its name, and 2/2 the others."""
    parser.addoption("--share", default="1/1", metavar="K/N")


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Choose a share, and sort files by LONGEST; what it doesn't name stays in its order,
    after these."""
    share, shares = map(int, config.getoption("share").split("/"))
    items[:] = [
        item for item in items if crc32(item.nodeid.encode()) % shares == share - 1
    ]

    def place(item: pytest.Item) -> int:
        path = item.nodeid.removeprefix("tests/")
        return next(
            (i for i, name in enumerate(LONGEST) if path.startswith(name)), len(LONGEST)
        )

    items.sort(key=place)


def maps() -> int:
    """Count the areas of memory that this process has mapped; 0 where nobody says."""
    return MAPS.read_bytes().count(b"\n") if MAPS.exists() else 0


@pytest.fixture(autouse=True)
def few_compiled_programs():
    """Forget compiled programs now and then: thousands of tests in one process compile
    more than it may map."""
    yield
    if time.process_time() < next_count[0]:
        return
    if maps() > most_maps[0]:
        importlib.import_module("jax").clear_caches()
        gc.collect()
        most_maps[0] = (
            maps() + MORE_MAPS
        )  # some are held for good, by programs that modules keep
    next_count[0] = time.process_time() + SECONDS_BETWEEN_COUNTS


@contextmanager
def without_optimisation() -> Iterator[None]:
    """Compile without optimisation, training's programs, too, whose own options come
    before JAX's."""
    jax, program = (
        importlib.import_module(name) for name in ("jax", "memcap.training.program")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "FAST_COMPILE", WITHOUT_OPTIMISATION)
        jax.config.update("jax_disable_most_optimizations", True)
        yield
        jax.config.update("jax_disable_most_optimizations", False)
    compiled_quickly.append(True)


@pytest.fixture
def quick_compile() -> Iterator[None]:
    """Compile a test's programs without optimisation, as that takes longer than running
    them: for what hangs on no last bit."""
    with without_optimisation():
        yield


@pytest.fixture(scope="module")
def quick_file() -> Iterator[None]:
    """Do as `quick_compile` for all that a file compiles in this process."""
    with without_optimisation():
        yield


@pytest.fixture(scope="module", autouse=True)
def nothing_stays_quick(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forget what a file compiled without optimisation before one that is optimised:
    JAX would run it there, too, and draws would have other last bits."""
    quick = any(
        "quick_file" in mark.args for mark in request.node.iter_markers("usefixtures")
    )
    if compiled_quickly and not quick:
        importlib.import_module("jax").clear_caches()
        compiled_quickly.clear()
    yield
    if compiled_quickly:
        importlib.import_module("memcap.training.program")._jobs.clear()


@pytest.fixture
def clock(monkeypatch):
    """Give a clock that stands until it is set."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    return clock


@pytest.fixture(scope="session")
def resolved_once() -> Iterator[None]:
    """Resolve the members of all jobs once per process, not of the last few alone: the
    atlas has 90,000."""
    axes = importlib.import_module("memcap.designs.axes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(axes, "_members", cache(axes._members.__wrapped__))
        yield
