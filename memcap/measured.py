"""u50 and u90 of any training function: a PyTorch layer, an agent, a reservoir.

Each result is a line on the disk before the next call; a rerun repeats the order of the
file.
"""

import contextlib
import fcntl
import json
import math
import operator
import os
import pickle
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import polars as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from memcap.designs.adaptive import Adaptive
from memcap.designs.bisect import Bisect
from memcap.designs.design import FEWEST_WIDTHS, Design, Outcome
from memcap.frontiers.words import fall_words, interval_text
from memcap.knobs import MOST, UserError, whole
from memcap.runtime.plugins import raised
from memcap.terminal.words import plural
from memcap.thresholds.curve import Fit, Threshold, probability
from memcap.thresholds.falls import fit_counts, rising_posterior

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MORE = 2  # times `seeds`, at most, at a width whose interval is wide
MOST_WORKERS = 1024
Ask = Callable[[list["Call"]], None]


class CallRecipe(NamedTuple):
    """How a call trains, which only the user's function knows."""

    name: str = "train"
    budget: int = 1


class Call(NamedTuple):
    """A call of the user's function: a candidate of a design."""

    width: int
    seed: int

    series = "train"
    lag = 1
    length = 1
    recipe = CallRecipe()


@dataclass(frozen=True, eq=False)
class WidthMeasurement:
    """u50 and u90 of a training function, with the results behind them.

    Attributes:
        name: of the measurement.
        path: of the file of results.
        widths: all that it might train, ascending.
        results: columns width, seed, score (null without a criterion, and for NaN) and
            passed.
    """

    name: str
    path: Path
    widths: tuple[int, ...]
    results: pl.DataFrame

    @cached_property
    def counts(self) -> pl.DataFrame:
        """Counts of each width tried: columns width, passed and runs."""
        by_width = self.results.group_by("width").agg(
            pl.col("passed").sum().cast(pl.Int64), pl.len().cast(pl.Int64).alias("runs")
        )
        return by_width.sort("width")

    @cached_property
    def fit(self) -> Fit:
        """The fit to the counts, with lapse and misfit."""
        return fit_counts(*self._columns)

    @property
    def u50(self) -> Threshold:
        """The width at which half of the seeds that can train pass."""
        return self.fit.u50

    @property
    def u90(self) -> Threshold:
        """The width at which nine in ten of them pass."""
        return self.fit.u90

    @property
    def _columns(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(column) for column in self.counts.iter_columns())

    def __str__(self) -> str:
        runs = plural(self.results.height, "run")
        fit = self.fit
        lines = [
            f"{self.name}: {runs} at {self.counts.height} of {len(self.widths)} widths",
            f"u50    {interval_text(fit.u50)}",
            f"u90    {interval_text(fit.u90)}",
            f"lapse  {fit.lapse:.2f} [{fit.lapse_low:.2f}, {fit.lapse_high:.2f}]",
            *([f"note: {fall_words(fit.fall)}"] if fit.fall else []),
            "width  passed",
        ]
        rows = self.counts.iter_rows()
        lines += [f"{u:5}  {s}/{n}" for u, s, n in rows]
        return "\n".join([*lines, f"results: {self.path}"])

    def plot(self) -> "Figure":
        """Draw the share that passed by width, the fitted curve, and u50 and u90."""
        # only this draws
        from matplotlib.figure import Figure  # noqa: PLC0415

        from memcap.figures import own_style  # noqa: PLC0415
        from memcap.figures.style import COLOURS  # noqa: PLC0415

        counts = self.counts
        units = np.geomspace(counts["width"][0], counts["width"][-1], 300)
        trained = 1 - self.fit.lapse
        with own_style():
            figure = Figure(figsize=(6, 4), layout="constrained")
            axes = figure.subplots()
            curve = probability(rising_posterior(*self._columns), units)
            axes.plot(units, curve, color=COLOURS[0], lw=1)
            share = counts["passed"] / counts["runs"]
            size = 12 * counts["runs"]
            axes.scatter(counts["width"], share, size, color=COLOURS[0], alpha=0.6)
            for p, width in ((0.5, self.u50), (0.9, self.u90)):
                ends = np.clip([width.low, width.high], units[0], units[-1])
                axes.plot(ends, [p * trained] * 2, color=COLOURS[1], lw=3, alpha=0.6)
                axes.plot(width.units, p * trained, "|", color=COLOURS[1], ms=12)
            axes.set_xscale("log", base=2)
            axes.set_ylim(-0.05, 1.05)
            axes.set_xlabel("width")
            axes.set_ylabel("share of seeds that passed")
            axes.set_title(self.name)
        return figure


