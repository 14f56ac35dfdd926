"""Draws nets and trains none of them, to see how many pass by luck: guesses.csv.

python sweeps/answers/learned/guesses.py
    10,000 draws for each net that sweeps/answers/learned.yaml has with a frozen cell,
    and that the table has not yet
python sweeps/answers/learned/guesses.py --draws 100
    fewer draws of all of them; prints, writes nothing

A draw is a start of the recipe, cell and read-out: that with which the member of seed
0, 1, 2, ... begins. Or it is wide: each weight is uniform from -100 to 100, as long
time lags have been guessed (Hochreiter & Schmidhuber, 1996, "Bridging long time lags by
weight guessing and 'long short-term memory'"). It passes where a net that is trained
would: twice the criterion on fresh sequences, and the stricter verdict that the member
is for. A draw that is farther from it on 16 sequences than chance allows is asked no
further.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl

from memcap.config.member import Member
from memcap.knobs import field_values
from memcap.launch.app import compose_jobs
from memcap.rule import Stream
from memcap.store.columns import task_of
from memcap.tasks import Task
from memcap.training.evaluation import EvalOperands
from memcap.training.host import eval_operands, score_lag
from memcap.training.program import lengths
from memcap.training.step import Trainer, TrainSpec

TABLE = Path(__file__).with_name("guesses.csv")
DRAWN = 10_000
# draws at once, at a first look and for a verdict
CHUNK = 200
FEW = 4
WIDE = 100.0  # the largest weight of a wide draw
SCREEN = 16  # sequences of the first look
Scores = Callable[..., np.ndarray]


def members() -> list[Member]:
    """The first member of each condition that the study has with a frozen cell."""
    ((job,),) = compose_jobs(["sweeps=answers/learned"])
    frozen = [member for member in job.members if member.recipe.freeze == "cell"]
    return list(
        {(m.recipe.name, m.task, m.lag, m.model): m for m in reversed(frozen)}.values()
    )[::-1]


def scores_of(member: Member, size: int) -> Scores:
    """Return a function of weights (N, P) and of an evaluation that gives N scores,
    `size` at once."""
    trainer = Trainer(TrainSpec.of(member), member.length, lengths(member)[1])
    evaluate = jax.jit(jax.vmap(trainer.evaluate, in_axes=(0, None)))

    def scores(weights: np.ndarray, stream: Stream, index: int = 0) -> np.ndarray:
        if stream == Stream.EVALUATE:
            (operands,) = eval_operands(member, stream, index)
        else:
            operands = eval_operands(member, stream)[index]
        found = []
        for first in range(0, len(weights), size):
            part = weights[first : first + size]
            padded = np.resize(
                part, (size, part.shape[1])
            )  # one size, so that one program is compiled
            found.append(np.asarray(evaluate(padded, operands).mean)[: len(part)])
        return np.concatenate(found)

    return scores


def screen_of(member: Member) -> Member:
    """The same with few sequences, for a first look."""
    return replace(member, evaluation=replace(member.evaluation, sequences=SCREEN))


def passing(member: Member, weights: np.ndarray, scores: Scores) -> np.ndarray:
    """Tell which of N nets pass as a trained one would: (N,) of truths."""
    evaluation = member.evaluation
    criterion = member.criterion
    good = np.ones(len(weights), bool)

    def ask(stream: Stream, index: int = 0) -> np.ndarray:
        asked = np.full(len(weights), np.nan, np.float32)
        asked[good] = scores(weights[good], stream, index)
        return asked

    for index in range(evaluation.successive):
        if good.any():
            good &= criterion.passes(ask(Stream.EVALUATE, index))
    if good.any() and evaluation.until == "steady":
        good &= criterion.passes(ask(Stream.STRETCH))
    if good.any() and evaluation.until == "up_to":
        by_lag = np.stack(
            [ask(Stream.UP_TO, index) for index in range(len(member.lags_up_to))]
        )
        at_a_lag = criterion.with_margin(evaluation.block)
        good &= criterion.passes(by_lag.mean(0)) & at_a_lag.passes(by_lag).all(0)
    if good.any() and evaluation.until == "anywhere":
        good[good] = [is_right_anywhere(member, net) for net in weights[good]]
    return good


@cache
def tally_of(member: Member) -> Callable[..., Any]:
    """Compile the sums over sequences of a lag."""
    trainer = Trainer(TrainSpec.of(member), member.length, lengths(member)[1])
    return jax.jit(trainer.tally)


def is_right_anywhere(member: Member, weights: np.ndarray) -> bool:
    """Tell whether a net is right at every lag up to the member's, wherever in a
    sequence it begins."""
    draws = partial(next, count())

    def tally(operands: EvalOperands) -> np.ndarray:
        return np.asarray(tally_of(member)(weights, operands))

    lags = range(member.lag, member.task.smallest_lag - 1, -1)
    return all(score_lag(member, lag, tally, draws).passes for lag in lags)


def starts(member: Member, seeds: range) -> np.ndarray:
    """The starts of the members of these seeds, (N, P)."""
    architecture = member.architecture
    entropy = [member.lag, member.model.units]
    drawn = (architecture.init(member.init, [seed, *entropy]) for seed in seeds)
    return np.stack([architecture.flatten(start) for start in drawn])


def wide(member: Member, seeds: range) -> np.ndarray:
    """Weights that are uniform, (N, P)."""
    size = member.architecture.parameters()
    drawn = [
        np.random.default_rng([seed, 1]).uniform(-WIDE, WIDE, size) for seed in seeds
    ]
    return np.stack(drawn).astype(np.float32)


DRAWS = {"by_recipe": starts, "wide": wide}


def guess(member: Member, draws: int) -> dict[str, list[int]]:
    """Return the draws that pass, from 1 on, by how they are drawn."""
    near = member.criterion.with_margin(SCREEN)
    look = scores_of(screen_of(member), CHUNK)
    scores = scores_of(member, FEW)
    found: dict[str, list[int]] = {way: [] for way in DRAWS}
    for first in range(0, draws, CHUNK):
        for way, draw in DRAWS.items():
            weights = draw(member, range(first, min(first + CHUNK, draws)))
            scores_of_few = look(weights, Stream.EVALUATE, 1000 + first)
            hopeful = np.flatnonzero(near.passes(scores_of_few))
            if len(hopeful):
                good = hopeful[passing(member, weights[hopeful], scores)]
                found[way] += [1 + first + int(place) for place in good]
    return found


def place(line: dict[str, Any]) -> tuple[str, Task, int, int]:
    """Tell lines of the table apart by recipe, task, lag and units."""
    task = task_of(line["task"], line["knobs"])
    return line["recipe"], task, line["lag"], line["units"]


def main() -> None:
    """Draw, count, and write the table if all draws were made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int)
    arguments = parser.parse_args()
    lines = []
    draws = arguments.draws or DRAWN
    lines_before = (
        {}
        if arguments.draws
        else {place(line): line for line in pl.read_csv(TABLE).to_dicts()}
    )
    for member in members():
        line = {"recipe": member.recipe.name, "task": member.task.name}
        line |= {"knobs": json.dumps(field_values(member.task), sort_keys=True)}
        line |= {"lag": member.lag, "units": member.model.units}
        if place(line) not in lines_before:
            line |= {"draws": draws} | {
                way: len(good) for way, good in guess(member, draws).items()
            }
            print(*line.values(), flush=True)
        lines.append(lines_before.get(place(line), line))
    if arguments.draws is None:
        pl.DataFrame(lines).write_csv(TABLE)


if __name__ == "__main__":
    main()
