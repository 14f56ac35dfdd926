"""Write what catalogues read of the project, from CITATION.cff, the published rows and the
table of columns.

python docs/metadata.py
    writes it, as `make tables` does
python docs/metadata.py --check
    writes nothing; exit status 1 and a line per file that would change

codemeta.json            the software, by CodeMeta 3.0
.zenodo.json             what Zenodo takes over with a release
sweeps/croissant.json   the rows, by Croissant 1.1 with its fields on responsible AI
sweeps/README.md        its front matter, for Hugging Face
"""

import hashlib
import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from memcap.findings import papers
from memcap.store import shards
from memcap.store.rows import COLUMNS

ROOT = Path(__file__).parents[1]
SWEEPS = ROOT / "sweeps"
SPDX = "https://spdx.org/licenses/"
TYPES = {
    "String": "sc:Text",
    "Int64": "sc:Integer",
    "Float64": "sc:Float",
    "Boolean": "sc:Boolean",
}
TITLE = "Rows of memcap: how wide must a recurrent net be to remember?"
ABOUT = (
    "One row per recurrent net that was trained on a synthetic task of memory: its whole"
    " configuration, how it was judged, and what came of it. Nets that failed or diverged have"
    " rows, too."
)
# The terms of Croissant 1.1, as its specification asks for them, and of PROV for where
# the rows are from.
TERMS = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileProperty"
    " fileObject fileSet"
)
TERMS += (
    " format includes isArray isLiveDataset jsonPath key md5 parentField path recordSet"
    " references regex"
)
TERMS += " repeated replace samplingRate separator source subField transform"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    **{term: f"cr:{term}" for term in TERMS.split()},
}
RESPONSIBLE_AI: dict[str, Any] = {
    "rai:dataCollection": (
        "memcap trained each net on sequences that its seed draws, and judged it on others that"
        " no training step sees; docs/decides.md has the rules, and the head of each"
        " sweeps/GROUP/NAME.yaml the command, the machine and the cost. Column config has all"
        " that was set, and git_commit, jaxlib and loop what ran."
    ),
    "rai:dataCollectionType": ["Experiments", "Software Collection"],
    "rai:dataCollectionMissingData": (
        "A null means that there is nothing to say, as the column's description explains."
    ),
    "rai:dataManipulationProtocol": (
        "None: a row is written once, as its net ends. memcap collect folds a study's rows into"
        " one file."
    ),
    "rai:dataBiases": [
        (
            "Counts are no sample of anything: most tables hold what a search over widths asked"
            " for, so that widths near a threshold have more seeds than others. Compare shares"
            " within one width."
        ),
        (
            "The recipes of the atlas are the best of up to four on the seeds that they are"
            " judged on, which flatters them; advice_fresh_seeds, delay_line_fresh_seeds and"
            " up_to_fresh_seeds have other seeds."
        ),
    ],
    "rai:dataLimitations": [
        (
            "A width is enough or not for one recipe, budget and verdict: a training frontier,"
            " not a capacity."
        ),
        (
            "The tasks are synthetic, with as many fresh sequences as a net likes; most nets are"
            " LSTMs of one layer and 1 to 64 units, and most lags 1 to 50."
        ),
        (
            "All nets were trained on CPUs, and run_seconds are of machines that other work kept"
            " busy."
        ),
        (
            "Of two runs with another loop over time, jaxlib or kind of processor single verdicts"
            " differ."
        ),
    ],
    "rai:dataUseCases": [
        (
            "Intended: how wide a recurrent net must be for a task of memory, with which recipe"
            " and budget; how reliably it trains; redrawing memcap's figures and judging its"
            " claims again."
        ),
        (
            "Not intended: ranking cells for other tasks, or advice on real data, which have to"
            " be measured."
        ),
    ],
    "rai:dataSocialImpact": "None is known: the rows tell of synthetic sequences alone.",
    "rai:personalSensitiveInformation": "None: all sequences are synthetic.",
    "rai:dataReleaseMaintenancePlan": (
        "Tables come and change with versions of memcap; each row has the version that trained"
        " it, and CHANGELOG.md says what changed."
    ),
}


