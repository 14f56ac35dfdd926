"""memcap for notebooks and scripts: the engine and rows of the command."""

import itertools
import math
import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from flax import nnx

from memcap import figures, store
from memcap.answers import sources
from memcap.answers.answer import Question
from memcap.answers.diagnosis import diagnose
from memcap.answers.judge import Judgement, judge as judge_net
from memcap.answers.words import AnswerInWords
from memcap.cells import cell_classes, flax_cell_names
from memcap.config.member import Engine, Member, member_of, resolve, task_of
from memcap.config.recipes import Recipe
from memcap.designs import DESIGNS
from memcap.designs.axes import axis, check_count
from memcap.frontiers import frontier as frontiers
from memcap.frontiers.frontier import At, columns
from memcap.knobs import (
    LONGEST,
    MOST,
    UserError,
    did_you_mean,
    field_values,
    names_of,
    typed,
    whole,
)
from memcap.models.model import MOST_LAYERS, Model
from memcap.own.table import form_of
from memcap.own.task import Data, own_task
from memcap.rule import Evaluation
from memcap.scripts.sequences import MaskedBatch, batches
from memcap.store import shards
from memcap.store.files import BadFileError
from memcap.store.nets import PREFIX, find_net
from memcap.store.row_checks import BadRowsError, wrong_copies
from memcap.store.rows import AT, complete
from memcap.store.shards import OUTPUTS, Study, load_findings, rows_file
from memcap.studies.run import run_study
from memcap.studies.writer import members_table
from memcap.tasks import Task, task_class
from memcap.terminal.words import warn_once
from memcap.tracking import Tracker, Tracking
from memcap.trained import Trained

FRESH_SEED = 100  # of a ranked cell: none of the map was trained or tuned on later ones
GROUPS = {"model": Model, "recipe": Recipe, "evaluation": Evaluation}


def members(
    task: Any = "delay_line", recipe: Any = "auto", **axes: Any
) -> list[Member]:
    """Make members from axes: every combination of the values, each once.

    Args:
        task: name ("latch", "my_module:MyTask"), class, object, or a list of these.
        recipe: name of a file in conf/recipe/, object, or a list of these.
        axes: any field by name, each a value or a list: `lag`, `length`, the task's
            knobs; `units`, `cell` (also a class, such as `flax.nnx.GRUCell`), `layers`,
            `readout`; `lr`, `batch`, `budget` and other values of a recipe; `every`,
            `sequences`, `successive`, `stretch`, `until`; `seed`, of which a number
            means that many from 0 on. "1..64" is all whole numbers from 1 to 64. If two
            parts have a field of the same name, write `**{"task.NAME": ...}`.

    Returns:
        The members, fully resolved.

    Raises:
        UserError: the first mistake, in one line.

    Example:
        >>> len(memcap.members(task="latch", lag=[5, 50], units=[1, 2], seed=4))
        16
    """
    grid = {"task": axis("task", task), "recipe": axis("recipe", recipe)}
    for name, values in axes.items():
        is_cell = name in ("cell", "model.cell")
        plain = _names_of_cells(values) if is_cell else _plain(values)
        grid[name] = axis(name, plain)
    check_count(math.prod(map(len, grid.values())), "members")
    points = itertools.product(*grid.values())
    made = (_member(**dict(zip(grid, point, strict=True))) for point in points)
    return list(dict.fromkeys(made))


def _member(task: Any, recipe: Any, **values: Any) -> Member:
    cls = type(task) if isinstance(task, Task) else _task_class(task)
    base = recipe if isinstance(recipe, Recipe) else Recipe(_text(recipe, "recipe"))
    parts = {
        "task": field_values(task) if isinstance(task, Task) else {},
        "model": {},
        "recipe": field_values(base),
        "evaluation": {},
        "member": {"seed": 0},
    }
    fields = {"task": {"lag", "length", *names_of(cls)}, "member": {"seed"}}
    fields |= {part: {*names_of(kind)} - {"name"} for part, kind in GROUPS.items()}
    given: dict[tuple[str, str], str] = {}
    everything = sorted(set().union(*fields.values()))
    for name, value in values.items():
        group, _, field = name.rpartition(".")
        owners = [part for part in fields if field in fields[part]]
        if group:
            owners = [part for part in owners if part == group]
        if not owners:
            raise UserError(
                f"{name}: no such field; {did_you_mean(field, everything)}one of"
                f" {', '.join(everything)}"
            )
        if len(owners) > 1:
            both = " and ".join(owners)
            raise UserError(f"{name}: in {both}; write {owners[0]}.{field}")
        (owner,) = owners
        if (owner, field) in given:
            raise UserError(f"{name}: is also given as {given[owner, field]}")
        given[owner, field] = name
        parts[owner][field] = value
    parts["task"].setdefault("lag", cls.default_lag)
    parts["task"]["name"] = cls.name
    return resolve(parts | parts.pop("member"), cls)


