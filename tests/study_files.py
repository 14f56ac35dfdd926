"""The studies in the project by the name that `sweeps=` takes, as their files lie there."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
PAPERS = ROOT / "memcap" / "papers"
STUDIES = {path.stem: path for path in (ROOT / "sweeps").glob("*.yaml")}
STUDIES |= {path.parent.name: path for path in PAPERS.glob("*/study.yaml")}
STUDIES |= {
    f"{path.parent.name}_{path.stem[6:]}": path
    for path in PAPERS.glob("*/study_*.yaml")
}
NAMES = sorted(STUDIES)
