"""Designs of members: by name, with the outcomes that they read."""

import math
from collections.abc import Hashable, Mapping, Sequence

from memcap.config.member import Member
from memcap.designs.adaptive import PRECISION, Adaptive
from memcap.designs.bisect import Bisect
from memcap.designs.design import Design, Outcome, SearchKey
from memcap.designs.race import Race
from memcap.knobs import UserError


def outcome_of(member: Member, passed: bool, steps: int, best: float) -> Outcome:
    """Return the outcome of a member; `best` is its best held-out score, or NaN."""
    chance = member.facts.chance
    perfect = float(member.task.higher_is_better)
    share = (best - chance) / (perfect - chance)
    return Outcome(
        passed, steps, min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
    )


def search_by(
    design: str,
    members: Sequence[Member],
    outcomes: Mapping[Member, Outcome],
    precision: float | None,
) -> Design[Member]:
    """Return the search of a design other than "grid"; refuse members that cannot be
    searched."""
    if any(member.task.rule.by_loss for member in members):
        raise UserError(
            f"design={design}: searches by the nets that pass, and with task.criterion=best none"
            " passes; take design=grid, or let memcap fit search"
        )
    if design == "adaptive":
        return Adaptive(
            members, outcomes, PRECISION if precision is None else precision
        )
    return {"bisect": Bisect, "race": Race}[design](members, outcomes)


def unsplit_part(member: Member, design: str) -> Hashable:
    """Return a key of the members that one job must train together, as they need each
    other's results."""
    key = SearchKey.of(member)
    parts = {
        "bisect": key,
        "adaptive": key.across_lags,
        "race": key.across_lags.across_recipes,
    }
    return parts.get(design, member)
