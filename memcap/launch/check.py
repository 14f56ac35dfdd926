"""Checks of all jobs of a command, before Hydra makes a folder or anything trains."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from memcap.config.knobs import UserError
from memcap.designs.axes import check_count
from memcap.launch.errors import HYDRA_ERRORS, explain
from memcap.launch.jobs import Job, use_config_folders
from memcap.store import shards


def check(config: DictConfig, jobs: Iterable[Job]) -> list[Job]:
    """Check every member of the jobs of a run or a multirun, and the existing rows.
    Return the jobs, which are composed here, one by one, so that Hydra's errors are
    reported as mistakes, too."""
    use_config_folders(config.hydra)
    try:
        checked = []
        count = 0
        for job in jobs:
            checked.append(job)
            count += len(job.members)
            check_count(count, "-m: members")
        for folder in sorted({job.settings.folder for job in checked}):
            _check_folder(folder, "out")
            if folder.exists():
                shards.read(folder)
        place = (
            "hydra.sweep.dir"
            if config.hydra.mode == RunMode.MULTIRUN
            else "hydra.run.dir"
        )
        _check_folder(Path(str(OmegaConf.select(config, place))), place)
    except HYDRA_ERRORS as error:
        raise UserError(explain(error, typed_overrides(config))) from error
    return checked


def typed_words(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with axes on one line, as Hydra's grammar has
    no line breaks.

    Raises:
        UserError: a word is not UTF-8, as rows, logs and pages must be; or axes name a
            field twice, of which Hydra would take the last.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{word}: is not UTF-8; write it in letters that are"
            ) from error
        if word.startswith("axes=") and (name := _repeated_key(word)) is not None:
            raise UserError(
                f"axes: {name} stands twice in one grid; give all its values in one list"
            )
    return [
        " ".join(word.splitlines()) if word.startswith("axes=") else word
        for word in words
    ]


def typed_overrides(config: DictConfig) -> list[str]:
    """Return the overrides of the command line as typed, with ${...} unresolved."""
    overrides = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    return (
        [str(override) for override in overrides] if isinstance(overrides, list) else []
    )


def _check_folder(folder: Path, name: str) -> None:
    """Raise UserError if the folder that a key names cannot be written."""
    try:
        above = next(
            path for path in (folder, *folder.absolute().parents) if path.exists()
        )
    except OSError as error:
        raise UserError(
            f"{name}={folder}: cannot be written ({error.strerror}); set {name} to another folder"
        ) from error
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UserError(
            f"{name}={folder}: cannot be written ({above.name} is no folder that can); set {name}"
            " to another folder"
        )


def _repeated_key(text: str) -> str | None:
    """Return the first key that occurs twice in one pair of braces."""
    opened: list[set[str] | None] = []  # keys of each open brace; None for a bracket
    word = ""
    quote = ""
    is_key = False
    for letter in text:
        if quote or letter in "\"'":
            quote = (quote if letter != quote else "") if quote else letter
            word += letter
        elif letter in "{[":
            opened.append(set() if letter == "{" else None)
            word = ""
            is_key = letter == "{"
        elif letter in "}]" and opened:
            opened.pop()
            is_key = False
        elif letter == ",":
            word = ""
            is_key = True
        elif letter == ":" and is_key and opened and (keys := opened[-1]) is not None:
            key = word.strip(" \"'")
            if key in keys:
                return key
            keys.add(key)
            is_key = False
        else:
            word += letter
    return None
