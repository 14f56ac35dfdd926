"""The studies in the project as `sweeps=` takes them."""

from pathlib import Path

SWEEPS = Path(__file__).parent.parent / "sweeps"
FILES = SWEEPS.rglob("*.yaml")
NAMES = sorted(path.relative_to(SWEEPS).with_suffix("").as_posix() for path in FILES)
