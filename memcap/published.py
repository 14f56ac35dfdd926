"""Where what memcap publishes with its code lies, and the names under which its rows are read."""

from pathlib import Path

ATLAS = "atlas"
# Studies of results/ whose rows ship with the code: each name stands for them wherever a folder of rows may
# stand. `memcap answer` reads them in this order.
NAMES = (ATLAS, "layers", "state")


def root() -> Path:
    """The folder that holds conf/, sweeps/ and results/: the package in an installed wheel, its parent in a
    checkout."""
    package = Path(__file__).resolve().parent
    return package if (package / "conf").is_dir() else package.parent


def rows_file(name: str) -> Path:
    """The rows of one of `NAMES`, of all its tasks and lags; the file need not be there."""
    return root() / "results" / name / "rows.parquet"


def is_published(place: Path) -> bool:
    """Whether a place is one of `NAMES`. A folder or file here of that name comes first."""
    return str(place) in NAMES and not place.exists()
