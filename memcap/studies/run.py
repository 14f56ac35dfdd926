"""A job: train the members of a list that a study's folder doesn't hold yet, and keep every row as it
comes."""

import json
import math
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from memcap import jax_setup
from memcap.config import Engine, Member
from memcap.knobs import keyed
from memcap.signals import Interrupted
from memcap.studies import curves, files, store
from memcap.studies.checkpoints import SECONDS_OF_TRAINING, Checkpoints
from memcap.studies.environment import environment
from memcap.studies.heartbeat import Beat, beating
from memcap.studies.leftovers import sweep
from memcap.studies.progress import Progress
from memcap.studies.standing import standing
from memcap.tracking import Points, Tracker, add_point, thin
from memcap.training.engine import Checkpoint, Chunk, Listener, Result, found_backend, settled, train

SECONDS_BETWEEN_WRITES = 5.0
ROWS_OF_A_SHARD = 256  # a shard is rewritten whole until it has as many
POINTS_OF_A_CHUNK = 10  # of a curve: a point costs as much as some steps of a tiny net


def row(ended: Result, study: str, population: str) -> dict[str, Any]:
    """A member's row: everything in `store.SCHEMA`."""
    member = ended.member
    recipe, init = member.recipe, member.init
    drawn = init is None or init.spread is not None
    return {
        "key": member.key,
        "study": study,
        "task": member.task.name,
        "knobs": json.dumps(keyed(member.task), sort_keys=True),
        "lag": member.lag,
        "length": member.length,
        **asdict(member.model),
        "seed": member.seed,
        "recipe": recipe.name,
        "init": recipe.init,
        "input_bias": None if init is None or drawn else init.input,
        "forget_bias": None if init is None or drawn else init.forget,
        "output_bias": None if init is None else init.output,
        "gain": None if init is None else init.gain,
        "orthogonal": None if init is None else init.orthogonal,
        **{name: getattr(recipe, name) for name in store.TRAINING},
        "status": ended.status,
        "reason": ended.reason,
        "solved": ended.solved is not None,
        "steady": ended.steady is not None,
        "steps": ended.steps,
        "steps_to_solve": ended.solved,
        "steps_to_steady": ended.steady,
        "metric": member.task.metric,
        "threshold": member.facts.threshold,
        "final": _finite(ended.score),
        "best": _finite(ended.best),
        "train_loss": _finite(ended.train_loss),
        "stretch": member.evaluation.stretch,
        "stretched": _finite(ended.stretched),
        "evaluation_sequences": member.evaluation.sequences,
        "evaluation_every": member.evaluation.every,
        "evaluation_successive": member.evaluation.successive,
        "evaluation_until": member.evaluation.until,
        "carry_numbers": member.architecture.carry_numbers(),
        "parameters": member.architecture.parameters(),
        "compile_seconds": ended.compile_seconds,
        "run_seconds": ended.run_seconds,
        "batching": ended.batching,
        "scan": ended.scan,
        "kernel": ended.kernel,
        "program_units": ended.program_units,
        "program_steps": ended.program_steps,
        "population": population,
        "config": json.dumps(member.config, sort_keys=True),
        **environment(),
        "finished": datetime.now(UTC),
    }


def _finite(value: float) -> float | None:
    """None for what was never measured, or overflowed in a diverged run."""
    return value if math.isfinite(value) else None


