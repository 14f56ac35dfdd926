"""The interface of a task: a generator of sequences with a `lag`, and its facts.

Axis letters: T time, B batch, V symbols, F features, O outputs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np

from memcap.knobs import UserError
from memcap.rule import ScoreRule

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int, Key, UInt32

    Operand: TypeAlias = int | Int[Array, ""]
    RandomKey: TypeAlias = Key[Array, ""]
else:  # so that a task can import them
    Operand = RandomKey = Any

# Share of the way from chance to a perfect score up to which a score says nothing: such
# a net is as good as one without memory.
BEYOND_CHANCE = 0.1


@dataclass(frozen=True)
class Facts:
    """Facts of a task at a lag and a length, known before anything is trained.

    Args:
        held: most symbols (or reals) that matter at one step: earlier ones, and the
            current one if a later answer depends on it.
        bits: most bits that the state must carry between steps; for reals at the
            precision of the criterion.
        chance: best expected score without memory or clock, where answers are due:
            accuracy for classes, mean squared error for values.
        threshold: the criterion: least accuracy, or greatest mean squared error.
        data: digest of the file of the sequences, so that another file makes other
            members; "" if there is none.
        answers_due: answers due per sequence, if all of them should be right; else 1.
        independent: whether the held values are drawn independently, uniform or
            Gaussian, and each is asked for; `least_bits` then uses `bits`.
        variances: of an answer of several values, along its principal axes, the largest
            first; () if unknown.
    """

    held: int
    bits: float
    chance: float
    threshold: float = 0.99
    data: str = ""
    answers_due: int = 1
    independent: bool = False
    variances: tuple[float, ...] = ()

    @property
    def least_whole(self) -> float:
        """Least share of sequences that are right as a whole at the threshold."""
        return max(0.0, 1 - self.answers_due * (1 - self.threshold))


class Batch(NamedTuple):
    """A batch of B sequences in buffers of T steps, of which the first `length` count.

    Args:
        inputs: int32 symbols below `task.vocabulary`, or float32.
        targets: int32 classes or float32 values; (B,) where `task.answers` is "last",
            else (T, B). An axis of several values O comes first.
        mask: true where an answer is due, never after `length`; None where
            `task.answers` is "last".
        window_starts: true where a window begins and the carry's gradient stops (or the
            carry is reset, see `Task.reset_carry`). None: one window.
    """

    inputs: Int[Array, "T B"] | Float[Array, "T B F"]
    targets: Int[Array, "*T B"] | Float[Array, "*O B"]
    mask: Bool[Array, "T B"] | None = None
    window_starts: Bool[Array, " T"] | None = None


class Machine(NamedTuple):
    """A finite automaton that reads a task's sequences of all lags and answers them.

    Args:
        edges: (state, symbol, next state), from the first state "start"; edges from
            there to itself are of filler.
        answers: the class that is due in each state in which a sequence ends.
    """

    edges: list[tuple[str, int, str]]
    answers: dict[str, int]

    @property
    def without_filler(self) -> Machine:
        edges = [edge for edge in self.edges if edge[2] != "start"]
        return Machine(edges, self.answers)

    def paths(self, steps: int) -> float:
        """Count the sequences of at most this number of steps."""
        total = 0.0
        ways = defaultdict(float, start=1.0)
        for _ in range(steps):
            before = ways
            ways = defaultdict(float)
            for source, _, target in self.edges:
                ways[target] += before[source]
            total += sum(ways[state] for state in self.answers)
        return total


@dataclass(frozen=True)
class Task(ABC):
    """Base of all tasks. A subclass sets `name`, its knobs as fields, and the methods
    below; nothing else needs to know it.

    A frozen dataclass. Outside memcap it is called `module:Class`, without a `name`."""

    name: ClassVar[str]
    # read out at the last step only, or at every step (masked)
    answers: ClassVar[Literal["last", "every"]] = "last"
    default_lag: ClassVar[int | None] = 8  # None: the object's `longest_lag`
    # whether a sequence has no end of its own: a longer one asks the same at every step
    stream: ClassVar[bool] = False
    # what has to be remembered, in a user's words; "": not offered in plain words
    question: ClassVar[str] = ""
    asks: ClassVar[tuple[str, ...]] = ()  # the knobs that this user is asked for
    # knobs, as NAME=VALUE, that `memcap answer` sets unless the user does
    question_knobs: ClassVar[tuple[str, ...]] = ()
    is_own: ClassVar[bool]  # whether it is one of memcap, whose facts are tested

    def __init_subclass__(cls) -> None:
        cls.is_own = cls.__module__.startswith("memcap.")
        if not cls.is_own:
            cls.name = f"{cls.__module__}:{cls.__qualname__}"
        for name, value in vars(Task).items():
            if isinstance(value, property) and callable(vars(cls).get(name)):
                raise UserError(
                    f"task {cls.name}: {name} is a method; it must be a value, as in"
                    f" {name} = ..., or a @property"
                )

    @property
    def loss(self) -> Literal["classes", "values"]:
        """Cross entropy and accuracy, or squared error."""
        return "classes"

    @property
    def rule(self) -> type[ScoreRule]:
        """The rule by which members are judged."""
        return ScoreRule

    @property
    def longest_lag(self) -> int | None:
        """The lag that covers a whole sequence; None if any lag is possible."""
        return None

    @property
    def usual_lag(self) -> int | None:
        """The lag of a question that names none; None if it must name one."""
        return self.longest_lag

    @property
    def reset_carry(self) -> bool:
        """Return whether a window starts from a zero carry, not only a cut gradient."""
        return False

    @property
    def filler(self) -> str:
        """Name the filler that may come before the task begins, as "blanks"; "" if none.

        No answer is due there, and none depends on it."""
        return ""

    @property
    @abstractmethod
    def vocabulary(self) -> int | None:
        """Number V of input symbols; None when the inputs are real numbers."""

    @property
    def features(self) -> int:
        """Size of the network's input at a step: V (one-hot), or F for reals."""
        if self.vocabulary is None:
            raise NotImplementedError(
                f"{type(self).__name__} has real inputs and must say how many features"
            )
        return self.vocabulary

    def encoded(self, inputs: np.ndarray, one_hot: bool) -> np.ndarray:
        """Return inputs for a network of any library.

        Values are float32; symbols int64, or float32 vectors of V if `one_hot`."""
        if self.vocabulary is None:
            return inputs.astype(np.float32)
        if one_hot:
            return np.eye(self.vocabulary, dtype=np.float32)[inputs]
        return inputs.astype(np.int64)

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Width O of the read-out: number of classes, or of values."""

    @property
    def several_values(self) -> bool:
        return self.loss == "values" and self.outputs > 1

    @property
    def smallest_lag(self) -> int:
        """Least lag that can be built, and not solved without memory."""
        return 1

    @abstractmethod
    def shortest(self, lag: int) -> int:
        """Return the shortest length at which a sequence really needs this lag."""

    def length(self, lag: int) -> int:
        """Return the default length."""
        return self.shortest(lag)

    @abstractmethod
    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        """Draw `batch` sequences of `length` steps into buffers of `steps` >= `length`.

        `lag` and `length` may be traced. What is drawn must not depend on `steps`."""

    def unseen(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        """Draw sequences for an evaluation, which training never sees."""
        return self.sample(key, lag, length, steps, batch)

    def sequences_in_all(self, lag: int, length: int) -> int | None:
        """Return how many sequences are drawn, equally often; None if not numbered."""
        return None

    def enumerated(
        self, numbers: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        """Return the sequences with these numbers, laid out as by `sample`.

        Args:
            numbers: (B,) int32, from 0 and below `sequences_in_all`.
            lag, length, steps: as for `sample`.

        Raises:
            NotImplementedError: the sequences cannot be numbered.
        """
        raise NotImplementedError(f"{self.name}: its sequences cannot be numbered")

    @abstractmethod
    def facts(self, lag: int, length: int) -> Facts:
        """Return the facts of sequences of this lag and length."""

    def is_chance(self, score: float, lag: int, length: int) -> bool:
        """Return whether a score is about that of a net without memory."""
        chance = self.facts(lag, length).chance
        perfect = float(self.higher_is_better)
        sign = 1 if self.higher_is_better else -1
        return sign * (score - chance) <= BEYOND_CHANCE * sign * (perfect - chance)

    def stretched(self, lag: int, factor: int) -> tuple[int, int]:
        """Return the (lag, length) that asks `factor` times as much memory."""
        return lag * factor, self.length(lag * factor)

    def at_number(self, lag: int, number: int) -> tuple[int, int]:
        """Return the (lag, length) that a number of `evaluation.lengths` means."""
        return (lag, number) if self.stream else (number, self.length(number))

    def has_other_lags(self, lag: int) -> bool:
        """Return whether a net can be tested at other lags than its own.

        Not in a stream, or if nothing says when the answer is due: there the lag is
        part of the question."""
        longer, length = self.stretched(lag, 2)
        is_longer = longer == 2 * lag and length == self.length(longer)
        return is_longer and not self.stream

    def lags_up_to(self, lag: int) -> tuple[int, ...]:
        """Return the lags at which to test a net up to a lag, ascending.

        All to 8, then about eight per doubling."""
        above = (round(8 * 2 ** (k / 8)) for k in range(8 * lag.bit_length()))
        lags = sorted({*range(1, 8), *above, lag})
        return tuple(other for other in lags if self.smallest_lag <= other <= lag)

    @property
    def machine(self) -> Machine | None:
        """The automaton whose paths are the task's sequences; None if not written."""
        return None

    @property
    def higher_is_better(self) -> bool:
        """Return whether the score is an accuracy."""
        return self.loss == "classes"

    @property
    def metric(self) -> str:
        """Name of the score: "accuracy" or "mse"."""
        return "accuracy" if self.loss == "classes" else "mse"


