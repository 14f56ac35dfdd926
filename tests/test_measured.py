"""`memcap.measure`: sound calls by the designs of `memcap train`, nothing lost or done twice."""

import json
import subprocess
import sys

import numpy as np
import pytest
from own_programs import program
from study_checks import refusal

import memcap
from memcap.designs.bisect import Bisect
from memcap.designs.design import Outcome
from memcap.measured import Call, measure

WIDTHS = range(1, 33)


def coin(width, seed):
    """Passes from 5 to 8 units on, by the seed."""
    return width >= 5 + seed % 4


class Recorder:
    """Calls of a function, which stops after some."""

    def __init__(self, most=1000, function=coin):
        self.calls = []
        self.most = most
        self.function = function

    def __call__(self, width, seed):
        if len(self.calls) == self.most:
            raise KeyboardInterrupt
        self.calls.append((width, seed))
        return self.function(width, seed)


def test_it_calls_what_a_bisection_asks_for_and_then_a_few_more_seeds(tmp_path):
    train = Recorder()
    found = measure(train, WIDTHS, name="a", folder=tmp_path)
    calls = [Call(width, seed) for width in WIDTHS for seed in range(8)]
    design = Bisect(calls, {})
    waiting = design.first_members()
    asked = []
    while waiting:
        asked.append(waiting.pop(0))
        waiting += design.next_members(asked[-1], Outcome(coin(*asked[-1])))
    assert train.calls[: len(asked)] == asked
    assert len(set(train.calls)) == len(train.calls) < 0.3 * len(calls)
    assert found.u50.low < 6 < found.u50.high
    assert found.counts["runs"].sum() == len(train.calls)
    assert "u90" in str(found)
    assert found.plot().axes


@pytest.mark.parametrize("most", [0, 1, 13, 30])
def test_a_kill_loses_nothing_and_a_rerun_makes_no_call_twice(tmp_path, most):
    whole, part, rest = Recorder(), Recorder(most), Recorder()
    found = measure(whole, WIDTHS, name="whole", folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        measure(part, WIDTHS, name="part", folder=tmp_path)
    path = tmp_path / "part.jsonl"
    path.write_bytes(path.read_bytes() + b'{"width": 3, "se')
    again = measure(rest, WIDTHS, name="part", folder=tmp_path)
    assert part.calls + rest.calls == whole.calls
    assert again.results.equals(found.results)
    measure(Recorder(0), WIDTHS, name="part", folder=tmp_path)


def test_processes_make_the_same_thresholds_and_nothing_twice(tmp_path):
    (tmp_path / "coins.py").write_text(
        "import sys, memcap\n"
        "def train(width, seed):\n"
        "    open('calls', 'a').write(f'{width} {seed}\\n')\n"
        "    return width >= 5 + seed % 4\n"
        "if __name__ == '__main__':\n"
        "    for _ in range(2):\n"
        "        print(memcap.measure(train, range(1, 33), name='a', folder='.', workers=2))\n"
        "    assert 'jax' not in sys.modules\n"
    )
    run = subprocess.run(
        [sys.executable, "coins.py"], cwd=tmp_path, capture_output=True, check=True
    )
    first, second = run.stdout.decode().split("a: ")[1:]
    assert first == second
    calls = (tmp_path / "calls").read_text().splitlines()
    rows = list(map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines()))[1:]
    assert len(set(calls)) == len(calls) == len(rows)


def raises(width, seed):
    raise RuntimeError("CUDA out of\nmemory")


@pytest.mark.parametrize(
    ("function", "criterion", "words"),
    [
        (raises, None, "train(width=1, seed=0) raises RuntimeError: CUDA out of, at"),
        (lambda width, seed: 0.5, None, "returns 0.5: must be True or False"),
        (lambda width, seed: "good", 0.9, "returns 'good': must be a number"),
    ],
)
def test_a_function_that_gives_no_result_gets_one_line(
    tmp_path, function, criterion, words
):
    line = refusal(
        lambda: measure(
            function, WIDTHS, name="a", folder=tmp_path, criterion=criterion
        )
    )
    assert words in line


