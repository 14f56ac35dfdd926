"""Plan a training before it begins: programs, memory and time, also for an absent accelerator.

The command takes the overrides of `memcap train`, --config-dir and -m, and checks
everything as `memcap train` does. It compiles the programs, but trains and writes
nothing.

  memcap plan sweeps=first_study                              on this machine
  memcap plan --device h100 sweeps=training/delay_line_frontier
                                                              on one H100: needs
                                                              memcap[targets], and no GPU
  memcap plan -m task=latch task.lag=5,50 model.units=1,2     all jobs of a multirun

Read more: memcap docs accelerators
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import polars as pl

from memcap.commands.arguments import add_json, location
from memcap.config.member import Member
from memcap.launch.app import compose_jobs
from memcap.launch.jobs import Job, Settings
from memcap.planning import devices
from memcap.planning.devices import DEVICES, Device
from memcap.planning.plan import ProgramPlan, compile_plan, elsewhere, group_programs
from memcap.store import shards
from memcap.store.columns import Row
from memcap.store.rows import one_per_key
from memcap.store.shards import OUTPUTS
from memcap.studies.run import Todo, what_is_missing
from memcap.terminal.words import (
    Column,
    Listing,
    NumberColumn,
    Waiting,
    duration,
    number,
    plural,
    print_json,
    scaled,
    show,
)
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
    add = parser.add_argument
    add("overrides", nargs="*", help=about)
    add("-m", "--multirun", action="store_true", help="all jobs of a multirun")
    about = "a folder with recipes and studies of your own"
    add("--config-dir", "-cd", type=location, help=about)
    kinds = ", ".join(f"{each.name} ({each.about})" for each in DEVICES.values())
    add("--device", default="this", help=f"this (default), or {kinds}")
    add_json(parser)


def run(arguments: Namespace) -> None:
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
        by_cost = sorted(programs.items(), key=lambda each: -sum(map(cost, each[1])))
        costliest = by_cost[:MOST_PROGRAMS]
        count = plural(len(costliest), "program")
        waiting.now(f"compiling {count}")
        plans = compile_plan(
            costliest, device, lambda done: waiting.now(f"{done} of {count} compiled")
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
    """The work of jobs that are trained as one: settings, members, and what is missing."""

    settings: Settings
    members: Sequence[Member]
    todo: Todo

    def programs(self, here: bool) -> list[tuple[Program, list[Member]]]:
        todo = self.todo
        if not todo.most:
            return []
        engine = self.settings.engine if here else elsewhere(self.settings.engine)
        searched = todo.search is not None
        return group_programs(todo.missing, self.members, engine, searched)

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
    todos = [study.todo for study in studies]
    missing = sum(len(todo.missing) for todo in todos)
    most = sum(todo.most for todo in todos)
    floors = [each.floor * each.steps for each in plans if each.floor is not None]
    guess = _measured(studies) if device is None and missing else None
    workers = 1
    if device is None:
        workers = max(worker_count(study.settings.engine) for study in studies)
    usually = None
    if any(todo.usual for todo in todos):
        usually = sum(todo.usual or todo.most for todo in todos)
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
        "workers": workers,
    }


def _measured(studies: Sequence[StudyPlan]) -> tuple[float, int] | None:
    if jax.default_backend() != "cpu":
        return None
    places = {OUTPUTS, *(study.settings.folder for study in studies)}
    folders = [folder for folder in places if folder.exists()]
    rows = one_per_key([shards.read(folder) for folder in folders])
    rows = rows.filter(
        pl.col("run_seconds") > 0,
        pl.col("steps") > 0,
        backend="cpu",
        device=jax.devices()[0].device_kind,
        batching="map",
    )
    if rows.is_empty():
        return None
    done = work(*map(pl.col, ("steps", "length", "batch", "layers", "units")))
    pace, used = rows.select(
        pl.col("run_seconds").sum() / done.sum(),
        used=pl.col("steps").sum() / pl.col("budget").sum(),
    ).row(0)
    seconds = pace * used * sum(study.cost for study in studies)
    if seconds > FARTHEST * rows["run_seconds"].sum():
        return None
    return seconds, rows.height


def _columns(each: ProgramPlan) -> Row:
    program = each.program
    trainer = program.trainer
    spec = program.spec
    model = spec.architecture.model
    return {
        "task": spec.task.name,
        "cell": model.cell,
        "layers": model.layers,
        "members": len(each.members),
        "lanes": program.lanes,
        "devices": program.devices,
        "batching": "vmap" if trainer.side_by_side else "map",
        "units": model.units,
        "steps": trainer.max_length,
        "evaluation_steps": trainer.max_eval_length,
        "batch": spec.recipe.batch,
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
        name = row["task"]
        if row["cell"] != "lstm":
            name += f", {row['cell']}"
        if row["layers"] > 1:
            name += f", {row['layers']} layers"
        line = [name]
        line += [
            row[k] for k in ("members", "lanes", "units", "steps", "evaluation_steps")
        ]
        line += [
            scaled(each.memory, "B"),
            scaled(each.flops, ""),
            scaled(each.bytes, "B"),
        ]
        if each.floor is not None:  # a CPU has no known one
            line.append(scaled(each.floor, "s"))
        rows.append(line)
    columns = [NumberColumn(head, about) for head, about in HEADS.items()]
    columns = [Column("program"), *columns][: len(rows[0])]
    drops = "lanes", "eval", "passes", "products", "length"
    return Listing(f"Programs for {device}", columns, rows, drops)


def _sentences(
    about: dict[str, Any], plans: Sequence[ProgramPlan], device: Device | None
) -> list[str]:
    there = f"Members: {about['members']:,}, of which {about['folder']} holds {about['there']:,}."
    if not plans:
        return [f"{there} Nothing would be trained."]
    trained = f"{about['at_most']:,}"
    who = "all of them take"
    search = ""
    if about["searched"]:
        trained = f"At most {trained}"
        who = "so many members of average cost take"
        search = ", which ones is decided as results come"
    if about["usually"]:
        trained += f", usually about {about['usually']:,},"
    programs = about["programs_in_all"]
    omission = f" The {len(plans)} costliest of {programs} programs are shown."
    more = omission if programs > len(plans) else ""
    chip = device or plans[0].device
    each_chip = " for each chip" if chip else ""
    most = f"{scaled(max(each.memory for each in plans), 'B')} at most"
    if chip:
        most += f", of the {scaled(chip.usable, 'B')} that a program may take"
    sentences = [
        f"{there} {trained} would be trained{search}.{more}",
        (
            f"memory: what the compiler plans{each_chip}; {most}."
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
