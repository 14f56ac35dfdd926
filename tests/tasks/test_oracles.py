"""What each task asks for, said once more in a few lines of Python that read a sequence
with all memory that they like: an oracle per task. And what is drawn is drawn alike."""

import itertools
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st
from task_checks import draw, evenly, every_task, few, seeds

from memcap.tasks import task_class
from memcap.tasks.chance import sequences
from memcap.tasks.word_problem import _generators, _permutations

STEPS = 96

# An oracle gets the task, one sequence (T,) or (T, F), the lag, and where an answer is due
# (T,); it returns the answers at all T steps, or the one answer. What else is promised of
# the sequence it asserts.


def adding(task, row, lag, due):
    value, marker = row.T
    half = len(row) - 1 - lag + (lag + 1) // 2
    assert {*marker} <= {0, 1}
    assert marker[len(row) - 1 - lag : half].sum() == marker[half:].sum() == 1
    assert 0 <= value.min() < value.max() < 1
    return value @ marker


def bandlimited_delay(task, row, lag, due):
    assert due.tolist() == [False] * lag + [True] * (len(row) - lag)
    delays = np.linspace(0, lag, 5, dtype=int)  # as in the source's code
    return np.stack([np.roll(row[:, 0], delay) for delay in delays], -1)


def copy(task, row, lag, due):
    """Queue what is a symbol; after the cue say it, oldest first."""
    queue = []
    answers = np.zeros(len(row), int)
    is_cued = False
    for t, x in enumerate(row):
        if is_cued:
            answers[t] = queue.pop(0)
        if x < task.symbols:
            queue.append(x)
        is_cued = is_cued or x == task.vocabulary - 1
    assert due.tolist() == [False] * (len(row) - task.items) + [True] * task.items
    return answers


def selective_copy(task, row, lag, due):
    is_symbol = row < task.symbols
    assert is_symbol.sum() == task.items
    assert not is_symbol[: len(row) - task.shortest(lag)].any()
    assert not is_symbol[-task.items - 1 :].any()
    return copy(task, row, lag, due)


def count(task, row, lag, due):
    assert due.all()
    counts = np.cumsum(np.ones(len(row)) if task.kind == "time" else row == 1)
    return counts / (task.scale or lag)


def counter_language(task, row, lag, due):
    word = "".join("abcd"[: task.symbols][x] for x in row[row < task.symbols])
    number = word.count("a")
    assert word == "".join(x * number for x in "abcd"[: task.symbols])
    assert 1 <= number <= lag
    assert np.all(row[len(word) :] == task.symbols)
    step = np.arange(len(row))
    of_word = (step >= number) & (step < len(word))
    assert np.array_equal(due, of_word | (step == len(row) - 1))
    return np.r_[row[1:], task.symbols] - 1


def cue_discrimination(task, row, lag, due):
    before = len(row) - task.shortest(lag)
    shown = row[before]
    assert shown in (0, 1)
    blanks = [2] * (lag + task.response)
    assert row.tolist() == [2] * before + [shown] * task.cue + blanks
    assert due[-task.response :].all()
    assert not due[: before + task.cue].any()
    steps = np.flatnonzero(due[before + task.cue : -task.response])
    parts = min(lag, task.response)  # of the delay: one step of each is due
    edges = np.arange(parts + 1) * lag // parts
    assert np.histogram(steps, edges - 0.5)[0].tolist() == [1] * parts
    return np.where(np.arange(len(row)) < len(row) - task.response, 2, shown)


def cycle_navigation(task, row, lag, due):
    assert np.sum(row != 3) == lag
    return sum((0, 1, -1, 0)[x] for x in row) % task.places


def delay_line(task, row, lag, due):
    assert due.tolist() == [False] * lag + [True] * (len(row) - lag)
    return np.roll(row.reshape(len(row)), lag)


