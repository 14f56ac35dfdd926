"""What tasks say of themselves, against enumerations, papers and formulas written out."""

import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from task_checks import draw, few, seeds

from memcap.config.recipes import recommended
from memcap.knobs import UserError
from memcap.rule import Criterion
from memcap.tasks import least_rank
from memcap.tasks.adding import Adding
from memcap.tasks.bandlimited_delay import BandlimitedDelay
from memcap.tasks.chance import score, sequences
from memcap.tasks.copy import Copy
from memcap.tasks.count import Count
from memcap.tasks.counter_language import CounterLanguage
from memcap.tasks.cue_discrimination import CueDiscrimination
from memcap.tasks.cycle_navigation import CycleNavigation
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.fading_kernel import FadingKernel
from memcap.tasks.latch import Latch
from memcap.tasks.modular_arithmetic import ModularArithmetic
from memcap.tasks.reber import _FAR, words_left
from memcap.tasks.selective_copy import SelectiveCopy
from memcap.tasks.square_wave import SquareWave
from memcap.tasks.temporal_order import TemporalOrder
from memcap.tasks.vector_hold import VectorHold
from memcap.tasks.window_parity import WindowParity
from memcap.tasks.windows import Windows
from memcap.tasks.word_problem import WordProblem, _generators, _table


def commonest(values):
    """The share of the commonest of some values."""
    return Counter(values).most_common(1)[0][1] / len(values)


def of_token_counts(task, lag, length):
    """All (t, count) pairs with their probabilities, apart for each current bit."""
    error = 0.0
    for bit in (0, 1):
        pairs = [(t, before) for t in range(1, lag + 1) for before in range(t)]
        weight = [math.comb(t - 1, before) * 0.5 ** (t - 1) for t, before in pairs]
        count = np.array([(before + bit) / lag for _, before in pairs])
        mean = np.average(count, weights=weight)
        error += np.average((count - mean) ** 2, weights=weight) / 2
    return error


def words(symbols, lag):
    return ["".join(x * n for x in "abcd"[:symbols]) for n in range(1, lag + 1)]


def of_counter_words(task, lag, length):
    """The likeliest answer to each letter, over all words with the blanks after them."""
    answers = defaultdict(Counter)
    for word in words(task.symbols, lag):
        due = [*range(word.index("b"), len(word) - 1)]
        for t in due:
            answers[word[t]][word[t + 1]] += 1
        answers[word[-1]]["!"] += 1
        if len(word) < length:
            answers["_"]["!"] += 1
    right = sum(max(counts.values()) for counts in answers.values())
    return right / sum(counts.total() for counts in answers.values())


def of_walks(task, lag, length):
    walks = itertools.product((0, 1, -1), repeat=lag)
    return commonest([sum(walk) % task.places for walk in walks])


