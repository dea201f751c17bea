"""Answers for people: as wide as the terminal, and nothing stored in the cluster can steer it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from raftudp.client.results import ServerReport
from raftudp.store.commands import Item
from raftudp.wire.client_messages import StatusAnswer
from shell.answers import (
    DONE,
    Answer,
    Dumped,
    DumpShown,
    Failed,
    Farewell,
    HelpShown,
    LeaderShown,
    Listed,
    ServerActedOn,
    ServersShown,
    StatusShown,
    Submitted,
)
from shell.json_lines import milliseconds
from shell.texts import text_of, visible

VALUE_CHARACTERS_SHOWN = 300
"""A longer value is cut short in tables; `submit read` and --json give all of it."""

_STATE_HINTS = {
    "unformed": "belongs to no cluster yet: found one with `raftudp init --servers "
    "NAME=HOST:PORT,... --marker FILE`",
    "returning": "came back without its memory: it holds nothing, votes for nobody and is no "
    "part of any majority",
    "no-quorum": "reaches too few servers for a majority: it waits for them",
    "quorum-lost": "is left with fewer memories than a majority: it refuses reads and writes",
    "total-loss": "is blank as all are, though there was a cluster: it refuses reads and writes",
}
_ROLE_STYLES = {"leader": "bold green", "candidate": "yellow", "blank": "yellow"}


def print_answer(answer: Answer, console: Console) -> None:
    """Print an answer; a text is left in one line, for the terminal to break and pipes to keep."""
    shown = _shown(answer)
    if shown is not None:
        console.print(shown, soft_wrap=isinstance(shown, Text))


def error_text(message: str) -> Text:
    """A failure's text."""
    return Text("\n".join(visible(line) for line in message.splitlines()))


def _shown(answer: Answer) -> RenderableType | None:  # noqa: PLR0911 (one a case)
    match answer:
        case Submitted():
            return _submitted(answer)
        case Listed():
            return _listed(answer)
        case Dumped(dumps=dumps):
            return _spaced(_dump(dump) for dump in dumps)
        case StatusShown(reports=reports, in_detail=False):
            return _overview(reports)
        case StatusShown(reports=reports):
            return _spaced(
                _detail(report.server, report.answer) for report in reports if report.answer
            )
        case ServersShown():
            return _servers(answer)
        case LeaderShown(name=name, address=address, term=term):
            return Text(f"{name} leads, at {address}, in term {term}")
        case ServerActedOn(text=text):
            return Text(text)
        case HelpShown():
            return _help(answer)
        case Failed(message=message):
            return error_text(message)
        case Farewell():
            return None
        case _:
            assert_never(answer)


def _submitted(answer: Submitted) -> Text:
    """One line: what became of one key."""
    key = visible(text_of(answer.key))
    value = _value(answer.value or b"", whole=answer.operation == "read")
    revision = f"  (revision {answer.revision})"
    match answer.operation, answer.outcome, answer.found:
        case "read", _, True:
            return Text(f"{key} = {value}{revision}")
        case "read", _, _:
            return Text(f"{key} is absent")
        case "delete", _, True:
            return Text(f"done: {key} is deleted{revision}")
        case "delete", _, _:
            return Text(f"done: {key} was absent already")
        case _, outcome, _ if outcome == DONE:
            return Text(f"done: {key} = {value}{revision}")
        case _:
            return Text(f"not done: the value of {key} differs; 'submit read' shows it")


def _listed(answer: Listed) -> RenderableType:
    head = Text(f"{_counted(len(answer.items))}{_beginning(answer.prefix)}", style="bold")
    return Group(head, _items(answer.items)) if answer.items else head


def _dump(dump: DumpShown) -> RenderableType:
    if dump.error is not None:
        return Text(f"{visible(dump.name)}: {visible(dump.error)}")
    head = Text(
        f"{visible(dump.name)} itself, applied up to index {dump.applied_index}: "
        f"{_counted(len(dump.items))}{_beginning(dump.prefix)}",
        style="bold",
    )
    return Group(head, _items(dump.items)) if dump.items else head


def _beginning(prefix: bytes) -> str:
    return f" beginning with '{visible(text_of(prefix))}'" if prefix else ""


def _counted(number: int) -> str:
    return "1 key" if number == 1 else f"{number:,} keys" if number else "no keys"


def _items(items: Iterable[Item]) -> Table:
    table = _table("KEY", "VALUE")
    table.add_column("REVISION", justify="right", no_wrap=True)
    for item in items:
        key = visible(text_of(item.key))
        table.add_row(Text(key), Text(_value(item.value, whole=False)), str(item.revision))
    return table


def _value(value: bytes, *, whole: bool) -> str:
    """A value on the screen: all of it, or its beginning; an empty one as it is typed."""
    if not value:
        return "''"
    text = visible(text_of(value if whole else value[: 4 * VALUE_CHARACTERS_SHOWN]))
    if whole or len(text) <= VALUE_CHARACTERS_SHOWN:
        return text
    return f"{text[:VALUE_CHARACTERS_SHOWN]}… ({len(value):,} bytes)"


