"""All tests: flags and the compilation cache ($XDG_CACHE_HOME/memcap), set before JAX is first used."""

import importlib

from memcap import backend

backend.prepare()
# Flax imports absl, whose log handler keeps the stderr of that moment, and Hydra closes handlers with their streams: a test's own
# stderr must not be the one.
importlib.import_module("flax")
