"""The rows that memcap publishes with its code: their place, and their names."""

import subprocess
from pathlib import Path

ATLAS = "atlas"
# Studies of results/ whose rows ship with the code, by the name that may be used in
# place of a folder of rows. `memcap answer` reads them in this order. Tasks that were
# added later are a study of their own, and so are nets that are right at every lag up
# to their own, delay lines trained by Muon and by GGT, and cells of the map with other
# seeds and by recipes of the atlas.
STUDIES = {
    ATLAS: (ATLAS, "other_tasks", "up_to", "up_to_cells", "muon", "ggt"),
    "layers": ("layers", "up_to_layers"),
    "cell_map": ("cell_map", "cell_map_again", "cell_map_recipes"),
    "cell_map_tasks": ("cell_map_tasks", "cell_map_tasks_again"),
}
NAMES = tuple(STUDIES)
FORMER = {"state": "cell_map"}  # their former names


def root() -> Path:
    """Return the folder of conf/, sweeps/ and results/: the wheel's package, or a checkout."""
    package = Path(__file__).resolve().parents[1]
    return package if (package / "conf").is_dir() else package.parent


def git_commit() -> str | None:
    """Return the commit of a checkout; None for a wheel, or if unknown."""
    if not (root() / ".git").exists():
        return None
    git = ["git", "-C", str(root()), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(
            git, capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None


def rows_file(study: str) -> Path:
    """Return the file of a study's rows in results/; it need not exist."""
    return root() / "results" / study / "rows.parquet"


def rows_files(name: str) -> list[Path]:
    """Return the existing files of rows of one of `NAMES` or `FORMER`."""
    return [
        file
        for file in map(rows_file, STUDIES[FORMER.get(name, name)])
        if file.exists()
    ]


def is_published(place: Path) -> bool:
    """Check whether a place is one of `NAMES` or `FORMER`, and no folder or file here."""
    return str(place) in (*NAMES, *FORMER) and not place.exists()
