"""The UDP socket: drained and filled in batches, its losses counted, and no error of it fatal."""

from __future__ import annotations

import errno
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias

from raftudp.limits import MIB, TRAIN_BYTES_MAXIMUM, TRAIN_DATAGRAMS_MAXIMUM

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""What the socket calls an address: host and port, and for IPv6 flow and scope."""
Datagram: TypeAlias = tuple[bytes, SocketAddress]

BUFFER_BYTES_WANTED: Final = 8 * MIB
"""Asked of the kernel; a burst from every peer at once fits. What it gives is logged."""
DATAGRAM_BYTES_RECEIVED_MAXIMUM: Final = 65_535

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103
"""Linux 4.18: one call sends a train of datagrams of one size (`man 7 udp`)."""
SO_RXQ_OVFL: Final = 40
"""Linux: each datagram says how many the socket dropped before it (`man 7 socket`)."""
SO_RCVBUFFORCE: Final = 33
"""Linux: like SO_RCVBUF, and beyond `net.core.rmem_max` where the process may."""
TRAINS_UNKNOWN_ERRORS: Final = frozenset(
    {errno.EINVAL, errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EMSGSIZE}
)
"""How a kernel, a driver or a path says that it takes no trains."""

_SEGMENT_SIZE = struct.Struct("=H")
_DROP_COUNT = struct.Struct("=I")
_DROP_COUNT_SPACE: Final = socket.CMSG_SPACE(_DROP_COUNT.size)


class UdpSocket:
    """One unconnected, non-blocking socket for every peer.

    Errors of sending and receiving are counted by their name in `errors` and never raised: UDP
    promises nothing, and what was lost is sent again by those who need it.
    """

    def __init__(self, host: str, port: int) -> None:
        """Bind to `host` (a name or an address; '' or a wildcard for all) and `port`; raises
        OSError.
        """
        flags = socket.AI_PASSIVE
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_DGRAM, flags=flags)
        family, _, _, _, address = found[0]
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._configure(family)
            self._socket.bind(address)
        except BaseException:
            self._socket.close()
            raise
        self.family = family
        self.trains = self._knows_trains()
        """Whether trains are sent in one call; turned off for good when the kernel refuses one."""
        self.kernel_drops = 0
        """Datagrams that the kernel dropped because the receive buffer was full, since the start.
        """
        self.errors: Counter[str] = Counter()
        """Failed sends and receives by the error's name."""

    def _configure(self, family: int) -> None:
        """Set what the socket should be like; what the kernel doesn't know is done without."""
        self._socket.setblocking(False)
        if family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF, SO_RCVBUFFORCE):
            self._set_if_known(socket.SOL_SOCKET, option, BUFFER_BYTES_WANTED)
        self._set_if_known(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)

    def _set_if_known(self, level: int, option: int, value: int) -> bool:
        """Set an option and say whether the kernel took it."""
        try:
            self._socket.setsockopt(level, option, value)
        except OSError:
            return False
        return True

    def _knows_trains(self) -> bool:
        """Ask the kernel once; 0 leaves the socket's default, no trains, as it is."""
        return self._set_if_known(SOL_UDP, UDP_SEGMENT, 0)

    @property
    def receive_buffer_bytes(self) -> int:
        """What the kernel gave; Linux counts its own bookkeeping in and so says twice what is
        usable.
        """
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    @property
    def local_address(self) -> SocketAddress:
        """Where the socket is bound."""
        address: SocketAddress = self._socket.getsockname()
        return address

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def receive_batch(self, maximum: int) -> list[Datagram]:
        """Take up to `maximum` datagrams that are there, and wait for none.

        An error takes a place in the batch: a socket in trouble can't hold the caller for ever.
        """
        batch: list[Datagram] = []
        receive = self._receive_counting_drops
        for _ in range(maximum):
            try:
                batch.append(receive())
            except BlockingIOError:
                break
            except OSError as error:
                self._count("receive", error)
            receive = self._receive
        return batch

    def _receive(self) -> Datagram:
        """Take one datagram."""
        return self._socket.recvfrom(DATAGRAM_BYTES_RECEIVED_MAXIMUM)

    def _receive_counting_drops(self) -> Datagram:
        """Take one datagram with the kernel's count of drops; it is cumulative, so one a batch is
        enough.
        """
        data, ancillary, _, address = self._socket.recvmsg(
            DATAGRAM_BYTES_RECEIVED_MAXIMUM, _DROP_COUNT_SPACE
        )
        for level, kind, value in ancillary:
            if level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL:
                (self.kernel_drops,) = _DROP_COUNT.unpack(value)
        return data, address

    def send_batch(self, datagrams: Sequence[Datagram]) -> None:
        """Send all, in order; neighbours of one size to one peer leave as a train, in one call."""
        position = 0
        while position < len(datagrams):
            length = train_length(datagrams, position) if self.trains else 1
            if length == 1:
                self._send(*datagrams[position])
            else:
                self._send_train(datagrams[position : position + length])
            position += length

    def _send(self, data: bytes, address: SocketAddress) -> None:
        """Send one datagram; a full buffer drops it."""
        try:
            self._socket.sendto(data, address)
        except OSError as error:
            self._count("send", error)

    def _send_train(self, train: Sequence[Datagram]) -> None:
        """Send datagrams of one size, the last perhaps shorter, to one peer in one call, or else
        one by one.
        """
        size = _SEGMENT_SIZE.pack(len(train[0][0]))
        try:
            self._socket.sendmsg(
                [data for data, _ in train], [(SOL_UDP, UDP_SEGMENT, size)], 0, train[0][1]
            )
        except OSError as error:
            self._count("send", error)
            if error.errno not in TRAINS_UNKNOWN_ERRORS:
                return
            self.trains = False
            for data, address in train:
                self._send(data, address)

    def _count(self, what: str, error: OSError) -> None:
        """Count a failure under `send ENETUNREACH` or the like."""
        self.errors[f"{what} {errno.errorcode.get(error.errno or 0, 'unknown')}"] += 1


def train_length(datagrams: Sequence[Datagram], start: int) -> int:
    """How many datagrams from `start` on can leave as one train."""
    first, address = datagrams[start]
    size = total = len(first)
    position = start + 1
    end = min(len(datagrams), start + TRAIN_DATAGRAMS_MAXIMUM)
    while position < end:
        data, next_address = datagrams[position]
        total += len(data)
        if len(data) > size or next_address != address or total > TRAIN_BYTES_MAXIMUM:
            break
        position += 1
        if len(data) < size:
            break
    return position - start
