"""Helpers of the designs' tests: a design run to its end, on outcomes made up."""

from collections.abc import Callable, Collection

from memcap.config.member import Member
from memcap.designs.design import Design, Outcome

Outcomes = dict[Member, Outcome]


def run(
    design: Design,
    outcome: Callable[[Member], Outcome],
    known: Collection[Member] = (),
    pick: Callable[[list[Member]], int] = lambda flying: 0,
    stop: int | None = None,
) -> tuple[Outcomes, list[Member]]:
    """Run a design to its end, or until so many members have ended; no member may come
    twice. `pick` says which of the members in flight ends next.

    Returns:
        The outcomes, in the order in which members end; and the members in flight.
    """
    flying = design.first_members()
    outcomes: Outcomes = {}
    while flying and len(outcomes) != stop:
        member = flying.pop(pick(flying))
        outcomes[member] = outcome(member)
        flying += design.next_members(member, outcomes[member])
        seen = [*flying, *outcomes, *known]
        assert len({*seen}) == len(seen)
        assert len(flying) <= design.estimate
    assert stop is not None or design.estimate == 0
    return outcomes, flying
