"""A member: one training run with every knob, typed and checked, and its key."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from memcap.cells import Init, check_contract
from memcap.config.recipes import Recipe, ResolvedRecipe, complete
from memcap.knobs import (
    LONGEST,
    MOST,
    UserError,
    check,
    completed,
    defaults,
    did_you_mean,
    field_values,
    key_of,
    keyed,
    knob,
    names_of,
    set_words,
    typed,
    whole,
)
from memcap.models.model import Model, preset
from memcap.rule import (
    CONFIRMATION,
    MOST_SEQUENCES,
    SHORTER_LAGS,
    Criterion,
    Evaluation,
    ScoreRule,
    Stream,
    Verdict,
)
from memcap.runtime.plugins import names_in_data
from memcap.tasks import Facts, FileTask, Task, contract, make, task_class
from memcap.tasks.chance import without_memory
from memcap.terminal.words import bound

if TYPE_CHECKING:
    from memcap.models.architecture import Architecture

# Multiples of the golden section are spread evenly between whole numbers.
GOLDEN = 0.618034
Config = dict[str, Any]  # values by name, nested


@dataclass(frozen=True)
class Engine:
    """The way in which members share the machine. It changes last bits, which may turn
    single verdicts; counts agree within chance."""

    loop: str = knob(
        "auto",
        "the loop over time: auto, the fastest that is here; reproducible, XLA's, by which a"
        " study has the same rows to the bit where jaxlib and the kind of processor are the same;"
        " plain, while, masked, associative, native; or MODULE:OBJECT",
        kw_only=True,
    )
    lanes: int = knob(
        0,
        "members that a program trains at the same time; 0: one on a CPU, as many as memory holds"
        " on an accelerator",
        at_least=0,
    )
    workers: int = knob(
        0,
        "processes that train; 0: one per CPU core, or one in all on an accelerator",
        at_least=0,
        at_most=1024,
    )
    shards: int = knob(
        1, "jobs that share the members of a study", at_least=1, at_most=MOST
    )
    shard: int = knob(
        0, "number of this job among them, from 0", at_least=0, at_most=MOST
    )

    def __post_init__(self) -> None:
        check(self, "engine")
        if not isinstance(self.loop, str):
            raise UserError(
                f"engine.loop={self.loop!r}: must be text, as in engine.loop=reproducible"
            )
        from memcap.loops import check_name

        check_name(self.loop)
        are_numbers = isinstance(self.shard, int) and isinstance(self.shards, int)
        if are_numbers and self.shard >= self.shards:
            raise UserError(
                f"engine.shard={self.shard}: must be below engine.shards={self.shards}, as in"
                " shard=0,1,2 of shards=3"
            )


class SeriesKey(NamedTuple):
    """The values that members share whatever their width, seed, lag and recipe."""

    task: Task
    model: Model  # at one unit
    evaluation: Evaluation

    def __str__(self) -> str:
        return " ".join([self.task.name, *set_words(self.task)])


@dataclass(frozen=True, init=False)
class Member:
    """One training run, checked and with every value.

    Args:
        task: with its knobs.
        lag: time steps to remember; None: a whole sequence, for a task with a `longest_lag`.
        length: steps T of a sequence; None: the task's own for this lag.
        model: cell, units and read-out.
        recipe: how to train; missing values come from the recipe's file.
        evaluation: when the member counts as solved.
        seed: of weights and data.

    Raises:
        UserError: a mistake that the user should mend, in one line.
    """

    task: Task
    lag: int
    length: int
    model: Model
    recipe: ResolvedRecipe
    evaluation: Evaluation
    seed: int

    def __init__(
        self,
        task: Task,
        lag: int | None = None,
        length: int | None = None,
        model: Model | None = None,
        recipe: Recipe | None = None,
        evaluation: Evaluation | None = None,
        seed: int = 0,
    ):
        task = _checked(task, Task, "task")
        lag = _lag(task, lag)
        length = _length(task, lag, length)
        _check_criterion(task, lag, length)
        model = _checked(model or Model(), Model, "model")
        recipe = _checked(recipe or Recipe(), Recipe, "recipe")
        check_contract(model.cell, task.features, model.units)
        evaluation = _evaluation(task, lag, evaluation)
        vars(self).update(
            task=task,
            lag=lag,
            length=length,
            model=model,
            recipe=complete(recipe, task, lag, model.cell, str(evaluation.until)),
            evaluation=evaluation,
            seed=whole(seed, "seed", 0, MOST),
        )
        _check_lengths(self)
        if task.rule.by_loss:
            _check_by_loss(self)

    @property
    def width(self) -> int:
        """Units of the network."""
        return self.model.units

    @property
    def series(self) -> SeriesKey:
        """The key of the members that differ only in width, seed, lag and recipe."""
        return SeriesKey(self.task, _at_one_unit(self.model), self.evaluation)

    @property
    def lengths(self) -> tuple[tuple[int, int], ...]:
        """Lag and length for each number of `evaluation.lengths`."""
        numbers = str(self.evaluation.lengths or "").split()
        return tuple(self.task.at_number(self.lag, int(number)) for number in numbers)

    def length_at(self, lag: int) -> int:
        """Return the length of its sequences at a lag up to its own."""
        if lag == self.lag:
            return self.length
        return min(self.task.length(lag), self.length)

    def lengths_at(self, lag: int) -> tuple[int, int]:
        """Return the shortest and longest length of its sequences at a lag up to its
        own."""
        shortest = self.length_at(lag)
        return shortest, self.length if self.task.filler else shortest

    def sequences_at(self, lag: int) -> list[int] | None:
        """Return how many of its sequences of each length, the shortest first, there
        are at a lag up to its own, if all are counted."""
        shortest, longest = self.lengths_at(lag)
        numbers = []
        for length in range(shortest, longest + 1):
            number = self.task.sequences_in_all(lag, length)
            if number is None or number > MOST_SEQUENCES:
                return None
            numbers.append(number)
        return numbers

    @cached_property
    def lags_up_to(self) -> tuple[tuple[int, int], ...]:
        """Lag and length of each evaluation of `evaluation.until=up_to`, the shortest
        first."""
        lags = self.task.lags_up_to(self.lag)
        return tuple((lag, self.length_at(lag)) for lag in lags)

    def evaluation_sizes(self, stream: Stream) -> tuple[tuple[int, int, int], ...]:
        """Return lag, length and number of blocks of sequences, for each evaluation of
        a stream.

        STRETCH and LENGTHS have a quarter as many sequences as EVALUATE, as these are
        longer. UP_TO has one block at each of `lags_up_to`; so has LOOK, at lengths
        spread evenly over those of the lag.
        """
        rule = self.evaluation
        if stream == Stream.EVALUATE:
            return ((self.lag, self.length, -(-rule.sequences // rule.block)),)
        if stream == Stream.UP_TO:
            return tuple((*size, 1) for size in self.lags_up_to)
        if stream == Stream.LOOK:
            return tuple(
                (lag, self._spread_length(lag, k), 1)
                for k, (lag, _) in enumerate(self.lags_up_to)
            )
        blocks = max(1, -(-(rule.sequences // 4) // rule.block))
        sizes = self.lengths
        if stream == Stream.STRETCH:
            sizes = (self.task.stretched(self.lag, rule.stretch),)
        return tuple((*size, blocks) for size in sizes)

    def _spread_length(self, lag: int, k: int) -> int:
        shortest, longest = self.lengths_at(lag)
        share = (k + 1) * GOLDEN % 1
        return shortest + int(share * (longest + 1 - shortest))

    @property
    def seed_parts(self) -> tuple[int, int, int]:
        """Numbers that seed weights and data, whatever else trains."""
        return self.seed, self.lag, self.model.units

    @property
    def architecture(self) -> "Architecture":
        """The network's structure."""
        from memcap.models.architecture import Architecture

        return Architecture(self.model, self.task.features, self.task.outputs)

    @property
    def facts(self) -> Facts:
        """Facts of the task at this lag and length."""
        return self.task.facts(self.lag, self.length)

    @cached_property
    def criterion(self) -> Criterion:
        """The score that it must reach."""
        return Criterion(self.task.metric, self.facts.threshold)

    def rule(self, **state: Any) -> ScoreRule:
        """Return the rule that judges it while it trains, at its start or in a given
        state."""
        settings = self.criterion, self.evaluation, self.recipe.budget
        return self.task.rule(*settings, **state)

    @property
    def init(self) -> Init | None:
        """The initialiser of the weights; None: Flax's own."""
        if self.recipe.init == "flax":
            return None
        return preset(self.recipe.init, self.lag, self.length, self.recipe.forget_bias)

    @property
    def config(self) -> Config:
        """Everything that decides the result, as plain values. A knob added later is
        left out at its `before` (`memcap.knobs.knob`)."""
        sizes = {"name": self.task.name, "lag": self.lag, "length": self.length}
        config = {
            "task": sizes | keyed(self.task),
            "model": keyed(self.model),
            "recipe": keyed(self.recipe),
            "evaluation": keyed(self.evaluation),
            "seed": self.seed,
            # How the code implements a preset or a criterion: with an older version it
            # is another member.
            "start": None if self.init is None else keyed(self.init),
            "threshold": self.facts.threshold,
        }
        if self.facts.data:
            config["data"] = self.facts.data
        if self.evaluation.until == Verdict.ANYWHERE:
            config["confirmation"] = CONFIRMATION
        return config

    @cached_property
    def key(self) -> str:
        """16 hex digits: the hash of `config`."""
        return key_of(json.dumps(self.config, sort_keys=True))


