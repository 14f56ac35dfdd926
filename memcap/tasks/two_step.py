"""Two-step task."""

from dataclasses import dataclass

from memcap.tasks.agents import Agents


@dataclass(frozen=True)
class TwoStep(Agents):
    """Like `reversal`, but an arm leads to its own of two states at 4 of 5 choices,
    otherwise to the other one; the state is shown, too, and states, not arms, are
    rewarded and learnt.

    Example (one value, learnt by half, slope 4): arm 1 leads to state 1, then to state
    0, both rewarded | lag 1 -> 2 -1.

    So the agent is model-based.

    Source: Daw, Gershman, Seymour, Dayan & Dolan (2011), "Model-based influences on
    humans' choices and striatal prediction errors"; without a choice at the second
    step, as rats had it in Miller, Botvinick & Brody (2017), "Dorsal hippocampus
    contributes to model-based planning"."""

    name = "two_step"
    reversal = 0.05
    common = 0.8
