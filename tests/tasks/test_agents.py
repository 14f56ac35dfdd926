"""Agents: what they see, learn and choose, and that as many units as they have
variables are enough."""

import numpy as np
import pytest
from breadth import leave
from task_checks import draw

from memcap.tasks.agents import REWARDED
from memcap.tasks.bandit import Bandit
from memcap.tasks.reversal import Reversal
from memcap.tasks.two_step import TwoStep

TRIALS = 48
SESSIONS = 512
TASKS = (
    Bandit(),
    Reversal(values=2, habit=True, subject=5),
    TwoStep(habit=True),
    TwoStep(values=2),
)


def sessions(task, trials=TRIALS):
    """Arms, states and rewards, 0 or 1, and the log odds of the next choice; each (T, B)."""
    batch = draw(task, trials - 1, steps=TRIALS, batch=SESSIONS)
    symbols = batch.inputs
    arms = symbols // (task.vocabulary // 2)
    states = symbols // 2 % 2 if task.two_steps else arms
    return arms, states, symbols % 2, batch.targets


def log_odds(task, arms, states, reward):
    """Return the log odds of a GRU with a unit for each variable: h' = (1 - z) n + z h,
    where z and n hang on the last trial alone, and a read-out."""
    learn, slope, repeat, fade = task.rates
    good = 2 * reward - 1
    if task.values == 1:
        units = [(learn, np.where(states == 1, good, -good), 1)]
    else:
        units = [(learn * (states == arm), good, arm - 0.5) for arm in (0, 1)]
    weights = [slope * sign for *_, sign in units] + [repeat] * task.habit
    units = [unit[:2] for unit in units] + [(fade, 2 * arms - 1)] * task.habit
    assert len(units) == task.facts(TRIALS - 1, TRIALS).held
    odds = np.zeros(reward.shape)
    for (rate, new), weight in zip(units, weights, strict=True):
        h = np.zeros(reward.shape[1])
        keep = 1 - rate * np.ones_like(reward)
        for t, (z, n) in enumerate(zip(keep, new, strict=True)):
            h = (1 - z) * n + z * h
            odds[t] += weight * h
    return odds


@pytest.mark.parametrize("task", [TASKS[0], *leave(TASKS[1:])], ids=str)
def test_as_many_units_as_variables_say_the_log_odds(task):
    *seen, odds = sessions(task)
    np.testing.assert_allclose(log_odds(task, *seen), odds, atol=1e-4)


@pytest.mark.parametrize("task", [TASKS[0], *leave(TASKS[1:])], ids=str)
def test_choices_follow_the_log_odds(task):
    arms, *_, odds = sessions(task)
    chance = 1 / (1 + np.exp(-odds[:-1]))
    for low, high in ((-9, -1), (-1, 1), (1, 9)):
        some = (odds[:-1] > low) & (odds[:-1] < high)
        error = (chance * (1 - chance))[some].sum() ** 0.5 / some.sum()
        assert abs(arms[1:][some].mean() - chance[some].mean()) < 4 * error
    assert abs(arms[0].mean() - 0.5) < 4 * 0.5 / SESSIONS**0.5


def test_worlds():
    """A bandit's better arm stays, a reversal's does not, and of two steps it is states
    that are rewarded."""
    assert REWARDED == 0.8
    bandit, reversal, two_step, _ = TASKS
    arms, _, reward, _ = sessions(bandit)
    good = (arms == reward).mean(0)  # about .8 or .2 of a session
    assert np.mean(abs(good - 0.5) > 0.15) > 0.95
    for task in (reversal, two_step):
        arms, states, reward, _ = sessions(task)
        good = states == reward
        agree = np.mean(good[1:] == good[:-1])
        assert abs(agree - (0.95 * 0.68 + 0.05 * 0.32)) < 4 * 0.5 / arms.size**0.5
    assert abs(np.mean(arms == states) - 0.8) < 4 * 0.4 / arms.size**0.5


def test_subjects_have_their_own_rates():
    rates = [Bandit(habit=True, subject=subject).rates for subject in range(200)]
    low = np.min(rates, 0)
    high = np.max(rates, 0)
    assert np.all(low >= [0.25, 4, 1, 0.08])
    assert np.all(high <= [0.45, 6, 2, 0.16])
    assert np.all(high - low > 0.9 * np.array([0.2, 2, 1, 0.08]))
    assert Bandit(subject=7).rates.repeat == 0


@pytest.mark.parametrize(
    ("task", "arms", "states", "reward", "odds"),
    [
        (Bandit(), [1, 1, 0], [1, 1, 0], [1, 1, 1], [2, 3, -0.5]),
        (Reversal(), [1, 1, 1], [1, 1, 1], [1, 0, 0], [2, -1, -2.5]),
        (TwoStep(), [1, 1], [1, 0], [1, 1], [2, -1]),
    ],
    ids=str,
)
def test_the_examples_of_the_docstrings(task, arms, states, reward, odds, monkeypatch):
    """Work the documented examples through an agent that learns by half, with a slope of 4."""
    monkeypatch.setattr(type(task), "rates", task.rates._replace(learn=0.5, slope=4))
    seen = (np.array(column)[:, None] for column in (arms, states, reward))
    assert log_odds(task, *seen)[:, 0].tolist() == odds


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_who_meets_the_criterion_leaves_little_of_the_log_loss_to_gain(task):
    """Compare with what a net without memory loses to the agent itself: a solved one
    loses less than 1/300 of it."""
    arms, states, reward, odds = sessions(task)
    symbols = (4 * arms + 2 * states + reward)[:-1]
    agent = np.logaddexp(0, np.where(arms[1:] == 1, -odds[:-1], odds[:-1])).mean()
    number = np.bincount(symbols.ravel(), minlength=8)
    chosen = np.bincount(symbols.ravel(), arms[1:].ravel(), 8)
    share = (chosen / np.maximum(number, 1))[symbols]
    memoryless = -np.log(np.where(arms[1:] == 1, share, 1 - share)).mean()
    most = task.facts(TRIALS - 1, TRIALS).threshold / 8
    assert 0 < most < (memoryless - agent) / 300
