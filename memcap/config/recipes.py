"""Recipes: how a member is trained. A file in conf/recipe/ gives every value;
conf/recommended.yaml says which suits a task."""

import os
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from memcap import cells
from memcap.knobs import (
    MOST,
    UserError,
    Values,
    alternatives,
    check,
    completed,
    field_values,
    knob,
    typed,
)
from memcap.models.model import PRESETS, preset
from memcap.rule import SHORTER_LAGS, Verdict
from memcap.runtime import ROOT
from memcap.tasks import Task

MOMENTUM = 0.9  # of gradient descent
# of RMSprop: per step of its running mean of squares; added to the root
RMS_DECAY = 0.99
EPSILON = 1e-8
OWN_START = "own_start"  # for cells that only their own initialiser can start
RATES = (0.003, 0.01, 0.03)  # learning rates that race if it is the only recipe
_folders: list[Path] = []  # where Hydra looks for configs, --config-dir among them


@dataclass(frozen=True)
class Recipe:
    """A way to train a member, as the user gives it. The recipe's file has every value;
    None means "as in the file"."""

    name: str = knob(
        "auto",
        "a recipe's name; auto: the one that is recommended for the task and its lag, or"
        " own_start for a cell that only its own initialiser can start",
        acts="label",
    )
    init: str | None = knob(
        None, "start of the weights", choices=(*PRESETS, "flax"), acts="start"
    )
    forget_bias: float | None = knob(
        None,
        "forget bias, for init=forget_bias",
        at_least=-100,
        at_most=100,
        acts="start",
    )
    lr: float | None = knob(
        None, "peak learning rate", above=0, at_most=10, acts="schedule"
    )
    schedule: str | None = knob(
        None,
        "learning rate after warmup; arrive: a cosine once the curriculum has arrived",
        choices=("constant", "cosine", "arrive"),
        acts="schedule",
    )
    warmup: int | None = knob(
        None, "steps of linear warmup", at_least=0, at_most=MOST, acts="schedule"
    )
    batch: int | None = knob(
        None, "sequences a step", at_least=1, at_most=1 << 20, acts="batch"
    )
    clip: float | None = knob(
        None, "global norm at which a gradient is clipped", above=0, acts="update"
    )
    budget: int | None = knob(
        None,
        "most training steps that a member may take",
        at_least=1,
        at_most=MOST,
        acts="schedule",
    )
    falls_above: int | None = knob(
        None,
        "lag above which the learning rate is `lr` times this value divided by the lag (with a"
        " curriculum, by the lag of its front); null: no such lag",
        at_least=1,
        before=None,
        acts="schedule",
    )
    curriculum: float | None = knob(
        None,
        "share of the lag that training starts from; null: no curriculum",
        above=0,
        at_most=1,
        before=None,
        acts="schedule",
    )
    advance: float | None = knob(
        None,
        "running accuracy at which the current lag rises; an error counts as an accuracy, with"
        " its threshold as 0.99",
        above=0,
        at_most=1,
        before=None,
        acts="schedule",
    )
    deadline: float | None = knob(
        None,
        "share of the budget by which the front has reached the full lag",
        above=0,
        at_most=1,
        before=None,
        acts="schedule",
    )
    optimizer: str | None = knob(
        None,
        "adam; sgd: gradient descent with momentum 0.9; rmsprop, with a decay of 0.99; adamw: Adam"
        " with the weight decay `decay`; muon on the recurrent weights of gates, soap on all"
        " weights of gates, ggt on all weights (memcap/optimizers.py); null: adam",
        choices=("adam", "sgd", "rmsprop", "adamw", "muon", "soap", "ggt"),
        before="adam",
        acts="update",
    )
    decay: float | None = knob(
        None,
        "weight decay of adamw: a step takes off this share of each weight, times the learning"
        " rate; biases and other vectors do not decay",
        above=0,
        at_most=100,
        before=None,
        acts="update",
    )
    lags: str | None = knob(
        None,
        "uniform: each batch has its own lag, drawn from the task's least to the current lag;"
        " null: the current lag",
        choices=("uniform",),
        before=None,
        acts="batch",
    )
    lr_width: float | None = knob(
        None,
        "power of 8 / units that multiplies the learning rate: with 0.5 a net of 32 units has half"
        " the rate of one of 8; null: 0",
        at_least=-4,
        at_most=4,
        before=0.0,
        acts="schedule",
    )
    freeze: str | None = knob(
        None,
        "cell: the layers stay as they start, and only the read-out is trained; null: everything"
        " is trained",
        choices=("cell",),
        before=None,
        acts="frozen",
    )
    before: str | None = knob(
        None,
        "drawn: in each batch as many steps of the task's filler come before what counts as are"
        " drawn, up to the length at the member's own lag; null: none",
        choices=("drawn",),
        before=None,
        acts="batch",
    )

    def __post_init__(self) -> None:
        check(self, "recipe")


