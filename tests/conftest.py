"""All tests: flags and the compilation cache ($XDG_CACHE_HOME/memcap), set before JAX is first used."""

import gc
import importlib
from pathlib import Path

import pytest

from memcap import jax_setup

jax_setup.prepare()
# Flax imports absl, whose log handler keeps the stderr of that moment, and Hydra closes handlers with their
# streams: a test's own stderr must not be the one.
importlib.import_module("flax")

MAPS = Path("/proc/self/maps")
MORE_MAPS = (
    15_000  # of 65,530 that Linux gives a process; a compiled program takes some, and at the end XLA aborts
)
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
