"""The knobs of the group `tracking`: where a study is sent."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from memcap.knobs import knob

MODES = ("off", "wandb")
WANDB_MODES = ("auto", "online", "offline")


@dataclass(frozen=True)
class Tracking:
    """The service that curves are sent to. The rows on disk are the truth."""

    mode: str = knob("off", "off or wandb", choices=MODES)
    project: str | None = knob(None, "project of W&B; null: WANDB_PROJECT, or memcap")
    entity: str | None = knob(None, "user or team of W&B; null: your default")
    wandb: str = knob(
        "auto", "auto: online only where a key is present", choices=WANDB_MODES
    )

    @property
    def is_disabled(self) -> bool:
        return os.environ.get("WANDB_MODE") == "disabled"

    @property
    def wandb_mode(self) -> str:
        """The knob `wandb`, or WANDB_MODE where that says more."""
        mode = os.environ.get("WANDB_MODE", "")
        return mode if self.wandb == "auto" and mode in WANDB_MODES else self.wandb

    def command(self, folder: Path) -> str:
        options = {"--project": self.project, "--entity": self.entity}
        words = ["memcap", "mirror", str(folder)]
        for option, value in options.items():
            words += [option, value] if value else []
        return shlex.join(words)
