"""Where what memcap publishes with its code lies, and the name under which its rows are read."""

from pathlib import Path

ATLAS = "atlas"  # stands for the published rows wherever a folder of rows may stand


def root() -> Path:
    """The folder that holds conf/, sweeps/ and results/: the package in an installed wheel, its parent in a
    checkout."""
    package = Path(__file__).resolve().parent
    return package if (package / "conf").is_dir() else package.parent


def atlas() -> Path:
    """The rows that memcap publishes, one table for all tasks and lags; the file need not be there."""
    return root() / "results" / "atlas" / "rows.parquet"


def is_atlas(place: Path) -> bool:
    """Whether a place is the atlas by its name. A folder or file here of that name comes first."""
    return str(place) == ATLAS and not place.exists()
