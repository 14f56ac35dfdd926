"""The sequences of sweeps/atlas/known_widths.py, whose width the atlas has."""

import numpy as np
import pytest
from own_programs import program

from memcap.config.member import task_of
from memcap.own.task import Data


@pytest.fixture(scope="module")
def known_widths():
    return program("sweeps/atlas/known_widths.py")


def test_a_mark_is_a_file_of_its_task_and_a_tenth_of_its_labels_is_wrong_under_noise(
    known_widths, tmp_path
):
    name, knobs, lag = known_widths.MARKS[-2]
    task = task_of(name, knobs)
    targets = []
    for labels in ("true", "noisy"):
        known_widths.write(tmp_path / f"{labels}.npz", task, lag, labels, 400)
        written = Data(file=str(tmp_path / f"{labels}.npz"), criterion="best")
        for name in ("loss", "answers", "outputs"):
            assert getattr(written, name) == getattr(task, name)
        assert written.longest_lag + 1 == task.length(lag)
        targets.append(written.file_content.targets[written.file_content.due])
    assert np.mean(targets[0] != targets[1]) == pytest.approx(0.1, abs=0.02)


def test_a_read_out_of_four_numbers_does_best_with_two_classes_at_the_ends_of_each(
    known_widths,
):
    """Logits are s for a sequence's own class, -s for the other one of its number, 0
    for the six others."""
    s = np.linspace(0, 30, 100_001)
    loss = np.logaddexp(np.logaddexp(s, -s), np.log(6)) - s * (0.9 - 0.1 / 7)
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1 / 7)
    excess = loss.min() - entropy
    assert known_widths.least_excess(4, 8) == pytest.approx(excess, abs=1e-6)
    assert known_widths.least_excess(7, 8) == pytest.approx(0, abs=1e-4)