class Results:
    """The results of a measurement, in order, and the file to which they are appended."""

    def __init__(self, path: Path, file: BinaryIO):
        self.path = path
        self.rows: dict[Call, tuple[float | None, bool]] = {}
        self._file = file

    def add(self, call: Call, score: float | None, passed: bool) -> None:
        self.write(call._asdict() | {"score": score, "passed": passed})
        self.rows[call] = score, passed

    def write(self, values: dict[str, Any]) -> None:
        """Write a line, which is on the disk when this returns."""
        self._file.write(json.dumps(values).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


@contextlib.contextmanager
def _opened(path: Path, setting: dict[str, Any]) -> Generator[Results]:
    """Open a file of JSON lines, made if needed, and keep other processes from it.

    Raises:
        UserError: the file is in use, is for another `setting`, or has a bad line.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{path}: another process writes it; wait for it, or take another name"
            ) from error
        file.seek(0)
        content = file.read()
        end = content.rfind(b"\n") + 1
        file.truncate(end)
        lines = content[:end].splitlines()
        results = Results(path, file)
        if not lines:
            results.write(setting)
        for line in lines[1:]:
            row = _parsed(path, line, ["width", "seed", "score", "passed"])
            results.rows[Call(row["width"], row["seed"])] = row["score"], row["passed"]
        there = _parsed(path, lines[0], list(setting)) if lines else setting
        for name, value in setting.items():
            if there[name] != value:
                raise UserError(
                    f"{name}={_short(value)}: {path} has results of {name}="
                    f"{_short(there[name])}; take these, or another name"
                )
        yield results


def measure(
    train: Callable[[int, int], Any],
    widths: Iterable[int],
    seeds: int = 8,
    *,
    name: str,
    folder: str | Path = "outputs/measured",
    workers: int = 1,
    criterion: float | None = None,
) -> WidthMeasurement:
    """Measure how wide a network must be for its training to pass.

    Calls are chosen by the results so far; not all widths and seeds are trained.

    Args:
        train: `train(width, seed)` trains one network, and returns whether it passed,
            or its score if there is a criterion; the same for the same arguments.
        widths: all whole numbers that may be trained, at least three.
        seeds: of a width; up to twice as many where the interval of u90 is wide.
        name: of the file FOLDER/NAME.jsonl, whose results, if any, count as this
            function's.
        folder: made if needed.
        workers: processes that train; 1: only this one. For more, `train` must be a
            function of a module, and a script needs `if __name__ == "__main__"`.
        criterion: the least score that passes. NaN does not pass.

    Returns:
        u50 and u90 with 95 % intervals, the counts and the results.

    Raises:
        UserError: a mistake, or what `train` raised, in one line. Results are kept.

    Example:
        >>> def train(width, seed):
        ...     return width >= 5
        >>> found = memcap.measure(train, range(1, 17), name="step")
        >>> round(found.u50.units, 1)
        4.5
    """
    all_widths = sorted({_whole(width, "widths", 1) for width in widths})
    if len(all_widths) < FEWEST_WIDTHS:
        raise UserError(
            f"widths={all_widths}: must be at least {FEWEST_WIDTHS} numbers, as in"
            " range(1, 65)"
        )
    if not name or set(name) & {"/", "\\", "\0"}:
        raise UserError(f"name={name!r}: must be a file's name, without / and \\")
    seeds = _whole(seeds, "seeds", 1)
    workers = whole(workers, "workers", 1, MOST_WORKERS)
    setting = {"widths": all_widths, "criterion": criterion}
    score = partial(_score, train, criterion)
    with (
        _opened(Path(folder) / f"{name}.jsonl", setting) as results,
        _asking(score, results, workers) as ask,
        _progress() as progress,
    ):
        task = progress.add_task(f"measuring {name}")

        def show(left: int) -> None:
            done = len(results.rows)
            progress.update(task, completed=done, total=done + left)

        first = Bisect(_calls(all_widths, seeds), {})
        known = _answered(first, results, ask, show)
        measured = _measurement(name, all_widths, results)
        if measured.u90.censored == "no":
            more = Adaptive(_calls(all_widths, MORE * seeds), known)
            _answered(more, results, ask, show)
        show(0)
    return _measurement(name, all_widths, results)


def _calls(widths: list[int], seeds: int) -> list[Call]:
    return [Call(width, seed) for width in widths for seed in range(seeds)]


def _progress() -> Progress:
    columns = (
        "{task.description}",
        BarColumn(10),
        MofNCompleteColumn(),
        "runs at most",
    )
    # a notebook asks Rich for colours, but is no terminal, and would keep each state
    console = Console(
        stderr=True, force_jupyter=False, force_terminal=sys.stderr.isatty()
    )
    return Progress(*columns, TimeElapsedColumn(), console=console)


def _answered(
    design: Design[Call], results: Results, ask: Ask, show: Callable[[int], None]
) -> dict[Call, Outcome]:
    """Answer a design by results in the order of the file, so that a rerun makes the
    same calls. `show` gets how many may be left."""
    outcomes = {}
    waiting = design.first_members()
    while waiting:
        show(design.estimate)
        if results.rows.keys().isdisjoint(waiting):
            ask(waiting)
        call = next(call for call in results.rows if call in waiting)
        waiting.remove(call)
        outcomes[call] = Outcome(results.rows[call][1], steps=call.recipe.budget)
        waiting += design.next_members(call, outcomes[call])
    return outcomes


@contextlib.contextmanager
def _asking(
    score: Callable[[Call], tuple[float | None, bool]], results: Results, workers: int
) -> Generator[Ask]:
    """Yield a function that gets at least one result of some calls."""
    if workers == 1:
        yield lambda waiting: results.add(waiting[0], *score(waiting[0]))
        return
    try:
        pickle.dumps(score)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(
            f"workers={workers}: train cannot be sent to another process ({error}); define"
            " it in a module, or leave workers=1"
        ) from error
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _end_with_parent)
    running: dict[Call, Future[tuple[float | None, bool]]] = {}

    def keep() -> None:
        for call, end in list(running.items()):
            if end.done() and not end.cancelled() and end.exception() is None:
                results.add(call, *running.pop(call).result())

    def ask(waiting: list[Call]) -> None:
        for call in waiting:
            if call not in running:
                running[call] = pool.submit(score, call)
        ended = wait(running.values(), return_when=FIRST_COMPLETED).done
        keep()
        for end in ended:
            end.result()  # raises what the call raised

    try:
        yield ask
    except BrokenProcessPool as error:
        raise UserError(
            f"workers={workers}: a process ended; is there memory for so many, and"
            ' `if __name__ == "__main__"` in the script?'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
        keep()


def _end_with_parent() -> None:
    """End this process when its parent does, even by a kill."""

    def watch() -> None:
        if (parent := parent_process()) is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="memcap-parent", daemon=True).start()


def _score(
    train: Callable[[int, int], Any], criterion: float | None, call: Call
) -> tuple[float | None, bool]:
    what = f"train(width={call.width}, seed={call.seed})"
    try:
        end = train(call.width, call.seed)
        if hasattr(end, "item"):
            end = end.item()  # a number of NumPy, PyTorch or JAX
    except (Exception, SystemExit) as error:
        raise UserError(f"{what} {raised(error, train.__module__)}") from error
    if criterion is None:
        if not isinstance(end, bool):
            raise UserError(
                f"{what} returns {end!r}: must be True or False, or a number if there is a"
                " criterion=NUMBER"
            )
        return None, end
    if isinstance(end, bool) or not isinstance(end, (int, float)):
        raise UserError(
            f"{what} returns {end!r}: must be a number, which passes from"
            f" criterion={criterion:g} on"
        )
    return None if math.isnan(end) else float(end), end >= criterion


def _measurement(name: str, widths: list[int], results: Results) -> WidthMeasurement:
    schema = {"width": pl.Int64, "seed": pl.Int64, "score": pl.Float64}
    rows = [(*call, *end) for call, end in results.rows.items()]
    frame = pl.DataFrame(rows, schema | {"passed": pl.Boolean}, orient="row")
    return WidthMeasurement(name, results.path, tuple(widths), frame)


def _whole(value: Any, name: str, least: int) -> int:
    with contextlib.suppress(TypeError):
        value = value if isinstance(value, bool) else operator.index(value)
    return whole(value, name, least, MOST)


def _parsed(path: Path, line: bytes, names: list[str]) -> dict[str, Any]:
    try:
        values = json.loads(line)
        return {name: values[name] for name in names}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: {line[:80]!r} is not one of its lines; take another name"
        ) from error


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > FEWEST_WIDTHS:
        return f"[{value[0]}, {value[1]}, ..., {value[-1]}] ({len(value)})"
    return str(value)
