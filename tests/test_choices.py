"""The agents of docs/choices.py."""

import numpy as np
import pytest
from own_programs import program

from memcap.tasks.data import Data

choices = program("docs/choices.py")


@pytest.mark.parametrize("agent", choices.AGENTS)
def test_an_agent_is_a_file_of_its_next_choices_and_learns(agent, tmp_path):
    least = choices.write(tmp_path / "agent.npz", "bandit", agent, 50, seed=0)
    content = Data(file=str(tmp_path / "agent.npz"), criterion="best").file_content
    assert (content.inputs.shape, content.symbols, content.classes) == ((50, choices.TRIALS), 4, 2)
    assert np.array_equal(content.inputs[:, 1:] // 2, content.targets[:, :-1])
    paid = (content.inputs % 2).mean(0)
    assert paid[50:].mean() > paid[:5].mean() + 0.1
    assert 0 < least < np.log(2)


def test_variables_are_values_and_a_trace():
    assert [choices.variables(agent) for agent in choices.AGENTS] == [1, 2, 2, 3]
