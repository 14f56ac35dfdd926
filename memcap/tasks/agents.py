"""Agents that choose between two arms: the base of the tasks about choices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, SpanTask, answer_mask

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

# probability that the better arm, or state, is rewarded, and that the other one is not
REWARDED = 0.8
SHARE = 0.001  # of the squared error without memory that a solved net may have
# drawn for `facts`; after SETTLED trials, all are alike
SESSIONS = 1 << 14
TRIALS = 100
SETTLED = 60


class Rates(NamedTuple):
    """The rates by which an agent learns and chooses."""

    learn: float  # share of the way that a value moves towards a reward of 0 or 1
    slope: float  # log odds of a choice per difference of values
    repeat: float  # log odds per trace of past choices, which is 1 if all were the same
    fade: float  # share of the way that the trace moves towards a choice


@dataclass(frozen=True)
class Agents(SpanTask):
    """Base of the tasks whose sequences are an agent's sessions: choices, rewards, and
    the log odds of the next choice.

    A session has `lag` + 1 trials; in a longer one answers are due at the last `lag` +
    1. The answer is the agent's log odds, as choices drawn from them would teach the
    same more slowly. The log loss of predicted choices, in nats, exceeds the agent's
    own by at most an eighth of the squared error.

    The trace of choices with `habit` fades more slowly than the agent learns: at one
    rate both would be a single number."""

    values: int = knob(
        1,
        "number of values that it learns: 1, the difference of the arms, which every reward"
        " moves; or 2, one for each arm",
        at_least=1,
        at_most=2,
    )
    habit: bool = knob(
        False, "true if it also repeats its choices, of which it carries a fading trace"
    )
    subject: int = knob(
        0,
        "number of the agent; each agent has its own rates",
        at_least=0,
        at_most=1_000_000,
    )
    answers = "every"
    filler = ""  # the agent learns from every trial
    loss = "values"
    outputs = 1  # the log odds
    reversal = 0.0  # how often, per trial, the better arm becomes the worse one
    common = 1.0  # how often an arm leads to its own state, which is rewarded or not

    @property
    def two_steps(self) -> bool:
        return self.common < 1

    @property
    def vocabulary(self) -> int:
        """Arm, state if arms do not tell it, and reward: two of each."""
        return 8 if self.two_steps else 4

    @property
    def rates(self) -> Rates:
        rng = np.random.default_rng(self.subject)
        learn, slope, repeat, fade = rng.random(4).tolist()
        return Rates(
            learn=0.25 + 0.2 * learn,
            slope=4 + 2 * slope,
            repeat=(1 + repeat) * self.habit,
            fade=0.08 + 0.08 * fade,
        )

    def trial(self, carry: Any, row: Any) -> tuple[Any, Any]:
        """Run a trial of B sessions, with arrays of JAX or of NumPy.

        Args:
            carry: two values, the trace, whether arm 1 is better, and its log odds,
                (B,) each.
            row: a logistic variable, below which log odds choose arm 0, and uniform
                ones for a reversal, the state and the reward, (B,) each.

        Returns:
            The new carry, the symbol that is seen, and the log odds of the next choice.
        """
        value_0, value_1, trace, better, odds = carry
        lean, change, way, luck = row
        better = better != (change < self.reversal)
        choice = odds > lean
        state = choice != (way >= self.common)
        reward = (luck < REWARDED) == (state == better)
        if self.values == 1:  # what one value gains the other loses
            value_1 = value_1 + self.rates.learn * ((reward == state) - value_1)
            value_0 = 1 - value_1
        else:
            value_0 = value_0 + self.rates.learn * (1 - state) * (reward - value_0)
            value_1 = value_1 + self.rates.learn * state * (reward - value_1)
        trace = trace + self.rates.fade * (2 * choice - 1 - trace)
        odds = self.rates.slope * (value_1 - value_0) + self.rates.repeat * trace
        symbol = (
            4 * choice + 2 * state + reward if self.two_steps else 2 * choice + reward
        )
        return (value_0, value_1, trace, better, odds), (symbol, odds)

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp
        from jax import lax

        first, draws = jax.random.split(key)
        better = jax.random.uniform(first, (batch,)) < 0.5
        u = jax.random.uniform(draws, (steps, 4, batch))
        zero = jnp.zeros(batch)

        def step(carry: Any, row: Any) -> tuple[Any, Float[Array, "2 B"]]:
            carry, seen = self.trial(carry, row)
            return carry, jnp.stack(seen)

        lean = jnp.log(u[:, 0] / (1 - u[:, 0]))
        start = _start(zero, better)
        _, seen = lax.scan(step, start, (lean, u[:, 1], u[:, 2], u[:, 3]))
        targets = seen[:, 1]
        symbols = seen[:, 0].astype(jnp.int32)
        return Batch(symbols, targets, answer_mask(targets, length - 1 - lag, length))

    def facts(self, lag: int, length: int) -> Facts:
        """Hold the agent's variables, to a thousandth of the variance.

        Chance knows the last trial. It is measured, and rounded, as a criterion is part
        of a member's key."""
        trials = np.minimum(np.arange(length - 1 - lag, length), TRIALS - 1)
        number, total, squares = _moments(self)[trials].sum(0)
        chance = float(f"{(squares - total**2 / number).sum() / number.sum():.4g}")
        variables = self.values + self.habit
        bits = variables * 0.5 * math.log2(1 / SHARE)
        return Facts(variables, bits, chance, float(f"{SHARE * chance:.4g}"))


def _start(zero: Any, better: Any) -> Any:
    return zero + 0.5, zero + 0.5, zero, better, zero


def play(
    agent: Agents, sessions: int, trials: int, seed: int
) -> tuple[Int[np.ndarray, "T N"], Float[np.ndarray, "T N"]]:
    """Draw what `Agents.sample` draws, by NumPy: symbols, and log odds."""
    rng = np.random.default_rng(seed)
    carry = _start(np.zeros(sessions), rng.random(sessions) < 0.5)
    symbols = np.zeros((trials, sessions), np.int64)
    odds = np.zeros((trials, sessions))
    for trial in range(trials):
        row = (rng.logistic(size=sessions), *rng.random((3, sessions)))
        carry, (symbols[trial], odds[trial]) = agent.trial(carry, row)
    return symbols, odds


@lru_cache(maxsize=256)
def _moments(agent: Agents) -> Float[np.ndarray, "T 3 V"]:
    """Return, for each trial and symbol, its count, and the sums of the log odds and
    of their squares."""
    moments = np.zeros((TRIALS, 3, agent.vocabulary))
    symbols, odds = play(agent, SESSIONS, TRIALS, seed=1)
    for power in range(3):
        for trial in range(TRIALS):
            weights = odds[trial] ** power
            moments[trial, power] = np.bincount(
                symbols[trial], weights, agent.vocabulary
            )
    moments[SETTLED:] = moments[SETTLED:].mean(0)
    return moments
