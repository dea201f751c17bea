"""What the verbs do: one function each, from the words of a command to its answer."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from raftudp.client.results import ServerReport
from raftudp.errors import NotDone, RaftudpError
from shell.answers import (
    NOT_DONE,
    Answer,
    Dumped,
    DumpShown,
    Farewell,
    LeaderShown,
    Listed,
    ServerActedOn,
    ServerShown,
    ServersShown,
    StatusShown,
    Submitted,
)
from shell.arguments import HelpWanted, Node, locate
from shell.help import at
from shell.lookups import Lookups
from shell.protocols import ClusterClient, Starter
from shell.servers import Servers
from shell.texts import bytes_of

END_TIMEOUT_S = 10.0
"""How long `stop` waits for a process of this machine to end."""
TRANSFER_TIMEOUT_S = 5.0
"""How long `leader transfer` waits to see the new leader."""
POLL_INTERVAL_S = 0.05
KUBERNETES_VARIABLE = "KUBERNETES_SERVICE_HOST"
"""Set in every container of a pod."""
_NOBODY = (
    "no server answered; check the addresses (--servers), the key (--key-file) and the network"
)


@dataclass(frozen=True, slots=True)
class Operations:
    """What commands work on."""

    verbs: Node
    client: ClusterClient
    servers: Servers
    lookups: Lookups
    starter: Starter | None = None
    """Under `raftudp up` only."""


def read(on: Operations, key: str) -> Answer:
    """`submit read KEY`."""
    item = on.client.get(bytes_of(key))
    if item is None:
        return Submitted("read", bytes_of(key), None, None, found=False)
    return Submitted("read", item.key, item.value, item.revision, found=True)


def write(on: Operations, key: str, value: str) -> Answer:
    """`submit write KEY VALUE`."""
    written = on.client.put(bytes_of(key), bytes_of(value))
    return Submitted("write", bytes_of(key), bytes_of(value), written.revision)


def delete(on: Operations, key: str) -> Answer:
    """`submit delete KEY`."""
    deleted = on.client.delete(bytes_of(key))
    return Submitted("delete", bytes_of(key), None, deleted.revision, found=deleted.found)


def compare(on: Operations, key: str, old: str, new: str) -> Answer:
    """`submit compare KEY OLD NEW`."""
    swapped = on.client.compare_and_set(bytes_of(key), bytes_of(old), bytes_of(new))
    if not swapped.swapped:
        return Submitted("compare", bytes_of(key), bytes_of(new), None, outcome=NOT_DONE)
    return Submitted("compare", bytes_of(key), bytes_of(new), swapped.revision)


def list_keys(on: Operations, prefix: str = "") -> Answer:
    """`submit list [PREFIX]`."""
    return Listed(bytes_of(prefix), tuple(on.client.list(bytes_of(prefix))))


def status(on: Operations, letters: str | None = None) -> Answer:
    """`status [NAME]`."""
    if letters is None:
        return StatusShown(on.servers.ask(), in_detail=False)
    name = on.servers.resolve(letters)
    reports = [report for report in on.servers.ask() if report.name == name]
    if not reports:
        raise NotDone(f"{name} was not found; 'servers' lists who is known")
    return StatusShown(tuple(reports), in_detail=True)


def store(on: Operations, letters: str | None = None, prefix: str = "") -> Answer:
    """`store [NAME] [PREFIX]`."""
    if letters is not None:
        return Dumped((_dump(on, on.servers.resolve(letters), prefix),))
    names = [report.name or report.server for report in _answering(on.servers.ask())]
    return Dumped(tuple(_dump_or_error(on, name, prefix) for name in names))


def _dump(on: Operations, name: str, prefix: str) -> DumpShown:
    dump = on.client.store(on.servers.address(name), bytes_of(prefix))
    return DumpShown(name, bytes_of(prefix), dump.applied_index, tuple(dump.items))


def _dump_or_error(on: Operations, name: str, prefix: str) -> DumpShown:
    try:
        return _dump(on, name, prefix)
    except RaftudpError as error:
        return DumpShown(name, bytes_of(prefix), None, (), str(error))


def stop(on: Operations, letters: str) -> Answer:
    """`stop NAME`."""
    name = on.servers.resolve(letters)
    on.client.stop(on.servers.address(name))
    if on.starter is not None:
        if not on.starter.wait_until_ended(name, END_TIMEOUT_S):
            raise NotDone(f"{name} took the request, but runs on after {END_TIMEOUT_S:.0f} s")
        return ServerActedOn("stop", name, f"{name} is stopped; 'start {name}' starts it again")
    if _is_kubernetes(on.servers.address(name)):
        again = "; on Kubernetes the kubelet starts it again at once, so 'status' will show it back"
        return ServerActedOn("stop", name, f"{name} answered and stops{again}")
    return ServerActedOn("stop", name, f"{name} answered and stops")


def _is_kubernetes(address: str) -> bool:
    """Whether this runs in a pod, or the address is the DNS name of a service."""
    host = address.rpartition(":")[0]
    return KUBERNETES_VARIABLE in os.environ or ".svc" in host or host.endswith(".cluster.local")


def start(on: Operations, letters: str) -> Answer:
    """`start NAME`."""
    name = on.servers.resolve(letters)
    assert on.starter is not None
    on.starter.start(name)
    return ServerActedOn(
        "start", name, f"{name} is started, with no memory; 'status' shows how it does"
    )


def servers(on: Operations) -> Answer:
    """`servers`."""
    answering = {report.name for report in on.servers.ask() if report.answer is not None}
    return ServersShown(
        tuple(
            ServerShown(name, address, name in answering)
            for name, address in on.servers.known().items()
        )
    )


def leader(on: Operations) -> Answer:
    """`leader`."""
    current = _leader(on)
    if current is None:
        raise NotDone("nobody leads now; an election needs a majority, 'status' shows who is there")
    return current


def _leader(on: Operations) -> LeaderShown | None:
    """The leader that the servers of the highest term name."""
    answers = [report.answer for report in _answering(on.servers.ask()) if report.answer]
    term = max(answer.term for answer in answers)
    for answer in answers:
        if answer.term == term and answer.leader.name:
            return LeaderShown(answer.leader.name, answer.leader.address, term)
    return None


def transfer(on: Operations, letters: str) -> Answer:
    """`leader transfer NAME`."""
    name = on.servers.resolve(letters)
    before = _leader(on)
    if before is not None and before.name == name:
        return ServerActedOn(
            "leader transfer", name, f"{name} leads already, in term {before.term}"
        )
    on.client.transfer(name)
    deadline = time.monotonic() + TRANSFER_TIMEOUT_S
    while (current := _leader(on)) is None or current.name != name:
        if time.monotonic() > deadline:
            raise NotDone(
                f"the leader took the request, but {name} does not lead after "
                f"{TRANSFER_TIMEOUT_S:.0f} s; 'leader' shows who does"
            )
        time.sleep(POLL_INTERVAL_S)
    return ServerActedOn("leader transfer", name, f"{name} leads, in term {current.term}")


def explain(on: Operations, *words: str) -> Answer:
    """`help [WORD...]`, the same as these words and `?`."""
    return helped(on, HelpWanted(locate(on.verbs, words), ""))


def helped(on: Operations, wanted: HelpWanted) -> Answer:
    """`?`, anywhere in a line."""
    return at(wanted, on.lookups.names)


def leave(on: Operations) -> Answer:  # noqa: ARG001 (every verb takes what commands work on)
    """`exit`."""
    return Farewell()


def _answering(reports: tuple[ServerReport, ...]) -> tuple[ServerReport, ...]:
    """The reports, if at least one server answered."""
    if all(report.answer is None for report in reports):
        raise NotDone(_NOBODY)
    return reports
