"""Reversal learning."""

from dataclasses import dataclass

from memcap.tasks.agents import Agents


@dataclass(frozen=True)
class Reversal(Agents):
    """Like `bandit`, but at each trial the better arm becomes the worse one with probability 1/20.

    Example (one value, learnt by half, slope 4): arm 1, rewarded the first time of three | lag 2 ->
    2 -1 -2.5.

    Source: that of `bandit`.
    """

    name = "reversal"
    reversal = 0.05
