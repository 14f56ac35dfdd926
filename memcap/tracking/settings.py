"""The knobs of the group `tracking`: where a study is mirrored."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from memcap.config.knobs import UserError, check, knob
from memcap.runtime import plugins
from memcap.tracking import wandb_service
from memcap.tracking.runs import Agent, Target, run_of_study

MODES = ("off", "wandb", "trackio")
WANDB_MODES = ("auto", "online", "offline")
RUNS = ("auto", "member", "seeds")
METHODS = ("run", "progress", "result", "close")  # of `memcap.tracking.mirror.Service`


@dataclass(frozen=True)
class Tracking:
    """The service that curves are mirrored to. The rows on disk are the truth."""

    mode: str = knob("off", "off, wandb, trackio, or MODULE:NAME of your own")
    project: str | None = knob(
        None, "project of W&B or trackio; null: WANDB_PROJECT, or memcap"
    )
    entity: str | None = knob(None, "user or team of W&B; null: your default")
    wandb: str = knob(
        "auto", "auto: online only where a key is present", choices=WANDB_MODES
    )
    runs: str = knob(
        "auto",
        "a run a member or per group of seeds; auto: groups in large studies",
        choices=RUNS,
    )

    def __post_init__(self) -> None:
        if self.runs == "cell":  # the value's name before memcap 0.2
            object.__setattr__(self, "runs", "seeds")
        if (
            isinstance(self.mode, str)
            and self.mode not in MODES
            and not plugins.is_import_path(self.mode)
        ):
            raise UserError(
                f"tracking.mode={self.mode}: must be one of {', '.join(MODES)}; or MODULE:NAME of"
                " your own"
            )
        for name in ("project", "entity"):
            if getattr(self, name) == "":  # W&B would silently use the default
                raise UserError(f"tracking.{name}: is empty; name one, or leave it out")
        check(self, "tracking")

    @property
    def is_off(self) -> bool:
        """Return whether mirroring is off; WANDB_MODE=disabled turns W&B off."""
        return self.mode == "off" or (
            self.mode == "wandb"
            and wandb_service.resolve_mode(self.wandb) == "disabled"
        )

    def check_service(self) -> None:
        """Import a service of the user's own, before anything trains for it; raise
        UserError if that fails, or if the object is no service."""
        if not plugins.is_import_path(self.mode):
            return
        try:
            service = plugins.import_object(self.mode, "tracking")
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            why = " ".join(str(error).split())
            raise UserError(
                f"tracking={self.mode}: cannot be imported ({type(error).__name__}: {why}); mend"
                " it, or set tracking=off"
            ) from error
        methods = METHODS if isinstance(service, type) else ()
        missing = [
            name for name in methods if not callable(getattr(service, name, None))
        ]
        if missing or not callable(service):
            lacks = f"has no {', '.join(missing)}" if missing else "cannot be called"
            raise UserError(
                f"tracking={self.mode}: {lacks}; a service is a class with the methods"
                f" {', '.join(METHODS)} (python -m pydoc memcap.tracking.mirror.Service)"
            )

    def target(self, study: str, folder: Path, part: str = "") -> Target:
        """Return where the runs of a study go, by these settings and the environment.

        Args:
            study: name of the study; also the group of its runs, unless WANDB_RUN_GROUP
                names another, and the name of its own run, unless WANDB_NAME does.
            folder: the study's folder. W&B writes a folder `wandb` in it, or in WANDB_DIR.
            part: distinguishes commands that share a study, each of which has its own
                run of the study.
        """
        environment: Mapping[str, str] = os.environ if self.mode == "wandb" else {}
        run = run_of_study(study, part)
        return Target(
            service=self.mode,
            mode=wandb_service.resolve_mode(self.wandb) if self.mode == "wandb" else "",
            project=self.project or environment.get("WANDB_PROJECT") or "memcap",
            entity=self.entity,
            group=environment.get("WANDB_RUN_GROUP") or study,
            tags=tuple(
                filter(
                    None, map(str.strip, environment.get("WANDB_TAGS", "").split(","))
                )
            ),
            directory=Path(environment.get("WANDB_DIR") or folder).absolute(),
            study=replace(
                run,
                name=" ".join(
                    filter(None, (environment.get("WANDB_NAME") or study, part))
                ),
            ),
            agent=self.agent,
        )

    @property
    def agent(self) -> Agent | None:
        """Return the run under which an agent of W&B started this command."""
        return wandb_service.agent() if self.mode == "wandb" else None

    def command(self, folder: Path) -> list[str]:
        """Return the command that sends a folder by hand, word by word."""
        words = ["memcap", "mirror", str(folder)]
        service = None if self.mode == "wandb" else self.mode
        options = {"--to": service, "--project": self.project, "--entity": self.entity}
        for option, value in options.items():
            words += [option, value] if value else []
        return words

    def not_sent(self, left: int, folder: Path) -> str:
        """Return the line that counts what was not sent, with the command that sends it."""
        command = shlex.join(self.command(folder))
        if (agent := self.agent) is not None:  # otherwise its run would stay as it is
            command = f"WANDB_SWEEP_ID={agent.sweep} WANDB_RUN_ID={agent.id} {command}"
        return (
            f"tracking: {left} of the members and results were not mirrored; this sends them:"
            f" {command}"
        )
