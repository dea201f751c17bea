"""Who leads: asked for while something waits for the leader, and followed from hint to hint.

A hint is only a direction. A server is taken for the leader when it says so of itself, or when it
is known already and the last leader names it; either can prove wrong, and is then refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from random import Random
from typing import Final, TypeAlias

from raftudp.client.roster import Condition, Roster, Server, Source
from raftudp.client.timers import Timer, Timers, retry_us
from raftudp.wire.client_messages import Hello, HelloAnswer, LeaderHint, RefusalReason

ASKED_AT_A_TIME: Final = 3
"""Servers asked in one round, so that one that is down costs no time."""
ROUND_US_MAXIMUM: Final = 400_000
"""Rounds stay close, for an election takes no longer than a few hundred milliseconds."""
PAUSE_US: Final = 50_000
"""Before others are asked after a server said that it doesn't lead and knows nobody who does."""
HINTS_PER_ROUND: Final = 3
"""Hints followed at once; further ones wait for the next round, for two servers may each name the
other.
"""
HELLOS_REMEMBERED_MAXIMUM: Final = 256

SendHello: TypeAlias = Callable[[str, Hello, int], None]


class LeaderSearch:
    """Finds the leader, and knows it until it is doubted."""

    def __init__(
        self,
        *,
        roster: Roster,
        timers: Timers,
        random: Random,
        numbers: Iterator[int],
        send_hello: SendHello,
        is_wanted: Callable[[], bool],
        on_leader: Callable[[], None],
    ) -> None:
        self._roster = roster
        self._timers = timers
        self._random = random
        self._numbers = numbers
        self._send_hello = send_hello
        self._is_wanted = is_wanted
        self._on_leader = on_leader
        self._leader: Server | None = None
        self._is_doubted = False
        self._asked: OrderedDict[int, Server] = OrderedDict()
        self._round_timer: Timer | None = None
        self._rounds = 0
        self._hints_left = HINTS_PER_ROUND

    @property
    def leader(self) -> Server | None:
        """Who leads, as far as is known; perhaps not yet open to clients."""
        return self._leader

    @property
    def open_leader(self) -> Server | None:
        """The leader, if it serves clients."""
        return self._leader if self._leader is not None and self._leader.is_open else None

    def _is_content(self) -> bool:
        return self.open_leader is not None and not self._is_doubted

    def want(self, now_us: int) -> None:
        """Something waits for the leader: search, if that isn't under way."""
        if self._round_timer is None and not self._is_content():
            self._ask_round(now_us)

    def doubt(self, server: Server, now_us: int) -> None:
        """The server left a request unanswered."""
        self._roster.went_unanswered(server)
        if server is not self._leader:
            return
        if not self._is_doubted:
            self._is_doubted = True
            self._rounds = 0
        self.want(now_us)

    def confirm(self, server: Server | None) -> None:
        """The server did what only a leader can."""
        if server is not None and server is self._leader:
            self._is_doubted = False
            self._rounds = 0
            self._hints_left = HINTS_PER_ROUND

    def refused(self, server: Server, reason: RefusalReason, hint: LeaderHint, now_us: int) -> None:
        """The server did not take a request as a leader would."""
        if server is not self._leader:
            return
        if reason is RefusalReason.OTHER_PROCESS:
            self._leader = None
            self._roster.forget_process(server)
            self._ask(server, now_us)
            self._pause(now_us)
            return
        if reason is RefusalReason.NOT_OPEN:
            server.is_open = False
        self._leader = None
        self._pause(now_us)
        if hint.name and hint.name != server.name:
            self._follow(hint, now_us)

    def abandon(self, server: Server, now_us: int) -> None:
        """The server is of no use any more: it belongs to another cluster, or an older epoch."""
        if server is self._leader:
            self._leader = None
            self._pause(now_us)

    def _pause(self, now_us: int) -> None:
        """Let the next round begin after a short while."""
        if self._round_timer is not None:
            self._round_timer.cancel()
        self._rounds = 0
        spread_us = int(PAUSE_US * (1 + self._random.random()))
        self._round_timer = self._timers.schedule(now_us + spread_us, self._ask_round)

    def _ask_round(self, now_us: int) -> None:
        """Ask the next few servers, and the doubted leader with them, until there is a leader."""
        self._round_timer = None
        self._hints_left = HINTS_PER_ROUND
        if self._is_content() or not self._is_wanted():
            return
        servers = self._roster.take_turns(ASKED_AT_A_TIME)
        if self._leader is not None and self._leader not in servers:
            servers.append(self._leader)
        unanswered = list(self._asked.values())
        for server in servers:
            if server in unanswered:
                self._roster.went_unanswered(server)
                # One that is not open gets no requests that it could leave unanswered.
                self._is_doubted = self._is_doubted or server is self._leader
            self._ask(server, now_us)
        wait_us = retry_us(self._rounds, self._random, ROUND_US_MAXIMUM)
        self._rounds += 1
        self._round_timer = self._timers.schedule(now_us + wait_us, self._ask_round)

    def _ask(self, server: Server, now_us: int) -> None:
        request = next(self._numbers)
        self._asked[request] = server
        if len(self._asked) > HELLOS_REMEMBERED_MAXIMUM:
            self._asked.popitem(last=False)
        self._send_hello(server.address, Hello(request), now_us)

    def asked(self, answer: HelloAnswer) -> Server | None:
        """Whom the answered Hello went to; None if none is waiting for this answer."""
        return self._asked.get(answer.request)

    def receive(self, server: Server, source: Source, answer: HelloAnswer, now_us: int) -> None:
        """Take in who a server is and whom it believes to lead."""
        answered = [number for number, asked in self._asked.items() if asked is server]
        for number in answered:
            if number <= answer.request:
                del self._asked[number]
        was_open = server.is_open
        is_other_process = self._roster.introduce(server, source, answer)
        if answer.leader.name and answer.leader.name == source.identity.name:
            self._claimed(server, is_other_process or not was_open)
            return
        if server is self._leader:
            self._leader = None
        if answer.leader.name:
            self._follow(answer.leader, now_us)

    def _claimed(self, server: Server, is_news: bool) -> None:
        """The server says that it leads. A leader that isn't doubted is not given up for it: the
        one that speaks may have been deposed without knowing.
        """
        if server is self._leader:
            if is_news:
                self._on_leader()
        elif self._leader is None or self._is_doubted:
            self._lead(server)

    def _lead(self, server: Server) -> None:
        self._leader = server
        self._is_doubted = False
        self._on_leader()

    def _follow(self, hint: LeaderHint, now_us: int) -> None:
        """Turn to the server that another one names, at once unless hints go in a circle."""
        server = self._roster.locate(hint)
        if server is self._leader or (self._leader is not None and not self._is_doubted):
            return
        if self._hints_left == 0:
            return
        self._hints_left -= 1
        is_known = server.process is not None and server.is_open and server.silences == 0
        if is_known and self._leader is None and server.condition is Condition.SERVING:
            self._lead(server)
        else:
            self._ask(server, now_us)
