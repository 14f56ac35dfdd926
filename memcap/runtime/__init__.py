"""This process: JAX's flags and cache, cores, signals, plug-ins, and the place of
published results."""

from memcap.runtime import lazy

lazy.install()
