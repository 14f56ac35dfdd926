"""Plan a training before it begins: programs, memory and time, also for an absent accelerator.

The command takes the overrides of `memcap train`, --config-dir and -m, and checks
everything as `memcap train` does. It compiles the programs, but trains and writes
nothing.

  memcap plan sweeps=first_study                              on this machine
  memcap plan --device h100 sweeps=delay_line_frontier        on one H100: needs
                                                              memcap[targets], and no GPU
  memcap plan -m task=latch task.lag=5,50 model.units=1,2     all jobs of a multirun
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import polars as pl

from memcap.commands.arguments import location
from memcap.config.member import Member
from memcap.launch.app import compose_jobs
from memcap.launch.jobs import Job, Settings
from memcap.planning import devices
from memcap.planning.devices import DEVICES, Device
from memcap.planning.plan import ProgramPlan, compile_plan, elsewhere, group_programs
from memcap.store import shards
from memcap.store.rows import one_per_key
from memcap.store.shards import OUTPUTS
from memcap.studies.run import Todo, what_is_missing
from memcap.terminal.printing import (
    Column,
    Listing,
    Waiting,
    add_json,
    duration,
    number,
    print_json,
    scaled,
    show,
)
from memcap.terminal.words import plural
from memcap.training.engine import worker_count
from memcap.training.program import Program
from memcap.training.queue import cost, work

MOST_PROGRAMS = 12  # that are compiled and shown, the costliest first
HEADS = {
    "members": "",
    "lanes": "members that train at the same time",
    "units": "",
    "length": "time steps of a training sequence",
    "eval": "time steps of an evaluation's sequence",
    "memory": "",
    "products": "floating-point operations",
    "passes": "",
    "step": "",
}

FARTHEST = (
    10_000  # times the training of the rows, beyond which their pace says nothing
)


def add_arguments(parser: ArgumentParser) -> None:
    about = "as for memcap train: task.lag=50, sweeps=NAME, 'axes={...}'"
    parser.add_argument("overrides", nargs="*", help=about)
    parser.add_argument(
        "-m", "--multirun", action="store_true", help="all jobs of a multirun"
    )
    about = "a folder with recipes and studies of your own"
    parser.add_argument("--config-dir", "-cd", type=location, help=about)
    about = (
        "this (default), or"
        f" {', '.join(f'{each.name} ({each.about})' for each in DEVICES.values())}"
    )
    parser.add_argument("--device", default="this", help=about)
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Compose and check, compile, and print a table and some sentences."""
    device = None if arguments.device == "this" else devices.find(arguments.device)
    if device is not None:
        devices.force_cpu()
    with Waiting("checking the members") as waiting:
        jobs = compose_jobs(
            arguments.overrides, arguments.config_dir, arguments.multirun
        )
        studies = [_study(together) for together in jobs]

        # a process compiles a program once, also if several studies share it
        programs: dict[Program, list[Member]] = {}
        for study in studies:
            for program, members in study.programs(here=device is None):
                programs.setdefault(program, []).extend(members)
        costliest = sorted(programs.items(), key=lambda each: -sum(map(cost, each[1])))[
            :MOST_PROGRAMS
        ]
        waiting.now(f"compiling {plural(len(costliest), 'program')}")
        of_all = f"of {plural(len(costliest), 'program')} compiled"
        plans = compile_plan(
            costliest, device, lambda done: waiting.now(f"{done} {of_all}")
        )

    about = _about(studies, plans, len(programs), device)
    if arguments.json:
        print_json(about | {"programs": [_columns(each) for each in plans]})
        return
    if plans:
        show(_table(plans, about["device"]))
    for sentence in _sentences(about, plans, device):
        show(sentence)


class StudyPlan(NamedTuple):
    """The work of jobs that are trained as one: their settings, all their members, and
    what is missing."""

    settings: Settings
    members: Sequence[Member]
    todo: Todo

    def programs(self, here: bool) -> list[tuple[Program, list[Member]]]:
        """Group the members by the programs to compile, for this machine or for an accelerator."""
        todo = self.todo
        engine = self.settings.engine if here else elsewhere(self.settings.engine)
        searched = todo.search is not None
        return (
            group_programs(todo.missing, self.members, engine, searched)
            if todo.most
            else []
        )

    @property
    def cost(self) -> float:
        """The cost of the missing members that are trained, per worker."""
        todo = self.todo
        mean = sum(map(cost, todo.missing)) / max(len(todo.missing), 1)
        return (todo.usual or todo.most) * mean / worker_count(self.settings.engine)


def _study(jobs: Sequence[Job]) -> StudyPlan:
    settings = jobs[0].settings
    members = list(dict.fromkeys(member for job in jobs for member in job.members))
    return StudyPlan(settings, members, what_is_missing(members, settings.study))


def _about(
    studies: Sequence[StudyPlan],
    plans: Sequence[ProgramPlan],
    programs: int,
    device: Device | None,
) -> dict[str, Any]:
    """Return everything known about the studies except the programs, for JSON and for
    the sentences."""
    todos = [study.todo for study in studies]
    missing = sum(len(todo.missing) for todo in todos)
    most = sum(todo.most for todo in todos)
    floors = [each.floor * each.steps for each in plans if each.floor is not None]
    guess = _measured(studies) if device is None and missing else None
    usually = (
        sum(todo.usual or todo.most for todo in todos)
        if any(todo.usual for todo in todos)
        else None
    )
    return {
        "device": jax.devices()[0].device_kind if device is None else device.about,
        "folder": ", ".join(sorted({str(study.settings.folder) for study in studies})),
        "members": sum(len(study.members) for study in studies),
        "there": sum(todo.rows.height for todo in todos),
        "at_most": most,
        "usually": usually,
        "searched": any(todo.search is not None for todo in todos),
        "programs_in_all": programs,
        "floor_seconds": most / missing * sum(floors) if floors else None,
        "estimated_seconds": guess and guess[0],
        "estimated_from_rows": guess and guess[1],
        "workers": max(worker_count(s.settings.engine) for s in studies)
        if device is None
        else 1,
    }