@lru_cache(maxsize=1024)
def _at_one_unit(model: Model) -> Model:
    return model.at_width(1)


def usual_until(task: Task) -> str:
    return Verdict.STEADY.value if task.stream else Verdict.SOLVED.value


@lru_cache(maxsize=1024)
def usual_evaluation(task: Task) -> Evaluation:
    return Evaluation(until=usual_until(task))


def _checked(part: Any, cls: type, where: str) -> Any:
    if not isinstance(part, cls):
        raise UserError(
            f"{where}: must be an object of memcap.{cls.__name__}, not {type(part).__name__}"
        )
    # in a resolved recipe some values may be None again
    kind = Recipe if cls is Recipe else type(part)
    return typed(kind, field_values(part), where)


def _lag(task: Task, lag: int | None) -> int:
    lag = whole(task.longest_lag if lag is None else lag, "task.lag", 1, LONGEST)
    if not task.is_own:
        _check_sizes(task, lag)
    return whole(lag, "task.lag", task.smallest_lag, LONGEST)


def _length(task: Task, lag: int, length: int | None) -> int:
    if length is not None:
        whole(length, "task.length", 1, LONGEST)
    length = task.length(lag) if length is None else length
    if length < task.shortest(lag):
        raise UserError(
            f"task.length={length}: a {task.name} of lag {lag} needs at least"
            f" {task.shortest(lag)} steps; shorter sequences never ask for all of it (leave"
            " task.length null for the task's own)"
        )
    return length


