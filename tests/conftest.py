"""All tests: flags and the compilation cache ($XDG_CACHE_HOME/memcap), set before JAX is first used."""

import gc
import importlib
from pathlib import Path

import pytest

from memcap import backend

backend.prepare()
# Flax imports absl, whose log handler keeps the stderr of that moment, and Hydra closes handlers with their streams: a test's own
# stderr must not be the one.
importlib.import_module("flax")

MAPS = Path("/proc/self/maps")
MOST_MAPS = 20_000  # of 65,530 that Linux gives a process; a compiled program takes some, and at the end XLA aborts


@pytest.fixture(autouse=True)
def few_compiled_programs():
    """Forget compiled programs now and then: thousands of tests in one process compile more than it may map."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        importlib.import_module("jax").clear_caches()
        gc.collect()
