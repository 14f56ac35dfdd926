"""Fits nets of one to four units to the choices of made-up agents: is their number of
variables found again?

python sweeps/other/agents/choices.py
    the study; writes choices.csv beside it (5 minutes of one core)
python sweeps/other/agents/choices.py reversal 40 a.npz --values 2 --habit
    an agent's choices in 40 sessions, as a file of memcap fit

The agents are those of the tasks `bandit`, `reversal` and `two_step`, so what they
carry from trial to trial is known. There sessions have no end, and a net learns log
odds; here it learns from the choices of a few sessions. Nets are GRUs, whose units
carry a number each, as Ji-An, Benna and Mattar (Nature 644, 2025) fit them to choices
of people and animals.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import polars as pl

import memcap
from memcap.config.member import Engine, Member
from memcap.config.recipes import Recipe
from memcap.models.model import Model
from memcap.own.losses import loss_curves
from memcap.own.task import Data
from memcap.tasks.agents import Agents, play
from memcap.tasks.bandit import Bandit
from memcap.tasks.reversal import Reversal
from memcap.tasks.two_step import TwoStep

TRIALS = 100  # of a session
UNITS = (1, 2, 3, 4)
FOLDS = 5
SESSIONS = (20, 100, 500)
SUBJECTS = (100,)
SEED = 100
RECIPE = Recipe(
    "forget_bias", lr=0.02, budget=1500, batch=32, schedule="cosine"
)  # chosen on subject 0
OUT = Path(__file__).with_name("choices.csv")
WORLDS = {world.name: world for world in (Bandit, Reversal, TwoStep)}


def write(file: Path, agent: Agents, sessions: int) -> float:
    """Write what each trial shows (N, T), and the next choice, as a file of task=data;
    return the mean log loss by the agent's own log odds, in nats, below which no net
    comes."""
    symbols, odds = (
        each.T for each in play(agent, sessions, TRIALS + 1, agent.subject)
    )
    choices = symbols[:, 1:] // (agent.vocabulary // 2)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, inputs=symbols[:, :-1], targets=choices)
    return float(
        np.logaddexp(0, np.where(choices == 1, -odds[:, :-1], odds[:, :-1])).mean()
    )


def fit(file: Path, folder: Path) -> pl.DataFrame:
    """Train nets of all widths on all folds of a file; return a row per net."""
    members = [
        Member(
            Data(file=str(file), criterion="best", fold=fold),
            TRIALS - 1,
            model=Model(units=units, cell="GRUCell"),
            recipe=RECIPE,
            seed=SEED,
        )
        for units, fold in itertools.product(UNITS, range(FOLDS))
    ]
    return memcap.train(members, folder, engine=Engine(workers=1), progress=False)


def study() -> None:
    """Fit all agents, and write the losses of their nets; what was fitted before is not
    trained again."""
    lines = []
    files = Path("outputs/choices")
    kinds = itertools.product(SUBJECTS, SESSIONS, WORLDS, (1, 2), (False, True))
    for subject, sessions, world, values, habit in kinds:
        agent = WORLDS[world](values, habit, subject)
        name = f"{world}-{values}{'-habit' * habit}-{subject}-{sessions}"
        least = write(files / f"{name}.npz", agent, sessions)
        (curve,) = loss_curves(fit(files / f"{name}.npz", files / name))
        print(
            f"{name}: {values + habit} variables, {curve.units} units by memcap fit",
            flush=True,
        )
        about = {"world": world, "values": values, "habit": habit, "subject": subject}
        about |= {
            "variables": values + habit,
            "sessions": sessions,
            "least_loss": least,
            "fit": curve.units,
        }
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
    parser.add_argument("sessions", nargs="?", type=int)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument(
        "--values", type=int, choices=(1, 2), default=1, help="that it learns"
    )
    parser.add_argument(
        "--habit", action="store_true", help="it also repeats its choices"
    )
    parser.add_argument("--subject", type=int, default=0, help="which of such agents")
    arguments = parser.parse_args()
    if arguments.world is None:
        study()
    elif arguments.file is None:
        parser.error("give WORLD SESSIONS FILE, or nothing")
    else:
        agent = WORLDS[arguments.world](
            arguments.values, arguments.habit, arguments.subject
        )
        least = write(arguments.file, agent, arguments.sessions)
        print(
            f"{arguments.file}: the agent itself has a log loss of {least:.4f} a choice"
        )


if __name__ == "__main__":
    main()