class _RowWriter(Listener):
    """Writes rows and weights as members end, at most every few seconds a population, and feeds progress and
    tracking.

    States of members that train long go to the checkpoints, and leave these when their rows are written.

    A shard belongs to one run of one job: its name has a token of its own, so that two jobs in one folder,
    even of the same members, never write the same file. Readers take one row a key. Without a folder rows are
    kept, and weights are not.
    """

    def __init__(
        self,
        folder: Path | None,
        study: str,
        tracker: Tracker,
        progress: Progress,
        checkpoints: Checkpoints | None = None,
    ):
        self.folder, self.study, self.tracker, self.progress, self.checkpoints = (
            folder,
            study,
            tracker,
            progress,
            checkpoints,
        )
        self.keeps = math.inf if checkpoints is None else SECONDS_OF_TRAINING
        self.all: list[dict[str, Any]] = []  # rows of this job
        self.lock = threading.Lock()
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.weights: dict[str, dict[str, Any]] = {}
        self.running: dict[str, Points] = {}  # curves by key of the members in training
        self.curves: dict[str, dict[str, Points]] = {}
        self.written: dict[str, float] = {}
        self.unwritten: set[str] = set()
        self.full: dict[str, int] = {}  # shards that have all the rows they may
        self.token = secrets.token_hex(4)

    def curve(self, chunk: Chunk) -> None:
        self.progress.curve(chunk)
        running = self._so_far(chunk)
        for step, values in chunk.points(POINTS_OF_A_CHUNK):
            add_point(running, step, values)
            self.tracker.curve(chunk.member.key, step, values)
        with self.lock:
            self._write_late()

    def _so_far(self, chunk: Chunk) -> Points:
        """The curve that a chunk goes on with. A member that begins again, or goes on from a checkpoint, has
        none beyond it."""
        key = chunk.member.key
        if key not in self.running:
            earlier = {} if self.checkpoints is None else self.checkpoints.curve(key)
            self.running[key] = _until(chunk.before, earlier)
            for step, values in self.running[key].items():
                self.tracker.curve(key, step, values)
        elif next(reversed(self.running[key]), 0) > chunk.before:
            self.running[key] = _until(chunk.before, self.running[key])
        return self.running[key]

    def ended(self, population: str, results: Sequence[Result]) -> None:
        with self.lock:
            name = f"{population}-{self.token}-{self.full.get(population, 0)}"
            rows, weights = self.rows.setdefault(name, []), self.weights.setdefault(name, {})
            kept = self.curves.setdefault(name, {})
            for each in results:
                rows.append(row(each, self.study, name))
                self.all.append(rows[-1])
                weights[each.member.key] = each.weights
                kept[each.member.key] = thin(self.running.pop(each.member.key, {}))
                self.tracker.member(each.member.key, each.member.config, rows[-1])
                self.progress.ended(each)
            self.unwritten.add(name)
            if len(rows) >= ROWS_OF_A_SHARD:
                self._write(name)
                self.full[population] = self.full.get(population, 0) + 1
                del self.rows[name], self.weights[name], self.curves[name]
            self._write_late()

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None:
        assert self.checkpoints is not None
        self.checkpoints.keep(checkpoints, self.running)

    def kept(self, members: Sequence[Member]) -> dict[str, Checkpoint]:
        assert self.checkpoints is not None
        return self.checkpoints.kept([member.key for member in members])

    def meanwhile(self) -> None:
        if self.checkpoints is not None:
            self.checkpoints.write_late()

    def _write_late(self) -> None:
        """Write the shards that have waited long enough; asked after every chunk, so that no row waits for
        another to end."""
        now = time.monotonic()
        for name in [
            n for n in self.unwritten if now - self.written.get(n, -math.inf) > SECONDS_BETWEEN_WRITES
        ]:
            self._write(name)

    def _write(self, name: str) -> None:
        if self.folder is not None:
            with files.writing(self.folder / "weights"):  # nobody takes the curves for orphans
                curves.write(self.folder, name, self.curves[name])
                store.write_population(self.folder, name, self.rows[name], self.weights[name])
        if self.checkpoints is not None:
            self.checkpoints.drop(list(self.weights[name]))
        self.written[name] = time.monotonic()
        self.unwritten.discard(name)

    def flush(self) -> None:
        """Write whatever has ended, and what is half-trained, also when the job was interrupted."""
        with self.lock:
            for name in list(self.unwritten):
                self._write(name)
        if self.checkpoints is not None:
            self.checkpoints.write()


def _until(last: int, points: Points) -> Points:
    return {step: values for step, values in points.items() if step <= last}


def run_study(
    members: Sequence[Member],
    engine: Engine,
    folder: Path | None,
    study: str,
    tracker: Tracker,
    design: str = "grid",
    quiet: bool = False,
    command: str | None = None,
) -> pl.DataFrame:
    """Train what is missing.

    Args:
        members: the job's members.
        engine: how members share the machine.
        folder: the study's folder; rows that it holds are not trained again, unless the member failed, and
            half-trained members go on. None: nothing is written.
        study: name of the study, in every row.
        tracker: mirror of curves and rows.
        design: "grid" trains all members; "bisect" those that find the thresholds, see
            `memcap.studies.search`.
        quiet: show no progress.
        command: what was typed to start it, for `memcap status`.

    Returns:
        The rows of these members, as far as the design wanted them.
    """
    jax_setup.prepare()
    found_backend()
    engine = settled(engine)
    if folder is not None:
        store.prepare(folder)
        sweep(folder)
    before = standing(members, folder, design)
    checkpoints = None if folder is None else Checkpoints(folder, members, engine)
    search, there = before.search, before.rows.height
    keys = [member.key for member in before.missing] if before.first else []
    there_before = before.rows.select("key", "solved", "steady", "evaluation_until").to_dicts()
    tracker.begin(members, there_before, before.in_all)
    with (
        Progress(there + before.most, there, quiet) as progress,
        beating(folder, Beat.first(study, command, search is not None), keys, progress.tally.told),
    ):

        def more(ended: Sequence[Result]) -> list[Member]:
            assert search is not None
            wanted = [member for each in ended for member in search.after(each.member, each.passed)]
            progress.expect(search.estimate)
            return wanted

        writer = _RowWriter(folder, study, tracker, progress, checkpoints)
        try:
            if before.first:
                asked = (more, members, ()) if search else (None, (), members)
                train(before.first, engine, writer, *asked)
                if checkpoints is not None:
                    checkpoints.drop(
                        list(checkpoints.states)
                    )  # of members that a search wanted before, and now does not
        except Interrupted as interrupted:
            writer.flush()
            interrupted.kept, interrupted.half_trained = (
                there + len(writer.all),
                len(checkpoints.states) if checkpoints else 0,
            )
            raise
        finally:
            writer.flush()
    return store.merged([before.rows, store.frame(writer.all)])