def of_expressions(task, lag, length):
    digits = [map(str, range(task.modulus))] * ((lag + 1) // 2)
    places = [list(digits[0]), *[["+", "-", "*"], None] * (len(digits) - 1)]
    places = [place or places[0] for place in places]
    texts = map("".join, itertools.product(*places))
    return commonest([eval(text) % task.modulus for text in texts])


def of_swaps(task, lag, length):
    table = _table(task.group)
    counts = np.zeros((len(table), len(table)))
    for word in itertools.product(_generators(task.group, "swaps"), repeat=length):
        product = word[0]
        for swap in word[1:]:
            product = table[product, swap]
            counts[swap, product] += 1
    return counts.max(1).sum() / counts.sum()


def of_no_window(task, lag, length):
    """Heads for more bits than the lag are due nothing."""
    batch = draw(task, lag, length, batch=64)
    assert np.all(abs(batch.targets[: lag - 1]) == 1)
    assert not batch.targets[lag - 1 :].any()
    return np.mean(batch.targets**2)


CHANCE = [
    *(
        (Count(kind="tokens", scale=None), lag, of_token_counts)
        for lag in (3, 4, 10, 50)
    ),
    *((CounterLanguage(symbols=k), 8, of_counter_words) for k in (2, 3, 4)),
    *((CycleNavigation(places=k), 6, of_walks) for k in (3, 5, 8)),
    *((ModularArithmetic(modulus=3), lag, of_expressions) for lag in (5, 6, 7)),
    (ModularArithmetic(), 5, of_expressions),
    *((WordProblem(generators="swaps"), lag, of_swaps) for lag in (1, 2, 4)),
    (WindowParity(heads=4), 3, of_no_window),
    (Adding(), 1, 1 / 12),
    (Adding(), 50, 1 / 6 - 1 / 312),
    (CueDiscrimination(), 40, 1 / 2),
    (CueDiscrimination(), 6, 6 / 16),  # silence
    (CueDiscrimination(), 2, 5 / 12),  # or a cue
    (TemporalOrder(), 50, 1 / 4),
    (TemporalOrder(relevant=3), 50, 1 / 8),
    # of 10 cycles a quarter of the window is 5 zeros of the sinc away
    (BandlimitedDelay(), 100, 0.8),
    (BandlimitedDelay(rms=0.5), 100, 0.2),
    (BandlimitedDelay(cycles=1), 100, 1 - np.mean(np.sinc(np.arange(5) / 2) ** 2)),
]


@pytest.mark.parametrize(("task", "lag", "chance"), CHANCE)
@pytest.mark.parametrize("extra", [0, 5])
def test_chance(task, lag, chance, extra):
    if extra and not isinstance(task, CounterLanguage):
        length = task.length(lag)
    else:
        length = task.shortest(lag) + extra
    expected = chance if isinstance(chance, float) else chance(task, lag, length)
    assert task.facts(lag, length).chance == pytest.approx(expected, rel=1e-9)


def of_futures(task, lag):
    """After each beginning of a word, the words that may go on from there: as many as
    differ, where the same letter was read."""
    futures = defaultdict(set)
    alike = words(task.symbols, lag)
    for word in alike:
        for end in range(1, len(word) + 1):
            rests = (other[end:] for other in alike if other.startswith(word[:end]))
            futures[word[end - 1]].add(frozenset(rests))
    return max(map(len, futures.values()))


def of_beginnings(task, lag):
    """After an operator two beginnings differ if some ending tells them apart."""
    digits = range(task.modulus)
    ends = [f"{digit}{end}" for digit in digits for end in ("", "+1", "*2")]
    beginnings = itertools.product(digits, "+-*", digits, "+-*")
    texts = ("".join(map(str, beginning)) for beginning in beginnings)
    return len(
        {tuple(eval(text + end) % task.modulus for end in ends) for text in texts}
    )


def of_ends(task, lag):
    walks = itertools.product((0, 1, -1), repeat=lag)
    return len({sum(walk) % task.places for walk in walks})


STATES = [
    *((CounterLanguage(symbols=k), lag, of_futures) for k in (2, 3) for lag in (2, 8)),
    *((ModularArithmetic(modulus=k), 9, of_beginnings) for k in (3, 5, 7)),
    *((CycleNavigation(places=k), lag, of_ends) for k, lag in ((3, 1), (5, 1), (5, 7))),
    (Copy(items=10, symbols=8), 50, 2**30),
    (DelayLine(), 50, 2**50),
    (SquareWave(), 50, 56),
]


@pytest.mark.parametrize(("task", "lag", "states"), STATES)
def test_bits_tell_apart_all_that_must_be_told_apart(task, lag, states):
    states = states if isinstance(states, int) else states(task, lag)
    assert 2 ** task.facts(lag, task.length(lag)).bits == pytest.approx(states)


RECIPES = [
    (Copy(items=2), 10, "curriculum_chrono"),
    (Copy(items=4), 50, "curriculum_from_one"),
    (SelectiveCopy(items=1), 1, "curriculum_from_one"),
    (DelayLine(), 5, "forget_bias"),
    (DelayLine(), 50, "curriculum_ggt"),
    (DelayLine(), 51, "curriculum"),
    (DelayLine(symbols=4), 20, "curriculum_muon"),
    (DelayLine(symbols=8), 50, "open_gate"),
    (DelayLine(reals=True), 21, "open_gate"),
]


@pytest.mark.parametrize(("task", "lag", "recipe"), RECIPES)
def test_recipes(task, lag, recipe):
    assert recommended(task, lag) == recipe


def test_a_stretched_count_keeps_its_scale():
    assert Count(scale=None).stretched(8, 4) == (8, 32)
    assert draw(Count(scale=None), 8, 32).targets[31, 0] == 4
    assert Count(scale=8).stretched(8, 4) == (32, 32)
    assert draw(Count(scale=8), 32, 32).targets[31, 0] == 4


def test_noise_of_a_latch():
    noise = draw(Latch(symbols=3, noise=0.1), 9, 12).inputs[3:12]
    assert abs(noise.mean()) < 0.03
    assert 0.08 < noise.std() < 0.12


@pytest.mark.parametrize(
    ("relevant", "places"),
    [(2, [(10, 20), (50, 60)]), (3, [(10, 20), (33, 43), (66, 76)])],
)
def test_the_places_of_a_paper(relevant, places):
    """Experiments 6a and 6b: t1 in 10..20 and so on, the trigger at step 100."""
    batch = draw(TemporalOrder(relevant=relevant), 90, steps=101, batch=2048)
    found = np.array([np.flatnonzero(row < 2) for row in batch.inputs.T])
    for place, (first, last) in zip(found.T, places, strict=True):
        assert {*place} == {*range(first, last + 1)}


ORDERS = {"S3": 6, "A4": 12, "Z12": 12, "A5": 60, "S5": 120}


@pytest.mark.parametrize(("group", "order"), ORDERS.items())
def test_the_tables_are_those_of_groups(group, order):
    table = _table(group)
    each = np.arange(order)
    assert np.array_equal(table[0], each)  # the identity
    assert np.array_equal(table[:, 0], each)
    assert all(np.array_equal(np.sort(line), each) for line in (*table, *table.T))
    some = np.random.default_rng(0).integers(0, order, (3, 2000))
    a, b, c = some
    assert np.array_equal(table[table[a, b], c], table[a, table[b, c]])
    assert np.array_equal(table, table.T) == group.startswith("Z")


def test_swaps_are_swaps():
    assert [len(_generators(group, "swaps")) for group in ("S3", "S5")] == [3, 10]
    why = r"task\.group=A4 is not made of swaps; S3 and S5 are"
    with pytest.raises(UserError, match=why):
        WordProblem(group="A4", generators="swaps")


@few
@given(seed=seeds)
def test_numbers_say_what_vectors_say(seed):
    """As the code of Bai et al. writes them: blanks 0, symbols 1 to 8, and from the cue on 9."""
    vectors = Copy(items=10, symbols=8, cue="throughout")
    numbers = Copy(items=10, symbols=8, cue="throughout", coding="number")
    (shown, due, _), (written, also_due, _) = (
        sequences(task, draw(task, 5, seed=seed), 25) for task in (vectors, numbers)
    )
    digits = np.array([*range(1, 9), 0, 9])
    assert np.array_equal(written[..., 0], digits[shown])
    assert np.array_equal(due, also_due)


@pytest.mark.parametrize(("lag", "known"), [(50, 0.29706), (1000, 0.02039)])
def test_the_loss_without_memory_that_papers_quote(lag, known):
    """Averaged over all T + 2K steps: blanks are certain outside the recall, and there
    each symbol has 1 / A."""
    task = Copy(items=10, symbols=8)
    length = task.length(lag)
    assert length == lag + 20
    _, _, mask = sequences(task, draw(task, lag, length, steps=1020, batch=2), length)
    facts = task.facts(lag, length)
    loss = np.where(mask, -math.log(facts.chance), 0).mean()
    assert loss == pytest.approx(known, abs=6e-6)


def test_each_window_starts_with_a_cut():
    starts = draw(Windows(window=4), 9, 12).window_starts[:12]
    assert np.flatnonzero(starts).tolist() == [2, 6, 10]


def windows_alone(task: Windows, lag: int) -> float:
    """Accuracy of the best answers when each window forgets the ones before: 1 if it
    holds a 1, else 0."""
    length = task.length(lag)
    batch = draw(task, lag, length, batch=8192)
    inputs, targets, mask = sequences(task, batch, length)
    guess = np.zeros_like(inputs)
    for t in range(length):
        guess[:, t] = (
            inputs[:, t]
            if batch.window_starts[t]
            else np.maximum(guess[:, t - 1], inputs[:, t])
        )
    return score(task, guess, targets, mask).mean


@pytest.mark.parametrize(("lag", "windows"), [(11, 3), (12, 4), (15, 4)])
def test_a_reset_carry_can_do_no_better_than_this(lag, windows):
    every, last = (
        Windows(window=4, label=label, carry="reset") for label in ("every", "last")
    )
    assert every.reset_carry
    assert not Windows().reset_carry
    assert windows_alone(every, lag) == pytest.approx(0.5 + 0.5 / windows, abs=0.02)
    assert windows_alone(last, lag) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("ones", "lag", "longer"), [(1, 1, 0), (5, 1, 0), (2, 6, 0), (3, 5, 9)]
)
def test_states_that_differ_in_what_is_due_though_nothing_more_comes(ones, lag, longer):
    """From every sequence: at each step, how many answers are still possible once the
    run is over."""
    task = SquareWave(ones=ones)
    length = task.shortest(lag) + longer

    def most_answers(length):
        batch = draw(task, lag, length, batch=2048, steps=64)
        inputs, targets, _ = sequences(task, batch, length)
        return max(
            len(np.unique(targets[~inputs[:, t:].any(1), t:], axis=0))
            for t in range(1, length)
        )

    most = most_answers(length)
    assert 2 ** task.facts(lag, length).bits == pytest.approx(most)
    if not longer:
        assert most_answers(length - 1) < most, "a shorter sequence asks for less"


