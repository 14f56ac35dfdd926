"""A question about a width, as a command or a call asks it."""

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from memcap.config.knobs import UserError
from memcap.models.model import Model
from memcap.store.rows import At
from memcap.store.shards import OUTPUTS
from memcap.tasks import Task

LSTM = Model(units=1)
PROBABILITY = 0.9  # least probability that an advised width is enough


@dataclass(frozen=True)
class Question:
    """The question how many units a task takes at a lag.

    Raises:
        UserError: the task has no such lag.
    """

    task: Task  # the task with its knobs
    lag: int  # time steps
    model: Model = LSTM  # the network, at one unit
    # the share, between 0 and 1, of the seeds that train at all that should pass
    share: float = 0.9
    # the verdict and the budget that count, as in `memcap.frontiers.frontier.frontier`
    at: At = "up_to"
    budget: int | None = None
    # the only rows that count: a table, a folder, or a name of
    # `memcap.store.published`; None: those in `outputs`, and the published ones
    rows: pl.DataFrame | Path | None = None
    strict: bool = False  # refuse bad files of rows, as in `memcap.store.read`
    config_dir: Path | None = None  # of the user's own recipes, for the next command

    @property
    def up_to(self) -> bool:
        """Tell whether the question is about every lag from the smallest up to this one."""
        return self.at == "up_to" and self.task.has_other_lags(self.lag)

    @property
    def folder(self) -> Path:
        """The folder whose rows count, for a user's own sequences."""
        return self.rows if isinstance(self.rows, Path) else OUTPUTS

    def of_rows(self, rows: Path) -> "Question":
        """Return the same question to other rows."""
        return replace(self, rows=rows)

    def __post_init__(self) -> None:
        least = self.task.smallest_lag
        if self.lag < least:
            raise UserError(
                f"--lag {self.lag}: the least lag of {self.task.name} is {least}"
            )
