"""Train members and keep their rows; arguments are Hydra overrides."""

import re
import shlex
from argparse import REMAINDER, ArgumentParser, Namespace
from collections.abc import Iterable, Mapping
from shutil import get_terminal_size

from memcap.knobs import UserError, names_of
from memcap.launch import app
from memcap.launch.jobs import GROUPS, JOB_KEYS
from memcap.runtime import ROOT
from memcap.store.shards import choices
from memcap.tasks import task_classes
from memcap.terminal.words import WIDTH, fold_help

HELP = """usage: memcap train [HYDRA OVERRIDES]

Trains what the configuration asks for. A member is one net: a configuration with a seed; each has one row. Arguments go to Hydra unchanged.

  memcap train task=latch task.lag=50 model.units=1           one member
  memcap train 'axes={task.lag: [1, 2, 4], model.units: [1, 2, 3, 4], seed: 4}'
                                                              all combinations, which share programs, in one job
  memcap train -m task=latch task.lag=5,50 model.units=1,2    a Hydra multirun, one job per combination
  memcap train sweeps=first_study                             a study from the folder sweeps/
  memcap train design=bisect 'axes={task.lag: [4], model.units: 1..8, seed: 8}'
                                                              only what is needed to find u50 and u90
  memcap train task=latch recipe.lr=0.01 recipe.budget=5000   another learning rate, more training steps
  memcap train tracking=wandb                                 also log to W&B (offline if there is no key)
  memcap train --cfg job                                      print the whole configuration that will be used
  memcap docs knobs                                           what each key means and allows
  memcap train --info searchpath                              where configurations are looked for
  eval "$(memcap train -sc install=bash)"                     completion
{choices}
Keys, as in model.units=1 (those of a task: memcap tasks NAME):
{keys}
Rows and weights go to outputs/STUDY (set study=NAME, or out=FOLDER); a rerun trains only what is missing.
Meanwhile, in another shell: memcap status
Then: memcap frontier, memcap figure frontier, memcap answer
"""  # noqa: E501


def add_arguments(parser: ArgumentParser) -> None:
    parser.prefix_chars = ""
    parser.add_argument("overrides", nargs=REMAINDER)


def run(arguments: Namespace) -> None:
    if "--dry-run" in arguments.overrides:
        words = [word for word in arguments.overrides if word != "--dry-run"]
        plan = shlex.join(["memcap", "plan", *words])
        raise UserError(f"--dry-run: no such option; what would train: {plan}")
    if set(arguments.overrides).isdisjoint({"-h", "--help"}):
        app.main(arguments.overrides)
    else:
        text = HELP.replace("{choices}", _choices()).replace("{keys}", _keys())
        print(fold_help(text, min(WIDTH, get_terminal_size().columns)))


def _choices() -> str:
    names = {"task=": list(task_classes())}
    files = sorted((ROOT / "conf").glob("*/*.yaml"))
    each = [f"{path.parent.name}={path.stem}" for path in files]
    for choice in each + [f"sweeps={study}" for study in choices()]:
        name = re.split("[=/]", choice)[-1]
        names.setdefault(choice.removesuffix(name), []).append(name)
    return "\n" + _lines({name: sorted(those) for name, those in names.items()})


def _keys() -> str:
    alone = [key for key in JOB_KEYS if key not in ("task", *GROUPS)]
    groups = {f"{group}.": names_of(cls) for group, cls in GROUPS.items()}
    return _lines({"": alone} | groups)


def _lines(names: Mapping[str, Iterable[str]]) -> str:
    return "".join(
        f"  {head:<11}  {', '.join(those)}\n" for head, those in names.items()
    )