def dyck(task, row, lag, due):
    """Push what opens, pop what closes; the top of the stack is the answer."""
    start = len(row) - 1 - lag
    stack = []
    answers = np.zeros(len(row), int)
    for t, x in enumerate(row):
        if x < task.types:
            stack.append(x)
            assert len(stack) <= task.depth
        elif x < 2 * task.types:
            assert stack.pop() == x - task.types
        else:
            assert t < start or (t == start + 1 and lag % 2)
        answers[t] = stack[-1] if stack else 0
    assert stack == [row[start]]
    closes = (row >= task.types) & (row < 2 * task.types)
    assert np.array_equal(due[:-1], closes[1:] & closes[:-1])
    return answers


def even_pairs(task, row, lag, due):
    bits = row[row != 2]
    assert row[-1] == 2
    assert len(bits) == lag
    return sum(a != b for a, b in pairwise(bits)) % 2 == 0


def fading_kernel(task, row, lag, due):
    assert due.all()
    weights = (1.0 + np.arange(lag + 1)) ** -task.power
    return np.convolve(row[:, 0], weights)[: len(row)]


def latch(task, row, lag, due):
    """The one symbol of the alphabet, `lag` distractors before the trigger; or the level
    `lag` steps before the last one."""
    if task.noise:
        return np.rint((row[len(row) - 1 - lag, 0] + 1) / 2 * (task.symbols - 1))
    shown = len(row) - 2 - lag
    assert np.flatnonzero(row < task.symbols).tolist() == [shown]
    assert np.flatnonzero(row == task.vocabulary - 1).tolist() == [len(row) - 1]
    return row[shown]


def modular_arithmetic(task, row, lag, due):
    """Python works it out."""
    assert row[-1] == task.modulus + 3
    signs = {task.modulus + k: sign for k, sign in enumerate("+-*")}
    text = "".join(signs.get(x, str(x)) for x in row if x != task.modulus + 3)
    assert len(text) == lag - (1 - lag % 2)
    return eval(text) % task.modulus


def symbols_at(row):
    """What each step shows: one symbol, or those of its one-hot vectors."""
    if row.ndim == 1:
        return [[x] for x in row]
    assert {*np.unique(row)} <= {0, 1}
    return [np.flatnonzero(x).tolist() for x in row]


def mqar(task, row, lag, due):
    """Keep a table of each key's values, oldest first, and none from the last `lag`
    steps; say the latest one of a key that is in it."""
    shown = symbols_at(row)
    before = len(row) - task.shortest(lag)
    table = {}
    answers = np.zeros(len(row), int)
    last = None
    for t, symbols in enumerate(shown):
        for x in symbols:
            if task.symbols <= x < 2 * task.symbols and t < len(row) - lag:
                table.setdefault(last, []).append(x - task.symbols)
            elif x in table:
                answers[t] = table[x][-1]
            last = x
    assert [len(values) for values in table.values()] == [
        1 + task.rewrites
    ] * task.pairs
    values = [value for values in table.values() for value in values]
    assert len(values) == len({*values})
    queries = sorted(shown[t] for t in np.flatnonzero(due))
    assert queries == sorted([key] for key in table)
    blanks = np.array([symbols == [2 * task.symbols] for symbols in shown])
    assert blanks[:before].all()
    assert not blanks[before:-lag].any()
    assert np.array_equal(blanks[-lag:], ~due[-lag:] & (task.fillers == "blanks"))
    assert all(len(symbols) == 1 for symbols in shown[-lag:])
    return answers


def parity(task, row, lag, due):
    assert row[-1] == 2
    assert np.sum(row != 2) == lag
    return np.sum(row == 1) % 2


def pattern(task, row, lag, due):
    between = row[len(row) - lag : -1]
    assert {*between} <= ({0} if task.middle == "zeros" else {0, 1})
    return {(1, 0): 1, (1, 1): 2, (0, 1): 3, (0, 0): 0}[
        row[len(row) - 1 - lag], row[-1]
    ]


REST = "(?:XT*VP)*(?:S|XT*VV)"  # of a word, from the state after TS*X on
WORD = re.compile(f"B(?:TS*X{REST}|PT*V(?:V|P{REST}))E")


