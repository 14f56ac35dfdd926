"""The writer of a job: rows, weights, curves and checkpoints, as members end."""

import contextlib
import json
import math
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np
import polars as pl

from memcap import loops
from memcap.config.member import Member
from memcap.models.model import Params
from memcap.runtime.signals import Interrupted
from memcap.store import curves, heartbeat, shards
from memcap.store.columns import Row, columns_of
from memcap.store.curves import Points, add_point, thin
from memcap.store.heartbeat import JobProgress
from memcap.studies.checkpoints import SECONDS_OF_TRAINING, Checkpoints
from memcap.studies.environment import environment
from memcap.terminal.words import finite, member_name, warn_once
from memcap.training.engine import Checkpoint, CurveChunk, Listener, Result

SECONDS_BETWEEN_WRITES = 5.0
ROWS_OF_A_SHARD = 256  # a shard is rewritten whole until it has this many
# of a curve, as a point costs as much as some steps of a tiny net
POINTS_OF_A_CHUNK = 10


def row_of(result: Result, study: str, shard: str) -> Row:
    """Return a row with all columns of `memcap.store.rows.SCHEMA`.

    `shard` is the stem of its file.
    """
    member = result.member
    config = result.member.config
    return {
        **columns_of(config),
        "key": member.key,
        "study": study,
        "seed": member.seed,
        "status": result.status,
        "reason": result.reason,
        "solved": result.solved is not None,
        "steady": result.steady is not None,
        "up_to": result.up_to is not None,
        "anywhere": result.anywhere is not None,
        "steps": result.steps,
        "steps_to_solve": result.solved,
        "steps_to_steady": result.steady,
        "steps_to_up_to": result.up_to,
        "steps_to_anywhere": result.anywhere,
        "metric": member.task.metric,
        "final": finite(result.score),
        "best": finite(result.best),
        "train_loss": finite(result.train_loss),
        "validation_loss": finite(result.validation_loss),
        "held_out_loss": finite(result.held_out_loss),
        "stretched": finite(result.stretched),
        "mean_up_to": finite(result.mean),
        "worst_up_to": finite(result.worst),
        "worst_lag": result.worst_lag,
        "exact_lags": None if result.anywhere is None else result.exact_lags,
        "score_at_lengths": _at_lengths(score for score, _ in result.at_lengths),
        "whole_at_lengths": _at_lengths(whole for _, whole in result.at_lengths),
        "carry_numbers": member.architecture.carry_numbers(),
        "parameters": member.architecture.parameters(),
        "compile_seconds": result.compile_seconds,
        "run_seconds": result.run_seconds,
        **loops.row_columns(result.loop, result.side_by_side),
        "program_units": result.program_units,
        "program_steps": result.program_steps,
        "population": shard,
        "config": json.dumps(config, sort_keys=True),
        **environment(),
        "xla_flags": result.xla_flags,
        "finished": datetime.now(UTC),
    }


def _at_lengths(values: Iterable[float]) -> str | None:
    numbers = list(map(finite, values))
    return json.dumps(numbers) if numbers else None


def members_table(members: Sequence[Member]) -> pl.DataFrame:
    """List members as a job writes them before it trains (`heartbeat.MEMBERS`)."""
    lines = []
    for member in members:
        task = member.task
        name = heartbeat.long_name(task, member.lag, member.model.units, member.seed)
        config = json.dumps(member.config, sort_keys=True)
        lines.append((member.key, name, task.metric, config))
    return pl.DataFrame(lines, heartbeat.MEMBERS, orient="row")


@dataclass
class _Shard:
    """Ended members of one program, for one file; weights and curves by key."""

    rows: list[Row] = field(default_factory=list)
    weights: dict[str, Params] = field(default_factory=dict)
    curves: dict[str, Points] = field(default_factory=dict)
    written: float = -math.inf  # when they were last written, on the monotonic clock
    changed: bool = False  # whether more have ended since


