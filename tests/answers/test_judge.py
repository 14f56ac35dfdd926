"""Nets of other libraries, judged by their answers: functions of NumPy that are right
where a test wants them to be, and LSTMs with weights that memcap exports."""

import json
import re
import sys
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from command import memcap as command
from hypothesis import example, given, settings, strategies as st
from lstm_reference import keras_outputs

import memcap
from memcap.config.member import Engine
from memcap.knobs import UserError
from memcap.models.export import export
from memcap.rule import Evaluation
from memcap.tasks import Latch
from memcap.training.engine import train
from memcap.training.evaluation import Enumerated
from memcap.training.host import score_lag

pytestmark = pytest.mark.usefixtures("quick_file")

PAIRS = st.integers(1, 5).flatmap(
    lambda lag: st.tuples(st.just(lag), st.integers(lag + 2, 7))
)


def numpy_lstm(member, weights):
    """A function of one-hot inputs (N, T, F), with the weights that Keras would have."""
    return partial(keras_outputs, export(member.model, weights, "keras"))


def latch_net(errs=lambda lag, length: False):
    """A function that says the first of two symbols, or the other one at some lags and
    lengths."""

    def net(inputs):
        place = inputs[..., :2].any(-1).argmax(1)
        symbol = inputs[np.arange(len(inputs)), place, 1].astype(int)
        length = inputs.shape[1]
        wrong = [errs(length - 2 - each, length) for each in place.tolist()]
        return np.eye(2)[symbol ^ wrong]

    return net


def shift(inputs, lag=3):
    """Say what was seen so many steps ago."""
    return np.roll(inputs, lag, 1)


def copies(inputs):
    """Repeat four bits of (N, T, 4) in the last four steps, as classes."""
    place = inputs[..., :2].any(-1).argmax(1)
    count, length = inputs.shape[:2]
    classes = np.zeros((count, length), int)
    for k in range(4):
        classes[:, length - 4 + k] = inputs[np.arange(count), place + k, 1]
    return classes


@settings(max_examples=10, deadline=None)
@given(pairs=st.sets(PAIRS))
@example(pairs={(2, 6)})  # one place of one lag
@example(pairs={(lag, length) for lag in range(1, 5) for length in range(lag + 3, 8)})
def test_each_lag_counts_by_itself_wherever_it_begins(pairs):
    """Judge it where all sequences are tried, so that each score is known."""
    net = latch_net(lambda lag, length: (lag, length) in pairs)
    judged = memcap.judge(net, "latch", 5, distractors=0, sequences=2)
    lags = [1, 2, 3, 4, 5]
    first = [float((lag, lag + 2) not in pairs) for lag in lags]
    later = [
        np.mean([(lag, length) not in pairs for length in range(lag + 3, 8)] or [right])
        for lag, right in zip(lags, first, strict=True)
    ]
    worst = [*map(min, first, later)]
    table = judged.table
    assert table["lag"].to_list() == lags
    assert table["length"].to_list() == [lag + 2 for lag in lags]
    assert table["longest"].to_list() == [7] * 5
    assert table["accuracy"].to_list() == pytest.approx(worst)
    assert table["first_step"].to_list() == first
    assert table["later"].to_list() == pytest.approx(later)
    at_places = [*map(np.floor, later)]  # a later place is right, or none is
    assert table["worst_place"].to_list() == at_places
    assert table["passes"].to_list() == [score == 1 for score in worst]
    assert table["exact"].all()
    assert judged.right == (not pairs)
    assert (judged.up_to or 0) == min((lag for lag, _ in pairs), default=6) - 1
    only_later = bool(pairs) and all(first)
    assert ("begins at the first step, it is right" in judged.words) == only_later


def test_a_net_that_errs_between_the_lags_of_a_look_is_not_right():
    wrong = set(range(1, 51)) - set(Latch().lags_up_to(50))
    net = latch_net(lambda lag, length: lag in wrong)
    judged = memcap.judge(net, "latch", 50, distractors=0, sequences=2)
    assert not judged.right
    assert judged.up_to == min(wrong) - 1 == 13
    assert judged.words.startswith(
        "NOT RIGHT AT EVERY LAG UP TO 50, WHEREVER IT BEGINS WITHIN 52 STEPS (up to 13 it"
        " is; wrong at 21 of 50 lags): accuracy 0.0000 at worst, at lag 14"
    )


