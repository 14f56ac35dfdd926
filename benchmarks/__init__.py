"""Benchmarks: memcap beside the libraries that one would otherwise use. `python -m
benchmarks step` prints a table."""