def _task_class(task: Any) -> type[Task]:
    if not (isinstance(task, type) and issubclass(task, Task)):
        return task_class(_text(task, "task"))
    _say_if_alone("task", task)
    return task_class(task.name)


def _task(task: Any, knobs: Sequence[str], values: dict[str, Any]) -> Task:
    words = [*knobs, *(f"{name}={value}" for name, value in values.items())]
    if not isinstance(task, Task):
        return task_of(_task_class(task).name, words)
    if words:
        raise UserError(
            f"{words[0]}: a task that is an object has its knobs already; give its name"
        )
    return task


def _say_if_alone(what: str, cls: type) -> None:
    """Say once that no other process can import a class of the script or notebook."""
    if cls.__module__ == "__main__":
        warn_once(
            f"{what}={cls.__name__}: is defined here, so it trains in this process alone; in a"
            " module of its own all cores train it"
        )


def _names_of_cells(values: Any) -> Any:
    if isinstance(values, (list, tuple)):
        return [_names_of_cells(each) for each in values]
    if isinstance(values, nnx.Module):
        raise UserError(
            f"cell: is an object of {type(values).__name__}; give its class"
        )
    if not isinstance(values, type):
        return values
    if values in (getattr(nnx, name) for name in flax_cell_names()):
        return values.__name__
    own = [name for name, cls in cell_classes().items() if cls is values]
    if "<locals>" in values.__qualname__:
        raise UserError(
            f"cell={values.__name__}: is defined in a function; define it at the top of a module"
        )
    _say_if_alone("cell", values)
    return own[0] if own else f"{values.__module__}:{values.__qualname__}"


def _cell_name(cell: Any) -> str:
    return sources.cell_name(_text(_names_of_cells(cell), "cell"))


def _plain(values: Any) -> Any:
    if isinstance(values, (np.ndarray, np.generic)):
        return values.tolist()
    return list(map(_plain, values)) if isinstance(values, (list, tuple)) else values


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise UserError(f"{name}={reprlib.repr(value)}: must be a name, as text")
    return value


def _place(value: Any, name: str) -> Path:
    if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
        raise UserError(f"{name}={reprlib.repr(value)}: must be the path of a folder")
    return Path(value)


def _number(value: Any, name: str) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not 0 < value < 1
    ):
        raise UserError(f"{name}={value!r}: must be a number above 0 and below 1")
    return value


def _verdict(at: Any, budget: Any) -> None:
    if not isinstance(at, str) or at not in AT:
        came = at if isinstance(at, str) else type(at).__name__
        raise UserError(f"at={came}: must be one of {', '.join(AT)}")
    if budget is not None:
        whole(budget, "budget", 1, MOST)


def data(
    frame: Any, target: Any, file: str | Path | None = None, **columns: Any
) -> Data:
    """Write sequences to a file for task=data, and return that task.

    Its members are judged by their held-out loss (`criterion=best`); numbers are
    scaled. Say on stderr what was found.

    Args:
        frame: a polars, pandas or dict table with a line per step; or an array (N, T)
            of whole numbers or (N, T, F) of numbers, or a list of N sequences of
            different lengths.
        target: the column to predict; for sequences N targets, or one for each step.
        file: the .npz to write; None: one in outputs/data, named by its content.
        columns: the meaning of other columns, as in `memcap.own.table.Columns`; for
            sequences only `groups` and `split`.

    Raises:
        UserError: the frame does not match.

    Example:
        >>> task = memcap.data(frame, target="fault", sequence="machine")
        >>> members = memcap.members(task, recipe="hold", units=[1, 2, 4], seed=2)
    """
    form = form_of(frame, target, columns)
    path = OUTPUTS / "data" / f"{form.digest}.npz"
    if file is not None:
        path = _place(file, "file")
    task = own_task(form.save(path))
    for line in (*form.words, *task.doubts(task.longest_lag)):
        warn_once(line)
    return task