def test_other_widths_or_another_criterion_are_refused(tmp_path):
    def score(width, seed):
        return width / 10

    found = memcap.measure(score, WIDTHS, name="a", folder=tmp_path, criterion=0.5)
    assert found.results.filter(passed=True)["score"].min() >= 0.5
    for widths, criterion in ((range(1, 65), 0.5), (WIDTHS, 0.6)):
        line = refusal(
            lambda widths=widths, criterion=criterion: measure(
                score, widths, name="a", folder=tmp_path, criterion=criterion
            )
        )
        assert "a.jsonl has results of" in line
    assert "at least 3 numbers" in refusal(
        lambda: measure(score, [1, 2], name="b", folder=tmp_path)
    )


def test_a_run_that_diverges_does_not_pass(tmp_path):
    found = measure(
        lambda width, seed: float("nan") if width < 5 else 1.0,
        WIDTHS,
        name="a",
        folder=tmp_path,
        criterion=0.9,
    )
    assert 4 <= found.u50.units <= 5
    assert found.results.filter(passed=False)["score"].null_count() >= 8


def test_a_second_process_is_refused_and_a_mistake_keeps_no_lock(tmp_path):
    lines = []

    def train(width, seed):
        if not lines:
            lines.append(
                refusal(lambda: measure(coin, WIDTHS, name="a", folder=tmp_path))
            )
        return coin(width, seed)

    measure(train, WIDTHS, name="a", folder=tmp_path)
    assert "another process writes it" in lines[0]
    for _ in range(2):
        line = refusal(lambda: measure(coin, [1, 2, 3], name="a", folder=tmp_path))
        assert "has results of" in line


@pytest.mark.parametrize(("passes", "censored"), [(True, "below"), (False, "above")])
def test_where_all_pass_or_none_it_is_censored_and_ends_soon(
    tmp_path, passes, censored
):
    train = Recorder(function=lambda width, seed: passes)
    found = measure(train, WIDTHS, name="a", folder=tmp_path)
    assert found.u50.censored == found.u90.censored == censored
    assert len(train.calls) <= 45


def test_a_reservoir_recalls_what_its_width_allows():
    example = program("examples/measure_reservoir.py")
    assert example.train(100, 0) > 0.9 > example.train(20, 0)


@pytest.mark.parametrize("name", ["torch", "maze"])
def test_examples_of_pytorch_train(name, monkeypatch):
    pytest.importorskip("torch")
    example = program(f"examples/measure_{name}.py")
    monkeypatch.setattr(example, "STEPS" if name == "torch" else "BATCHES", 100)
    assert 0 < example.train(4, 0) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("lapse", [0.0, 0.1])
def test_intervals_hold_what_simulated_trainings_have(tmp_path, lapse):
    """Of 200 logistic curves of the logarithm of the width; of a lapse, a share of the
    seeds passes at no width."""
    rng = np.random.default_rng(7)
    held = np.zeros(2, int)
    calls = []
    for number in range(200):
        middle = rng.uniform(1.5, 5)  # log2 of u50
        steepness = rng.uniform(4, 30)
        draws = rng.uniform(size=(65, 16))
        fails = rng.uniform(size=16) < lapse

        def train(
            width, seed, middle=middle, steepness=steepness, draws=draws, fails=fails
        ):
            chance = 1 / (1 + np.exp(steepness * (middle - np.log2(width))))
            return bool(draws[width, seed] < chance and not fails[seed])

        found = measure(train, range(1, 65), name=str(number), folder=tmp_path)
        u90 = middle + np.log(9) / steepness
        for k, (width, at) in enumerate(((found.u50, middle), (found.u90, u90))):
            held[k] += width.low <= 2**at <= width.high
        calls.append(found.results.height)
    print(held, np.mean(calls), max(calls))
    assert (held >= 0.95 * 200).all()
    assert np.mean(calls) < 512 / 5
