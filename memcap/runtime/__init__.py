"""The process that runs: JAX's flags and cache, cores, signals, what is found by name, where results lie."""

from memcap.runtime import lazy

lazy.install()
