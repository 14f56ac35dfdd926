"""The studies in the project as `sweeps=` takes them."""

from pathlib import Path

SWEEPS = Path(__file__).parent.parent / "sweeps"
FILES = SWEEPS.rglob("*.yaml")
NAMES = sorted(path.relative_to(SWEEPS).with_suffix("").as_posix() for path in FILES)
# Columns of older tables: knobs that were taken out, with the one value that each row has.
GONE = {
    "initial_carry": {"fixed"},
    "clip_by": {"norm"},
    "floor": {None},
    "warmup_share": {None},
}