class StudyWriter(Listener):
    """Writes rows, weights and curves as members end, and counts the job's progress.

    A context manager. A shard is written every few seconds at most, and the rest at the
    end, even if the job is interrupted. Members that train for long have checkpoints
    until their rows are written, and the longest have curves as they grow
    (`memcap.store.curves`).

    A shard's name has the token of one run of one job, so that no two jobs write the
    same file; readers take one row per key. Without a folder only rows are collected.
    """

    def __init__(self, progress: JobProgress, checkpoints: Checkpoints | None = None):
        self.progress = progress
        self.folder = progress.study.folder
        self.checkpoints = checkpoints
        self.checkpoint_after = math.inf if checkpoints is None else SECONDS_OF_TRAINING
        self.rows = []  # of this job
        self.lock = threading.Lock()
        self.running: dict[str, Points] = {}  # curves by key of the members in training
        self.shards: dict[str, _Shard] = {}  # by name, those that are not full
        self.full_shards: dict[str, int] = {}  # number of them, by program
        # when `running` was last written, and what
        self.running_time = time.monotonic()
        self.running_steps = {}

    def add_curve(self, chunk: CurveChunk) -> None:
        member = chunk.member
        losses = chunk.losses
        self.progress.chunk(
            member.key,
            member_name(member.task.name, member.lag, member.model.units, member.seed),
            member.recipe.budget,
            chunk.first_step,
            chunk.first_step + len(losses),
            float(np.mean(losses)) if len(losses) else None,
        )
        with self.lock:
            curve = self.running.get(member.key)
            if curve is None:
                curve = self.checkpoints.curve(member.key) if self.checkpoints else {}
            if next(reversed(curve), 0) > chunk.first_step:
                # it begins again, after its worker's death, or goes on from less
                curve = up_to(chunk.first_step, curve)
            self.running[member.key] = curve
            for step, values in chunk.points(POINTS_OF_A_CHUNK):
                add_point(curve, step, values)
            self._write_late()

    def finish(self, program: str, results: Sequence[Result]) -> None:
        with self.lock:
            number = self.full_shards.get(program, 0)
            name = shards.shard_name(program, self.progress.token, number)
            shard = self.shards.setdefault(name, _Shard())
            for result in results:
                key = result.member.key
                row = row_of(result, self.progress.study.name, name)
                self.rows.append(row)
                shard.rows.append(row)
                shard.weights[key] = result.weights
                shard.curves[key] = thin(self.running.pop(key, {}))
                self.progress.ended(key, result.status, result.solved is not None)
                if result.status == "diverged" and not result.steps:
                    warn_once(
                        f"model.cell={result.member.model.cell}: its loss or gradient is not finite"
                        " at the first step, before anything is learned; look for NaN in the cell"
                        f" or in the sequences of task={result.member.task.name}"
                    )
            shard.changed = True
            if len(shard.rows) >= ROWS_OF_A_SHARD:
                self._write(name)
                self.full_shards[program] = number + 1
                del self.shards[name]
            self._write_late()

    def save_checkpoints(self, checkpoints: Sequence[Checkpoint]) -> None:
        assert self.checkpoints is not None
        with self.lock:
            curves_so_far = {
                each.key: dict(self.running.get(each.key, {})) for each in checkpoints
            }
        self.checkpoints.keep(checkpoints, curves_so_far)

    def load_checkpoints(self, members: Sequence[Member]) -> dict[str, Checkpoint]:
        assert self.checkpoints is not None
        return self.checkpoints.find([member.key for member in members])

    def tick(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.write_late()
        if time.monotonic() - self.running_time > curves.SECONDS_BETWEEN_WRITES:
            self._write_running()

    def _write_late(self) -> None:
        """Write old shards: no row waits for another member's end."""
        now = time.monotonic()
        for name, shard in self.shards.items():
            if shard.changed and now - shard.written > SECONDS_BETWEEN_WRITES:
                self._write(name)

    def _write(self, name: str) -> None:
        shard = self.shards[name]
        if self.folder is not None:
            curves.write(self.folder, name, shard.curves)
            shards.write(self.folder, name, shard.rows, shard.weights)
        if self.checkpoints is not None:
            self.checkpoints.drop(list(shard.weights))
        shard.written = time.monotonic()
        shard.changed = False

    def _write_running(self) -> None:
        self.running_time = time.monotonic()
        if self.folder is None:
            return
        longest = self.progress.longest(curves.MOST_RUNNING, curves.RUNNING_AFTER)
        with self.lock:
            grown = {
                member.key: dict(self.running[member.key])
                for member in longest
                if member.key in self.running
            }
        steps = {key: next(reversed(curve), 0) for key, curve in grown.items()}
        if steps != self.running_steps:
            # they are only to look at: training goes on
            with contextlib.suppress(OSError):
                thinned = {key: thin(curve) for key, curve in grown.items()}
                curves.write_running(self.folder, self.progress.token, thinned)
                self.running_steps = steps

    def flush(self) -> None:
        with self.lock:
            for name, shard in self.shards.items():
                if shard.changed:
                    self._write(name)
        if self.checkpoints is not None:
            self.checkpoints.write()

    def count(self, interrupted: Interrupted) -> None:
        interrupted.rows_saved = self.progress.before + len(self.rows)
        if self.checkpoints is not None:
            interrupted.half_trained = len(self.checkpoints.states)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.flush()
        finally:
            if self.folder is not None:
                path = curves.running_path(self.folder, self.progress.token)
                path.unlink(missing_ok=True)


def up_to(last: int, points: Mapping[int, dict[str, Any]]) -> Points:
    return {step: values for step, values in points.items() if step <= last}