def test_lags_are_tried_as_the_engine_confirms_them():
    """The same numbers of sequences of each lag and length, drawn or counted."""
    sizes = []

    def net(inputs):
        sizes.append(inputs.shape[:2])
        return np.zeros((*inputs.shape[:2], 2))

    table = memcap.judge(net, "parity", 12, sequences=64).table
    member = memcap.Member(
        memcap.tasks.Parity(), 12, evaluation=Evaluation(until="anywhere", sequences=64)
    )
    draws = []

    def tally(operands):
        sequences, blocks, _ = operands
        count = 64
        if isinstance(sequences, Enumerated):
            count = int(sequences.number)
            each = -(-count // 64)
            last = sequences.shortest + blocks // each - 1
        else:
            last = sequences.longest
            each = blocks // (last + 1 - sequences.shortest)
        draws.extend((length, each) for length in range(sequences.shortest, last + 1))
        table = np.full((14, 4), count)
        return table * [1, 1, 0.5, 0.5]  # half of all answers are wrong

    exact = []
    for lag in range(1, 13):
        exact.append(score_lag(member, lag, tally, lambda: 0).is_exact)
    assert table["exact"].to_list() == exact == [True] * 10 + [False] * 2
    expected = [length for length, blocks in draws for _ in range(blocks)]
    # first come two calls and a third, which show what the net is
    assert [length for _, length in sizes[-len(expected) :]] == expected
    assert {count for count, _ in sizes} == {64}


@pytest.fixture(scope="module")
def trained():
    """Latches by the recipe of the verdict, and by one that sees nothing come before."""
    values = {"every": 100, "sequences": 512, "until": "anywhere"}
    values |= {"batch": 32, "budget": 2000, "units": 2}
    values |= {"recipe": ["anywhere", "uniform"]}
    members = memcap.members(task="latch", lag=8, seed=[0], **values)
    return train(members, Engine(loop="while", lanes=2, workers=1))


def test_a_net_of_memcap_gets_the_verdict_that_it_was_trained_for(trained):
    anywhere, first = (
        memcap.judge(numpy_lstm(ended.member, ended.weights), "latch", 8)
        for ended in trained
    )
    assert [ended.passed for ended in trained] == [True, False]
    assert anywhere.right
    assert anywhere.up_to == 8
    assert anywhere.words.startswith(
        "RIGHT AT EVERY LAG UP TO 8, WHEREVER IT BEGINS WITHIN 10 STEPS: accuracy "
    )
    assert not first.right
    assert first.table["first_step"].min() >= 0.99
    assert first.words.endswith("begins at the first step, it is right at every lag.")


def test_answers_of_the_last_step_alone_may_be_given_and_whole_numbers():
    net = memcap.load("atlas:latch-L5")
    predict = numpy_lstm(net.member, net.weights)
    judge = partial(memcap.judge, task="latch", lag=5, sequences=16)
    every = judge(predict).table
    for net, one_hot in (
        (lambda x: predict(x)[:, -1], True),
        (lambda x: predict(x).argmax(-1), True),
        (lambda symbols: predict(np.eye(7)[symbols]), False),
    ):
        assert judge(net, one_hot=one_hot).table.equals(every)


def test_a_net_without_memory_scores_chance():
    judged = memcap.judge(lambda inputs: np.zeros((len(inputs), 2)), "latch", 3)
    assert (judged.right, judged.up_to) == (False, None)
    assert judged.table["accuracy"].to_list() == pytest.approx(
        judged.table["chance"].to_list(), abs=0.05
    )
    assert "(nor at the shortest; wrong at 3 of 3 lags)" in str(judged)


def test_a_stream_is_judged_at_its_lag_on_longer_sequences_too():
    judged = memcap.judge(shift, "delay_line", 3)
    assert judged.right
    assert str(judged).startswith("STEADY at lag 3: accuracy 1.0000")
    assert judged.table["lag"].to_list() == [3, 3]

    clock = memcap.judge(lambda x: shift(x) * (x.shape[1] < 20), "delay_line", 3)
    assert not clock.right


def test_each_tenth_of_a_longer_stream_counts_by_itself():
    """The mean over the ten is 0.995."""
    rng = np.random.default_rng(0)

    def net(inputs):
        outputs = shift(inputs)
        fifth = slice(24, 30) if inputs.shape[1] == 60 else slice(0)
        wrong = rng.random(outputs[:, fifth].shape[:2]) < 0.05
        outputs[:, fifth] = np.where(
            wrong[..., None], outputs[:, fifth, ::-1], outputs[:, fifth]
        )
        return outputs

    judged = memcap.judge(net, "delay_line", 3)
    trained, longer = judged.table.rows(named=True)
    assert trained["passes"]
    assert not longer["passes"]
    assert longer["accuracy"] == pytest.approx(0.995, abs=0.001)
    assert longer["worst_tenth"] == pytest.approx(0.95, abs=0.01)
    assert "SOLVED, and not steady at lag 3" in judged.words


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


@dataclass(frozen=True)
class Echo(memcap.Task):
    """The symbol of `lag` steps ago, at the last step; nothing can come before it."""

    vocabulary = 2
    outputs = 2

    def shortest(self, lag):
        return lag + 1

    def sample(self, key, lag, length, steps, batch):
        import jax

        inputs = jax.random.randint(key, (steps, batch), 0, 2)
        return memcap.Batch(inputs, inputs[length - 1 - lag])

    def facts(self, lag, length):
        return memcap.Facts(held=lag + 1, bits=float(lag), chance=0.5)


def test_a_task_of_ones_own_where_nothing_comes_before():
    judged = memcap.judge(lambda inputs: inputs[:, 0], Echo(), 4, sequences=64)
    assert judged.table.columns == [
        *("lag", "length", "accuracy", "chance", "exact", "passes")
    ]
    assert judged.words.startswith("RIGHT AT EVERY LAG UP TO 4: accuracy 1.0000")


@pytest.mark.parametrize(
    ("task", "net"),
    [
        (memcap.tasks.DelayLine(), shift),
        (memcap.tasks.Copy(distractors=4), lambda inputs: np.eye(2)[copies(inputs)]),
    ],
)
def test_a_net_that_looks_ahead_is_told_from_one_that_does_not(task, net):
    """The first outputs of `shift` are the last inputs, but there no answer is due."""
    said = "Its answers change with inputs that come after them"

    def ahead(inputs):
        later = inputs[:, ::-1, -2:].cumsum(1)[:, ::-1]
        return net(inputs) + 0.01 * later

    causal, other = (memcap.judge(each, task, 3, sequences=64) for each in (net, ahead))
    assert causal.right
    assert said not in causal.words
    assert said in other.words


def test_a_net_with_a_state_between_calls_is_told():
    carry = np.zeros((8, 2))

    def stateful(inputs):
        nonlocal carry
        carry = carry + latch_net()(inputs)
        return carry

    judge = partial(memcap.judge, task="latch", lag=3, sequences=8)
    said = "Its outputs change if the same sequences come again"
    assert said not in judge(latch_net()).words
    judged = judge(stateful)
    assert not judged.right
    assert said in judged.words


def test_a_slow_net_is_waited_for_by_lag(capsys, monkeypatch):
    monkeypatch.setattr("memcap.terminal.words.SECONDS_OF_SILENCE", 0.05)

    def slow(inputs):
        time.sleep(0.01)
        return latch_net()(inputs)

    memcap.judge(slow, "latch", 2, sequences=8)
    assert "memcap: judging at lag 1 of 2 ..." in capsys.readouterr().err


def a_class(value):
    return lambda inputs: np.full(inputs.shape[:2], value)


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (
            lambda inputs: np.zeros((len(inputs), 5)),
            r"gave float64 of shape \(256, 5\); latch takes float logits \(256, 5, 2\), or",
        ),
        (
            lambda inputs: np.zeros((*inputs.shape[:2], 2), int),
            r"gave int64 of shape \(256, 5, 2\); latch takes float logits",
        ),
        (
            lambda x: latch_net()(x).argmax(-1) + 1,
            "classes from 1 to 2; latch has 0 to 1",
        ),
        (a_class(-1), "classes from -1 to -1; latch has 0 to 1"),
        (a_class(1.0), r"gave float64 of shape \(256, 5\); latch takes float logits"),
        (a_class("0"), r"gave <U1 of shape \(256, 5\); latch takes"),
        (a_class(None), r"gave object of shape \(256, 5\); latch takes"),
        (
            lambda inputs: inputs[..., :2] * np.nan,
            "net: gave outputs that are infinite or",
        ),
        (
            lambda inputs: inputs[..., :2] + np.inf,
            "net: gave outputs that are infinite or",
        ),
        (
            lambda inputs: (inputs, inputs[:, 0]),
            "net: gave tuple; it must be one array",
        ),
        ("net", "net: must be a function of inputs, not str"),
        (
            lambda: 1,
            r"net: given inputs \(256, 5, 7\), raises TypeError: .* 0 positional",
        ),
        (lambda _: sys.exit(3), "raises SystemExit: 3, at .*test_judge.py:"),
        (lambda _: np.zeros((10**9, 10**9)), "raises MemoryError: Unable to allocate"),
    ],
)
def test_what_is_no_net_of_the_task_is_refused(net, said):
    with pytest.raises(UserError, match=said):
        memcap.judge(net, "latch", 3)


