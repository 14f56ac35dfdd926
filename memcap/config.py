"""Every knob of a training run, typed and checked. A member is one fully resolved run; its key is the hash of all of it.

Knobs of a task live in the task's own dataclass (memcap/tasks/), those of the network in `Model`; the rest is here. Values of a
recipe live in conf/recipe/, one file a recipe.
"""

import hashlib
import json
import types
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf

from memcap.knobs import UserError, check, knob
from memcap.models.initializers import GATES, PRESETS, Init, preset
from memcap.models.network import Architecture, Model, type_name
from memcap.tasks import Task, task_class

MOST = 1_000_000_000  # steps and seeds are int32 operands of the compiled programs
LONGEST = 1_000_000  # so is `LONGEST` times `evaluation.stretch`


def root() -> Path:
    """The folder that holds conf/ and sweeps/: the package in an installed wheel, its parent in a checkout."""
    package = Path(__file__).resolve().parent
    return package if (package / "conf").is_dir() else package.parent


@dataclass(frozen=True)
class Recipe:
    """How a member is trained. A file in conf/recipe/ gives every value; None means "as the file says"."""

    name: str = knob("auto", "a file of conf/recipe/; auto: the one that the task recommends at its lag")
    init: str | None = knob(None, "start of the weights", choices=(*PRESETS, "flax"))
    forget_bias: float | None = knob(None, "forget bias, for init=forget_bias", at_least=-100, at_most=100)
    lr: float | None = knob(None, "peak learning rate of Adam", above=0, at_most=10)
    schedule: str | None = knob(None, "learning rate after warmup", choices=("constant", "cosine"))
    warmup: int | None = knob(None, "steps of linear warmup", at_least=0, at_most=MOST)
    batch: int | None = knob(None, "sequences a step", at_least=1)
    clip: float | None = knob(None, "global norm at which a gradient is clipped", above=0)
    budget: int | None = knob(None, "most training steps that a member may take", at_least=1, at_most=MOST)

    def __post_init__(self):
        check(self, "recipe")


@dataclass(frozen=True)
class Evaluation:
    """When a member counts as solved."""

    every: int = knob(100, "training steps between held-out evaluations", at_least=1, at_most=MOST)
    sequences: int = knob(2048, "fresh sequences in an evaluation, in blocks of 256", at_least=1, at_most=1 << 20)
    successive: int = knob(2, "successive evaluations that must pass", at_least=1, at_most=100)
    stretch: int = knob(20, "how many times the lag (or length) the trained net is asked at the end", at_least=1, at_most=100)

    def __post_init__(self):
        check(self, "evaluation")


@dataclass(frozen=True)
class Engine:
    """How members share the machine. Changes no result beyond float rounding."""

    batching: str = knob("auto", "members one after another or side by side", choices=("auto", "map", "vmap"))
    lanes: int = knob(0, "members in flight in a program; 0: one on a CPU, what its memory holds on an accelerator", at_least=0)
    workers: int = knob(0, "processes that train; 0: one a CPU core, one in all on an accelerator", at_least=0, at_most=1024)

    def __post_init__(self):
        check(self, "engine")


@dataclass(frozen=True)
class Tracking:
    """Where curves are mirrored. The rows on disk are the truth."""

    mode: str = knob("off", "off, or wandb", choices=("off", "wandb"))
    project: str = knob("memcap", "W&B project")
    entity: str | None = knob(None, "W&B entity; null: your default")
    wandb: str = knob("auto", "auto: online only where a key is present", choices=("auto", "online", "offline"))

    def __post_init__(self):
        check(self, "tracking")


@dataclass(frozen=True)
class Member:
    """One training run, fully resolved."""

    task: Task
    lag: int
    length: int
    model: Model
    recipe: Recipe
    evaluation: Evaluation
    seed: int

    @property
    def architecture(self) -> Architecture:
        """The network's structure."""
        return Architecture(self.model, self.task.features, self.task.outputs)

    @property
    def init(self) -> Init | None:
        """The start of the weights; None: Flax's own."""
        if self.recipe.init == "flax":
            return None
        return preset(self.recipe.init or "", self.lag, self.length, self.recipe.forget_bias)

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides the result, as plain values: what the key is the hash of."""
        return {
            "task": {"name": self.task.name, "lag": self.lag, "length": self.length, **asdict(self.task)},
            "model": asdict(self.model),
            "recipe": asdict(self.recipe),
            "evaluation": asdict(self.evaluation),
            "seed": self.seed,
            # What the code makes of a preset or a criterion: a member trained by an older one is another member.
            "start": None if self.init is None else asdict(self.init),
            "threshold": self.task.threshold(self.lag),
        }

    @cached_property
    def key(self) -> str:
        """16 hex digits: the hash of `config`."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()[:16]


def task_defaults(name: str) -> dict[str, Any]:
    """All that `task.*` may hold for this task, with defaults."""
    return {"name": name, "lag": 8, "length": None, **defaults(task_class(name))}