def citation() -> dict[str, Any]:
    """Return what CITATION.cff says."""
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def project() -> dict[str, Any]:
    """Return the project's table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]


def places() -> dict[str, str]:
    """Return the addresses that CITATION.cff has, by their names in schema.org."""
    names = {"url": "url", "repository-code": "codeRepository"}
    return {name: citation()[key] for key, name in names.items() if key in citation()}


def authors() -> list[dict[str, str]]:
    """Return the authors, as schema.org has them."""
    return [
        {"@type": "Organization", "name": author["name"]}
        for author in citation()["authors"]
    ]


def codemeta() -> str:
    """Describe the software."""
    cited = citation()
    package = project()
    about = {
        "@context": "https://w3id.org/codemeta/3.0",
        "type": "SoftwareSourceCode",
        "name": package["name"],
        "description": package["description"],
        "version": cited["version"],
        "datePublished": str(cited["date-released"]),
        "license": SPDX + cited["license"],
        "author": authors(),
        "keywords": cited["keywords"],
        "programmingLanguage": ["Python", "C"],
        "runtimePlatform": f"Python {package['requires-python']}",
        "softwareRequirements": package["dependencies"],
        **places(),
    }
    return _json(about)


def zenodo() -> str:
    """Describe a release."""
    cited = citation()
    about = {
        "title": cited["title"],
        "description": project()["description"],
        "upload_type": "software",
        "access_right": "open",
        "version": cited["version"],
        "publication_date": str(cited["date-released"]),
        "license": cited["license"],
        "creators": [{"name": author["name"]} for author in cited["authors"]],
        "keywords": cited["keywords"],
    }
    return _json(about)


def tables() -> dict[str, Path]:
    """Return the published tables of rows by their names, but for those of papers."""
    every = shards.tables().items()
    return {name: path for name, path in every if name not in papers()}


def _places() -> list[str]:
    """Return where each table lies."""
    return [path.relative_to(SWEEPS).as_posix() for path in tables().values()]


def croissant() -> str:
    """Describe the rows."""
    cited = citation()
    ends = [
        pl.read_parquet(path, columns=["finished"])["finished"]
        for path in tables().values()
    ]
    files = {
        "@type": "cr:FileSet",
        "@id": "tables",
        "name": "tables",
        "encodingFormat": "application/x-parquet",
        "includes": _places(),
    }
    first = min(each.min() for each in ends)
    last = max(each.max() for each in ends)
    about = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": "memcap-rows",
        "alternateName": TITLE,
        "description": ABOUT,
        "license": SPDX + cited["license"],
        "creator": authors(),
        "version": cited["version"],
        "dateCreated": first.date().isoformat(),
        "datePublished": str(cited["date-released"]),
        "dateModified": last.date().isoformat(),
        "keywords": cited["keywords"],
        "citeAs": f"{cited['authors'][0]['name']}. {cited['title']} Version {cited['version']}.",
        "isLiveDataset": False,
        **places(),
        **RESPONSIBLE_AI,
        "rai:dataCollectionTimeframe": [first.isoformat(), last.isoformat()],
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": "memcap train: each table by the command in sweeps/README.md",
            "prov:endedAtTime": last.isoformat(),
        },
        "distribution": [*map(_file, tables(), _places()), files],
        "recordSet": [_record_set()],
    }
    return _json(about)


def _file(name: str, place: str) -> dict[str, Any]:
    path = SWEEPS / place
    content = path.read_bytes()
    rows = _height(path)
    study = shards.choice(name.split("/")[0].removesuffix(shards.AGAIN))
    return {
        "@type": "cr:FileObject",
        "@id": place,
        "name": place,
        "description": f"{rows:,} rows of sweeps/{study}.yaml",
        "contentUrl": place,
        "contentSize": f"{len(content)} B",
        "encodingFormat": "application/x-parquet",
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _record_set() -> dict[str, Any]:
    """The rows of all tables, by their columns."""
    return {
        "@type": "cr:RecordSet",
        "@id": "rows",
        "name": "rows",
        "description": "The rows of all tables.",
        "key": {"@id": "rows/key"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"rows/{name}",
                "name": name,
                "description": column.doc,
                "dataType": TYPES.get(str(column.dtype), "sc:DateTime"),
                "source": {"fileSet": {"@id": "tables"}, "extract": {"column": name}},
            }
            for name, column in COLUMNS.items()
        ],
    }


def card() -> str:
    """Return sweeps/README.md with the front matter that it should have."""
    page = (SWEEPS / "README.md").read_text(encoding="utf-8")
    rows = sum(map(_height, tables().values()))
    size = "10K<n<100K" if rows < 100_000 else "100K<n<1M"
    about = {
        "license": citation()["license"].lower(),
        "pretty_name": TITLE,
        "size_categories": [size],
        "source_datasets": ["original"],
        "tags": [word.lower() for word in citation()["keywords"]]
        + ["tabular", "synthetic"],
        "configs": [
            {"config_name": name.replace("/", "-"), "data_files": place}
            | ({"default": True} if name == "atlas" else {})
            for name, place in zip(tables(), _places(), strict=True)
        ],
    }
    front = yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=110)
    body = page.split("---\n", 2)[2] if page.startswith("---\n") else f"\n{page}"
    return f"---\n{front}---\n{body}"


def _height(table: Path) -> int:
    return pl.scan_parquet(table).select(pl.len()).collect().item()


def _json(about: dict[str, Any]) -> str:
    return json.dumps(about, indent=2, ensure_ascii=False) + "\n"


FILES = {
    ROOT / "codemeta.json": codemeta,
    ROOT / ".zenodo.json": zenodo,
    SWEEPS / "croissant.json": croissant,
    SWEEPS / "README.md": card,
}


def main(arguments: Sequence[str]) -> int:
    """Write the files, or say which would change."""
    stale = 0
    for path, made in FILES.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != made():
            stale += 1
            print(
                f"{path.relative_to(ROOT)}: not as its sources are; make tables writes it"
            )
            if "--check" not in arguments:
                path.write_text(made(), encoding="utf-8")
    return stale if "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
