"""Properties of majorities, against a definition that is naive and plainly right."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from raftudp.consensus.quorum import is_quorum, quorum_size, quorum_value
from raftudp.consensus.vocabulary import Membership, ServerId, Slot

NAMES = "abcdefg"


def server(name: str, life: int) -> ServerId:
    """One of a name's incarnations."""
    return ServerId(name, f"{name}{life}".encode().ljust(16, b"."))


@st.composite
def memberships(draw: st.DrawFn, slots_maximum: int = 7) -> Membership:
    """Slots of distinct names, each vacant or filled by one of three incarnations."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=slots_maximum, unique=True))
    lives = [draw(st.sampled_from([None, 1, 2, 3])) for _ in names]
    return Membership(
        tuple(
            Slot(name, f"{name}:6000", server(name, life).incarnation if life else None)
            for name, life in zip(names, lives, strict=True)
        )
    )


@st.composite
def adjacent(draw: st.DrawFn) -> tuple[Membership, Membership]:
    """Two memberships that differ by one slot: filled, vacated, added filled, or removed."""
    before = draw(memberships(slots_maximum=6))
    slots = list(before.slots)
    place = draw(st.integers(0, len(slots)))
    if place == len(slots):
        unused = sorted(set(NAMES) - {slot.name for slot in slots})
        name = draw(st.sampled_from(unused))
        slots.append(Slot(name, f"{name}:6000", server(name, 1).incarnation))
    elif slots[place].incarnation is None:
        name = slots[place].name
        slots[place] = slots[place]._replace(incarnation=server(name, 9).incarnation)
    elif draw(st.booleans()) or len(slots) == 1:
        slots[place] = slots[place]._replace(incarnation=None)
    else:
        del slots[place]
    return before, Membership(tuple(slots))


def quorums(membership: Membership) -> list[frozenset[ServerId]]:
    """All sets of identities that are a quorum."""
    members = membership.identities()
    return [
        frozenset(chosen)
        for size in range(len(members) + 1)
        for chosen in combinations(members, size)
        if is_quorum(membership, chosen)
    ]


@given(memberships())
def test_any_two_quorums_of_a_membership_share_an_identity(membership: Membership) -> None:
    """What makes a majority safe at all."""
    for one, other in combinations(quorums(membership), 2):
        assert one & other


@given(adjacent())
def test_any_two_quorums_of_adjacent_memberships_share_an_identity(
    pair: tuple[Membership, Membership],
) -> None:
    """What keeps each change by one slot safe (section 2 of the design)."""
    before, after = pair
    for one in quorums(before):
        for other in quorums(after):
            assert one & other


def test_a_slot_swapped_from_occupied_to_occupied_breaks_that_overlap() -> None:
    """Schedule 4 of the design: why a slot is vacated before it is filled anew."""
    slots = [Slot(name, f"{name}:6000", server(name, 1).incarnation) for name in "abc"]
    swapped = [*slots[:2], slots[2]._replace(incarnation=server("c", 2).incarnation)]
    old_quorums, new_quorums = (
        quorums(Membership(tuple(slots))),
        quorums(Membership(tuple(swapped))),
    )
    assert any(not one & other for one in old_quorums for other in new_quorums)


@given(memberships(), st.data())
def test_quorum_value_is_the_greatest_that_a_quorum_has_reached(
    membership: Membership, data: st.DataObject
) -> None:
    """Those that are vacant, unknown, or of another incarnation count as absent."""
    known = data.draw(
        st.dictionaries(
            st.builds(server, st.sampled_from(NAMES), st.integers(1, 3)), st.integers(0, 9)
        )
    )
    reached = [known.get(member, 0) for member in membership.identities()]
    naive = max(
        value
        for value in range(10)
        if value == 0 or sum(r >= value for r in reached) * 2 > len(membership.slots)
    )
    assert quorum_value(membership, known, absent=0) == naive


@given(memberships(), st.data())
def test_is_quorum_is_a_majority_of_all_slots(membership: Membership, data: st.DataObject) -> None:
    """Strangers among those who answered change nothing."""
    answered = data.draw(st.sets(st.builds(server, st.sampled_from(NAMES), st.integers(1, 3))))
    counted = sum(1 for member in membership.identities() if member in answered)
    assert is_quorum(membership, answered) == (counted * 2 > len(membership.slots))
    assert quorum_size(membership) * 2 > len(membership.slots) >= quorum_size(membership) * 2 - 2
