"""Majorities: a quorum is a majority of *all* slots of a membership, and only filled ones can be
part of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from raftudp.consensus.vocabulary import Membership, ServerId


def quorum_size(membership: Membership) -> int:
    """How many servers a quorum takes; vacant slots count as much as filled ones."""
    return len(membership.slots) // 2 + 1


def is_quorum(membership: Membership, identities: Collection[ServerId]) -> bool:
    """Whether these identities, as far as they fill slots of the membership, are a quorum of it."""
    return sum(i in identities for i in membership.identities()) >= quorum_size(membership)


def quorum_value(membership: Membership, values: Mapping[ServerId, int], absent: int) -> int:
    """The greatest value that a quorum has reached; a slot that is vacant or not in `values` counts
    as `absent`.

    With match indexes it is the greatest index that may be committed (paper, section 5.3); with
    rounds, the latest one that a quorum has answered; with times, how long ago a quorum was heard
    from.
    """
    reached = [values.get(identity, absent) for identity in membership.identities()]
    reached.extend([absent] * (len(membership.slots) - len(reached)))
    reached.sort(reverse=True)
    return reached[quorum_size(membership) - 1]
