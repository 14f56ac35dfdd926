"""Delayed cue discrimination."""

from dataclasses import dataclass

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, Task, integers


@dataclass(frozen=True)
class CueDiscrimination(Task):
    """One of two cues is shown for some steps, and after `lag` blank steps the answer
    is its name for some steps.

    Example (cue of 2 steps, answer of 3): a a . . . . . . . | lag 4 -> . . silent
    silent silent silent a a a.

    Silence is a third class, and no symbol ends the delay: the net must keep the time,
    too. As many steps of the delay count as the answer has, spread evenly and drawn
    anew for each sequence, so that both weigh the same, as in the source's loss.

    Source: Kurtkaya, Dinc et al., Dynamical phases of short-term memory mechanisms in
    RNNs, ICML 2025 (2502.17433), and its code."""

    cue: int = knob(6, "steps for which the cue is shown", at_least=1, at_most=1000)
    response: int = knob(
        10, "steps for which the answer is due", at_least=1, at_most=1000
    )
    name = "cue_discrimination"
    filler = "blanks"
    answers = "every"
    vocabulary = 3  # two cues and a blank, in that order
    outputs = 3  # two cues and silence, in that order

    def shortest(self, lag: int) -> int:
        return self.cue + lag + self.response

    def has_other_lags(self, lag: int) -> bool:
        """Return false: no symbol ends the delay."""
        return False

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp

        cue_key, place_key = jax.random.split(key)
        cue = integers(cue_key, (batch,), 0, 2)
        step = jnp.arange(steps)[:, None]
        into = step - (length - self.response - lag)  # steps since the delay began
        inputs = jnp.where((into >= -self.cue) & (into < 0), cue, 2)
        answer = (into >= lag) & (step < length)
        parts = jnp.minimum(
            self.response, lag
        )  # of the delay, with one step that counts in each
        part = jnp.arange(self.response)[:, None]
        place = integers(
            place_key,
            (self.response, batch),
            part * lag // parts,
            (part + 1) * lag // parts,
        )
        part_of = jnp.clip(((into + 1) * parts - 1) // lag, 0, self.response - 1)[:, 0]
        silent = (into >= 0) & (into < lag) & (place[part_of] == into)
        return Batch(inputs, jnp.where(answer, cue, 2), silent | answer)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one bit, the cue; the time is not counted.

        A blank is best answered by silence, or by a cue if silence is rare."""
        silent = min(self.response, lag)
        chance = max(silent, self.response / 2) / (silent + self.response)
        return Facts(held=1, bits=1.0, chance=chance)
