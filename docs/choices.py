"""Fits nets of one to four units to the choices of made-up agents: is their number of variables found again?

python docs/choices.py                       the study; writes results/choices.csv (30 minutes of one core)
python docs/choices.py reversal q2 40 a.npz  the choices of one agent in 40 sessions, as a file of memcap fit

Agents learn which of two arms pays. What they carry from trial to trial is known: `q1` the difference of two
values, which every reward moves; `q2` two values, of which the chosen one moves; `+p` a trace of past choices
as well, which they tend to repeat. In `bandit` each session has one better arm, in `reversal` it changes now
and then. A net sees choice and reward of each trial and foretells the next choice. Nets are GRUs, whose units
carry a number each, as Ji-An, Benna and Mattar (Nature 644, 2025) fit them to choices of people and animals.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import polars as pl

import memcap
from memcap.capacity.losses import loss_curves
from memcap.config import Engine, Member
from memcap.models.model import Model
from memcap.recipes import Recipe
from memcap.tasks.data import Data

TRIALS = 100  # of a session
GOOD, BAD = 0.8, 0.2  # how often the arms pay
HAZARD = 0.05  # of a change, per trial, in `reversal`
UNITS, FOLDS = (1, 2, 3, 4), 5
SESSIONS = (20, 100)
AGENT_SEEDS, FIRST_SEED = 4, 100
STUDIED = "reversal"
OUT = Path(__file__).parents[1] / "results" / "choices.csv"
WORLDS, AGENTS = ("bandit", "reversal"), ("q1", "q2", "q1+p", "q2+p")


def variables(agent: str) -> int:
    """Return the numbers that an agent carries from trial to trial."""
    return int(agent[1]) + agent.endswith("+p")


def play(world: str, agent: str, sessions: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return inputs (N, T), of each trial 2 choice + reward; targets (N, T), the next choice; and its mean
    log loss by the agent's own probabilities, in nats, below which no net comes.

    Args:
        world: a name of `WORLDS`.
        agent: a name of `AGENTS`.
        sessions: N.
        seed: of the agent's own rates, and of all that it meets.
    """
    rng = np.random.default_rng([seed, WORLDS.index(world), AGENTS.index(agent)])
    rate, slope = rng.uniform(0.3, 0.6), rng.uniform(4, 6)
    habit, fades = rng.uniform(1, 2) * agent.endswith("+p"), rng.uniform(0.2, 0.4)
    better, rows = rng.integers(0, 2, sessions), np.arange(sessions)
    values, trace = np.full((sessions, 2), 0.5), np.zeros(sessions)
    seen, losses = np.zeros((TRIALS + 1, sessions, 2), np.int32), np.zeros((TRIALS + 1, sessions))
    for trial in range(TRIALS + 1):
        if world == "reversal":
            better ^= rng.random(sessions) < HAZARD
        logit = slope * (values[:, 1] - values[:, 0]) + habit * trace
        choice = (rng.random(sessions) < 1 / (1 + np.exp(-logit))).astype(int)
        losses[trial] = np.logaddexp(0, np.where(choice == 1, -logit, logit))
        reward = (rng.random(sessions) < np.where(choice == better, GOOD, BAD)).astype(int)
        values[rows, choice] += rate * (reward - values[rows, choice])
        if agent.startswith("q1"):
            values[rows, 1 - choice] = 1 - values[rows, choice]
        trace += fades * (2 * choice - 1 - trace)
        seen[trial] = np.stack([choice, reward], 1)
    return (2 * seen[:-1, :, 0] + seen[:-1, :, 1]).T, seen[1:, :, 0].T, float(losses[1:].mean())


def write(file: Path, world: str, agent: str, sessions: int, seed: int) -> float:
    """Write the choices of an agent as a file of task=data; return the least loss."""
    inputs, targets, least = play(world, agent, sessions, seed)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, inputs=inputs, targets=targets)
    return least


def fit(file: Path, folder: Path) -> pl.DataFrame:
    """Train nets of all widths on all folds of a file; return a row per net."""
    members = [
        Member(
            Data(file=str(file), criterion="best", fold=fold),
            TRIALS - 1,
            model=Model(units=units, cell="GRUCell"),
            recipe=Recipe("forget_bias", lr=0.01, budget=1000, batch=32, schedule="cosine"),
            seed=FIRST_SEED,
        )
        for units in UNITS
        for fold in range(FOLDS)
    ]
    return memcap.train(members, folder, engine=Engine(workers=1), progress=False)


def study() -> None:
    """Fit all agents, and write the losses of their nets; what was fitted before is not trained again."""
    lines, files = [], Path("outputs/choices")
    for seed, sessions, agent in itertools.product(range(AGENT_SEEDS), SESSIONS, AGENTS):
        name = f"{STUDIED}-{agent}-{sessions}-{seed}"
        least = write(files / f"{name}.npz", STUDIED, agent, sessions, seed)
        rows = fit(files / f"{name}.npz", files / name)
        (curve,) = loss_curves(rows)
        print(f"{name}: {variables(agent)} variables, {curve.units} units by memcap fit", flush=True)
        about = {"world": STUDIED, "agent": agent, "variables": variables(agent), "seed": seed}
        about |= {"sessions": sessions, "least_loss": least, "fit": curve.units}
        for width in curve.widths:
            for fold, loss in enumerate(width.folds):
                lines.append(about | {"units": width.units, "fold": fold, "loss": loss})
        pl.DataFrame(lines).write_csv(OUT, float_precision=5)


def main() -> None:
    """Run the study, or write one file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("world", nargs="?", choices=WORLDS)
    parser.add_argument("agent", nargs="?", choices=AGENTS)
    parser.add_argument("sessions", nargs="?", type=int)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the agent")
    arguments = parser.parse_args()
    if arguments.world is None:
        study()
    elif arguments.file is None:
        parser.error("give WORLD AGENT SESSIONS FILE, or nothing")
    else:
        least = write(arguments.file, arguments.world, arguments.agent, arguments.sessions, arguments.seed)
        print(f"{arguments.file}: the agent itself has a log loss of {least:.4f} a choice")


if __name__ == "__main__":
    main()
