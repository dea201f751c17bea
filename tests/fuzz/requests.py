"""Well-formed requests that no client of ours would send, and answers that no replica would."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from raftudp.consensus.vocabulary import Cluster, Membership
from raftudp.encoding.records import encode_command
from raftudp.limits import INTEGER_MAXIMUM, PARTS_MAXIMUM, PARTS_MISSING_MAXIMUM
from raftudp.store.commands import (
    Command,
    CompareAndSet,
    Delete,
    Item,
    OpenSession,
    Outcome,
    Put,
)
from raftudp.wire import client_messages as w
from raftudp.wire.codec import encode_answer, encode_request

KEYS = [b"", b"a", b"b", b"k" * 1_000]


class Nonsense:
    """Makes requests and answers up, by chance, of few different ids and numbers."""

    def __init__(self, random: Random, ids: Sequence[bytes], cluster: Cluster) -> None:
        self._random = random
        self._cluster = cluster
        self.ids = list(ids)
        """Of processes, clients and challenges: any may be put in any place."""
        self.membership = Membership(())

    def request(self) -> w.Request:
        """Any request."""
        random, number = self._random, self._number
        return random.choice(
            [
                w.Hello(number()),
                w.Write(self._id(), number(), self._several(self._command)),
                w.Write(self._id(), number(), self._several(self._command)),
                w.Read(self._yes(), self._several(lambda: w.GetRequest(number(), self._key()))),
                w.List(number(), self._yes(), self._key(), self._key() or None, 1 + number(999)),
                w.Status(number()),
                w.ChallengeRequest(number()),
                w.Admin(number(), self._id(), self._action()),
                self._part(encode_request(w.Hello(number()))),
                self._part(random.randbytes(6)),
                self._parts_received(),
            ]
        )

    def answer(self) -> w.Answer:
        """Any answer but a status, which answers nothing that matters to a session."""
        random, number = self._random, self._number
        reason, hint = random.choice(list(w.RefusalReason)), self._hint()
        return random.choice(
            [
                w.HelloAnswer(number(), self._id(), hint, self._yes()),
                w.Written(self._id(), self._several(self._result)),
                w.WriteRefused(self._id(), number(), reason, hint, self._several(number)),
                w.ReadAnswer(
                    number(),
                    self._several(lambda: w.GetResult(number(), self._key(), number())),
                ),
                w.ListAnswer(
                    number(),
                    number(),
                    self._several(lambda: Item(self._key(), b"v", number())),
                    self._yes(),
                ),
                w.RequestRefused(self._several(number), reason, hint),
                w.ChallengeAnswer(number(), self._id()),
                w.AdminAnswer(number()),
                self._part(encode_answer(w.AdminAnswer(number()))),
                self._part(random.randbytes(6)),
                self._parts_received(),
            ]
        )

    def _action(self) -> w.Action:
        cluster = self._random.choice([self._cluster, self._cluster._replace(epoch=9)])
        return self._random.choice(
            [
                w.Stop(),
                w.Transfer(self._random.choice(["", "ss-0", "ss-1", "nobody"])),
                w.FoundCluster(cluster, self.membership),
                w.OpenCluster(cluster),
            ]
        )

    def _command(self) -> bytes:
        if self._random.random() < 0.1:
            return self._random.randbytes(5)
        key, value = self._key(), self._random.randbytes(3)
        operation = self._random.choice(
            [
                OpenSession(),
                Put(key, value),
                Delete(key),
                CompareAndSet(key, self._random.choice([None, value]), value),
            ]
        )
        sequence = 0 if isinstance(operation, OpenSession) else self._number()
        command = Command(self._id(), self._number(), sequence, self._number(), operation)
        return encode_command(command)

    def _result(self) -> w.WriteResult:
        outcome = self._random.choice(list(Outcome))
        return w.WriteResult(self._number(), outcome, self._number())

    def _part(self, body: bytes) -> w.Part:
        count = self._random.choice([1, 2, 3, PARTS_MAXIMUM])
        number = min(self._number(), count - 1)
        data = body[number::count] if self._yes() else body
        return w.Part(self._number(), number, count, self._random.choice([1, len(body), 9]), data)

    def _parts_received(self) -> w.PartsReceived:
        missing = self._several(lambda: min(self._number(), PARTS_MAXIMUM - 1))
        below = min(self._number(), PARTS_MAXIMUM)
        return w.PartsReceived(self._number(), below, missing[:PARTS_MISSING_MAXIMUM])

    def _hint(self) -> w.LeaderHint:
        names = ["ss-0", "ss-2", "nobody"]
        hints = [w.LeaderHint(name, f"host-{name[3:]}:6000") for name in names]
        return self._random.choice([w.LeaderHint("", ""), *hints])

    def _id(self) -> bytes:
        return self._random.choice(self.ids)

    def _key(self) -> bytes:
        return self._random.choice(KEYS)

    def _yes(self) -> bool:
        return self._random.random() < 0.5

    def _number(self, greatest: int = INTEGER_MAXIMUM) -> int:
        if self._random.random() < 0.95:
            return self._random.randint(0, 12)
        return self._random.randint(0, greatest)

    def _several(self, make):  # type: ignore[no-untyped-def]  # tuples of whatever it makes
        return tuple(make() for _ in range(self._random.randint(0, 4)))
