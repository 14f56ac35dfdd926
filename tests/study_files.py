"""The studies in the project by the name that `sweeps=` takes."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
STUDIES = {path.stem: path for path in (ROOT / "sweeps").glob("*.yaml")}
NAMES = sorted(STUDIES)
