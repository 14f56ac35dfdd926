"""Nets of other libraries, judged by their answers: here LSTMs in NumPy, with weights
that memcap exports."""

from functools import partial

import numpy as np
import pytest
from command import memcap as command
from lstm_reference import keras_outputs

import memcap
from memcap.knobs import UserError
from memcap.models.export import export


def numpy_lstm(net):
    """A function of one-hot inputs (N, T, F), with the weights that Keras would have."""
    return partial(keras_outputs, export(net.member.model, net.weights, "keras"))


def test_a_net_is_right_at_every_lag_up_to_its_own_and_no_further():
    predict = numpy_lstm(memcap.load("atlas:copy-items=2-L5"))
    judged = memcap.judge(predict, "copy", 5, items=2)
    assert judged.right
    assert judged.up_to == 5
    assert judged.table["lag"].to_list() == [1, 2, 3, 4, 5]
    assert judged.table["length"].to_list() == [
        memcap.Member(judged.task, lag).length for lag in range(1, 6)
    ]
    assert judged.table["accuracy"].min() > 0.97
    assert str(judged).startswith("RIGHT AT EVERY LAG UP TO 5: accuracy ")
    longer = memcap.judge(
        lambda inputs: predict(inputs) * (inputs.shape[1] < 12), "copy", 12, items=2
    )
    assert not longer.right
    assert 5 <= longer.up_to < 12
    assert f"NOT RIGHT AT EVERY LAG UP TO 12 (up to {longer.up_to} it is)" in str(
        longer
    )


def test_answers_of_the_last_step_alone_may_be_given_and_whole_numbers():
    predict = numpy_lstm(memcap.load("atlas:latch-L5"))
    every = memcap.judge(predict, "latch", 5).table
    for net, one_hot in (
        (lambda x: predict(x)[:, -1], True),
        (lambda x: predict(x).argmax(-1), True),
        (lambda symbols: predict(np.eye(7)[symbols]), False),
    ):
        assert memcap.judge(net, "latch", 5, one_hot=one_hot).table.equals(every)


def test_a_net_without_memory_scores_chance():
    judged = memcap.judge(lambda inputs: np.zeros((len(inputs), 2)), "latch", 3)
    assert (judged.right, judged.up_to) == (False, None)
    assert judged.table["accuracy"].to_list() == pytest.approx(
        judged.table["chance"].to_list(), abs=0.15
    )
    assert "(nor at the shortest)" in str(judged)


def test_a_stream_is_judged_at_its_lag_on_longer_sequences_too():
    def late(inputs, lag=3):  # holds what it saw so many steps ago, and says it
        return np.roll(inputs, lag, 1)

    judged = memcap.judge(late, "delay_line", 3)
    assert judged.right
    assert str(judged).startswith("STEADY at lag 3: accuracy 1.0000")
    assert judged.table["lag"].to_list() == [3, 3]

    clock = memcap.judge(lambda x: late(x) * (x.shape[1] < 20), "delay_line", 3)
    assert not clock.right


def test_of_a_file_each_held_out_sequence_is_judged_once():
    task = memcap.tasks.task_class("data")()
    held_out = task.parts[2]
    lag = task.longest_lag
    right = set(held_out[:70])

    def net(inputs):
        file = task.file_content
        seen = inputs[..., :6].argmax(-1)
        which = (seen[:, None] == file.inputs[held_out]).all(-1).argmax(1)
        wrong = np.array([held_out[each] not in right for each in which])
        return np.repeat((file.targets[held_out[which]] ^ wrong)[:, None], lag + 1, 1)

    for seed in (0, 1):
        judged = memcap.judge(net, task, lag, seed=seed)
        assert judged.table["accuracy"].to_list() == [pytest.approx(70 / 102)]


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (
            lambda inputs: np.zeros((len(inputs), 5)),
            r"gave float64 of shape \(256, 5\); latch takes logits \(256, 3, 2\), or",
        ),
        (lambda inputs: inputs[..., :2] * np.nan, "net: gave outputs that are NaN"),
        ("net", "net: must be a function of inputs, not str"),
    ],
)
def test_what_is_no_net_of_the_task_is_refused(net, said):
    with pytest.raises(UserError, match=said):
        memcap.judge(net, "latch", 3)


def test_the_command(tmp_path):
    net = "import numpy as np\n\ndef late(inputs):\n    return np.roll(inputs, 3, 1)\n"
    (tmp_path / "my_late_net.py").write_text(net)
    done = command(
        tmp_path, "judge", "my_late_net:late", "--task", "delay_line", "--lag", "3"
    )
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[1].split() == ["lag", "length", "accuracy", "chance", "passes"]
    assert lines[-1].startswith("STEADY at lag 3: accuracy 1.0000 on sequences of")
