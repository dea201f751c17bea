"""Which servers there are: their names and addresses, as given and as they themselves say."""

from __future__ import annotations

from collections.abc import Mapping

from raftudp.client.results import ServerReport
from raftudp.errors import RaftudpError
from shell.arguments import candidates
from shell.protocols import ClusterClient


class UnknownServer(RaftudpError):
    """A name is none of the servers', or may be several ones'."""


class Servers:
    """The servers known: from the command line, where it names them, and from their answers."""

    def __init__(self, client: ClusterClient, named: Mapping[str, str]) -> None:
        """`named`: addresses by name, as given."""
        self._client = client
        self._addresses = dict(named)

    def ask(self) -> tuple[ServerReport, ...]:
        """Every server's status, by name; a silent one has its address where no name is known."""
        reports = tuple(self._client.status())
        for report in reports:
            self._learn(report)
        names = {address: name for name, address in self._addresses.items()}
        named = [
            report._replace(name=report.name or names.get(report.server, report.server))
            for report in reports
        ]
        return tuple(sorted(named, key=lambda report: _numbers_in_order(report.name or "")))

    def _learn(self, report: ServerReport) -> None:
        if report.answer is None:
            return
        self._addresses[report.answer.name] = report.server
        for slot in report.answer.membership.slots:
            self._addresses.setdefault(slot.name, slot.address)

    def known(self) -> dict[str, str]:
        """Addresses by name; asks the servers if no name is known yet."""
        if not self._addresses:
            self.ask()
        names = sorted(self._addresses, key=_numbers_in_order)
        return {name: self._addresses[name] for name in names}

    def resolve(self, letters: str) -> str:
        """The server that `letters` name or begin; raises `UnknownServer`, listing the known."""
        known = self.known()
        found = candidates(known, letters)
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownServer(f"'{letters}' is ambiguous: {', '.join(found)}")
        if known:
            raise UnknownServer(f"there is no server '{letters}'; known are {', '.join(known)}")
        raise UnknownServer(f"no server answered, so none is known by the name '{letters}'")

    def address(self, name: str) -> str:
        """Where the server that `resolve` gave listens, `host:port`."""
        return self._addresses[name]


def _numbers_in_order(name: str) -> tuple[str, int, str]:
    """A sorting key that puts ss-2 before ss-10."""
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :]
    return stem, int(digits or "0"), digits
