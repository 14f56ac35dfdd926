"""The sequences of docs/known_widths.py, whose width the atlas has."""

import numpy as np
import pytest
from own_programs import program

from memcap.config import task_of
from memcap.tasks.data import Data


def test_a_mark_is_a_file_of_its_task_and_a_tenth_of_its_labels_is_wrong_under_noise(tmp_path):
    known_widths = program("docs/known_widths.py")
    name, knobs, lag = known_widths.MARKS[-2]
    task, targets = task_of(name, knobs), []
    for labels in ("true", "noisy"):
        known_widths.write(tmp_path / f"{labels}.npz", task, lag, labels, 400)
        written = Data(file=str(tmp_path / f"{labels}.npz"), criterion="best")
        assert (written.loss, written.answers, written.outputs) == (task.loss, task.answers, task.outputs)
        assert written.longest_lag + 1 == task.length(lag)
        targets.append(written.file_content.targets[written.file_content.due])
    assert np.mean(targets[0] != targets[1]) == pytest.approx(0.1, abs=0.02)