def _measured(studies: Sequence[StudyPlan]) -> tuple[float, int] | None:
    """Estimate the seconds on this CPU, with the number of rows behind the estimate;
    None without any."""
    if jax.default_backend() != "cpu":
        return None
    places = {OUTPUTS, *(study.settings.folder for study in studies)}
    folders = [folder for folder in places if folder.exists()]
    rows = one_per_key([shards.read(folder) for folder in folders])
    rows = rows.filter(
        backend="cpu", device=jax.devices()[0].device_kind, batching="map"
    )
    rows = rows.filter(pl.col("run_seconds") > 0, pl.col("steps") > 0)
    if rows.is_empty():
        return None
    done = work(*map(pl.col, ("steps", "length", "batch", "layers", "units")))
    pace, used = rows.select(
        pl.col("run_seconds").sum() / done.sum(),
        used=pl.col("steps").sum() / pl.col("budget").sum(),
    ).row(0)
    seconds = pace * used * sum(study.cost for study in studies)
    return (
        None
        if seconds > FARTHEST * rows["run_seconds"].sum()
        else (seconds, rows.height)
    )


def _columns(each: ProgramPlan) -> dict[str, Any]:
    program = each.program
    trainer = each.program.trainer
    return {
        "task": program.spec.task.name,
        "cell": program.spec.architecture.model.cell,
        "layers": program.spec.architecture.model.layers,
        "members": len(each.members),
        "lanes": program.lanes,
        "devices": program.devices,
        "batching": "vmap" if trainer.side_by_side else "map",
        "units": program.spec.architecture.model.units,
        "steps": trainer.max_length,
        "evaluation_steps": trainer.max_eval_length,
        "batch": program.spec.recipe.batch,
        "memory_bytes": each.memory,
        "step_operations": each.flops,
        "step_bytes": each.bytes,
        "step_floor_seconds": each.floor,
        "compile_seconds": each.code.seconds,
    }


def _table(plans: Sequence[ProgramPlan], device: str) -> Listing:
    rows = []
    for each in plans:
        row = _columns(each)
        cell = "" if row["cell"] == "lstm" else f", {row['cell']}"
        cell += "" if row["layers"] == 1 else f", {row['layers']} layers"
        numbers = (
            str(row[name])
            for name in ("members", "lanes", "units", "steps", "evaluation_steps")
        )
        amounts = (
            scaled(each.memory, "B"),
            scaled(each.flops, ""),
            scaled(each.bytes, "B"),
        )
        floor = "" if each.floor is None else scaled(each.floor, "s")
        rows.append([row["task"] + cell, *numbers, *amounts, floor])
    columns = [
        Column("program"),
        *(Column(head, about, right=True) for head, about in HEADS.items()),
    ]
    if not any(row[-1] for row in rows):  # as on a CPU, which has no known floor
        columns = columns[:-1]
        rows = [row[:-1] for row in rows]
    drops = "lanes", "eval", "passes", "products", "length"
    return Listing(f"Programs for {device}", columns, rows, drops)


def _sentences(
    about: dict[str, Any], plans: Sequence[ProgramPlan], device: Device | None
) -> list[str]:
    there = f"Members: {about['members']:,}, of which {about['folder']} holds {about['there']:,}."
    if not plans:
        return [f"{there} Nothing would be trained."]
    trained = (
        f"At most {about['at_most']:,}"
        if about["searched"]
        else f"{about['at_most']:,}"
    )
    trained += f", usually about {about['usually']:,}," if about["usually"] else ""
    search = ", which ones is decided as results come" if about["searched"] else ""
    left = about["programs_in_all"] - len(plans)
    more = (
        f" The {len(plans)} costliest of {about['programs_in_all']} programs are shown."
        if left
        else ""
    )
    chip = device or plans[0].device
    who = (
        "so many members of average cost take"
        if about["searched"]
        else "all of them take"
    )
    of_all = (
        f", of the {scaled(chip.usable, 'B')} that a program may take" if chip else ""
    )
    sentences = [
        f"{there} {trained} would be trained{search}.{more}",
        (
            f"memory: what the compiler plans{' for each chip' if chip else ''};"
            f" {scaled(max(e.memory for e in plans), 'B')} at most{of_all}."
            " products, passes: of a training step, and what its passes over time write and read."
        ),
    ]
    if chip:
        sentences.append(
            f"step: the least that it can take, at {number(chip.peak / 1e12)} TFLOP/s and"
            f" {number(chip.bandwidth / 1e9)} GB/s. With whole budgets {who} at least"
            f" {duration(about['floor_seconds'])}; launches, data and evaluations come on top."
            " This was compiled, not run."
        )
    elif about["estimated_seconds"] is not None:
        sentences.append(
            f"About {duration(about['estimated_seconds'])} on"
            f" {plural(about['workers'], 'worker')}, at the pace of"
            f" {plural(about['estimated_from_rows'], 'row')} from this kind of CPU in"
            f" {about['folder']} and {OUTPUTS}; compiling comes on top."
        )
    else:
        sentences.append(
            "How long it takes is not known: there are no rows from this device to go by, or too"
            " few."
        )
    return sentences
