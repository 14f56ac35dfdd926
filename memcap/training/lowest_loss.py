"""The end of members that are judged by their held-out loss: where the loss of validation falls no more."""

import math
from dataclasses import dataclass

from memcap.training.early_stopping import EarlyStopping

PATIENCE = 10  # evaluations without a lower loss, at least
SHARE = 0.4  # of the steps so far, at least: a net that learned late may fall late again


@dataclass
class LowestLoss(EarlyStopping):
    """Decides after each chunk whether a member goes on, by the loss of validation's sequences.

    Where that is lowest, and there alone, the held-out sequences are asked: nothing is chosen by them.

    Args:
        lowest: the step of the lowest loss; falls: whether the last evaluation was that.
    """

    lowest: int = 0
    falls: bool = False

    def wants_evaluation(self, step: int, train_score: float) -> bool:
        """Return whether to ask validation's sequences: after every chunk."""
        return self.running

    def update(self, step: int, score: float | None, loss: float = math.nan) -> None:
        """Decide after an evaluation of validation's sequences."""
        self.falls = False
        if not self.running or score is None:
            return
        self.evaluations += 1
        self.falls = loss < self.validation_loss or math.isnan(self.validation_loss)
        if self.falls:
            self.validation_loss, self.best, self.lowest = loss, score, step
        patience = max(PATIENCE * self.member.evaluation.every, SHARE * step)
        if self._at_end(step) or step - self.lowest >= patience:
            self.status = "unsolved"

    def wants_stretched(self) -> bool:
        """Return whether to ask the held-out sequences."""
        return self.falls

    def update_stretched(self, step: int, score: float, loss: float = math.nan) -> None:
        """Take what the held-out sequences say of the weights of the lowest loss."""
        self.score = self.stretched = score
        self.held_out_loss = loss

    def wants_lags(self) -> bool:
        """Return whether to ask at every lag: never."""
        return False