def defaults(cls: Any) -> dict[str, Any]:
    """Default of every field of a dataclass."""
    return {f.name: f.default for f in fields(cls) if f.default is not MISSING}


@cache
def recipe_file(name: str) -> dict[str, Any]:
    """The values of conf/recipe/NAME.yaml."""
    folder = root() / "conf" / "recipe"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise UserError(f"recipe={name}: no such recipe; one of {known} (conf/recipe/)")
    values = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(values, dict)
    return {str(k): v for k, v in values.items()}


_hints = cache(get_type_hints)


def typed(cls: Any, values: dict[str, Any], where: str) -> Any:
    """Build the dataclass `cls` from plain values; UserError names an unknown key, a wrong type or a value out of range."""
    hints, known = _hints(cls), [f.name for f in fields(cls)]
    for key in values:
        if key not in known:
            raise UserError(f"{where}.{key}: no such field; {where} has {', '.join(known)}")
    return cls(**{key: _converted(value, hints[key], f"{where}.{key}") for key, value in values.items()})


def _converted(value: Any, hint: Any, name: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if value is None:
            return None
        hint = next(h for h in get_args(hint) if h is not types.NoneType)
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):
        try:  # YAML reads 1e-3 as text
            return float(value)
        except ValueError:
            pass
    if type(value) is not hint:
        raise UserError(f"{name}={value}: must be {words[hint]}")
    return value


def resolve(values: dict[str, Any]) -> Member:
    """One member from plain nested values with the keys task, model, recipe, evaluation and seed.

    Raises:
        UserError: anything that the user should mend, before anything trains.
    """
    task_values = dict(values["task"])
    name, lag, length = (task_values.pop(k, None) for k in ("name", "lag", "length"))
    cls = task_class(str(name))
    unknown = [k for k in task_values if k not in {f.name for f in fields(cls)}]
    if unknown:
        known = ", ".join(["lag", "length", *(f.name for f in fields(cls))])
        raise UserError(f"task.{unknown[0]}: no such field; task {name} has {known}")
    task = typed(cls, task_values, "task")
    check(task, "task")
    lag = _whole(lag, "task.lag", task.smallest_lag, LONGEST)
    length = task.length(lag) if length is None else _whole(length, "task.length", 1, LONGEST)
    if length < task.shortest(lag):
        raise UserError(
            f"task.length={length}: a {name} of lag {lag} needs at least {task.shortest(lag)} steps;"
            " shorter sequences never ask for all of it (leave task.length null for the task's own)"
        )
    model = typed(Model, values["model"], "model")
    member = Member(
        task,
        lag,
        length,
        model,
        _recipe(values["recipe"], task, lag, model.cell),
        typed(Evaluation, values["evaluation"], "evaluation"),
        _whole(values["seed"], "seed", 0, MOST),
    )
    if member.init is not None and type_name(model.cell) not in GATES:
        raise UserError(
            f"recipe.init={member.recipe.init}: model.cell={model.cell} has gates that are not known here, so only its own"
            " initialiser can start it; set recipe.init=flax"
        )
    return member


def task_of(name: str, knobs: list[str]) -> Task:
    """A task from its name and "knob=value" texts, as on the command line."""
    cls = task_class(name)
    values: dict[str, Any] = {}
    for text in knobs:
        key, separator, value = text.partition("=")
        if not separator:
            raise UserError(f"--knob {text}: must be NAME=VALUE, as in symbols=4")
        values[key] = OmegaConf.from_dotlist([f"value={value}"]).value
    task = typed(cls, values, "task")
    check(task, "task")
    return task


def _recipe(values: dict[str, Any], task: Task, lag: int, cell: str) -> Recipe:
    asked = typed(Recipe, values, "recipe")
    name = task.recipe(lag) if asked.name == "auto" else asked.name
    set_here = {k: v for k, v in asdict(asked).items() if v is not None}
    if "init" in set_here and set_here["init"] != "forget_bias":
        set_here.setdefault("forget_bias", None)  # the file's bias belonged to the file's initialiser
    recipe = typed(Recipe, {**recipe_file(name), **set_here, "name": name}, "recipe")
    missing = [k for k, v in asdict(recipe).items() if v is None and k != "forget_bias"]
    if missing:
        raise UserError(f"recipe.{missing[0]}: not set; give it a value in conf/recipe/{name}.yaml")
    if recipe.init == "flax":
        if cell == "lstm":
            raise UserError(
                "recipe.init=flax: the cell lstm has no start of Flax's; use model.cell=OptimizedLSTMCell, the same LSTM"
            )
        if recipe.forget_bias is not None:
            raise UserError(
                f"recipe.forget_bias={recipe.forget_bias}: only recipe.init=forget_bias takes it, not recipe.init=flax"
            )
    else:
        preset(recipe.init or "", lag, lag, recipe.forget_bias)
    return recipe


def _whole(value: Any, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise UserError(f"{name}={value}: must be a whole number, at least {least} and at most {most}")
    return value