class ResolvedRecipe(Recipe):
    """A recipe with every value, as a member holds it; None means "none"."""

    init: str
    lr: float
    schedule: str
    warmup: int
    batch: int
    clip: float
    budget: int
    optimizer: str
    lr_width: float

    def rate(self, units: int) -> float:
        return self.lr * (8 / units) ** self.lr_width

    def peak(self, lag: int, units: int) -> float:
        """Return the peak learning rate at a (curriculum's) lag and a width."""
        return self.rate(units) * min(1.0, (self.falls_above or lag) / lag)

    @property
    def words(self) -> list[str]:
        """The words of a command: the name, and the values that differ from its file."""
        words = [f"recipe={self.name}"]
        try:
            in_file = completed(Recipe, recipe_file(self.name))
        except UserError:  # a user's own recipe, whose folder is not here
            return words
        values = field_values(self)
        del values["name"]
        if self.init != "forget_bias":
            del values["forget_bias"]  # it belongs to the initialiser
        for name, value in values.items():
            if value is not None and value != in_file.get(name):
                text = f"{value:g}" if isinstance(value, float) else value
                words.append(f"recipe.{name}={text}")
        return words

    @property
    def with_other_lags(self) -> bool:
        """True if it also trains at other lags than the member's own."""
        return self.curriculum is not None or self.lags is not None


# may be absent
OPTIONAL = frozenset(f.name for f in fields(Recipe) if f.metadata["before"] is None)
# a recipe's file must have these
NEEDED = tuple(
    f.name
    for f in fields(Recipe)[1:]
    if f.metadata["before"] is MISSING
    and type(None) not in get_args(get_type_hints(ResolvedRecipe)[f.name])
)


def use_config_folders(folders: Iterable[Path]) -> None:
    """Search the recipe/ folders of these folders for recipes, and then that of conf/."""
    absolute = [folder.absolute() for folder in folders]
    if absolute != _folders:
        _folders[:] = absolute
        recipe_file.cache_clear()
        complete.cache_clear()


@cache
def recipe_file(name: str) -> Values:
    path = _file(name)
    if path is None:
        files = [file for folder in _searched() for file in folder.glob("*.yaml")]
        known = sorted({file.stem for file in files})
        names = alternatives(name, known, "a file of recipe/ in --config-dir")
        raise UserError(f"recipe={name}: no such recipe; {names}")
    return _plain(path)


def _searched() -> list[Path]:
    return [folder / "recipe" for folder in (*_folders, ROOT / "conf")]


def _file(name: str) -> Path | None:
    paths = [folder / f"{name}.yaml" for folder in _searched()]
    return next(filter(os.path.isfile, paths), None)


def of_yaml(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return (
            "a file of configs nests too deep, or has an alias that contains itself, as in a: &a"
            " [*a]"
        )
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"a file of configs is no YAML in UTF-8 ({' '.join(str(error).split())})"
    return f"{mark.name}, line {mark.line + 1}: {getattr(error, 'problem', 'no YAML')}"


def _plain(path: Path) -> Values:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        values = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, RecursionError) as error:
        raise UserError(of_yaml(error)) from error
    except (OmegaConfBaseException, ValueError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read ({' '.join(str(error).split())})"
        ) from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: must hold fields, as in lr: 0.01")
    return {str(k): v for k, v in values.items() if k != "defaults"}


@cache
def _recommendations() -> Values:
    return _plain(ROOT / "conf" / "recommended.yaml")


def recommended(task: Task, lag: int, until: str = "solved") -> str:
    """Return the name of the recipe recommended for a task at a lag, or at every lag up
    to it by `until`."""
    values = vars(task) | {"lag": lag}
    if until == Verdict.ANYWHERE and not task.filler:
        until = Verdict.UP_TO  # nothing can come before
    lines = _recommendations()[task.name if is_recommended(task.name) else "default"]
    wanted = until if until in SHORTER_LAGS else None
    lines = [line for line in lines if line.get("until") == wanted]
    for line in lines or _recommendations()[until]:
        limits = {k: most for k, most in line.items() if k not in ("recipe", "until")}
        if all(values[k] <= most for k, most in limits.items()):
            return line["recipe"]
    raise AssertionError(f"{task.name}, lag {lag}: recommended.yaml has no line")


def is_recommended(task: str) -> bool:
    return task in _recommendations() and task not in ("default", *SHORTER_LAGS, "race")


def race_names(every_lag: bool = False) -> list[str]:
    """Return the recipes that race by default: the user's own, then those of
    conf/recommended.yaml."""
    names = []
    for folder in _folders:
        if folder != ROOT / "conf":
            files = sorted((folder / "recipe").glob("*.yaml"))
            names += [file.stem for file in files]
    published = _recommendations()["race"]["every_lag" if every_lag else "lag"]
    return list(dict.fromkeys([*names, *published]))


def starts_itself(cell: str) -> bool:
    return cells.cell_class(cell).gates is None