class SpanTask(Task):
    """Base of the tasks whose sequences are a first step, and `lag` steps after it."""

    def shortest(self, lag: int) -> int:
        return lag + 1


class StreamTask(Task):
    """Base of the tasks that ask at each step for what came up to `lag` steps before."""

    answers = "every"  # an answer may be due at every step
    # a sequence has no end of its own (not a stream of random numbers, as in memcap/rule.py)
    stream = True

    def shortest(self, lag: int) -> int:
        """Return 2 lag + 1: of lag + 1 symbols held at once, the last is due then."""
        return 2 * lag + 1

    def stretched(self, lag: int, factor: int) -> tuple[int, int]:
        """Keep the lag in a longer sequence, as a test of the need for a zero start."""
        return lag, max(factor * lag, self.length(lag))


class LetterTask(SpanTask):
    """A task whose sequences are `lag` free letters, after which the answer is due."""

    filler = "blanks"

    @property
    @abstractmethod
    def letters(self) -> int:
        """Number of letters."""

    @abstractmethod
    def _layout(
        self,
        step: Int[Array, "T 1"],
        letters: Int[Array, "T B"],
        lag: Operand,
        length: Operand,
    ) -> Batch:
        """Return sequences with the letters of the `lag` steps before the last one."""

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax.numpy as jnp

        step = jnp.arange(steps)[:, None]
        letters = integers(key, (steps, batch), 0, self.letters)
        return self._layout(step, letters, lag, length)

    def sequences_in_all(self, lag: int, length: int) -> int:
        return self.letters**lag

    def enumerated(
        self, numbers: Int[Array, " B"], lag: Operand, length: Operand, steps: int
    ) -> Batch:
        import jax.numpy as jnp

        letters = digits(numbers, self.letters, length - 1 - lag, steps)
        return self._layout(jnp.arange(steps)[:, None], letters, lag, length)


