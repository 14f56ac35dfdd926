"""Run `memcap` inside the tests' own process: a process of its own would take seconds
to import JAX."""

import contextlib
import importlib.metadata
import io
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from memcap import cli
from memcap.terminal import words
from memcap.terminal.words import warn_once

ROOT = Path(__file__).parents[1]
# Overrides with which a member trains for a moment; and those of such members in a
# program per width, whatever compiler is here.
TINY = [
    "recipe.budget=40",
    "evaluation.every=20",
    "evaluation.sequences=64",
    "evaluation.stretch=2",
]
SMALL = [
    "task=latch",
    "task.lag=3",
    "recipe.budget=20",
    "evaluation.sequences=16",
    "evaluation.stretch=1",
]
SMALL += ["engine.workers=1", "engine.loop=reproducible"]
words.SECONDS_OF_SILENCE = 3600.0  # as on a machine that is never slow


@dataclass
class Done:
    """The exit status, stdout and stderr of a command."""

    status: int
    out: str
    err: str


def memcap(folder, *arguments):
    """Run the command with `folder` as the working directory."""
    out = io.StringIO()
    err = io.StringIO()
    status = 0
    warn_once.cache_clear()  # as in a process of its own
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main(list(map(str, arguments)))
        except SystemExit as ended:
            status = ended.code or 0
    for handler in list(
        logging.root.handlers
    ):  # Hydra's, of this run; pytest's own are of derived classes
        if type(handler) in (logging.FileHandler, logging.StreamHandler):
            logging.root.removeHandler(handler)
            handler.close()
    return Done(status, out.getvalue(), err.getvalue())


def python(folder, *words, **variables):
    """Run Python in a process of its own, where nothing is imported yet; memcap is on its path."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    command = [sys.executable, *words]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def installed(package):
    """Return whether there is a package that PyPI calls so."""
    return any(each.name == package for each in importlib.metadata.distributions())


def files(folder):
    """Return all paths below a folder, with the times of the files' last change."""
    return {
        str(p): p.stat().st_mtime_ns if p.is_file() else None
        for p in Path(folder).rglob("*")
    }