@given(arrays(int, 100, elements=st.integers(-9, 9)), st.sampled_from([0.5, 0.9, 0.99]))
def test_at_the_criterion_of_a_count_the_share_is_right_when_rounded(errors, right):
    """However the errors are spread; at the worst the others are off by half a count."""
    task = Count(right=right)
    criterion = task.facts(50, 50).threshold
    errors[0] += not errors.any()
    errors = errors * np.sqrt(criterion / np.mean(errors**2))
    wrong = np.abs(task.scale * errors) >= 0.5 + 1e-9
    assert wrong.mean() <= 1 - right + 1e-9
    worst = np.where(np.arange(100) < round(100 * (1 - right)), 0.5 / task.scale, 0.0)
    assert np.mean(worst**2) == pytest.approx(criterion)


@pytest.mark.parametrize("kind", ["time", "tokens"])
def test_a_count_cannot_be_told_from_none_at_the_least_lags(kind):
    task = Count(kind=kind)
    two, three, fifty = (task.facts(lag, lag) for lag in (2, 3, 50))
    assert two.chance <= two.threshold
    assert three.chance > three.threshold
    assert fifty.threshold == pytest.approx(1e-4)
    assert math.log2(50) - 2 < fifty.bits < math.log2(50)


def test_every_step_of_a_delay_is_due_as_often():
    """Where the parts are even; 4 steps of 20 count, so each in a fifth of the sequences."""
    mask = draw(CueDiscrimination(cue=1, response=4), 20, batch=4096).mask[1:21]
    assert np.all(abs(mask.mean(1) - 1 / 5) < 5 * (1 / 5 * 4 / 5 / 4096) ** 0.5)


