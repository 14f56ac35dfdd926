"""What training sees of tracking: four calls that never block, never raise and may do nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from memcap.knobs import UserError
from memcap.tracking import wandb_mirror
from memcap.tracking.background import BackgroundTracker

MODES = ("off", "wandb")
WANDB_MODES = ("auto", "online", "offline")


class Tracker(Protocol):
    """A mirror of a study. Every call returns at once; only `close` may wait, and for a bounded time."""

    def curve(self, member_id: str, step: int, values: Mapping[str, float]) -> None:
        """Add a point, such as `{"train/loss": 0.3, "eval/accuracy": 0.9}`, to the curve of a member in training.

        Args:
            member_id: the member's name in the mirror.
            step: training steps done, in any order; values of one step that come in several calls share a point.
            values: one number a metric; NaN and infinity are welcome.
        """

    def member(self, member_id: str, config: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """Say that a member has ended: its run appears with `config`, its curve, and `row` as the summary."""

    def study(self, name: str, table: Sequence[Mapping[str, Any]], image: Path | None = None) -> None:
        """Show a result of the whole study: `table`, one dict a row, and a picture (PNG, JPEG, GIF or BMP)."""

    def close(self) -> None:
        """Hand over what is still waiting. Calls that come later do nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class NoTracker:
    """Tracking that is off."""

    def curve(self, member_id: str, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def member(self, member_id: str, config: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """Do nothing."""

    def study(self, name: str, table: Sequence[Mapping[str, Any]], image: Path | None = None) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


def open_tracker(
    mode: str = "off",
    *,
    project: str = "memcap",
    entity: str | None = None,
    study: str,
    directory: Path,
    tags: Sequence[str] = (),
    wandb_mode: str = "auto",
) -> Tracker:
    """The tracker that the configuration asks for.

    Args:
        mode: "off" or "wandb". Off needs no account and no network, and does not import wandb.
        project: W&B project.
        entity: W&B user or team; None is the account's default.
        study: name of the study; the group of all its runs.
        directory: where W&B writes; it makes a folder `wandb` inside. Created when first needed.
        tags: tags of every run, each at most 64 characters.
        wandb_mode: "online", "offline" or "auto". Auto obeys the environment variable WANDB_MODE; without it, it is
            online where an API key is found and offline elsewhere. WANDB_MODE=disabled always wins.

    Raises:
        UserError: `mode` or `wandb_mode` is not one of those named.
    """
    for name, value, choices in (("mode", mode, MODES), ("wandb_mode", wandb_mode, WANDB_MODES)):
        if value not in choices:
            raise UserError(f"tracking.{name}={value}: must be one of {', '.join(choices)}")
    if mode == "off":
        return NoTracker()
    chosen = wandb_mirror.resolve_mode(wandb_mode)
    if chosen == "disabled":
        return NoTracker()
    return BackgroundTracker(
        wandb_mirror.sinks(chosen, project=project, entity=entity, study=study, directory=Path(directory), tags=tuple(tags))
    )
