"""Which search a design makes."""

from collections.abc import Mapping, Sequence
from typing import Any

from memcap.config import Member
from memcap.designs.adaptive import PRECISION, Adaptive
from memcap.designs.bisect import Bisect, Outcome
from memcap.designs.race import Race
from memcap.knobs import UserError

SearchOfWidths = Bisect | Adaptive | Race


def checked_precision(value: Any, design: str) -> float | None:
    """A precision that a user has set for a design; None: none.

    Raises:
        UserError: no share, or another design.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise UserError(f"precision={value}: must be null, or a number above 0 and below 1, as .1")
    if design != "adaptive":
        raise UserError(f"precision={value}: is for design=adaptive alone, not design={design}; leave it")
    return float(value)


def search_by(
    design: str, members: Sequence[Member], outcomes: Mapping[Member, Outcome], precision: float | None
) -> SearchOfWidths:
    """The search that a design other than "grid" makes.

    Raises:
        UserError: members that cannot be searched.
    """
    if design == "adaptive":
        return Adaptive(members, outcomes, PRECISION if precision is None else precision)
    return {"bisect": Bisect, "race": Race}[design](members, outcomes)
