"""This process: JAX's flags and cache, cores, signals and plug-ins."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
# The folder of conf/, sweeps/ and examples/: the wheel's package, or a checkout.
ROOT = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent
