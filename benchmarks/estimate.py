"""A study of many members on accelerators, on paper: from bytes and an assumed bandwidth. Nothing here was
measured."""

from dataclasses import dataclass

from benchmarks import report

FLOAT = 4  # bytes


@dataclass(frozen=True)
class Estimate:
    """What is assumed.

    Args:
        members: of the study.
        steps: training steps of each; nothing stops early.
        units: width U.
        length: T.
        batch: sequences B a step.
        features: F.
        outputs: O, answered at every step.
        bandwidth: bytes a second that an accelerator's data sheet promises.
        efficiencies: shares of it that may be reached: compiled loops over small arrays reach less than a
            large copy does.
        balance: share of the time that every one of several accelerators is busy.
    """

    members: int = 100_000
    steps: int = 3000
    units: int = 16
    length: int = 64
    batch: int = 64
    features: int = 2
    outputs: int = 2
    bandwidth: float = 3e12
    efficiencies: tuple[float, ...] = (0.05, 0.2, 0.5)
    balance: float = 0.9

    @property
    def parameters(self) -> int:
        """Of the LSTM and its read-out."""
        return 4 * self.units * (self.features + self.units + 1) + (self.units + 1) * self.outputs

    @property
    def bytes_a_step(self) -> int:
        """Bytes a training step of one member moves to and from memory.

        What the backward pass needs of the forward pass, 6 numbers a unit, sequence and time step (four
        gates, c and h); the logits and their gradient; both written once and read once. The symbols, targets
        and mask: written once, read twice. Weights, gradient and Adam's two moments: read and written once.
        """
        rows = self.length * self.batch
        residuals = 2 * 6 * self.units * rows * FLOAT
        logits = 2 * 2 * self.outputs * rows * FLOAT
        data = 3 * 3 * rows * FLOAT
        return residuals + logits + data + 2 * 4 * self.parameters * FLOAT

    def rate(self, efficiency: float) -> float:
        """Member-steps a second of one accelerator, bound by its memory alone."""
        return self.bandwidth * efficiency / self.bytes_a_step

    def hours(self, accelerators: int, efficiency: float) -> float:
        """Of the study."""
        share = accelerators * (1.0 if accelerators == 1 else self.balance)
        return self.members * self.steps / (self.rate(efficiency) * share) / 3600


def section(made: Estimate) -> list[str]:
    """For a report, as lines of Markdown."""
    body = [
        [
            f"{share:.0%}",
            f"{made.rate(share):,.0f}",
            *(f"{made.hours(count, share):.2g}" for count in (1, 64)),
        ]
        for share in made.efficiencies
    ]
    return [
        "",
        f"## Estimate, not measured: {made.members:,} members on GPUs",
        "",
        f"No GPU was measured; memcap has not run on one. On paper: {made.members:,} members of"
        f" {made.steps:,} steps, none"
        f" stopped early, {made.units} units, T = {made.length}, {made.batch} sequences, answered at every"
        " step. A member's step"
        f" moves {made.bytes_a_step / (1 << 20):.1f} MiB (`benchmarks/estimate.py` says what is counted). A"
        " GPU that reaches a"
        f" share of its {made.bandwidth / 1e12:g} TB/s makes share x bandwidth / bytes member-steps a"
        " second, if enough members"
        f" run side by side to hide the launches of its kernels. Of 64 GPUs each is busy {made.balance:.0%}"
        " of the time.",
        "",
        report.table(
            ["share assumed", "member-steps a second, one GPU", "hours, 1 GPU", "hours, 64 GPUs"], body
        ),
    ]
