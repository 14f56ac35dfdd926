"""What people choose of tracking, as `tracking.NAME` on the command line."""

from dataclasses import dataclass

from memcap.knobs import check, knob

MODES = ("off", "wandb", "trackio")
WANDB_MODES = ("auto", "online", "offline")
RUNS = ("auto", "member", "cell")


@dataclass(frozen=True)
class Tracking:
    """Where curves are mirrored. The rows on disk are the truth."""

    mode: str = knob("off", "off, wandb or trackio", choices=MODES)
    project: str | None = knob(None, "project of W&B or trackio; null: WANDB_PROJECT, or memcap")
    entity: str | None = knob(None, "W&B entity; null: your default")
    wandb: str = knob("auto", "auto: online only where a key is present", choices=WANDB_MODES)
    runs: str = knob("auto", "a run a member or a cell; auto: a cell in large studies", choices=RUNS)

    def __post_init__(self) -> None:
        check(self, "tracking")
