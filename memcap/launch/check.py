"""All jobs of a command are checked before Hydra makes a folder or anything trains."""

import os
from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from memcap.knobs import UserError
from memcap.launch.errors import HYDRA_ERRORS, explain
from memcap.launch.jobs import Job, use_config_folders
from memcap.studies import shards


def check(config: DictConfig, jobs: Iterable[Job]) -> list[Job]:
    """The jobs of a run or a multirun: every member of them is checked, and the rows that are there.

    Args:
        config: of the command.
        jobs: made one by one, so that what Hydra says against one is a mistake as well.

    Raises:
        UserError: the first mistake, in one line.
    """
    use_config_folders(config.hydra)
    try:
        checked = list(jobs)
        for folder in sorted({job.settings.folder for job in checked}):
            _check_folder(folder)
    except HYDRA_ERRORS as error:
        raise UserError(explain(error, typed_overrides(config))) from error
    return checked


def typed_overrides(config: DictConfig) -> list[str]:
    """The overrides of the command line as they stand there, ${...} and all."""
    overrides = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    return [str(override) for override in overrides] if isinstance(overrides, list) else []


def _check_folder(folder: Path) -> None:
    """Raise UserError if a study can't be written to the folder, or if the rows that it holds can't be
    read."""
    try:
        above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except OSError as error:
        raise UserError(
            f"out={folder}: cannot be written ({error.strerror}); set out to another folder"
        ) from error
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UserError(
            f"out={folder}: cannot be written ({above.name} is no folder that can); set out to another folder"
        )
    if above == folder:
        shards.read(folder)
