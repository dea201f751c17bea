"""Coverage-guided fuzzing of everything that reads bytes, with atheris:

    python -m tests.fuzz.targets TARGET [libFuzzer's options, such as -max_total_time=60]

Begins with valid messages, since chance alone would not find the way past the first byte. What
breaks a property is kept as a file, whose name is told; give it as an argument to try it again.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import atheris
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

with atheris.instrument_imports(include=["raftudp"]):
    from raftudp.encoding import cbor, records
    from raftudp.errors import DecodeError, EnvelopeError
    from raftudp.wire import codec, envelope
    from tests.wire import strategies
    from tests.wire.test_codec import decode_or_refuse
    from tests.wire.test_envelope import KEYS, with_checksum

SEEDS = 300
INPUT_BYTES_MAXIMUM = 2_048
DEFAULTS = [
    f"-max_len={INPUT_BYTES_MAXIMUM}",
    "-max_total_time=60",
    "-rss_limit_mb=1024",
    "-timeout=10",
    "-print_final_stats=1",
    "-verbosity=0",
]
SEALER = envelope.Sealer(None, b"p" * 16)
SEALED, PLAIN = envelope.Opener(KEYS), envelope.Opener(None)
"""As a replica has them: for all datagrams one opener, which remembers."""


def read_message(data: bytes) -> None:
    """Servers' messages."""
    decode_or_refuse(codec.decode_message, codec.encode_message, data)


def read_request(data: bytes) -> None:
    """Clients' requests."""
    decode_or_refuse(codec.decode_request, codec.encode_request, data)


def read_answer(data: bytes) -> None:
    """Replicas' answers."""
    decode_or_refuse(codec.decode_answer, codec.encode_answer, data)


def read_command(data: bytes) -> None:
    """Commands, as clients send them and as the log keeps them."""
    try:
        command = records.decode_command(data)
    except DecodeError:
        return
    assert records.decode_command(records.encode_command(command)) == command


def read_cbor(data: bytes) -> None:
    """Plain values; those that nobody here encodes, floats and simple values, may stay."""
    try:
        value = cbor.decode(data)
    except DecodeError:
        return
    assert isinstance(hash(value), int), "nothing that can change was made"


def read_datagram(data: bytes) -> None:
    """Datagrams, as they come and with the checksum that lets plain ones in."""
    for opener, datagram in (
        (SEALED, data),
        (PLAIN, data),
        (PLAIN, with_checksum(data)),
    ):
        try:
            opened = opener.open(datagram)
        except EnvelopeError:
            continue
        assert opener is PLAIN, "nobody without the key is let in"
        assert isinstance(opened.kind, envelope.Kind)


def plain_datagrams() -> st.SearchStrategy[bytes]:
    """Plain datagrams without their checksum."""
    return st.builds(
        SEALER.seal,
        st.sampled_from(envelope.Kind),
        strategies.server_ids,
        strategies.server_ids,
        st.none() | strategies.clusters,
        st.binary(max_size=20),
    ).map(lambda datagram: datagram[:-4])


TARGETS: dict[str, tuple[Callable[[bytes], None], st.SearchStrategy[bytes]]] = {
    "envelope": (read_datagram, plain_datagrams()),
    "message": (read_message, strategies.messages.map(codec.encode_message)),
    "request": (read_request, strategies.requests.map(codec.encode_request)),
    "answer": (read_answer, strategies.answers.map(codec.encode_answer)),
    "command": (read_command, strategies.commands.map(records.encode_command)),
    "cbor": (read_cbor, strategies.messages.map(codec.encode_message)),
}


def examples(valid: st.SearchStrategy[bytes]) -> Iterator[bytes]:
    """Some valid inputs, the same each time."""
    found: list[bytes] = []

    @settings(
        max_examples=SEEDS,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(valid)
    def keep(data: bytes) -> None:
        found.append(data)

    keep()
    yield from (data for data in found if len(data) <= INPUT_BYTES_MAXIMUM)


def main(name: str, *options: str) -> None:
    """Fuzz one target; the process ends with it, with a status other than 0 on a finding."""
    target, valid = TARGETS[name]
    findings = Path(tempfile.mkdtemp(prefix=f"raftudp-fuzz-{name}-"))
    corpus = findings / "corpus"
    corpus.mkdir()
    for number, data in enumerate(examples(valid)):
        (corpus / f"valid-{number}").write_bytes(data)
    print(f"{name}: {len(list(corpus.iterdir()))} seeds; findings go to {findings}", flush=True)
    arguments = [sys.argv[0], *DEFAULTS, f"-artifact_prefix={findings}/", *options, str(corpus)]
    atheris.Setup(arguments, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
