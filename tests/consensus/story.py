"""Stories of a cluster: a small language of commands, and what each of them lets be seen.

A story's file is a text of blocks, in the style of etcd's interaction tests: lines of `#` tell what
is meant, lines of commands say what happens, `----` ends them, and what was seen follows, up to the
next empty line. The commands:

    servers a b c               blank replicas start under these names
    cluster a b c [SETTING=N]   the same, founded, led by the first, open to clients (unseen)
    found [NAMES]               the founder tells these (or all) the founding membership
    drop-early NAME             this follower drops what it keeps of messages that came too early
    time-out NAME               this server's clock jumps to its next deadline
    impatient NAMES             their clocks jump to just before they would campaign
    elect NAME                  it campaigns until it leads; only the mails of elections pass, and
                                none of an older term stay under way
    advance MILLISECONDS        time passes for all; mails arrive at once
    deliver [WAY] [KIND]        such mails arrive; WAY is `a->b`, `a->*` or `*->b`
    double [WAY] [KIND]         the same, and doubles of them stay under way
    drop [WAY] [KIND]           loses them
    hold LABEL [WAY] [KIND]     keeps them on their way, beyond their sender's death if need be
    release LABEL [NUMBER]      lets them arrive; the first so many, or all
    settle                      delivers everything, and all that comes of it
    cut-off NAMES / heal        nothing passes between these and the others / all links work again
    crash NAME / start NAME     its memory is gone / a new incarnation starts under the name
    write-slowly NAME           from now on its writes wait for ...
    written NAME                ... this
    propose NAME TEXTS          clients' commands; `x*768` stands for as many
    read NAME TOKENS            linearizable reads
    transfer NAME [TARGET]      leadership is to be handed over
    bag                         what is under way
    logs                        terms of each log; what is committed stands before the bar
    roles                       what each server is doing

The mails that leave during `settle`, `advance` and `elect` are not shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from types import UnionType

from raftudp.consensus import messages
from raftudp.consensus.inputs import ReadRequested, TransferRequested
from raftudp.consensus.messages import Mail, Message
from raftudp.consensus.outputs import Outputs
from raftudp.consensus.vocabulary import Entry, EntryKind, ServerId
from tests.consensus.cluster import Election, Letter, SimulatedCluster, opened


def render_identity(identity: ServerId) -> str:
    """A first incarnation by its name alone, a later one with its number."""
    life = identity.incarnation.rstrip(b".").decode().removeprefix(identity.name)
    return identity.name + (f"'{life}" if life not in ("1", "\0" * 16) else "")


def render_entry(entry: Entry) -> str:
    """Term and contents."""
    match entry.kind:
        case EntryKind.COMMAND | EntryKind.COMMAND_PART if isinstance(entry.data, bytes):
            text = entry.data.decode()
            return f"{entry.term}:{text if len(text) < 20 else f'{text[0]}*{len(text)}'}"
        case _:
            return f"{entry.term}:{entry.kind.name}"


def render_message(message: Message) -> str:
    """What a mail says, in one line."""
    match message:
        case messages.RequestVote() | messages.RequestPreVote() as asked:
            log = f"log {asked.last_log_index}/{asked.last_log_term}"
            return f"{type(asked).__name__} term {asked.term} {log}"
        case messages.RequestVoteResponse(term=term, vote_granted=granted):
            return f"{'votes' if granted else 'does not vote'} (term {term})"
        case messages.RequestPreVoteResponse(term=term, vote_granted=granted):
            return f"{'would vote' if granted else 'would not vote'} (term {term})"
        case messages.AppendEntries():
            entries = " ".join(render_entry(entry) for entry in message.entries)
            return (
                f"AppendEntries term {message.term} after {message.previous_log_index}/"
                f"{message.previous_log_term} commit {message.leader_commit} [{entries}]"
            )
        case messages.AppendEntriesResponse(success=True):
            return f"holds all up to {message.match_index} (term {message.term})"
        case messages.AppendEntriesResponse():
            return (
                f"does not match at {message.previous_log_index}, "
                f"try {message.hint_index}/{message.hint_term} (term {message.term})"
            )
        case messages.GreetingResponse(leader=leader):
            return f"GreetingResponse: led by {render_identity(leader) if leader else 'nobody'}"
        case _:
            return type(message).__name__


def render_mail(mail: Mail) -> str:
    """Sender, receiver, message."""
    sender, receiver = render_identity(mail.sender), render_identity(mail.receiver)
    return f"{sender} -> {receiver}: {render_message(mail.message)}"


class Story:
    """A cluster that obeys a story's commands."""

    def __init__(self) -> None:
        self._cluster = SimulatedCluster(())
        self._told = 0
        self._held: dict[str, list[Letter]] = {}

    def command(self, line: str) -> Iterator[str]:
        """Obeys one command; yields the lines of what was seen."""
        verb, *arguments = line.split()
        method = getattr(self, "_" + {"cluster": "cluster_of"}.get(verb, verb.replace("-", "_")))
        lines = [*(method(*arguments) or ())]
        lines += self._tell(with_mails=verb not in ("settle", "advance", "elect"))
        for seen, repeated in groupby(lines):
            times = sum(1 for _ in repeated)
            yield seen if times == 1 else f"{seen} ({times} times)"

    def _tell(self, with_mails: bool) -> Iterator[str]:
        history = self._cluster.history[self._told :]
        self._told = len(self._cluster.history)
        for name, outputs in history:
            yield from self._seen(name, outputs)
            if with_mails:
                yield from (f"  {render_mail(mail)}" for mail in outputs.messages)

    def _seen(self, name: str, outputs: Outputs) -> Iterator[str]:
        if outputs.misaddressed:
            yield f"{name} drops a mail that is not for it"
        for event in outputs.trace:
            other = f" {render_identity(event.other)}" if event.other else ""
            yield f"{name} {event.action}{other} (term {event.term}, index {event.index})"
        for proposal in outputs.proposals:
            if proposal.refusal is not None:
                yield f"{name} refuses {proposal.token!r}: {proposal.refusal.name}"
        for index, entry in enumerate(outputs.committed, outputs.first_committed):
            yield f"{name} commits {index} = {render_entry(entry)}"
        for grant in outputs.reads:
            result = f"at {grant.read_index}" if grant.refusal is None else grant.refusal.name
            yield f"{name} read {grant.token}: {result}"

    # ---- life

    def _servers(self, *names: str) -> None:
        self._cluster = SimulatedCluster(names, seed=1)

    def _found(self, *names: str) -> None:
        self._cluster.found(names or None)

    def _cluster_of(self, *arguments: str) -> None:
        names = [argument for argument in arguments if "=" not in argument]
        settings = dict(argument.split("=") for argument in arguments if "=" in argument)
        self._cluster = opened(names, 1, **{name: int(n) for name, n in settings.items()})
        self._told = len(self._cluster.history)

    def _elect(self, name: str) -> None:
        cluster = self._cluster
        cluster.win(name)
        term = cluster.status(name).term
        cluster.mailbag = [m for m in cluster.mailbag if getattr(m.mail.message, "term", 0) == term]

    def _crash(self, name: str) -> None:
        self._cluster.crash(name)

    def _start(self, name: str) -> None:
        self._cluster.start(name)

    def _write_slowly(self, name: str) -> None:
        self._cluster.machines[name].persists_at_once = False

    def _written(self, name: str) -> None:
        self._cluster.persist(name)

    # ---- time

    def _drop_early(self, name: str) -> None:
        self._cluster.drop_early(name)

    def _time_out(self, name: str) -> None:
        self._cluster.time_out(name)

    def _impatient(self, *names: str) -> None:
        self._cluster.lose_patience(*names)

    def _advance(self, duration_ms: str) -> None:
        self._cluster.advance(int(duration_ms))

    # ---- mails

    @staticmethod
    def _which(arguments: tuple[str, ...]) -> tuple[str, str, type[object] | UnionType]:
        sender = receiver = ""
        kind: type[object] | UnionType = object
        for argument in arguments:
            if "->" in argument:
                sender, receiver = argument.replace("*", "").split("->")
            else:
                kind = Election if argument == "votes" else getattr(messages, argument)
        return sender, receiver, kind

    def _deliver(self, *arguments: str) -> None:
        self._cluster.deliver(*self._which(arguments))

    def _double(self, *arguments: str) -> None:
        self._cluster.deliver(*self._which(arguments), keep=True)

    def _drop(self, *arguments: str) -> Iterator[str]:
        taken = self._cluster.take(*self._which(arguments))
        return (f"lost: {render_mail(letter.mail)}" for letter in taken)

    def _hold(self, label: str, *arguments: str) -> Iterator[str]:
        self._held[label] = self._cluster.take(*self._which(arguments))
        return (f"held: {render_mail(letter.mail)}" for letter in self._held[label])

    def _release(self, label: str, number: str = "99") -> None:
        held = self._held.pop(label)
        self._cluster.hand_over(held[: int(number)])
        self._held[label] = held[int(number) :]

    def _settle(self) -> None:
        self._cluster.settle()

    def _cut_off(self, *names: str) -> None:
        self._cluster.cut_off(*names)

    def _heal(self) -> None:
        self._cluster.heal()

    # ---- clients

    def _propose(self, name: str, *texts: str) -> None:
        pairs = [text.partition("*") for text in texts]
        self._cluster.propose(name, *(text * int(times or 1) for text, _, times in pairs))

    def _read(self, name: str, *tokens: str) -> None:
        self._cluster.step(name, *(ReadRequested(token) for token in tokens))

    def _transfer(self, name: str, target: str | None = None) -> None:
        self._cluster.step(name, TransferRequested("transfer", target))

    # ---- looking

    def _bag(self) -> Iterator[str]:
        return (render_mail(letter.mail) for letter in self._cluster.mailbag)

    def _logs(self) -> Iterator[str]:
        for name, machine in sorted(self._cluster.machines.items()):
            committed = len(machine.memory.committed)
            entries = [render_entry(entry) for entry in machine.memory.log]
            yield f"{name}: {' '.join([*entries[:committed], '|', *entries[committed:]])}"

    def _roles(self) -> Iterator[str]:
        for name, machine in sorted(self._cluster.machines.items()):
            status = self._cluster.status(name)
            seen = " (knows that a cluster exists)" if status.cluster_seen else ""
            who = render_identity(machine.identity)
            yield f"{who}: {status.role.name} in term {status.term}{seen}"
