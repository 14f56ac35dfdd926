"""W&B: a run for each member or group of seeds, and one for the study.

Ids are stable, so a run sent again is recognised. A run that is not live is sent in one
go, so a process that is killed leaves whole runs. If W&B raises, it is no longer used.
"""

import math
import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from memcap.store.curves import Points
from memcap.terminal.words import plural, warn_once
from memcap.tracking.runs import Run
from memcap.tracking.settings import Tracking

# Runs last for milliseconds and come by the thousand: no system statistics, no code, no
# console, nothing printed. finish_timeout keeps a server that dies half-way from
# holding up the end; the flush bounds what a live run loses if the process is killed.
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
    "x_transaction_log_flush_interval": 5.0,
    "init_timeout": 8.0,
    "finish_timeout": 15.0,
    "finish_timeout_raises": True,
}
# Set by `wandb agent`, whose one run all members would share.
OF_AGENT = ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH")
HEAD = 7  # bytes of a run's file that is still empty, on which `wandb sync` fails
# What a summary has of a metric: in a column of its own each, as `train/loss.min`.
SUMMARIES = {
    "train/loss": "min,last",
    "train/accuracy": "max,last",
    "eval/accuracy": "max,last",
    "train/mse": "min,last",
    "eval/mse": "min,last",
}


class Wandb:
    """The runs of one study in W&B. It may be slow, and raise anything."""

    def __init__(self, settings: Tracking, study: str, folder: Path):
        self.mode = settings.wandb_mode
        if self.mode == "auto":
            self.mode = "online" if has_api_key() else "offline"
        self.project = settings.project or os.environ.get("WANDB_PROJECT") or "memcap"
        self.entity = settings.entity
        self.group = study
        self.folder = Path(os.environ.get("WANDB_DIR") or folder).absolute()
        self.url = ""
        self.count = 0
        self.open = {}  # runs of the library, by id

    @cached_property
    def library(self) -> Any:
        """The module wandb.

        Raises:
            RuntimeError: it is to be online without an API key; W&B itself would ask
                for one in the terminal.
        """
        if self.mode == "online" and not has_api_key():
            raise RuntimeError("no API key is configured; `wandb login` stores one")
        _end_wandb()  # an earlier service, now unused, holds no run
        self.folder.mkdir(parents=True, exist_ok=True)
        return _wandb()

    def send(
        self, run: Run, points: Points, summary: Mapping[str, Any] | None = None
    ) -> None:
        """Add points to a run, by step; a summary ends it."""
        opened = self._opened(run)
        first = opened.step  # others are there, if the run is continued
        for step, values in points.items():
            if step >= first:
                # If not committed, the last point would overwrite the summary.
                opened.log(values, step=step, commit=True)
        if summary is not None:
            # It may have grown since the run was opened.
            opened.config.update(run.config, allow_val_change=True)
            opened.summary.update(summary)
            del self.open[run.id]
            opened.finish()

    def show(self, run: Run, values: Mapping[str, Any]) -> None:
        self._opened(run).log(values)

    def show_results(
        self, run: Run, table: Sequence[Mapping[str, Any]], figure: Path
    ) -> None:
        opened = self._opened(run)
        media = {}
        if table:
            names = list(dict.fromkeys(name for row in table for name in row))
            data = [[_json_value(row.get(name)) for name in names] for row in table]
            media["frontier"] = self.library.Table(
                columns=names, data=data, allow_mixed_types=True
            )
        if figure.exists():
            media["figure"] = self.library.Image(str(figure))
        opened.log(media)

    def close(self) -> str:
        for opened in self.open.values():
            opened.finish()
        _end_wandb()
        runs = f"W&B: {plural(self.count, 'run')} in "
        if self.mode == "online":
            return runs + self.url
        folder = str(self.folder / "wandb")
        return (
            f"{runs}{folder}, sent by: wandb sync {shlex.quote(folder)}/offline-run-*"
        )

    def _opened(self, run: Run) -> Any:
        if run.id not in self.open:
            opened = self._start(run)
            self.count += 1
            self.open[run.id] = opened
        return self.open[run.id]

    def _start(self, run: Run) -> Any:
        for file in self.folder.glob(f"wandb/offline-run-*-{run.id}/*.wandb"):
            if file.stat().st_size <= HEAD:  # left by a process that was killed
                shutil.rmtree(file.parent, ignore_errors=True)
        known = self.library.Settings.model_fields
        lean = {name: value for name, value in LEAN.items() if name in known}
        opened = self.library.init(
            id=run.id,
            name=run.name or None,
            job_type=run.kind,
            group=self.group,
            tags=list(run.tags),
            config=run.config,
            mode=self.mode,
            resume="allow" if self.mode == "online" else None,
            reinit="create_new",
            dir=str(self.folder),
            settings=self.library.Settings(**lean),
            project=self.project,
            entity=self.entity,
        )
        if run.kind == "study":
            for metrics in ("study/*", "frontier/*"):
                opened.define_metric(metrics, step_metric="study/seconds")
        elif run.kind == "member":
            for metric, summary in SUMMARIES.items():
                opened.define_metric(metric, summary=summary)
        self.url = opened.project_url or ""
        return opened


class Sender:
    """Calls W&B until it raises; then warns once, and never calls it again."""

    def __init__(self, settings: Tracking, study: str, folder: Path):
        self.about = settings, study, folder
        self.service: Wandb | None = None
        self.works = True

    def call(self, method: str, *arguments: Any) -> Any:
        if not self.works:
            return None
        try:
            self.service = self.service or Wandb(*self.about)
            return getattr(self.service, method)(*arguments)
        except (Exception, SystemExit) as error:
            self.works = False
            why = " ".join(str(error).split()) or type(error).__name__
            warn_once(f"W&B does not work and is left: {why}")
        return None

    def close(self) -> str:
        return (self.call("close") or "") if self.service else ""


def has_api_key() -> bool:
    """Return whether W&B has credentials, valid or not."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    wandb = _wandb()
    from wandb.sdk.lib.wbauth import read_netrc_auth

    settings = wandb.setup().settings
    try:
        return bool(settings.api_key or read_netrc_auth(host=settings.base_url))
    except wandb.errors.AuthenticationError:
        return True  # malformed: going online tells the user so


def _wandb() -> Any:
    """Return the module wandb, silenced, with the user's settings."""
    for name in OF_AGENT:
        os.environ.pop(name, None)
    # W&B sends reports on its own health to the server even offline; if nothing
    # answers, they hold up the exit.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    wandb.setup(wandb.Settings(silent=True))
    return wandb


def _end_wandb() -> None:
    """Wait until W&B has written all, unless this process still has a run."""
    wandb = _wandb()
    if wandb.run is None:
        wandb.teardown()


def _json_value(value: Any) -> Any:
    # Browsers read a table as JSON, which has no NaN.
    return None if isinstance(value, float) and not math.isfinite(value) else value