def _table(*columns: str) -> Table:
    """An empty table in the shell's one style."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _spaced(parts: Iterable[RenderableType]) -> Group:
    """Parts with an empty line between them."""
    lines: list[RenderableType] = []
    for part in parts:
        lines += [Text(""), part] if lines else [part]
    return Group(*lines)


def _overview(reports: Sequence[ServerReport]) -> RenderableType:
    """A line a server, then what needs an explanation."""
    lags = _lags(reports)
    table = _table("NAME", "ROLE")
    for column in ("TERM", "COMMIT", "APPLIED", "LAG"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("LEADER", "STATE", "UP"):
        table.add_column(column, overflow="fold")
    notes: list[RenderableType] = []
    for report in reports:
        name = visible(report.name or report.server)
        answer = report.answer
        if answer is None:
            table.add_row(name, Text("no answer", style="red"))
            notes.append(Text(f"{name}: {visible(report.error or '')}"))
            continue
        table.add_row(
            name,
            Text(answer.role, style=_ROLE_STYLES.get(answer.role, "")),
            *(str(answer.term), str(answer.commit_index), str(answer.last_applied)),
            lags.get(answer.name, "-") if answer.role == "follower" else "-",
            visible(answer.leader.name) or "-",
            answer.state,
            duration(answer.uptime_s),
        )
        if answer.state in _STATE_HINTS:
            notes.append(Text(f"{name} {_STATE_HINTS[answer.state]}"))
    return Group(table, *([Text(""), *notes] if notes else []))


def _lags(reports: Iterable[ServerReport]) -> dict[str, str]:
    """How many entries each follower lacks, as the leader of the highest term says."""
    leaders = [report.answer for report in reports if report.answer and report.answer.followers]
    if not leaders:
        return {}
    latest = max(leaders, key=lambda answer: answer.term)
    return {follower.name: str(follower.lag_entries) for follower in latest.followers}


def _detail(address: str, answer: StatusAnswer) -> RenderableType:
    """All that one server says of itself."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for label, value in _facts(address, answer):
        grid.add_row(label, Text(visible(value)))
    parts: list[RenderableType] = [grid]
    if answer.membership.slots:
        parts.append(_membership(answer))
    if answer.followers:
        parts.append(_followers(answer))
    if answer.state in _STATE_HINTS:
        parts.append(Text(f"{visible(answer.name)} {_STATE_HINTS[answer.state]}"))
    return _spaced(parts)


def _facts(address: str, answer: StatusAnswer) -> list[tuple[str, str]]:
    cluster = answer.cluster
    leader = f"{answer.leader.name} at {answer.leader.address}" if answer.leader.name else "none"
    return [
        ("name", answer.name),
        ("address", address),
        ("role", answer.role),
        ("state", answer.state),
        ("term", str(answer.term)),
        ("leader", leader),
        ("commit index", str(answer.commit_index)),
        ("last applied", str(answer.last_applied)),
        ("last log index", str(answer.last_log_index)),
        ("durability", answer.durability),
        ("incarnation", answer.incarnation.hex()),
        ("cluster", cluster.cluster_id.hex() if cluster is not None else "none"),
        ("epoch", str(cluster.epoch) if cluster is not None else "none"),
        ("up", duration(answer.uptime_s)),
        ("version", answer.version),
    ]


def _membership(answer: StatusAnswer) -> Table:
    table = _table("MEMBER", "ADDRESS", "INCARNATION")
    for slot in answer.membership.slots:
        filled = slot.incarnation.hex() if slot.incarnation is not None else "vacant"
        table.add_row(visible(slot.name), visible(slot.address), filled)
    return table


def _followers(answer: StatusAnswer) -> Table:
    table = _table("FOLLOWER")
    for column in ("MATCH", "LAG", "RTT", "HEARD"):
        table.add_column(column, justify="right", no_wrap=True)
    for follower in answer.followers:
        table.add_row(
            visible(follower.name),
            str(follower.match_index),
            str(follower.lag_entries),
            _shown_ms(follower.rtt_us),
            _shown_ms(follower.last_heard_us),
        )
    return table


def _shown_ms(microseconds: int | None) -> str:
    number = milliseconds(microseconds)
    return "never" if number is None else f"{number:,.1f} ms"


def duration(seconds: int) -> str:
    """Seconds in their two largest units, such as 3h12m."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days}d{hours % 24}h"
    if hours:
        return f"{hours}h{minutes % 60}m"
    return f"{minutes}m{seconds % 60}s" if minutes else f"{seconds}s"


def _servers(answer: ServersShown) -> Table:
    table = _table("NAME", "ADDRESS", "ANSWERS")
    for server in answer.servers:
        answers = Text("yes") if server.answers else Text("no", style="red")
        table.add_row(visible(server.name), visible(server.address), answers)
    return table


def _help(answer: HelpShown) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for usage, text in answer.rows:
        grid.add_row(visible(usage), Text(text))
    notes = [Text(note) for note in answer.notes]
    return Group(grid, Text(""), *notes) if notes else grid
