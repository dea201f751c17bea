"""Which server has which name, as their own answers tell; and what a survey of them all found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raftudp.client.addresses import parse_servers
from raftudp.client.results import Reported, ServerReport, Value
from raftudp.errors import ClientError, InvalidRequest
from raftudp.wire.client_messages import StatusAnswer


class Directory:
    """Names and addresses of the servers; the configured ones first."""

    def __init__(self, servers: Sequence[str]) -> None:
        self.servers = tuple(servers)
        """As the user gave them."""
        self._addresses: dict[str, str] = {}
        """By name. Where a server answered counts more than where a membership says it is."""

    def learn(self, server: str, answer: StatusAnswer) -> None:
        """Take in the names that a server's answer tells."""
        self._addresses = {
            name: address for name, address in self._addresses.items() if address != server
        }
        self._addresses[answer.name] = server
        for slot in answer.membership.slots:
            self._addresses.setdefault(slot.name, slot.address)

    def unasked(self, asked: Mapping[str, object]) -> list[str]:
        """Addresses of servers that are known by name and not among those asked."""
        return [address for address in self._addresses.values() if address not in asked]

    def name_of(self, server: str) -> str | None:
        """The name of the server at an address, if it is known."""
        return next((name for name, known in self._addresses.items() if known == server), None)

    def address_of(self, server: str) -> str | None:
        """The address of a server given by name or as `HOST:PORT`; None for an unknown name.

        Raises ConfigurationError if a text with a colon is no `HOST:PORT`.
        """
        return parse_servers([server])[0] if ":" in server else self._addresses.get(server)

    def unknown(self, server: str) -> InvalidRequest:
        """The error for a name that no server has."""
        known = ", ".join(sorted(self._addresses)) or "none, for no server answered"
        return InvalidRequest(f"no server is named {server!r}; known are: {known}")

    def report(self, outcomes: Mapping[str, Value | ClientError]) -> list[ServerReport]:
        """One report a server, ordered by name; those without a known one come last."""
        reports = [
            ServerReport(server, outcome.answer.name, outcome.answer, None)
            if isinstance(outcome, Reported)
            else ServerReport(server, self.name_of(server), None, str(outcome))
            for server, outcome in outcomes.items()
        ]
        return sorted(reports, key=lambda report: (report.name is None, _natural(report.name)))


def _natural(name: str | None) -> tuple[str, int]:
    """Sort ss-2 before ss-10."""
    head, _, number = (name or "").rpartition("-")
    return (head, int(number)) if number.isascii() and number.isdigit() else (name or "", 0)