def reber(task, row, lag, due):
    """A begin, the symbol, and a word of the grammar."""
    text = "".join("BTPSXVE"[symbol] for symbol in row)
    assert text[: -lag - 1] == "B" * (len(row) - lag - 1)
    assert WORD.fullmatch(text[-lag:])
    return "TP".index(text[-lag - 1])


def square_wave(task, row, lag, due):
    """A one that comes after a zero sets a counter, which says when to answer."""
    assert due.all()
    assert row.sum() == task.ones
    answers = np.zeros(len(row), int)
    left = 0
    for t, (before, x) in enumerate(pairwise([0, *row])):
        left = 2 * task.ones + lag if x > before else max(left - 1, 0)
        answers[t] = 1 <= left <= task.ones
    return answers


def temporal_order(task, row, lag, due):
    """The class is the relevant symbols in their order."""
    places = np.flatnonzero(row < 2)
    assert (row[0], row[-1]) == (6, 7)
    assert places[0] >= len(row) - 1 - lag
    assert {*np.delete(row, [0, *places, -1])} <= {2, 3, 4, 5}
    orders = list(itertools.product((0, 1), repeat=task.relevant))
    return orders.index(tuple(row[places]))


def random_labels(task, row, lag, due):
    """A vector has the label of its place in a list that is always the same."""
    first = len(row) - 1 - lag
    assert not np.delete(row, first, axis=0).any()
    rng = np.random.default_rng([task.items, task.numbers])
    vectors = rng.standard_normal((task.items, task.numbers), np.float32)
    (place,) = np.flatnonzero((vectors == row[first]).all(1))
    return rng.integers(0, 2, task.items)[place]


def vector_hold(task, row, lag, due):
    assert not np.delete(row, len(row) - 1 - lag, axis=0).any()
    return row[len(row) - 1 - lag]


def window_parity(task, row, lag, due):
    """Each head answers for its own window, in a sequence of any length."""
    bits = row[:, 0]
    number = np.sum(bits != 0)
    assert lag + 2 <= number <= len(row)
    assert bits[-number:].all()
    windows = [*range(2, task.heads + 1), max(task.heads + 1, lag)]
    parities = [1 - 2 * (np.sum(bits[-window:] == 1) % 2 == 0) for window in windows]
    return np.where(np.array(windows) <= lag, parities, 0)


def windows(task, row, lag, due):
    """Whether a one was seen."""
    first = len(row) - 1 - lag
    assert not np.delete(row, first).any()
    ends = [t for t in range(first, len(row)) if (t - first) % task.window == 3]
    ends = ends if task.label == "every" else []
    assert {*np.flatnonzero(due)} == {*ends, len(row) - 1}
    return row.max() * (np.arange(len(row)) >= first)


def word_problem(task, row, lag, due):
    """Things are shuffled."""
    first = len(row) - 1 - lag
    elements = _permutations(task.group).tolist()
    which = _generators(task.group, task.generators)
    assert np.all(row[:first] == task.vocabulary - 1)
    assert np.array_equal(due, np.arange(len(row)) > first)
    things = [*range(int(task.group[1:]))]
    answers = np.zeros(len(row), int)
    for t in range(first, len(row)):
        things = [elements[which[row[t]]][thing] for thing in things]
        answers[t] = elements.index(things)
    return answers


def make(name, **knobs):
    return task_class(name)(**knobs)