def _evaluation(task: Task, lag: int, evaluation: Evaluation | None) -> Evaluation:
    evaluation = _checked(evaluation or Evaluation(), Evaluation, "evaluation")
    until = evaluation.until
    if until in SHORTER_LAGS and not task.has_other_lags(lag):
        raise UserError(
            f"evaluation.until={until}: the lag of {task.name} is part of the question, and"
            " sequences do not show it; leave it null"
        )
    return replace(evaluation, until=until or usual_until(task))


def _check_by_loss(member: Member) -> None:
    until = member.evaluation.until
    why = "waits for a score, and criterion=best has none"
    if until != "solved":
        raise UserError(f"evaluation.until={until}: {why}")
    if member.recipe.curriculum is not None:
        raise UserError(f"recipe={member.recipe.name}: its curriculum {why}")


def _check_lengths(member: Member) -> None:
    task = member.task
    text = member.evaluation.lengths
    if text is None:
        return
    if not (task.stream or task.has_other_lags(member.lag)):
        raise UserError(
            f"evaluation.lengths={text}: {task.name} has no sequences of other lags; leave it"
            " null"
        )
    least = task.shortest(member.lag) if task.stream else task.smallest_lag
    for number in map(int, str(text).split()):
        whole(number, "evaluation.lengths", least, LONGEST)
    for _, length in member.lengths:
        whole(length, f"evaluation.lengths={text}: steps of a sequence", 1, LONGEST)