def race_axes(own_start: bool, until: str = "solved") -> dict[str, list[Any]]:
    """Return the axes that race by default: recipes or, for cells that start
    themselves, learning rates; also lags and fillers that `until` asks for."""
    every_lag = until in SHORTER_LAGS
    axes = {"recipe": race_names(every_lag)}
    if own_start:
        axes = {"recipe": [OWN_START], "recipe.lr": [*RATES]}
    if every_lag:
        axes["recipe.lags"] = ["uniform"]
    if until == Verdict.ANYWHERE:
        axes["recipe.before"] = ["drawn"]
    return axes


@lru_cache(maxsize=4096)
def complete(
    recipe: Recipe, task: Task, lag: int, cell: str, until: str = "solved"
) -> ResolvedRecipe:
    """Return the recipe with missing values taken from its file.

    Raises:
        UserError: a value is set nowhere, or does not fit others or the cell.
    """
    name = recipe.name
    if name == "auto" and recipe.init is None and starts_itself(cell):
        name = OWN_START
    elif name == "auto":
        name = recommended(task, lag, until)
    given = {k: v for k, v in field_values(recipe).items() if v is not None}
    is_whole = all(k in given for k in NEEDED)  # like a row's, whose nulls are meant
    if given.get("init", "forget_bias") != "forget_bias":
        given.setdefault("forget_bias", None)  # the file's belongs to its initialiser
    path = _file(name)
    in_file = {} if path is None and is_whole else recipe_file(name)
    in_file = {
        k: v
        for k, v in in_file.items()
        if v is not None and not (is_whole and k in OPTIONAL)
    }
    values = completed(Recipe, in_file) | given | {"name": name}
    if missing := [k for k in NEEDED if values.get(k) is None]:
        typed(Recipe, values, "recipe")  # reports first what is wrong with the others
        raise UserError(f"recipe.{missing[0]}: not set; give it a value in {path}")
    whole = typed(ResolvedRecipe, values, "recipe")
    _check_curriculum(whole)
    _check_parts(whole, task, lag)
    _check_start(whole, lag, cell)
    _check_optimizer(whole, cell)
    return whole


def _check_curriculum(recipe: ResolvedRecipe) -> None:
    parts = {k: getattr(recipe, k) for k in ("curriculum", "advance", "deadline")}
    absent = [k for k, v in parts.items() if v is None]
    if absent and (len(absent) < len(parts) or recipe.schedule == "arrive"):
        raise UserError(
            f"recipe.{absent[0]}: not set; curriculum, advance and deadline go together, and"
            " schedule=arrive needs them"
        )


def _check_start(recipe: ResolvedRecipe, lag: int, cell: str) -> None:
    if recipe.init != "flax":
        preset(recipe.init, lag, lag, recipe.forget_bias)
        if starts_itself(cell):
            bias = "" if recipe.forget_bias is None else " and recipe.forget_bias=null"
            raise UserError(
                f"recipe.init={recipe.init}: model.cell={cell} has gates that are not known here,"
                f" so only its own initialiser can start it; set recipe.init=flax{bias}"
            )
    elif not cells.cell_class(cell).has_own_init:
        raise UserError(
            f"recipe.init=flax: Flax has no initialiser for the cell {cell}; use"
            " model.cell=OptimizedLSTMCell, the same LSTM"
        )
    elif recipe.forget_bias is not None:
        raise UserError(
            f"recipe.forget_bias={recipe.forget_bias}: only recipe.init=forget_bias takes it,"
            " not recipe.init=flax; set recipe.forget_bias=null beside it"
        )


def _check_optimizer(recipe: ResolvedRecipe, cell: str) -> None:
    gates = cells.cell_class(cell).gates
    weights = {"soap": "weights", "muon": "recurrent weights"}.get(recipe.optimizer)
    if weights is None:
        return
    if gates is None or (recipe.optimizer == "muon" and gates.recurrent is None):
        raise UserError(
            f"recipe.optimizer={recipe.optimizer}: trains the {weights} of gates, and those of"
            f" model.cell={cell} are not known here; recipe.optimizer=ggt serves any cell"
        )


def _check_parts(recipe: ResolvedRecipe, task: Task, lag: int) -> None:
    if (recipe.decay is None) != (recipe.optimizer != "adamw"):
        decay = "null" if recipe.decay is None else recipe.decay
        raise UserError(
            f"recipe.decay={decay}: recipe.optimizer=adamw needs it, as in"
            " recipe.decay=0.01, and no other has it;"
            f" recipe.optimizer={recipe.optimizer}"
        )
    if recipe.lags is not None and not task.has_other_lags(lag):
        raise UserError(
            f"recipe.lags={recipe.lags}: the lag of {task.name} is part of the question, and"
            " sequences do not show it; leave it null"
        )
    if recipe.before is None:
        return
    if not task.filler:
        raise UserError(
            f"recipe.before={recipe.before}: nothing can come before a sequence of"
            f" {task.name}; leave it null"
        )
    if not recipe.with_other_lags:
        raise UserError(
            f"recipe.before={recipe.before}: the longest sequences have nothing before them;"
            " train at shorter lags, too, as by recipe.lags=uniform"
        )
