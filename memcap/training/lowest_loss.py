"""The stopping rule of members that are judged by their held-out loss: stop once the
validation loss falls no more."""

import math
from dataclasses import dataclass

from memcap.training.early_stopping import EarlyStopping

PATIENCE = 10  # least evaluations without a lower loss
SHARE = (
    0.4  # least share of the steps so far: a loss that fell late may fall late again
)


@dataclass
class LowestLoss(EarlyStopping):
    """Decides after each chunk whether a member trains on, by the loss on validation's sequences.

    The held-out sequences are evaluated only with the weights of the lowest loss: they
    choose nothing.
    """

    lowest: int = 0  # the step of the lowest loss
    falls: bool = False  # whether that was the last evaluation

    def wants_evaluation(self, step: int, train_score: float) -> bool:
        """Return true: validation's sequences are evaluated after every chunk."""
        return self.running

    def update(self, step: int, score: float | None, loss: float = math.nan) -> None:
        """Decide after an evaluation of validation's sequences."""
        self.falls = False
        if not self.running or score is None:
            return
        self.evaluations += 1
        self.falls = loss < self.validation_loss or math.isnan(self.validation_loss)
        if self.falls:
            self.validation_loss = loss
            self.best = score
            self.lowest = step
        patience = max(PATIENCE * self.member.evaluation.every, SHARE * step)
        if self._at_end(step) or step - self.lowest >= patience:
            self.status = "unsolved"

    def wants_stretched(self) -> bool:
        """Return whether to evaluate on the held-out sequences."""
        return self.falls

    def update_stretched(self, step: int, score: float, loss: float = math.nan) -> None:
        """Record the held-out score and loss of the weights of the lowest validation loss."""
        self.score = self.stretched = score
        self.held_out_loss = loss

    def wants_lags(self) -> bool:
        """Return false: shorter lags are never evaluated."""
        return False
