"""W&B: a run for each member or group of seeds, and one for the study.

Ids are stable, so that W&B recognises a run that is sent again, whether at once
(`resume="allow"`) or with `wandb sync`. Unless it is live, a run is created, filled and
finished in one go once its member has ended, so a process that is killed leaves whole
runs on disk. wandb is imported only when used, in the mirror's process.
"""

import contextlib
import math
import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import yaml

from memcap.store.curves import Points
from memcap.tracking.runs import Agent, Run, Target, table_parts

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
# Set by `wandb agent`: the run, the sweep, and the file with the sweep's choices.
OF_AGENT = ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH")
HEAD = 7  # bytes of a run's file that is still empty, on which `wandb sync` fails
SUMMARIES = {
    "train/loss": "min",
    "train/accuracy": "max",
    "eval/accuracy": "max",
    "train/mse": "min",
    "eval/mse": "min",
}


def resolve_mode(wandb_mode: str) -> str:
    """Return the mode that the argument and the environment variable WANDB_MODE give;
    may be "disabled"."""
    mode = os.environ.get("WANDB_MODE", "")
    from_environment = {"dryrun": "offline", "run": "online"}.get(mode, mode)
    if from_environment == "disabled" or (
        wandb_mode == "auto" and from_environment in ("online", "offline")
    ):
        return from_environment
    return wandb_mode


def chosen_mode(mode: str) -> str:
    """Return "online" or "offline"; "auto" is online if an API key is found. Imports wandb."""
    _start_wandb()
    return ("online" if has_api_key() else "offline") if mode == "auto" else mode


def has_api_key() -> bool:
    """Return whether credentials for the W&B server are configured, valid or not. Does
    not ask the server."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    wandb, settings = _start_wandb()
    from wandb.sdk.lib.wbauth import read_netrc_auth

    try:
        return bool(settings.api_key or read_netrc_auth(host=settings.base_url))
    except wandb.errors.AuthenticationError:
        return True  # malformed: going online tells the user so


def agent() -> Agent | None:
    """Return the run under which `wandb agent` started this process, from the environment."""
    run, sweep, parameters = (os.environ.get(name) for name in OF_AGENT)
    if not run or not sweep:
        return None
    chosen: Any = None
    with contextlib.suppress(OSError, UnicodeDecodeError, yaml.YAMLError):
        chosen = yaml.safe_load(Path(parameters or "").read_text(encoding="utf-8"))
    values = chosen if isinstance(chosen, dict) else {}
    config = {
        str(k): v["value"]
        for k, v in values.items()
        if isinstance(v, dict) and "value" in v
    }
    return Agent(
        run,
        sweep,
        os.environ.get("WANDB_PROJECT"),
        os.environ.get("WANDB_ENTITY"),
        config,
    )


def _start_wandb() -> tuple[Any, Any]:
    """Return the wandb module, silenced, with settings from the environment and the user's files.

    Under an agent W&B would give every run the agent's id, so it is not told of the
    agent; only the agent's own run sets that id.
    """
    for name in OF_AGENT:
        os.environ.pop(name, None)
    # W&B sends reports on its own health to the server even offline; if nothing
    # answers, they hold up the exit.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    return wandb, wandb.setup(wandb.Settings(silent=True)).settings


def _json_value(value: Any) -> Any:
    # Browsers read a table as JSON, which has no NaN.
    return None if isinstance(value, float) and not math.isfinite(value) else value


class WandbService:
    """W&B as a `memcap.tracking.mirror.Service`.

    Raises:
        RuntimeError: the mode is "online" and no API key is configured (W&B itself
            would ask for one in the terminal).
    """

    def __init__(self, target: Target):
        if target.mode == "online" and not has_api_key():
            raise RuntimeError("no API key is configured; `wandb login` stores one")
        _start_wandb()[
            0
        ].teardown()  # so that an earlier service, now unused, holds no run
        self.wandb, _ = _start_wandb()
        names = self.wandb.Settings.model_fields
        target.directory.mkdir(parents=True, exist_ok=True)
        self.target = target
        self.count = 0
        self.url = ""
        self.open: dict[str, Any] = {}  # W&B's runs by id
        self.common: dict[str, Any] = {
            "mode": target.mode,
            "resume": "allow" if target.mode == "online" else None,
            "project": target.project,
            "entity": target.entity,
            "group": target.group,
            "dir": str(target.directory),
            "reinit": "create_new",
            "settings": self.wandb.Settings(
                **{key: value for key, value in LEAN.items() if key in names}
            ),
        }

    def run(self, run: Run, points: Points, row: dict[str, Any] | None) -> None:
        opened = self._opened(run)
        there = opened.step  # steps that the server has, if the run is resumed
        for step, values in points.items():
            if step >= there:
                # If not committed, the last point would overwrite the summary.
                opened.log(values, step=step, commit=True)
        if row is not None:
            opened.summary.update(row)
            del self.open[run.id]
            opened.finish()

    def progress(self, values: dict[str, float]) -> None:
        self._opened(self.target.study).log(values)

    def result(self, table: list[dict[str, Any]], image: Path | None) -> None:
        media: dict[str, Any] = {}
        if table:
            columns, rows = table_parts(table)
            data = [[_json_value(value) for value in row] for row in rows]
            media["frontier"] = self.wandb.Table(
                columns=columns, data=data, allow_mixed_types=True
            )
        if image is not None:
            media["figure"] = self.wandb.Image(str(image))
        self._opened(self.target.study).log(media)

    def close(self) -> str:
        for run in self.open.values():
            run.finish()
        self.wandb.teardown()  # waits until W&B's own process has written all
        runs = f"W&B: {self.count} run{'s' * (self.count != 1)}"
        if self.target.mode == "online":
            return f"{runs} in {self.url}"
        folder = self.target.directory / "wandb"
        return f"{runs} in {folder}, sent by: wandb sync {shlex.quote(str(folder))}/offline-run-*"

    def _opened(self, run: Run) -> Any:
        if run.id in self.open:
            return self.open[run.id]
        for file in (self.target.directory / "wandb").glob(
            f"offline-run-*-{run.id}/*.wandb"
        ):
            if file.stat().st_size <= HEAD:  # left by a mirror that was killed
                shutil.rmtree(file.parent, ignore_errors=True)
        tags = tuple(dict.fromkeys([*run.tags, *self.target.tags]))
        options = dict(self.common)
        if (agent := self.target.agent) is not None and run.id == agent.id:
            options |= {
                key: value
                for key in ("project", "entity")
                if (value := getattr(agent, key))
            }
            options |= {
                "settings": options["settings"].model_copy(
                    update={"sweep_id": agent.sweep}
                )
            }
        about = {
            "name": run.name or None,
            "job_type": run.kind,
            "config": run.config,
            "tags": tags,
        }
        opened = self.wandb.init(id=run.id, **about, **options)
        if run.kind == "study":
            for metrics in ("study/*", "frontier/*"):
                opened.define_metric(metrics, step_metric="study/seconds")
        elif run.kind == "member":
            for metric, summary in SUMMARIES.items():
                opened.define_metric(metric, summary=summary)
        self.count = self.count + 1
        self.url = opened.project_url or ""
        self.open[run.id] = opened
        return opened