ORACLES = [  # an oracle, and knobs of the task of its name
    (adding, {}),
    (bandlimited_delay, {}, {"cycles": 2, "rms": 0.3}),
    (
        copy,
        {},
        {"items": 3, "symbols": 5, "distractors": 2, "cue": "throughout"},
        {"items": 3, "symbols": 5, "waits": "drawn"},
    ),
    (
        selective_copy,
        {},
        {"items": 3, "symbols": 5, "distractors": 2, "cue": "throughout"},
        {"items": 1},
    ),
    (
        count,
        {"kind": "time", "scale": None},
        {"kind": "tokens", "scale": None},
        {"kind": "tokens", "scale": 50},
    ),
    (counter_language, *({"symbols": k} for k in (2, 3, 4))),
    (cue_discrimination, {}, {"cue": 1, "response": 3}),
    (cycle_navigation, *({"places": k} for k in (3, 5, 8))),
    (delay_line, {}, {"symbols": 5}, {"reals": True}),
    (dyck, {}, {"types": 5, "depth": 2}),
    (even_pairs, {}),
    (fading_kernel, {}, {"power": 0.5}),
    (latch, {}, {"symbols": 6, "distractors": 0}, {"symbols": 3, "noise": 0.1}),
    (modular_arithmetic, *({"modulus": k} for k in (3, 5, 7))),
    (
        mqar,
        {},
        {"pairs": 1, "symbols": 5},
        {"pairs": 8, "symbols": 8},
        {"layout": "stacked"},
        {"rewrites": 2},
        {"pairs": 3, "symbols": 6, "layout": "stacked", "rewrites": 1},
        {"pairs": 3, "symbols": 4, "fillers": "random"},
        {"layout": "stacked", "rewrites": 1, "fillers": "random"},
    ),
    (parity, {}),
    (pattern, {}, {"classes": 4, "middle": "random"}),
    (random_labels, {}, {"items": 7, "numbers": 3}),
    (reber, {}),
    (square_wave, {}, {"ones": 1}),
    (temporal_order, {}, {"relevant": 3}),
    (vector_hold, {}, {"numbers": 1}),
    (window_parity, {}, {"heads": 4}),
    (windows, {"window": 4}, {"window": 4, "label": "last"}),
    (word_problem, {}, {"generators": "swaps"}, {"group": "A4"}, {"group": "S5"}),
]


PAIRS = [
    pytest.param(oracle, task, id=str(task))
    for oracle, *tasks in ORACLES
    for task in (make(oracle.__name__, **knobs) for knobs in tasks)
]
WITH_FILLER = [pair for pair in PAIRS if pair.values[1].filler]


@pytest.mark.parametrize(("oracle", "task"), PAIRS)
@few
@given(more=st.integers(0, 16), extra=st.integers(0, 8), seed=seeds)
def test_an_oracle_is_right_wherever_an_answer_is_due(oracle, task, more, extra, seed):
    lag = task.smallest_lag + more
    length = task.shortest(lag) + extra
    batch = draw(task, lag, length, seed=seed, steps=STEPS, batch=8)
    check_answers(oracle, task, lag, *sequences(task, batch, length))


def check_answers(oracle, task, lag, inputs, targets, due):
    """Compare an oracle's answers with those of some sequences, where they are due."""
    for row, wanted, where in zip(inputs, targets, due, strict=True):
        answers = np.broadcast_to(oracle(task, row, lag, where), wanted.shape)
        np.testing.assert_allclose(answers[where], wanted[where], rtol=1e-5, atol=1e-5)


FILLERS = {  # by a task's word for it, whether some steps of sequences are filler
    "blanks": lambda task, steps: len(np.unique(steps, axis=0)) == 1,
    "distractors": lambda task, steps: np.all(
        (steps >= getattr(task, "symbols", 2)) & (steps < task.vocabulary - 1)
    ),
    "noise": lambda task, steps: abs(steps).max() < 6 * task.noise,
    "numbers without a marker": lambda task, steps: not steps[:, 1].any(),
    "older bits": lambda task, steps: {*steps.flat} <= {-1, 0, 1},
    "repeats of the begin": lambda task, steps: not steps.any(),
    "zeros": lambda task, steps: not steps.any(),
}


def test_every_task_with_filler_is_tried():
    """A file's: tests/own/test_task.py."""
    tasks = [task for task in every_task() if task.filler]
    assert {task.filler for task in tasks} == {*FILLERS}
    kinds = {pair.values[1].name for pair in WITH_FILLER}
    assert {task.name for task in tasks} == {*kinds, "data"}


