"""The knobs of the group `tracking`: where a study is sent."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from memcap.knobs import UserError, check, knob

MODES = ("off", "wandb", "trackio")
WANDB_MODES = ("auto", "online", "offline")
RUNS = ("auto", "member", "seeds")


@dataclass(frozen=True)
class Tracking:
    """The service that curves are sent to. The rows on disk are the truth."""

    mode: str = knob("off", "off, wandb or trackio", choices=MODES)
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
        for name in ("project", "entity"):
            if getattr(self, name) == "":  # W&B would silently use the default
                raise UserError(f"tracking.{name}: is empty; name one, or leave it out")
        check(self, "tracking")

    @property
    def is_off(self) -> bool:
        """Tell whether nothing is sent; WANDB_MODE=disabled turns W&B off."""
        return self.mode == "off" or (
            self.mode == "wandb" and self.wandb_mode == "disabled"
        )

    @property
    def wandb_mode(self) -> str:
        """The knob `wandb`, or WANDB_MODE where that says more; may be "disabled"."""
        mode = os.environ.get("WANDB_MODE", "")
        mode = {"dryrun": "offline", "run": "online"}.get(mode, mode)
        says_more = self.wandb == "auto" and mode in WANDB_MODES
        return mode if says_more or mode == "disabled" else self.wandb

    def command(self, folder: Path) -> str:
        """Return the command that sends a folder by hand."""
        service = None if self.mode == "wandb" else self.mode
        options = {"--to": service, "--project": self.project, "--entity": self.entity}
        words = ["memcap", "mirror", str(folder)]
        for option, value in options.items():
            words += [option, value] if value else []
        return shlex.join(words)
