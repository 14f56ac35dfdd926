"""The files of sweeps/agents/choices.py."""

import numpy as np
from own_programs import program

from memcap.own.task import Data

choices = program("sweeps/agents/choices.py")


def test_an_agent_is_a_file_of_its_next_choices(tmp_path):
    agent = choices.WORLDS["two_step"](values=2, habit=True)
    least = choices.write(tmp_path / "agent.npz", agent, 50)
    content = Data(file=str(tmp_path / "agent.npz"), criterion="best").file_content
    assert (content.inputs.shape, content.symbols, content.classes) == (
        (50, choices.TRIALS),
        8,
        2,
    )
    assert np.array_equal(content.inputs[:, 1:] // 4, content.targets[:, :-1])
    share = np.mean(
        content.targets == content.inputs // 4
    )  # of choices that are the last one again
    assert 0 < least < -share * np.log(share) - (1 - share) * np.log(1 - share)