_check_sizes = lru_cache(maxsize=4096)(contract.check_sizes)


@lru_cache(maxsize=4096)
def _check_criterion(task: Task, lag: int, length: int) -> None:
    """Refuse a criterion that needs no memory. The chance of memcap's own tasks is
    tested; that of others is measured here."""
    if task.rule.by_loss:
        return
    facts = (
        task.facts(lag, length) if task.is_own else contract.facts_of(task, lag, length)
    )
    scores = {"by its own facts": facts.chance}
    if not task.is_own:
        scores["measured on 2,048 drawn sequences"] = without_memory(
            task, lag, length
        ).mean
    criterion = Criterion(task.metric, facts.threshold)
    mend = "mend the task's `facts`"
    if isinstance(task, FileTask):
        mend = task.mend_criterion
    for source, score in scores.items():
        if criterion.passes(score):
            sign = ">=" if task.higher_is_better else "<="
            raise UserError(
                f"task {task.name} at lag {lag}, length {length}: a net without memory scores"
                f" {task.metric} {score:.3g} ({source}), which meets the criterion {sign}"
                f" {bound(facts.threshold)}: solving it would show nothing; {mend}"
            )


def task_defaults(name: str) -> Config:
    cls = task_class(name)
    return {"name": name, "lag": cls.default_lag, "length": None, **defaults(cls)}


def resolve(values: Config, task: type[Task] | None = None) -> Member:
    """Return the member of plain values: task (name, lag, length and knobs), model,
    recipe, evaluation and seed. `task` is the task's class, if not the one of its name.
    """
    knobs = dict(values["task"])
    name, lag, length = (knobs.pop(k, None) for k in ("name", "lag", "length"))
    cls = task or task_class(str(name))
    for knob_name in knobs:
        if knob_name not in names_of(cls):
            choices = ["lag", "length", *names_of(cls)]
            raise UserError(
                f"task.{knob_name}: no such field; {did_you_mean(knob_name, choices)}task {name}"
                f" has {', '.join(choices)}"
            )
    return Member(
        make(cls, knobs),
        lag,
        length,
        typed(Model, values["model"], "model"),
        typed(Recipe, values["recipe"], "recipe"),
        typed(Evaluation, values["evaluation"], "evaluation"),
        values["seed"],
    )


def member_of(config: Config) -> Member:
    """Return the member of a row's config, with later knobs at their `before`. Import
    nothing; refuse an unknown task, cell or knob."""
    parts = {"model": Model, "recipe": Recipe, "evaluation": Evaluation}
    with names_in_data():
        parts["task"] = task_class(config["task"]["name"])
        values = {name: completed(cls, config[name]) for name, cls in parts.items()}
        return resolve(values | {"seed": config["seed"]})


def task_of(name: str, knobs: Sequence[str]) -> Task:
    """Return a task from its name and "knob=value" texts."""
    values = dict(map(_knob, knobs))
    return make(task_class(name), values)


def question_task(name: str, knobs: Sequence[str]) -> Task:
    """Return the task that `memcap answer` asks about, with `Task.question_knobs` by
    default."""
    return task_of(name, [*task_class(name).question_knobs, *knobs])


def _knob(text: str) -> tuple[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    key, separator, value = text.partition("=")
    if not separator:
        raise UserError(f"--knob {text}: must be NAME=VALUE, as in symbols=4")
    try:
        return key, OmegaConf.from_dotlist([f"value={value}"]).value
    except (OmegaConfBaseException, YAMLError) as error:
        raise UserError(
            f"--knob {text}: the value cannot be read; must be a plain one, as in symbols=4"
        ) from error