def train(
    members: Iterable[Member],
    folder: str | Path | None = None,
    *,
    study: str = "notebook",
    design: str = "grid",
    precision: float | None = None,
    engine: Engine | None = None,
    tracking: str | Tracking = "off",
    progress: bool = True,
) -> pl.DataFrame:
    """Train members on all cores, or on this host's accelerators.

    Args:
        members: the members to train.
        folder: for rows and weights; members with rows there are not trained again, and
            half-trained ones continue. None: nothing is written.
        study: the study's name in every row.
        design: "grid" trains all members; "bisect" those that find u50 and u90 among
            the widths; "adaptive" fewer, until u90 is known to `precision`; "race"
            first finds out which of the recipes to take.
        precision: for design="adaptive", how far the ends of the 95 % interval of u90
            may lie from its middle, as a share of it; None: 0.15.
        engine: how to share the machine. It changes last bits, which may turn single
            verdicts.
        tracking: service to which the folder is sent meanwhile: "wandb", a
            `memcap.tracking.Tracking`, or "off".
        progress: whether to show progress on stderr, and to print where to find runs.

    Returns:
        One row per member, with the columns of `memcap.store.rows.SCHEMA`.

    Raises:
        UserError: a mistake, before anything trains.
    """
    if design not in DESIGNS:
        raise UserError(f"design={design}: must be one of {', '.join(DESIGNS)}")
    shards.check_study(_text(study, "study"))
    engine = _engine(engine)
    settings = _tracking(tracking)
    all_members = _checked_members(members)
    if not isinstance(progress, bool):
        raise UserError(f"progress={progress!r}: must be True or False")
    place = None if folder is None else _place(folder, "folder")
    job = Study(place, study, design, precision, shards.new_session())
    quiet = not progress
    if settings.mode == "off" or settings.is_disabled:
        return run_study(all_members, engine, job, quiet)
    if place is None:
        raise UserError(
            f"tracking={settings.mode}: follows a folder; give train a folder, too"
        )
    with Tracker(settings, job, members_table(all_members)) as tracker:
        rows = run_study(all_members, engine, job, quiet)
    if tracker.where and progress:
        print(tracker.where)
    return rows


def _engine(engine: Any) -> Engine:
    if not (engine is None or isinstance(engine, Engine)):
        raise UserError(
            f"engine={engine!r}: must be a memcap.Engine, as in memcap.Engine(workers=1)"
        )
    return typed(Engine, vars(engine or Engine()), "engine")


def _tracking(tracking: Any) -> Tracking:
    if not isinstance(tracking, Tracking):
        tracking = Tracking(_text(tracking, "tracking"))
    return typed(Tracking, vars(tracking), "tracking")


def _checked_members(members: Any) -> list[Member]:
    if isinstance(members, str) or not isinstance(members, Iterable):
        raise UserError(f"members={members!r}: must be what memcap.members gives")
    all_members = list(members)
    if wrong := [each for each in all_members if not isinstance(each, Member)]:
        raise UserError(
            f"members: must be what memcap.members gives, and no {type(wrong[0]).__name__}"
        )
    return all_members


def frontier(
    rows: pl.DataFrame | str | Path,
    at: At = "anywhere",
    budget: int | None = None,
    confidence: float = 0.95,
) -> pl.DataFrame:
    """Return the units that each task and lag needs: a line for each, with u50, u90,
    intervals, counts, recipe and budget.

    Args:
        rows: the result of `train`, the folder of a study, or "atlas" (published rows).
        at: the members that count. "trained": solved at the trained length. "steady":
            also at the stretched length. "up_to": also at every shorter lag.
            "anywhere": also wherever in a sequence it begins. Members that were not
            trained until a verdict count by the one before; streams are always trained
            for "steady". `u50_trained` and `u90_trained` are always of "trained".
        budget: most training steps of a recipe that competes; None: any.
        confidence: level of the intervals.

    Raises:
        UserError: no such folder, or no such verdict.
    """
    _verdict(at, budget)
    _number(confidence, "confidence")
    points = frontiers.frontier(_rows(rows), at, budget, confidence)
    return pl.DataFrame([columns(point) for point in points], infer_schema_length=None)


