"""All tests: flags and the compilation cache, set before JAX is first used. The cache is kept in $XDG_CACHE_HOME/memcap."""

import jax

from memcap import backend

backend.prepare()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # the programs of tests are small, and many
