"""Two-step task: foretell the next choice of an agent whose choice mostly, not always, leads where it is to
lead, and whose pay hangs on where it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from memcap.tasks.agents import Agents


@dataclass(frozen=True)
class TwoStep(Agents):
    """As `reversal`, but an arm leads to the state of its own at 4 of 5 choices, else to the other one's; the
    state is shown, and it is the states that pay and are learnt.

    Example (one value, learnt by half, slope 4): arm 1 led to state 1, which paid; arm 1 to state 0, which
    paid | lag 1 -> 2 -1.

    So the agent is model-based: it chooses the arm that mostly leads to the state that has paid more. Its
    slope is that between arms.

    Source: Daw, Gershman, Seymour, Dayan & Dolan (2011), "Model-based influences on humans' choices and
    striatal prediction errors"; here the second step has no choice, as with the rats of Miller, Botvinick &
    Brody (2017), to whom Ji-An, Benna & Mattar (2025) fit nets, too.
    """

    name: ClassVar[str] = "two_step"
    reversal: ClassVar[float] = 0.05
    common: ClassVar[float] = 0.8