def test_sequences_that_no_memory_holds_are_refused_before_any_is_drawn():
    with pytest.raises(
        UserError, match=r"1.6e[+]13 bytes, .* at most 134 sequences at"
    ):
        memcap.judge(shift, "copy", 10**6, sequences=10**6)


def test_values_are_real_numbers():
    with pytest.raises(UserError, match=r"gave complex64 of .* adding takes values"):
        memcap.judge(lambda inputs: inputs[:, -1, :1] * 1j, "adding", 3)


def test_the_command(tmp_path):
    (tmp_path / "my_late_net.py").write_text(
        "import numpy as np\n\n"
        "def late(inputs):\n    return np.roll(inputs, 3, 1)\n\n"
        "def first(inputs):\n    return inputs[:, 0, :2]\n"
    )
    judge = partial(command, tmp_path, "judge")
    stream = judge("my_late_net:late", "--task", "delay_line", "--lag", "3")
    assert stream.status == 0
    lines = stream.out.splitlines()
    heads = ["lag", "length", "accuracy", "worst_tenth", "chance", "passes"]
    assert lines[1].split() == heads
    assert lines[-1].startswith("STEADY at lag 3: accuracy 1.0000 on sequences of")

    ask = ["my_late_net:first", "--task", "latch", "--lag", "6", "--sequences", "16"]
    title, heads, shorter, own, words = judge(*ask).out.splitlines()
    assert title == "my_late_net:first on latch"
    heads = heads.split()
    assert heads[:4] == ["lag", "length", "accuracy", "first_step"]
    assert re.split("  +", shorter.strip())[:2] == ["1 to 5", "3 to 7"]
    assert own.split()[-3:] == ["0.5", "no", "yes"]
    assert words.startswith("NOT RIGHT AT EVERY LAG UP TO 6, WHEREVER IT BEGINS")

    def lags(seed):
        judged = json.loads(judge(*ask, "--json", "--seed", seed).out)
        assert (judged["right"], judged["up_to"]) == (False, None)
        return judged["lags"]

    zero, one = lags("0"), lags("1")
    assert [row["lag"] for row in zero] == [1, 2, 3, 4, 5, 6]
    worst = min(row["accuracy"] for row in zero)
    assert f"{worst:.3g}" in shorter
    assert zero != one
    assert lags("0") == zero
