"""Every exception that raftudp raises on purpose.

Two families are kept apart, as h11 does: errors of *this side* (a setting, an argument, a call that
was not allowed) and errors of the *other side* (bytes that are no message). Nothing that arrives
from outside may cause any other exception than a `RemoteError`.
"""

from __future__ import annotations


class RaftudpError(Exception):
    """Base of every error here; its text is one line that says what happened and what to do."""


class ConfigurationError(RaftudpError):
    """A setting is missing or wrong, so the program refuses to start (exit status 2)."""


class RemoteError(RaftudpError):
    """Base of the errors that the other side of the network causes."""


class DecodeError(RemoteError):
    """Bytes are not a valid message; the only error that decoding raises."""


class EnvelopeError(RemoteError):
    """A datagram was not opened; `reason` is the name of the counter that it costs."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"datagram refused: {reason}")
        self.reason = reason


class ClientError(RaftudpError):
    """Base of what a client's call can raise."""


class InvalidRequest(ClientError, ValueError):
    """The request can never be served: a key or value over its limit, a malformed address.

    Nothing was sent.
    """


class NotDone(ClientError):
    """The operation was not executed and never will be; it is safe to ask again."""


class OutcomeUnknown(ClientError):
    """A write may or may not have been executed; `request_id` names it in the replicas' logs."""

    def __init__(self, message: str, request_id: str) -> None:
        super().__init__(message)
        self.request_id = request_id


class SessionExpired(OutcomeUnknown):
    """The replicas have forgotten this client's session and can't tell what became of the write."""


class NoAnswer(ClientError):
    """Nobody answered a read or a question in time; it changed nothing, so it may be asked again.

    `reason` is one of `silent` (no server answered at all), `no-leader`, `not-open` (founded, but
    clients are not let in yet), `blank` (the servers belong to no cluster, or not any more),
    `other-cluster` and `slow` (a leader is known, and did not answer in time).
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class FoundingError(ClientError):
    """A cluster was not founded; the text says what to do."""
