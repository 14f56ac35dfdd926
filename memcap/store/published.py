"""The studies that memcap publishes with its code: where they lie, and their names.

sweeps/NAME.yaml is what a study trains, and beside it sweeps/NAME has its rows, what
was found in them (findings.py, README.md) and its figures.
"""

from functools import cache
from pathlib import Path
from typing import Any

from memcap.runtime import ROOT, plugins

ATLAS = "atlas"
# Studies whose rows have a name that may be used in place of a folder of rows.
# `memcap answer` reads them in this order. Tasks that were added later are a study of
# their own, and so are nets that are right at every lag up to their own, delay lines
# trained by Muon and by GGT, and cells of the map with other seeds and by recipes of
# the atlas.
STUDIES = {
    ATLAS: (ATLAS, "other_tasks", "up_to", "up_to_cells", "muon", "ggt"),
    "layers": ("layers", "up_to_layers"),
    "cell_map": ("cell_map", "cell_map_again", "cell_map_recipes"),
    "cell_map_tasks": ("cell_map_tasks", "cell_map_tasks_again"),
}
NAMES = tuple(STUDIES)


def sweeps() -> Path:
    """Return the folder of all studies."""
    return ROOT / "sweeps"


def folder(study: str) -> Path:
    """Return the folder of a study; it need not exist."""
    return sweeps() / study


def rows_file(study: str) -> Path:
    """Return the file of a study's rows; it need not exist."""
    return folder(study) / "rows.parquet"


def rows_files(name: str) -> list[Path]:
    """Return the existing files of rows of one of `NAMES`."""
    return [file for file in map(rows_file, STUDIES[name]) if file.exists()]


def with_findings() -> list[str]:
    """Return the studies that have a findings.py, in alphabetical order."""
    return sorted(path.parent.name for path in sweeps().glob("*/findings.py"))


@cache
def load_findings(study: str) -> Any:
    """Import the findings.py of a study."""
    return plugins.import_file(folder(study) / "findings.py", f"findings_of_{study}")


def is_published(place: Path) -> bool:
    """Check whether a place is one of `NAMES`, and no folder or file here."""
    return str(place) in NAMES and not place.exists()
