"""Mistakes of a user in one line: what was wrong, what is allowed, where to set it."""

import re
import sys
from collections.abc import Sequence
from typing import NoReturn

import jax
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from jax.errors import JaxRuntimeError
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from memcap.config.recipes import of_yaml
from memcap.knobs import UserError, alternatives, did_you_mean, of_disk
from memcap.launch.jobs import GROUPS, JOB_KEYS, chosen_tasks, fields_of
from memcap.terminal.words import complain

PLUGINS = {  # by the choices that need them
    "hydra/launcher/joblib": "hydra-joblib-launcher",
    "hydra/launcher/ray": "hydra-ray-launcher",
    "hydra/launcher/submitit_local": "hydra-submitit-launcher",
    "hydra/launcher/submitit_slurm": "hydra-submitit-launcher",
    "hydra/sweeper/ax": "hydra-ax-sweeper",
    "hydra/sweeper/nevergrad": "hydra-nevergrad-sweeper",
    "hydra/sweeper/optuna": "hydra-optuna-sweeper",
}
# Raised by Hydra and OmegaConf if a config is wrong.
HYDRA_ERRORS = (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError)
# They also raise ValueErrors; those about the user's mistakes begin so.
MISTAKES = (
    "Config group override",
    "Only one of --run",
    "The --resolve flag",
    "Expecting one subcommand",
)
# In what XLA raises where memory is short; CUDA's own words stand there where others
# have taken a GPU's memory.
NO_MEMORY = ("RESOURCE_EXHAUSTED", "CUDA_ERROR_OUT_OF_MEMORY")
SHOWN = 200  # characters shown of overrides that Hydra cannot use
NAMED = 12  # choices that a line names, as there are ever more studies


def explain(error: BaseException, overrides: Sequence[str] = ()) -> str:
    text = str(error)
    if isinstance(error, (YAMLError, UnicodeDecodeError)):
        return of_yaml(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        file = error.missing_cfg_file
        group, _, choice = file.rpartition("/")
        if file.startswith("sweeps/"):  # also of a study's group
            group, choice = "sweeps", file.removeprefix("sweeps/")
        if file in PLUGINS:
            return (
                f"{group}={choice}: comes with a plugin that is not installed; pip install"
                f" {PLUGINS[file]}"
            )
        if error.options:
            own = f"a file of {group}/ in --config-dir"
            if group == "task":
                own = "MODULE:CLASS for your own"
            names = alternatives(choice, error.options, own, NAMED)
            return f"{group}={choice}: no such choice; {names}"
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: Hydra cannot read it; write KEY=VALUE, as in task.lag=8, and"
            " quote what has spaces or brackets, as in 'axes={model.units: [1, 2]}'"
        )
    if ambiguous := re.search(r"Ambiguous value for argument '(.*?)'\n", text):
        return (
            f"{ambiguous[1]}: several values need -m (a job each); axes='{{KEY: [VALUE, VALUE]}}'"
            " makes them one job"
        )
    if unknown := re.match(r"Could not override '([^']+)'", text):
        return _unknown_key(unknown[1], overrides)
    if text.startswith(MISTAKES[0]):
        return (
            "task, model, recipe, tracking and sweeps take a name, as in task=latch; memcap train"
            " --help lists them"
        )
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    key = getattr(cause, "full_key", None)
    if cause is not error and isinstance(cause, OmegaConfBaseException):
        text += f" ({cause})"
    text = re.sub(
        r"(full_key|object_type|reference_type)[:=] ?\S*",
        "",
        text.split("Config search path:")[0],
    )
    text = " ".join(re.sub(r"^In '[^']*': ", "", text).split()).replace(" )", ")")
    return f"{key}: {text}" if key else text


def _unknown_key(key: str, overrides: Sequence[str]) -> str:
    group, _, field = key.rpartition(".")
    if not group:
        return f"{field}: no such key; one of {', '.join(sorted(JOB_KEYS))}"
    if group == "task":
        chosen = chosen_tasks(overrides)
        lacks = next(
            (name for name in chosen if field not in fields_of(group, name)), chosen[0]
        )
        who = group if len(chosen) == 1 else f"{group}={lacks}"
        fields = fields_of(group, lacks)
    elif group in GROUPS:
        who = group
        fields = fields_of(group)
    else:
        return f"{key}: no such key; memcap train --cfg all prints every key"
    return f"{key}: no such field; {did_you_mean(field, fields)}{who} has {', '.join(fields)}"


def one_line(error: UserError | OSError | JaxRuntimeError) -> str | None:
    """Say what the user can mend; None if it is not the user's mistake."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        line = of_disk(error)
        return line and f"{line}; set out to another folder"
    if not any(words in str(error) for words in NO_MEMORY):
        return None
    line = (
        f"memory: {str(error).splitlines()[0]}; lower engine.lanes, recipe.batch, task.lag or"
        " model.units"
    )
    if jax.default_backend() == "gpu":
        line += (
            "; or other processes use this GPU: give each its share, as in"
            " XLA_CLIENT_MEM_FRACTION=0.4 (memcap docs accelerators)"
        )
    return line


def exit_with(line: str) -> NoReturn:
    """Exit by the one exception that Hydra's callbacks do not turn into a warning."""
    complain(line)
    sys.exit(2)
