"""Hypothesis strategies for every record and message, at and within the limits."""

from __future__ import annotations

from hypothesis import strategies as st

from raftudp.consensus import messages as m
from raftudp.consensus.vocabulary import Cluster, Entry, EntryKind, Membership, ServerId, Slot
from raftudp.limits import (
    ENTRY_DATA_BYTES_MAXIMUM,
    INTEGER_MAXIMUM,
    KEY_BYTES_MAXIMUM,
    LIST_ITEMS_MAXIMUM,
    NAME_BYTES_MAXIMUM,
    PARTS_MAXIMUM,
    PARTS_MISSING_MAXIMUM,
)
from raftudp.store import commands as c
from raftudp.wire import client_messages as w

integers = st.one_of(st.integers(0, 30), st.integers(0, INTEGER_MAXIMUM), st.just(INTEGER_MAXIMUM))
identifiers = st.binary(min_size=16, max_size=16)
incarnations = identifiers.filter(any)
names = st.text(
    "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-._", min_size=1, max_size=NAME_BYTES_MAXIMUM
)
addresses = st.builds(
    "{}:{}".format,
    st.one_of(names, st.just("[::1]"), st.just("replica-0.example.org")),
    st.integers(1, 65_535),
)
keys = st.one_of(st.binary(max_size=8), st.binary(max_size=KEY_BYTES_MAXIMUM))
values = st.binary(max_size=200)

server_ids = st.builds(ServerId, names, incarnations)
clusters = st.builds(Cluster, incarnations, integers, identifiers)
slots = st.builds(
    Slot, names, addresses, st.none() | incarnations, vacated=st.none() | incarnations
)
memberships = st.builds(
    Membership,
    st.lists(slots, min_size=1, max_size=5, unique_by=lambda slot: slot.name).map(tuple),
)
entries = st.one_of(
    st.builds(Entry, integers, st.just(EntryKind.NOOP), st.just(b"")),
    st.builds(
        Entry,
        integers,
        st.sampled_from([EntryKind.COMMAND, EntryKind.COMMAND_PART]),
        st.binary(max_size=ENTRY_DATA_BYTES_MAXIMUM),
    ),
    st.builds(Entry, integers, st.just(EntryKind.MEMBERSHIP), memberships),
    st.builds(Entry, integers, st.just(EntryKind.OPEN), clusters),
)


def tuples_of(element: st.SearchStrategy, max_size: int = 6) -> st.SearchStrategy:
    """Tuples of some elements."""
    return st.lists(element, max_size=max_size).map(tuple)


@st.composite
def append_entries(draw: st.DrawFn) -> m.AppendEntries:
    """The terms of a log never fall, and its leader's is at least the last."""
    taken = draw(st.lists(entries, max_size=6))
    previous, *terms, term = sorted(draw(integers) for _ in range(len(taken) + 2))
    return m.AppendEntries(
        term,
        draw(integers),
        draw(st.integers(0, INTEGER_MAXIMUM - 6)),
        previous,
        draw(integers),
        tuple(e._replace(term=t) for e, t in zip(taken, terms, strict=True)),
    )


messages = st.one_of(
    append_entries(),
    st.builds(
        m.AppendEntriesResponse,
        integers,
        integers,
        st.booleans(),
        integers,
        integers,
        integers,
        integers,
    ),
    st.builds(m.RequestVote, integers, integers, integers),
    st.builds(m.RequestVoteResponse, integers, st.booleans()),
    st.builds(m.RequestPreVote, integers, integers, integers, integers),
    st.builds(m.RequestPreVoteResponse, integers, integers, st.booleans()),
    st.builds(m.TimeoutNow, integers),
    st.builds(m.Found, memberships),
    st.just(m.Greeting()),
    st.builds(m.GreetingResponse, st.none() | server_ids, st.booleans()),
)

writes = st.one_of(
    st.builds(c.Put, keys, values),
    st.builds(c.Delete, keys),
    st.builds(c.CompareAndSet, keys, st.none() | values, values),
)
commands = st.one_of(
    st.builds(c.Command, identifiers, integers, st.integers(1, INTEGER_MAXIMUM), integers, writes),
    st.builds(c.Command, identifiers, integers, st.just(0), integers, st.just(c.OpenSession())),
)

actions = st.one_of(
    st.just(w.Stop()),
    st.builds(w.Transfer, st.just("") | names),
    st.builds(w.FoundCluster, clusters, memberships),
    st.builds(w.OpenCluster, clusters),
)
part_numbers = st.integers(0, PARTS_MAXIMUM - 1)
parts = st.builds(
    w.Part,
    integers,
    st.integers(0, 9),
    st.integers(10, PARTS_MAXIMUM),
    st.integers(1, 100_000),
    values,
)
parts_received = st.builds(
    w.PartsReceived,
    integers,
    st.integers(0, PARTS_MAXIMUM),
    tuples_of(part_numbers, PARTS_MISSING_MAXIMUM),
)
requests = st.one_of(
    st.builds(w.Hello, integers),
    st.builds(w.Write, identifiers, integers, tuples_of(values)),
    st.builds(w.Read, st.booleans(), tuples_of(st.builds(w.GetRequest, integers, keys))),
    st.builds(
        w.List,
        integers,
        st.booleans(),
        keys,
        st.none() | keys,
        st.integers(1, LIST_ITEMS_MAXIMUM),
    ),
    st.builds(w.Status, integers),
    st.builds(w.ChallengeRequest, integers),
    st.builds(w.Admin, integers, identifiers, actions),
    parts,
    parts_received,
)

hints = st.one_of(st.just(w.LeaderHint("", "")), st.builds(w.LeaderHint, names, addresses))
reasons = st.sampled_from(w.RefusalReason)
words = st.sampled_from(["leader", "ready", "memory", "0.1.0"])
followers = st.builds(
    w.Follower, names, integers, integers, st.none() | integers, st.none() | integers
)
answers = st.one_of(
    st.builds(w.HelloAnswer, integers, identifiers, hints, st.booleans()),
    st.builds(
        w.Written,
        identifiers,
        tuples_of(st.builds(w.WriteResult, integers, st.sampled_from(c.Outcome), integers)),
    ),
    st.builds(w.WriteRefused, identifiers, integers, reasons, hints, tuples_of(integers)),
    st.builds(
        w.ReadAnswer,
        integers,
        tuples_of(st.builds(w.GetResult, integers, st.none() | values, integers)),
    ),
    st.builds(
        w.ListAnswer,
        integers,
        integers,
        tuples_of(st.builds(c.Item, keys, values, integers)),
        st.booleans(),
    ),
    st.builds(w.RequestRefused, tuples_of(integers), reasons, hints),
    st.builds(
        w.StatusAnswer,
        request=integers,
        name=names,
        incarnation=incarnations,
        role=words,
        state=words,
        durability=words,
        term=integers,
        leader=hints,
        commit_index=integers,
        last_applied=integers,
        last_log_index=integers,
        cluster=st.none() | clusters,
        uptime_s=integers,
        version=words,
        membership=memberships | st.just(Membership(())),
        followers=tuples_of(followers),
    ),
    st.builds(w.ChallengeAnswer, integers, identifiers),
    st.builds(w.AdminAnswer, integers),
    parts,
    parts_received,
)