class FileTask(Task):
    """A task whose sequences lie in a file."""

    mend_unsolved: ClassVar[str]  # what to do where no net meets the criterion
    mend_criterion: ClassVar[str]  # and where one without memory meets it

    @property
    @abstractmethod
    def constant_bytes(self) -> int:
        """Bytes of arrays that are constants of each program."""

    @property
    @abstractmethod
    def part_sizes(self) -> tuple[int, int]:
        """Numbers of validation's and of held-out sequences."""

    @abstractmethod
    def part(
        self,
        side: Operand,
        block: Operand,
        lag: Operand,
        length: Operand,
        steps: int,
        batch: int,
    ) -> tuple[Batch, Bool[Array, " B"]]:
        """Return a block of validation's sequences (`side` 0) or held-out ones (1).

        With it, which of them count, as the last block may be short."""

    @abstractmethod
    def doubts(self, longest_lag: int) -> list[str]:
        """Return what may be a user's mistake, a line each."""


def least_bits(task: Task, facts: Facts) -> float:
    """Return the bits of state without which no network meets the criterion.

    The larger of two bounds. A network of n states is right at most n times as often as
    one that sees only the current input: n >= threshold / chance, and 2 for values. By
    Fano's inequality, at error rate e an answer about independent symbols hides at most
    H(e) + e log2(O - 1) bits; for Gaussian reals `bits` is the rate-distortion
    function."""
    if task.loss == "values":
        return facts.bits if facts.independent else 1.0
    states = math.log2(math.ceil(facts.threshold / facts.chance))
    if not facts.independent:
        return states
    hidden = facts.held * fano(1 - facts.threshold, task.outputs)
    return max(states, facts.bits - hidden)


