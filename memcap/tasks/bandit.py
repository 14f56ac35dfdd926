"""Bandit task."""

from dataclasses import dataclass

from memcap.tasks.agents import Agents


@dataclass(frozen=True)
class Bandit(Agents):
    """Each trial shows which of two arms an agent chose, and its reward or none; the
    answer is the log odds of its next choice.

    Example (one value, learnt by half, slope 4): arm 1, 1, 0, all rewarded | lag 2 -> 2 3 -0.5.

    The better arm is rewarded at 4 of 5 choices, the other one at 1 of 5.

    Source: Ji-An, Benna & Mattar (2025), "Discovering cognitive strategies with tiny
    recurrent neural networks", fit nets of one to four units to choices of animals and
    people, in tasks such as `reversal` and `two_step`; a bandit is the simplest."""

    name = "bandit"
