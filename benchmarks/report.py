"""What every benchmark says of the machine, and how its page is written: Markdown, and
beside it JSON with all samples."""

import datetime
import importlib.metadata
import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import memcap

LIBRARIES = (
    "memcap",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "keras",
    "torch",
    "equinox",
    "numpy",
)
QUIET = 0.2  # load average of other work above which timings are doubtful
RESULTS = Path(__file__).resolve().parent / "results"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table; all columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def versions() -> dict[str, str]:
    """Return the versions of the libraries that are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = (
                importlib.metadata.version(name)
                if name != "memcap"
                else memcap.__version__
            )
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Return the CPU's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (
            line.partition(":")[2].strip()
            for line in lines
            if line.startswith("model name")
        ),
        platform.machine(),
    )


def other_load() -> float | None:
    """Return the load average of the last minute, of other work if none of ours ran;
    None where unknown."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def load_warning(load: float | None) -> str | None:
    """Warn of other work."""
    if load is None or load <= QUIET:
        return None
    before = f"the load average was {load:.2f} before anything started, above {QUIET}"
    return f"warning: {before}: other work disturbs these timings"


def machine(
    command: Sequence[str],
    core: int | str | None,
    load: float | None,
    absent: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe the machine and the run, as far as a reader needs it to judge the numbers.

    Processes are pinned to `core`, or to several in words; `absent` contestants are not installed.
    """
    return {
        "command": shlex.join(["python", "-m", "benchmarks", *command]),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "pinned_to": core,
        "load_before": load,
        "system": platform.platform(),
        "versions": versions(),
        "warning": load_warning(load),
        "absent": list(absent),
    }


def header(facts: Mapping[str, Any]) -> list[str]:
    """Write `machine` as lines of Markdown."""
    pinned = (
        "not pinned"
        if facts["pinned_to"] is None
        else f"pinned to core {facts['pinned_to']}"
    )
    load = "unknown" if facts["load_before"] is None else f"{facts['load_before']:.2f}"
    return [
        f"* `{facts['command']}`, {facts['date']}",
        (
            f"* {facts['processor']}, {facts['cores']} cores; every process {pinned}, thread"
            f" pools of 1; load average before: {load}"
        ),
        (
            f"* {', '.join(f'{name} {version}' for name, version in facts['versions'].items())};"
            f" {facts['system']}"
        ),
    ]


def page(
    title: str, facts: Mapping[str, Any], notes: Sequence[str], body: Sequence[str]
) -> str:
    """Write a whole page, as Markdown; facts are those of `machine`, notes say how the
    numbers were made."""
    points = [f"* {note}" for note in notes]
    if facts["warning"]:
        points.append(f"* **{facts['warning']}**")
    if facts["absent"]:
        points.append(f"* not installed: {'; '.join(facts['absent'])}")
    return "\n".join([f"# {title}", "", *header(facts), *points, *body])


def say(line: str) -> None:
    """Print progress and warnings, apart from the page."""
    print(line, file=sys.stderr, flush=True)


def write(
    folder: Path, name: str, markdown: str, data: dict[str, Any]
) -> tuple[Path, Path]:
    """Write FOLDER/NAME.md and FOLDER/NAME.json."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{name}.md"
    numbers = folder / f"{name}.json"
    page.write_text(markdown + "\n")
    numbers.write_text(json.dumps(data, indent=1, default=asdict) + "\n")
    return page, numbers
