"""Every upper bound of the system, with the relations between them asserted at import.

What comes from outside is checked against these numbers and refused beyond them; what grows in
memory is bounded by them. Sizes are bytes unless a name says otherwise.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# What a user stores.
KEY_BYTES_MAXIMUM = 1 * KIB
VALUE_BYTES_MAXIMUM = 1 * MIB
COMMAND_OVERHEAD_BYTES = 128
"""Session, operation and CBOR heads around the key and the two values of the largest command,
compare-and-set.
"""
COMMAND_BYTES_MAXIMUM = KEY_BYTES_MAXIMUM + 2 * VALUE_BYTES_MAXIMUM + COMMAND_OVERHEAD_BYTES

# Names and numbers.
NAME_BYTES_MAXIMUM = 63
"""A replica's name; a DNS label is no longer (RFC 1035, section 2.3.4)."""
ADDRESS_BYTES_MAXIMUM = 260
"""A `host:port`: a DNS name of 253 characters, a colon, five digits, and brackets around an IPv6
address.
"""
IDENTIFIER_BYTES = 16
"""Incarnations, cluster ids, epoch ids, process ids, client ids, challenges: random, so never
chosen twice.
"""
INTEGER_MAXIMUM = 2**63 - 1
"""Terms, indexes, rounds, counters."""
SLOTS_MAXIMUM = 64
STATUS_TEXT_BYTES_MAXIMUM = 64
"""A role, a state, a version: the words of a status."""
VOTERS_MAXIMUM = 7

# Datagrams.
DATAGRAM_BYTES_MINIMUM = 1_200
"""What every path carries without IP fragments (RFC 9000, section 14); the payload where nothing
says more.
"""
DATAGRAM_BYTES_LOOPBACK = 60_000
DATAGRAM_BYTES_MAXIMUM = 65_000
ENVELOPE_BYTES_MAXIMUM = 256
"""Header and authentication tag, with two names of the greatest length."""
BODY_BYTES_MINIMUM = DATAGRAM_BYTES_MINIMUM - ENVELOPE_BYTES_MAXIMUM
"""The encoded message that every path carries."""
APPEND_ENTRIES_OVERHEAD_BYTES = 72
"""The fields of AppendEntries beside its entries."""
ENTRY_OVERHEAD_BYTES = 16
"""Array head, term, kind and byte-string head of one entry."""
ENTRY_DATA_BYTES_MAXIMUM = 768
"""A larger command becomes several entries, so that each AppendEntries fits every path."""
ENTRIES_PER_MESSAGE_MAXIMUM = 4_096
PART_BYTES_OVERHEAD = 64
"""The fields of Part beside its data."""
MESSAGE_BYTES_MAXIMUM = COMMAND_BYTES_MAXIMUM + 4 * KIB
"""A client message that travels in parts."""
PARTS_MAXIMUM = -(-MESSAGE_BYTES_MAXIMUM // (BODY_BYTES_MINIMUM - PART_BYTES_OVERHEAD))
PARTS_PER_WINDOW = 32
"""Parts of one transfer that may be under way at a time."""
PARTS_WINDOW_BYTES = 128 * KIB
"""Of large parts, fewer: more would overflow the receive buffer that kernels give unasked."""
PARTS_MISSING_MAXIMUM = 64
"""Part numbers that one acknowledgement lists."""
TRAIN_DATAGRAMS_MAXIMUM = 64
"""Datagrams that one call sends to one peer (`UDP_MAX_SEGMENTS` of Linux)."""
TRAIN_BYTES_MAXIMUM = 65_000

# Decoding.
CBOR_DEPTH_MAXIMUM = 8

# Replicas.
DATAGRAMS_PER_WAKEUP = 256
IN_FLIGHT_BYTES_PER_FOLLOWER = 1 * MIB
"""Entries sent to a follower and not yet answered."""
UNCOMMITTED_BYTES_MAXIMUM = 64 * MIB
"""Commands that a leader has appended and not yet committed; more are refused as overload."""
PENDING_WRITES_MAXIMUM = 65_536
"""Proposed and not yet applied; more are refused as overload."""
PENDING_READS_MAXIMUM = 65_536
TRANSFERS_MAXIMUM = 256
"""Client messages that travel in parts, at a time, each way."""
TRANSFER_BYTES_MAXIMUM = 128 * MIB
PROCESSES_REMEMBERED_MAXIMUM = 16_384
"""Senders whose keys and replay windows are kept; the one unheard for longest goes first."""
REPLAY_WINDOW_BITS = 4_096
CHALLENGES_MAXIMUM = 1_024
SHARED_KEYS_MAXIMUM = 2

# The store.
SESSIONS_MAXIMUM = 10_000
"""Sessions remembered; the one unused for longest, in log order, expires first."""
SESSION_OUTSTANDING_MAXIMUM = 1_024
"""Results kept for one session: its writes that may still be repeated."""
SESSION_RESULTS_MAXIMUM = 1_048_576
"""Results kept for all sessions together; beyond it the session unused for longest expires."""
COMMANDS_PER_REQUEST_MAXIMUM = 1_024
LIST_ITEMS_MAXIMUM = 1_000
LIST_BYTES_MAXIMUM = VALUE_BYTES_MAXIMUM
"""Keys and values of one page; a page holds at least one item."""

assert BODY_BYTES_MINIMUM >= (
    APPEND_ENTRIES_OVERHEAD_BYTES + ENTRY_OVERHEAD_BYTES + ENTRY_DATA_BYTES_MAXIMUM
), "one entry of the greatest size must fit the smallest datagram"
assert DATAGRAM_BYTES_MINIMUM < DATAGRAM_BYTES_LOOPBACK <= DATAGRAM_BYTES_MAXIMUM < 65_507
assert MESSAGE_BYTES_MAXIMUM >= COMMAND_BYTES_MAXIMUM
assert LIST_BYTES_MAXIMUM + KEY_BYTES_MAXIMUM + 4 * KIB <= MESSAGE_BYTES_MAXIMUM
assert TRANSFER_BYTES_MAXIMUM >= 8 * MESSAGE_BYTES_MAXIMUM
assert IN_FLIGHT_BYTES_PER_FOLLOWER >= DATAGRAM_BYTES_MAXIMUM
assert UNCOMMITTED_BYTES_MAXIMUM >= 8 * COMMAND_BYTES_MAXIMUM
assert VOTERS_MAXIMUM <= SLOTS_MAXIMUM
assert SESSION_RESULTS_MAXIMUM >= SESSION_OUTSTANDING_MAXIMUM, "the session in use never expires"
assert COMMANDS_PER_REQUEST_MAXIMUM <= SESSION_OUTSTANDING_MAXIMUM
