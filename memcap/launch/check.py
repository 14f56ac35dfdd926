"""Checks of all jobs of a command, before Hydra makes a folder or anything trains."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from memcap.config.knobs import UserError
from memcap.designs.axes import check_count
from memcap.launch.jobs import Job, use_config_folders
from memcap.store import shards


def check(config: DictConfig, jobs: Iterable[Job]) -> list[Job]:
    """Check every member of the jobs of a run or a multirun, and the existing rows.
    Return the jobs."""
    use_config_folders(config.hydra)
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
    is_multirun = config.hydra.mode == RunMode.MULTIRUN
    key = "hydra.sweep.dir" if is_multirun else "hydra.run.dir"
    _check_folder(Path(str(OmegaConf.select(config, key))), key)
    return checked


def typed_words(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with axes on one line, as Hydra's grammar has
    no line breaks.

    Raises:
        UserError: a word is not UTF-8, as rows, logs and pages must be.
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{word}: is not UTF-8; write it in letters that are"
            ) from error
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