def answer(
    task: Task | type[Task] | str,
    lag: int,
    rows: pl.DataFrame | str | Path | None = None,
    *,
    share: float = 0.9,
    at: At = "anywhere",
    budget: int | None = None,
    cell: str | type = "lstm",
    layers: int = 1,
    knobs: Sequence[str] = (),
    **values: Any,
) -> AnswerInWords:
    """Answer how many units a task takes at a lag. Print it for words; `.units` is the
    width to take.

    Args:
        task: name, class or object. A name or class has the knobs of its question
            (`Task.question_knobs`) unless others are given.
        lag: time steps.
        rows: the result of `train`, a folder of studies, or "atlas" (published rows).
            None: `outputs` and, if it does not measure the lag, the atlas; `.source`
            says which.
        share: the share, of the seeds that train at all, that should pass.
        at, budget: as in `frontier`.
        cell: "lstm", "gru", "elman", a class, or a name from rows.
        layers: number of layers.
        knobs: knobs of a task given by name, such as "symbols=4".
        values: the same by keyword, such as `symbols=4`.

    Raises:
        UserError: no such task, no such lag, or no such verdict.
    """
    _verdict(at, budget)
    _number(share, "share")
    if not isinstance(knobs, (list, tuple)) or not all(
        isinstance(each, str) for each in knobs
    ):
        raise UserError(
            f'knobs={knobs!r}: must be a list of texts, as in ["symbols=4"]'
        )
    if not isinstance(task, Task):
        knobs = [*_task_class(task).question_knobs, *knobs]
    task = _task(task, knobs, values)
    lag = whole(_plain(lag), "lag", 1, LONGEST)
    layers = whole(_plain(layers), "layers", 1, MOST_LAYERS)
    model = Model(_cell_name(cell), 1, layers=layers)
    place = None
    if rows is not None:
        is_table = isinstance(rows, pl.DataFrame)
        place = _rows(rows) if is_table else _place(rows, "rows")
    question = Question(task, lag, model, share, at, budget, place)
    return AnswerInWords(**field_values(sources.best_answer(question)))


def sequences(
    task: Task | type[Task] | str,
    lag: int,
    *,
    batch: int = 64,
    seed: int = 0,
    exactly: bool = False,
    one_hot: bool = True,
    **knobs: Any,
) -> Iterator[MaskedBatch]:
    """Yield batches of a task's sequences without end, for a training loop of any
    library.

    Each batch has a lag, drawn evenly up to the longest, and a length, of which a drawn
    part comes before what counts, as `memcap.judge` asks. All have the same shapes:
    steps behind the length are zeros, without an answer.

    Args:
        task: name, class or object.
        lag: the longest lag.
        batch: N, the number of sequences in a batch.
        seed: of all draws.
        exactly: True: this lag alone, at the first step, as for a stream.
        one_hot: False: symbols are whole numbers (N, T), for an embedding.
        knobs: knobs of a task given by name, such as `items=16`.

    Yields:
        NumPy arrays: `inputs` (N, T, F) float32, `targets` (N, T) of classes or (N, T,
        O) of values, and `mask` (N, T), true where an answer is due.

    Raises:
        UserError: no such task or lag.

    Example:
        >>> inputs, targets, mask = next(memcap.sequences("copy", 50, items=16))
        >>> inputs.shape, targets.shape, int(mask[0].sum())
        ((64, 82, 4), (64, 82), 16)
    """
    lag = whole(_plain(lag), "lag", 1, LONGEST)
    batch = whole(_plain(batch), "batch", 1, MOST)
    seed = whole(_plain(seed), "seed", 0, MOST)
    return batches(_task(task, [], knobs), lag, batch, seed, exactly, one_hot)


def judge(
    net: Callable[[np.ndarray], Any],
    task: Task | type[Task] | str,
    lag: int,
    *,
    one_hot: bool = True,
    sequences: int = 256,
    seed: int = 0,
    start: Any = None,
    **knobs: Any,
) -> Judgement:
    """Judge a network of any library by its answers to fresh sequences of a task. Print
    it for words; a slow network's progress is shown on stderr.

    Args:
        net: a model of Keras, PyTorch or Flax; or a function of inputs (N, T, F)
            float32, one-hot symbols or numbers, that returns logits or values (N, T,
            O), or (N, O) of the last step; or, of classes, whole numbers (N, T). If a
            model is one layer of an LSTM with a dense read-out and is not right,
            `diagnosis` of the result says why.
        task: name, class or object.
        lag: the longest lag. Except of streams each lag up to it is judged by itself:
            at the first step, over all later places, and at each of these.
        one_hot: False: symbols are whole numbers (N, T), for an embedding.
        sequences: how many the net gets at once, until a lag is no longer in doubt
            (`memcap.confirmation`), or has had all possible ones if these are at most
            1,024 of a length; of a file all held-out ones, each once.
        seed: seed of these sequences.
        start: the same model before training, for the diagnosis.
        knobs: knobs of a task given by name, such as `symbols=4`.

    Raises:
        UserError: no such task or lag, or outputs of another shape, not finite, or no
            classes of the task.

    Example:
        >>> predict = lambda inputs: net(torch.from_numpy(inputs))
        >>> memcap.judge(predict, task="copy", lag=50, items=16).right
        True
    """
    lag = whole(_plain(lag), "lag", 1, LONGEST)
    task = _task(task, [], knobs)
    judgement = judge_net(net, task, lag, one_hot, sequences, seed)
    return replace(judgement, diagnosis=diagnose(net, judgement, start, one_hot))