def exponentials_error(decays, lag):
    """The least squared error of a sum of exponentials with these decays per step, as a
    share of the criterion."""
    task = FadingKernel()
    steps = np.sqrt(1 - np.arange(lag + 1) / (lag + 1))  # how many have this age
    basis = decays ** np.arange(lag + 1)[:, None] * steps[:, None]
    wanted = (1.0 + np.arange(lag + 1)) ** -task.power * steps
    _, (error,), *_ = np.linalg.lstsq(basis, wanted)
    return error / task.facts(lag, lag + 1).threshold


@pytest.mark.parametrize(("lag", "least"), [(1, 1), (3, 2), (16, 2), (50, 3)])
def test_the_linear_units_that_a_fading_kernel_takes_grow_with_the_lag(lag, least):
    """By a search of all decays on a grid."""
    grid = 1 - 1 / np.geomspace(1.02, 4 * lag + 8, 24)
    for units in range(max(1, least - 1), least + 1):
        errors = [
            exponentials_error(np.array(decays), lag)
            for decays in itertools.combinations(grid, units)
        ]
        assert (min(errors) <= 1) == (units == least)


def test_far_from_the_end_all_steps_of_a_long_word_are_alike():
    far = words_left(2000)[_FAR - 1 :]
    np.testing.assert_allclose(far, np.broadcast_to(far[-1], far.shape), rtol=1e-7)


@pytest.mark.parametrize(("ones", "lag"), [(1, 1), (5, 1), (5, 50), (5, 1000)])
def test_neither_silence_nor_a_clock_solves_it(ones, lag):
    """The best answer of a clock without input: of each step the likelier one, by all starts."""
    task = SquareWave(ones=ones)
    length = task.length(lag)
    starts = length - 2 * ones - lag + 1
    due = np.zeros(length)
    for start in range(starts):
        due[start + ones + lag : start + 2 * ones + lag] += 1 / starts
    facts = task.facts(lag, length)
    silence = 1 - due.mean()
    clock = np.maximum(due, 1 - due).mean()
    assert facts.chance == pytest.approx(silence)
    assert task.is_chance(silence, lag, length)
    assert not Criterion(task.metric, facts.threshold).passes(clock)


@pytest.mark.parametrize(
    "task",
    [
        VectorHold(),
        VectorHold(numbers=2),
        BandlimitedDelay(),
        BandlimitedDelay(cycles=1),
        BandlimitedDelay(cycles=3, rms=2.0),
    ],
)
def test_no_linear_read_out_of_fewer_numbers_can_meet_the_criterion(task):
    """The best one answers by the first principal axes of the answers."""
    lag = 40
    length = task.length(lag)
    batch = draw(task, lag, steps=length, batch=4096)
    targets = np.moveaxis(batch.targets, 0, -1)
    if batch.mask is not None:
        targets = targets[batch.mask]
    facts = task.facts(lag, length)
    measured = np.linalg.eigvalsh(np.cov(targets.T))[::-1]
    assert facts.variances == pytest.approx(measured, rel=0.15, abs=1e-3)
    floor = least_rank(facts.variances, facts.threshold)
    errors = [measured[numbers:].sum() / task.outputs for numbers in (floor - 1, floor)]
    assert errors[0] > facts.threshold > errors[1]