def fano(error: float, symbols: int) -> float:
    """Return the most bits about a symbol that answers hide at this error rate."""
    hidden = error * math.log2(max(symbols - 1, 1))
    if not 0 < error < 1:
        return hidden
    entropy = -error * math.log2(error) - (1 - error) * math.log2(1 - error)
    return entropy + hidden


def information_floor(task: Task, facts: Facts, bits_per_unit: int) -> int:
    """Return the fewest units whose carry has `least_bits`.

    1 where `bits_per_unit` is 0: the carry does not grow with the width."""
    if not bits_per_unit:
        return 1
    return max(1, math.ceil(least_bits(task, facts) / bits_per_unit))


def least_rank(variances: Sequence[float], error: float) -> int:
    """Return the fewest numbers, at least 1, of which values can be linear functions.

    With n numbers the mean squared error, which may be `error`, is at least the mean of
    the principal variances with the n largest left out."""
    left = np.cumsum(variances[::-1]) / max(len(variances), 1)
    return max(1, int(np.sum(left > error)))


def one_per_number(facts: Facts, numbers_per_unit: int) -> int:
    """Return the units that own one carry number for each symbol held at once.

    No floor, but for linear cells and reals (`least_rank`). 1 if the carry does not
    grow with the width."""
    if not numbers_per_unit:
        return 1
    return max(1, math.ceil(facts.held / numbers_per_unit))


def answer_mask(
    targets: Int[Array, "T B"] | Float[Array, "T B"], lag: Operand, length: Operand
) -> Bool[Array, "T B"]:
    """Return a mask that is true from step `lag` to the end of the sequence."""
    import jax.numpy as jnp

    step = jnp.arange(targets.shape[0])
    return jnp.broadcast_to(((step >= lag) & (step < length))[:, None], targets.shape)


def digits(
    numbers: Int[Array, " B"], base: int, first: Operand, steps: int
) -> Int[Array, "T B"]:
    """Write int32 numbers with (T, B) digits in a base, the lowest at step `first`."""
    import jax.numpy as jnp

    largest = np.iinfo(np.int32).max  # beyond it no number has a digit
    powers = jnp.array([min(base**place, largest) for place in range(steps)], jnp.int32)
    place = jnp.maximum(jnp.arange(steps) - first, 0)
    return numbers // powers[place][:, None] % base


def random_key(seed: Operand, *parts: Operand) -> RandomKey:
    import jax

    return reduce(jax.random.fold_in, parts, jax.random.key(seed))


def integers(
    key: RandomKey,
    shape: tuple[int, ...],
    least: Operand | UInt32[Array, ...],
    end: Operand | UInt32[Array, ...],
) -> Int[Array, ...]:
    """Draw int32 from [least, end), uniform up to (end - least) / 2^32.

    One pass of random bits takes half the time of `jax.random.randint`."""
    import jax
    import jax.numpy as jnp

    bits = jax.random.bits(key, shape, jnp.uint32)
    return least + (bits % jnp.asarray(end - least, jnp.uint32)).astype(jnp.int32)
