"""W&B as a sink of records: one run a member, and one run for each result of a study.

wandb is imported in the background thread, when the first record arrives. A run is created, filled and finished in one
go once its member has ended, so that a process that is killed later leaves whole runs on disk. Offline runs are sent
later by `wandb sync DIRECTORY/wandb/offline-run-*`.
"""

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from memcap.tracking.background import MemberRecord, Record, StudyRecord

# Runs last for milliseconds and come by the thousand: no system statistics, no code, no console, nothing printed.
# finish_timeout keeps a server that dies half-way from holding up the process at its end.
LEAN = {
    "console": "off",
    "silent": True,
    "disable_code": True,
    "disable_git": True,
    "save_code": False,
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "init_timeout": 8.0,
    "finish_timeout": 15.0,
    "finish_timeout_raises": True,
}


def resolve_mode(wandb_mode: str) -> str:
    """The mode asked for, once the environment variable WANDB_MODE has had its say: an argument, or "disabled"."""
    from_environment = {"dryrun": "offline", "run": "online"}.get(mode := os.environ.get("WANDB_MODE", ""), mode)
    if from_environment == "disabled" or (wandb_mode == "auto" and from_environment in ("online", "offline")):
        return from_environment
    return wandb_mode


def sinks(
    mode: str, *, project: str, entity: str | None, study: str, directory: Path, tags: tuple[str, ...]
) -> Iterator[tuple[str, Callable[[], "WandbSink"]]]:
    """The sinks to try, the best first: online unless `mode` forbids it or "auto" finds no API key, then offline."""

    def make(mode: str) -> Callable[[], WandbSink]:
        return lambda: WandbSink(mode, project=project, entity=entity, study=study, directory=directory, tags=tags)

    online = mode == "online" or (mode == "auto" and has_api_key())
    for each in ("online", "offline") if online else ("offline",):
        yield each, make(each)
        with contextlib.suppress(Exception, SystemExit):  # given up: the next one starts afresh, without its leftovers
            import wandb

            wandb.teardown()


def has_api_key() -> bool:
    """Whether credentials for the W&B server in use are configured, valid or not. Sends nothing, asks nobody."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    wandb, settings = _start_wandb()
    from wandb.sdk.lib.wbauth import read_netrc_auth

    try:
        return bool(settings.api_key or read_netrc_auth(host=settings.base_url))
    except wandb.errors.AuthenticationError:
        return True  # malformed: going online tells the user so


def _start_wandb() -> tuple[Any, Any]:
    """The wandb module, kept from printing, and its settings from the environment and the user's files."""
    # W&B's reports on its own health go to the server even offline; where nothing answers, they hold up the exit.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    return wandb, wandb.setup(wandb.Settings(silent=True)).settings


def _shown(value: Any) -> Any:
    # A table is a JSON file that browsers read, and JSON has no NaN.
    return None if isinstance(value, float) and not math.isfinite(value) else value


class WandbSink:
    """Writes each record as a W&B run of its own.

    Raises:
        RuntimeError: `mode` is "online" and no API key is configured (W&B itself would ask for one on the terminal).
    """

    def __init__(self, mode: str, *, project: str, entity: str | None, study: str, directory: Path, tags: tuple[str, ...]):
        if mode == "online" and not has_api_key():
            raise RuntimeError("no API key is configured; `wandb login` stores one")
        wandb, _ = _start_wandb()
        self._wandb = wandb
        known = wandb.Settings.model_fields
        directory.mkdir(parents=True, exist_ok=True)
        self._common = {
            "mode": mode,
            "project": project,
            "entity": entity,
            "group": study,
            "dir": str(directory),
            "tags": tags,
            "reinit": "create_new",
            "settings": wandb.Settings(**{key: value for key, value in LEAN.items() if key in known}),
        }

    def write(self, record: Record) -> None:
        """See `Sink.write`."""
        if isinstance(record, MemberRecord):
            self._member(record)
        else:
            self._study(record)

    def _member(self, record: MemberRecord) -> None:
        run = self._wandb.init(name=record.member_id, job_type="member", config=record.config, **self._common)
        for step, values in record.curve.items():
            run.log(values, step=step, commit=True)  # uncommitted, the last point would overwrite the summary
        run.summary.update(record.row)
        run.finish()

    def _study(self, record: StudyRecord) -> None:
        wandb = self._wandb
        shown: dict[str, Any] = {}
        if record.table:
            columns = list(dict.fromkeys(key for row in record.table for key in row))
            data = [[_shown(row.get(column)) for column in columns] for row in record.table]
            shown["frontier"] = wandb.Table(columns=columns, data=data, allow_mixed_types=True)
        if record.image is not None:
            shown["figure"] = wandb.Image(str(record.image))
        run = wandb.init(name=record.name, job_type="study", **self._common)
        run.log(shown)
        run.finish()