@dataclass(frozen=True)
class Ranking:
    """A cell on the map of cells.

    Args:
        cell: as its rows have it.
        table: a row per task, with the columns of `ranking` in
            sweeps/cells/cell_map/needs.py.
        map: the figure `cell_map` of all cells, and its numbers.
    """

    cell: str
    table: pl.DataFrame
    map: figures.Drawn


def rank(
    cell: str | type,
    folder: str | Path | None = None,
    *,
    engine: Engine | None = None,
    progress: bool = True,
    seed: int = FRESH_SEED,
) -> Ranking:
    """Train a cell on the tasks of the map of cells, and rank it among the published
    cells.

    It trains the same studies with its own seeds: a race of learning rates at each
    task, then the widths that find u90. All cells are compared by that recipe.

    Args:
        cell: a class, or as in `model.cell`, such as "my_module:MyCell". A cell that is
            on the map is not trained.
        folder, engine, progress: as in `train`; without a folder nothing is kept.
        seed: the first of its seeds.

    Raises:
        UserError: no such cell, or one without an initialiser of its own.
    """
    name = _cell_name(cell)
    cell_map = load_findings("cell_map")
    rows = pl.concat([store.read(rows_file(study)) for study in cell_map.RUNS])
    if name not in rows.select(cell_map.SAME)["cell"]:
        own = cell_map.members_of(name, whole(seed, "seed", 0, MOST))
        guest = train(
            own, folder, study="rank", design="race", engine=engine, progress=progress
        )
        rows = pl.concat([rows, guest])
    needs = cell_map.needs(rows)
    ranks = cell_map.ranking(needs, name)
    return Ranking(name, ranks, cell_map.of_needs(needs, rows, name))


def load(folder: str | Path, key: str | None = None) -> Trained:
    """Load a trained member of a study's folder, or a net that memcap publishes.

    Args:
        folder: of one or several studies; or a published net, such as
            "atlas:delay_line-L50".
        key: the member's key, or its first digits; None for a published net.

    Raises:
        UserError: no such folder or net, not exactly one such member, or no weights.
    """
    if key is None:
        if not str(folder).startswith(PREFIX):
            raise UserError(
                f"load({str(folder)!r}): give the key of a member, too, or the name {PREFIX}NAME"
            )
        place, row = find_net(OUTPUTS, str(folder))
    else:
        if not isinstance(key, str):
            raise UserError(f"key={key!r}: must be text, as the rows have it")
        place, row = find_net(_place(folder, "folder"), key)
    return Trained(member_of(store.config_of(row)), store.sound_weights_of(place, row))


def draw(figure: str, rows: pl.DataFrame | str | Path) -> figures.Drawn:
    """Draw a figure, and return it with the numbers in it.

    Args:
        figure: a file of memcap/figures/, or `module:name`.
        rows: the result of `train`, the folder of a study, or "atlas".

    Raises:
        UserError: no such figure, no such folder, or nothing to draw.
    """
    return figures.find(_text(figure, "figure")).draw(_rows(rows))


def _rows(rows: pl.DataFrame | str | Path) -> pl.DataFrame:
    if not isinstance(rows, pl.DataFrame):
        return store.read(_place(rows, "rows"))
    try:
        table = complete(rows)
        if wrong := wrong_copies(rows, table):  # who changed them meant something by it
            raise BadRowsError(wrong)
    except (BadFileError, pl.exceptions.PolarsError) as error:
        why = " ".join(str(error).split())
        raise UserError(
            f"rows: {why}; give what memcap.train returned, or a folder"
        ) from error
    return store.readable(table)
