"""All tests: flags and the compilation cache ($XDG_CACHE_HOME/memcap), set before JAX is first used."""

from memcap import backend

backend.prepare()
