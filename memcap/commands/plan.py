"""What would be trained, before it is: programs, memory and time, also on an accelerator that is not here.

Takes the overrides of one job of `memcap train`, checks everything as it does, and compiles the programs, but trains and writes
nothing.

  memcap plan sweeps=first_study                              on this machine
  memcap plan --device h100 sweeps=delay_line_frontier        on one H100: needs `make targets`, and no GPU
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import polars as pl
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich import box
from rich.console import Console
from rich.table import Table

from memcap.config import Engine, Member
from memcap.console import OUTPUTS, add_json, console, number, print_json
from memcap.hydra_app import CheckFirst, complaint, register, version_base
from memcap.knobs import UserError
from memcap.launchers.jobs import job_of
from memcap.recipes import root
from memcap.studies import store
from memcap.studies.search import Bisect
from memcap.training.engine import workers
from memcap.training.plan import Planned, elsewhere, plan, programs
from memcap.training.queue import cost
from memcap.training.targets import TARGETS, Target, only_here, target

MOST_PROGRAMS = 12  # that are compiled and shown, the costliest
GIB = 2**30


def add_arguments(parser: ArgumentParser) -> None:
    """What `memcap train` takes, and for which device."""
    parser.add_argument("overrides", nargs="*", help="as for memcap train: task.lag=50, sweeps=NAME, 'axes={...}'")
    about = f"this (default), or {', '.join(f'{each.name} ({each.about})' for each in TARGETS.values())}"
    parser.add_argument("--device", default="this", help=about)
    add_json(parser)


@dataclass(frozen=True)
class Study:
    """What a job is about to do.

    Args:
        engine: how its members share the device.
        folder: where its rows are kept.
        found: all members.
        missing: those of them that the folder does not hold.
        most: how many of these are trained at most: all, unless a search decides.
        searched: whether one does.
    """

    engine: Engine
    folder: Path
    found: list[Member]
    missing: list[Member]
    most: int
    searched: bool


def run(arguments: Namespace) -> None:
    """Compose and check, compile, and print a table and some sentences."""
    device = None if arguments.device == "this" else target(arguments.device)
    if device is not None:
        only_here()
    study = _study(_composed(arguments.overrides))
    engine = study.engine if device is None else elsewhere(study.engine)
    possible = study.found if study.searched else []
    made = programs(study.missing, possible, engine, study.searched) if study.most else []
    with Console(stderr=True).status("compiling"):
        planned = plan(made[:MOST_PROGRAMS], device)
    about = _about(study, planned, len(made), device)
    if arguments.json:
        print_json(about | {"programs": [_columns(each) for each in planned]})
        return
    out = console()
    if planned:
        out.print(_table(planned, about["device"]))
    for sentence in _sentences(about, planned, device):
        out.print(sentence, soft_wrap=out.width > 100, highlight=False)


def _composed(overrides: Sequence[str]) -> DictConfig:
    """The config of a job, as `memcap train` would have it."""
    register()
    try:
        with initialize_config_dir(str(root() / "conf"), **version_base()):
            return compose("config", list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(complaint(error, overrides)) from error


def _study(config: DictConfig) -> Study:
    """What the job would do, all of it checked."""
    CheckFirst().on_run_start(config)
    job = job_of(config)
    found, engine, folder = list(job.members), job.settings.engine, job.settings.folder
    rows = store.read_all(folder) if folder.exists() else store.frame([])
    solved = dict(rows.select("key", store.passed()).iter_rows())
    done = {member: solved[member.key] for member in found if member.key in solved}
    missing = [member for member in found if member not in done]
    if job.settings.design != "bisect":
        return Study(engine, folder, found, missing, len(missing), False)
    search = Bisect(found, done)
    wanted = search.first()
    return Study(engine, folder, found, missing, search.estimate if wanted else 0, True)


def _about(study: Study, planned: Sequence[Planned], made: int, device: Target | None) -> dict[str, Any]:
    """All that is known beside the programs themselves, for JSON and for the sentences."""
    part = study.most / len(study.missing) if study.missing else 0.0
    floors = [each.floor * each.steps for each in planned if each.floor is not None]
    guess = _measured(study, part) if device is None and study.missing else None
    return {
        "device": jax.devices()[0].device_kind if device is None else device.about,
        "folder": str(study.folder),
        "members": len(study.found),
        "there": len(study.found) - len(study.missing),
        "at_most": study.most,
        "searched": study.searched,
        "programs_in_all": made,
        "floor_seconds": part * sum(floors) if floors else None,
        "estimated_seconds": guess and guess[0],
        "estimated_from_rows": guess and guess[1],
        "workers": workers(study.engine) if device is None else 1,
    }


def _measured(study: Study, part: float) -> tuple[float, int] | None:
    """Seconds that this CPU may need, and the number of its rows that say so; None without any."""
    if jax.default_backend() != "cpu":
        return None
    folders = [folder for folder in (study.folder, OUTPUTS) if folder.exists()]
    rows = store.merged([store.read_all(folder) for folder in folders]).filter(
        backend="cpu", device=jax.devices()[0].device_kind, batching="map"
    )
    rows = rows.filter(pl.col("run_seconds") > 0, pl.col("steps") > 0)
    if rows.is_empty():
        return None
    work = pl.col("steps") * pl.col("length") * pl.col("batch") * (pl.col("units") + 8.0) ** 2  # as in `cost`
    pace, used = rows.select(pl.col("run_seconds").sum() / work.sum(), used=pl.col("steps").sum() / pl.col("budget").sum()).row(0)
    return pace * used * part * sum(map(cost, study.missing)) / workers(study.engine), rows.height


def _columns(each: Planned) -> dict[str, Any]:
    """A program, as JSON has it."""
    program, trainer = each.program, each.program.trainer
    return {
        "task": program.shape.task.name,
        "cell": program.shape.architecture.model.cell,
        "members": len(each.members),
        "lanes": program.lanes,
        "devices": program.devices,
        "batching": program.batching,
        "units": program.shape.architecture.model.units,
        "steps": trainer.steps,
        "evaluation_steps": trainer.evaluation_steps,
        "batch": program.shape.batch,
        "memory_bytes": each.memory,
        "step_operations": each.operations,
        "step_bytes": each.bytes,
        "step_floor_seconds": each.floor,
        "compile_seconds": each.code.seconds,
    }


def _table(planned: Sequence[Planned], device: str) -> Table:
    """One line a program; fits into 80 columns."""
    table = Table(title=f"Programs for {device}", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for head in ("program", "members", "lanes", "units", "steps", "longest", "GiB", "GFLOP", "GB", "ms"):
        table.add_column(head, justify="left" if head == "program" else "right", overflow="fold")
    for each in planned:
        row = _columns(each)
        cell = "" if row["cell"] == "lstm" else f", {row['cell']}"
        table.add_row(
            row["task"] + cell,
            *(str(row[name]) for name in ("members", "lanes", "units", "steps", "evaluation_steps")),
            *(_short(value) for value in (each.memory / GIB, each.operations / 1e9, each.bytes / 1e9)),
            "" if each.floor is None else _short(1e3 * each.floor),
        )
    return table


def _sentences(about: dict[str, Any], planned: Sequence[Planned], device: Target | None) -> list[str]:
    """What the table means, in words."""
    there = f"Members: {about['members']:,}, of which {about['folder']} holds {about['there']:,}."
    if not planned:
        return [f"{there} Nothing would be trained."]
    trained = f"At most {about['at_most']:,}" if about["searched"] else f"{about['at_most']:,}"
    search = ", which ones is decided as results come" if about["searched"] else ""
    left = about["programs_in_all"] - len(planned)
    more = f" The {len(planned)} costliest of {about['programs_in_all']} programs are shown." if left else ""
    known = device or planned[0].target
    who = "so many members of average cost take" if about["searched"] else "all of them take"
    room = f", of the {number(known.usable / GIB)} that a program may take" if known else ""
    said = [
        f"{there} {trained} would be trained{search}.{more}",
        f"GiB: what the compiler plans{' for each chip' if known else ''}; {_short(max(e.memory for e in planned) / GIB)} at most"
        f"{room}. GFLOP, GB: products of a training step, and what its passes over time write and read.",
    ]
    if known:
        said.append(
            f"ms: a floor of a step, at {number(known.peak / 1e12)} TFLOP/s and {number(known.bandwidth / 1e9)} GB/s. With whole"
            f" budgets {who} at least {_duration(about['floor_seconds'])}; launches, data and evaluations come on top. This was"
            " compiled, not run."
        )
    elif about["estimated_seconds"] is not None:
        said.append(
            f"About {_duration(about['estimated_seconds'])} on {about['workers']} workers, at the pace of"
            f" {about['estimated_from_rows']:,} rows of this kind of CPU in {about['folder']} and {OUTPUTS}; compiling comes"
            " on top."
        )
    else:
        said.append("How long it takes is not known: no rows of this device to go by.")
    return said


def _short(value: float) -> str:
    """A number in at most 5 characters, or a few more if it is large."""
    return number(value) if value >= 0.01 or not value else f"{value:.0e}"


def _duration(seconds: float) -> str:
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds)} seconds"
