"""This process: JAX's flags and cache, cores, signals and plug-ins."""