@pytest.mark.parametrize(("oracle", "task"), WITH_FILLER)
@few
@given(more=st.integers(0, 16), extra=st.integers(1, 16), seed=seeds)
def test_what_comes_before_is_filler_and_matters_to_no_answer(
    oracle, task, more, extra, seed
):
    """Without it a sequence is one of the shortest length with the same answers."""
    lag = task.smallest_lag + more
    length = task.shortest(lag) + extra
    assert task.facts(lag, length) == task.facts(lag, task.shortest(lag))
    batch = draw(task, lag, length, seed=seed, steps=STEPS, batch=8)
    first = int(task.name == "temporal_order")  # its start symbol stays
    cut = slice(first, first + extra)
    inputs, targets, due = sequences(task, batch, length)
    assert FILLERS[task.filler](task, np.concatenate(inputs[:, cut]))
    assert not due[:, cut].any()
    check_answers(
        oracle, task, lag, *(np.delete(x, cut, axis=1) for x in (inputs, targets, due))
    )


def code(bits):
    """A number for each row of bits."""
    return bits @ 2 ** np.arange(bits.shape[-1])


def shown(inputs, count):
    """The first `count` symbols of the alphabet {0, 1} in each sequence."""
    return inputs[inputs < 2].reshape(-1, count)


WORDS = {
    word
    for middle in itertools.product("TPSXV", repeat=6)
    if WORD.fullmatch(word := f"B{''.join(middle)}E")
}
# tests/tasks/test_enumeration.py has the tasks whose sequences are numbered
ALIKE = [  # a task, its lag, what is drawn, and how many kinds of it there are
    (make("adding"), 6, lambda x: x[..., 1].argmax(1), 3),
    (make("adding"), 7, lambda x: x[:, ::-1, 1].argmax(1), 4),
    (make("delay_line", symbols=4), 3, lambda x: x, 4),
    (
        make("dyck", depth=4),
        8,
        lambda x: code(x[:, 1:] < 2),
        13,
    ),  # words within the first one
    (  # of two keys, written twice each, which is the one asked for
        make("mqar", pairs=2, symbols=4, rewrites=1),
        2,
        lambda x: code(x[:, :8:2] == x[:, -1:]),
        6,
    ),
    (make("reber"), 8, lambda x: x[:, -8:] @ 7 ** np.arange(8), len(WORDS)),
    (make("selective_copy", items=2), 4, lambda x: code(x[:, :5] < 2), 10),
    (make("selective_copy", items=2), 4, lambda x: code(shown(x, 2)), 4),
    (
        make("square_wave", ones=2),
        4,
        lambda x: x.argmax(1),
        make("square_wave", ones=2).length(4) - 7,
    ),
    (make("temporal_order", relevant=3), 12, lambda x: code(shown(x, 3)), 8),
]


@pytest.mark.parametrize(("task", "lag", "kind", "count"), ALIKE)
def test_each_kind_is_drawn_as_often(task, lag, kind, count):
    length = task.length(lag)
    batch = draw(task, lag, length, steps=max(48, length), batch=8192)
    inputs, _, _ = sequences(task, batch, length)
    _, counts = np.unique(kind(inputs), return_counts=True)
    assert evenly(counts, count, errors=5)


EXAMPLES = [  # of docstrings: a task, its lag, a sequence, and its answers where due
    (make("copy", items=3), 3, [0, 1, 1, 2, 2, 3, 2, 2, 2], [0, 1, 1]),
    (make("dyck"), 6, [0, 1, 0, 2, 3, 0, 2], [1, 0]),
    (
        make("square_wave", ones=2),
        2,
        [0, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 1, 0, 0, 0],
    ),
    (make("word_problem", group="Z6"), 2, [3, 5, 4], [2, 0]),
    (make("counter_language"), 3, [0, 0, 0, 1, 1, 1], [0, 0, 1]),
]


@pytest.mark.parametrize(("task", "lag", "example", "answers"), EXAMPLES)
def test_the_example_of_a_docstring_is_drawn(task, lag, example, answers):
    batch = draw(task, lag, len(example), batch=8192)
    inputs, targets, due = sequences(task, batch, len(example))
    alike = (inputs == example).all(1)
    assert alike.any()
    assert np.all(targets[alike][due[alike]].reshape(-1, len(answers)) == answers)
