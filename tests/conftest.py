"""All tests: flags and the compilation cache ($XDG_CACHE_HOME/memcap), set before JAX is first used."""

import gc
import importlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from memcap import jax_setup

jax_setup.prepare()
# Flax imports absl, whose log handler keeps the stderr of that moment, and Hydra closes handlers with their
# streams: it must be neither a test's own stderr nor what pytest captures with.
importlib.import_module("flax")
importlib.import_module("absl.logging").get_absl_handler().python_handler.stream = sys.__stderr__

MAPS = Path("/proc/self/maps")
# of 65,530 that Linux gives a process; a compiled program takes some, and at the end XLA aborts
MORE_MAPS = 15_000
most_maps = [MORE_MAPS]


def maps() -> int:
    """How many areas of memory this process has mapped; 0 where nobody says."""
    return MAPS.read_bytes().count(b"\n") if MAPS.exists() else 0


@pytest.fixture(autouse=True)
def few_compiled_programs():
    """Forget compiled programs now and then: thousands of tests in one process compile more than it may
    map."""
    yield
    if maps() > most_maps[0]:
        importlib.import_module("jax").clear_caches()
        gc.collect()
        most_maps[0] = maps() + MORE_MAPS  # some are held for good, by programs that modules keep


@pytest.fixture(scope="session")
def resolved_once() -> Iterator[None]:
    """Members of all jobs are resolved once a process, not of the last few alone: the atlas has 90,000."""
    axes = importlib.import_module("memcap.studies.axes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(axes, "_members", cache(axes._members.__wrapped__))
        yield
