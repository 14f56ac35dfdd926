"""Verdicts on nets: of the atlas, and of such that are wrong on purpose."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

import memcap
from memcap.config.member import Member
from memcap.proofs.proof import prove
from memcap.tasks.copy import Copy
from memcap.tasks.count import Count
from memcap.tasks.windows import Windows
from memcap.trained import Trained

pytestmark = pytest.mark.usefixtures("quick_file")


class Oracle:
    """A copy of 16 that is right on all sequences but one, if there is one."""

    def __init__(self, wrong=None):
        self.member = Member(Copy(items=16), 1)
        self.wrong = wrong

    def run(self, inputs):
        """Right logits (T, B, 2) of inputs (T, B); at the last step wrong on a sequence."""
        items = self.member.task.items
        symbols = np.asarray(inputs)[:items]
        answers = np.concatenate([0 * symbols, symbols[:1], symbols])
        if self.wrong is not None:
            bits = np.array([int(bit) for bit in f"{self.wrong:016b}"])
            answers[-1] ^= (symbols == bits[:, None]).all(0)
        return np.eye(2)[answers], None


def test_one_wrong_sequence_of_65_536_is_found():
    proof = prove(Oracle())
    assert proof[:2] == ("proved", 1 << 16)
    proof = prove(Oracle(wrong=0b1011_0001_1110_0101))
    assert proof.verdict == "counterexample"
    assert proof.counterexample[:16] == [1, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1]


def damaged(net, part, array, index, by):
    """The net with another weight."""
    weights = jax.tree.map(np.array, net.weights)
    weights[part][array][index] += by
    return Trained(net.member, weights)


def test_a_copy_is_proved_by_trying_all_and_refuted_by_a_wrong_sequence():
    net = memcap.load("atlas:copy-L5")
    assert prove(net, anywhere=False)[:2] == ("proved", 5 * 2**4)
    assert prove(net, anywhere=True)[:2] == ("proved", (1 + 2 + 3 + 4 + 5) * 2**4)
    wrong = damaged(net, "readout", "bias", 0, -4)
    sequence = np.array(prove(wrong, anywhere=True).counterexample)
    symbols = sequence[sequence < 2]
    outputs = wrong.run(sequence[:, None])[0][-4:, 0]
    assert (outputs.argmax(-1) != symbols).any()


def test_a_latch_is_proved_by_bounds_and_refuted_by_a_wrong_sequence():
    net = memcap.load("atlas:latch-L50")
    proof = prove(net, anywhere=False)
    assert proof[:2] == ("proved", sum(2.0 * 4.0**lag for lag in range(1, 51)))
    assert prove(net, anywhere=True).verdict == "proved"
    wrong = damaged(net, "cell", "kernel", (3, 2), -4)
    sequence = np.array(prove(wrong, anywhere=True).counterexample)
    (symbol,) = sequence[sequence < 2]
    assert wrong.run(sequence[:, None])[0][-1, 0].argmax() != symbol


@pytest.mark.parametrize(
    ("error", "verdict"), [(0.49, "proved"), (0.51, "counterexample")]
)
def test_a_count_is_right_to_half_a_count(error, verdict):
    def run(inputs):
        counts = np.cumsum(np.ones_like(inputs), 0)[..., None]
        return (counts + error) / 50, None

    net = SimpleNamespace(member=Member(Count(), 5), run=run)
    assert prove(net).verdict == verdict


def test_a_net_whose_windows_reset_the_carry_stays_unknown():
    windows = SimpleNamespace(member=Member(Windows(window=5, carry="reset"), 3))
    assert prove(windows).verdict == "unknown"
