"""Bandit: foretell the next choice of an agent that learns which of two arms pays more often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from memcap.tasks.agents import Agents


@dataclass(frozen=True)
class Bandit(Agents):
    """Each trial shows which of two arms an agent chose and whether it paid; the answer is the log odds of
    its next choice.

    Example (one value, learnt by half, slope 4): arm 1 paid, arm 1 paid, arm 0 paid | lag 2 -> 2 3 -.5.

    The better arm pays at 4 of 5 choices, the other one at 1 of 5, and stays the better one for a session.
    `values` and `habit` say which agent it is, and how many numbers it carries from trial to trial.

    Source: the two-armed bandit of Ji-An, Benna & Mattar (2025), "Discovering cognitive strategies with tiny
    recurrent neural networks", who fit nets of 1 to 4 units to choices of animals and people.
    """

    name: ClassVar[str] = "bandit"
