"""The rows that memcap publishes with its code: their place, and the names under which they are read."""

import subprocess
from pathlib import Path

ATLAS = "atlas"
# Studies of results/ whose rows ship with the code, by the name that stands for them wherever a folder of
# rows may stand. `memcap answer` reads them in this order. Lags between those of the atlas are a study of
# their own, and so are tasks that came later, nets that are right at every lag up to their own, delay lines
# of several symbols by Muon, and cells of the map by recipes of the atlas.
STUDIES = {
    ATLAS: (ATLAS, "every_lag", "other_tasks", "up_to", "up_to_gru", "muon"),
    "layers": ("layers",),
    "cell_map": ("cell_map", "cell_map_recipes"),
}
NAMES = tuple(STUDIES)
FORMER = {"state": "cell_map"}  # names that stood for them


def root() -> Path:
    """Return the folder that holds conf/, sweeps/ and results/: the package in a wheel, its parent in a
    checkout."""
    package = Path(__file__).resolve().parents[1]
    return package if (package / "conf").is_dir() else package.parent


def git_commit() -> str | None:
    """Return the commit of a checkout; None of a wheel, or where nobody says."""
    if not (root() / ".git").exists():
        return None
    git = ["git", "-C", str(root()), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(git, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None


def rows_file(study: str) -> Path:
    """Return the file of a study's rows in results/; it need not be there."""
    return root() / "results" / study / "rows.parquet"


def rows_files(name: str) -> list[Path]:
    """Return the files of rows, where they are there, that one of `NAMES` or `FORMER` stands for."""
    return [file for file in map(rows_file, STUDIES[FORMER.get(name, name)]) if file.exists()]


def is_published(place: Path) -> bool:
    """Check whether a place is one of `NAMES` or `FORMER`. A folder or file here of that name comes first."""
    return str(place) in (*NAMES, *FORMER) and not place.exists()
