"""Every wrong setting has its line, all are told at once, and right ones become what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftudp.errors import ConfigurationError
from raftudp.limits import DATAGRAM_BYTES_LOOPBACK, DATAGRAM_BYTES_MINIMUM
from raftudp.network.addresses import HostPort
from raftudp.runtime.configuration import configuration_from
from raftudp.wire.envelope import KeyRing

LOCAL = {
    "name": "ss-0",
    "listen": "127.0.0.1:6000",
    "servers": "ss-0=127.0.0.1:6000,ss-1=127.0.0.1:6001,ss-2=localhost:6002",
}
REMOTE = {
    "name": "ss-0",
    "listen": "0.0.0.0:6000",
    "servers": "ss-0=ss-0.ss:6000,ss-1=ss-1.ss:6000",
}


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text(KeyRing.generate_text(bytes(32)))
    return str(path)


def problems(options: dict[str, str | None]) -> list[str]:
    """The lines of the error."""
    with pytest.raises(ConfigurationError) as caught:
        configuration_from(options)
    return str(caught.value).splitlines()


def test_what_is_needed_is_enough() -> None:
    """Three settings; the others have the defaults of the documentation."""
    configuration = configuration_from({**LOCAL, "http": None, "key_file": None})
    assert configuration.name == "ss-0"
    assert configuration.listen == HostPort("127.0.0.1", 6000)
    assert configuration.servers[1] == ("ss-1", "127.0.0.1:6001")
    assert configuration.heartbeat_ms == 50
    assert configuration.election_timeout_ms_minimum == 300
    assert configuration.election_timeout_ms_maximum == 600
    assert configuration.stop_timeout_s == 5
    assert (configuration.log_format, configuration.log_level) == ("auto", "info")
    assert not configuration.insecure


def test_datagrams_are_large_on_loopback_alone(key_file: str) -> None:
    """60 kB where nothing can leave the machine, 1,200 bytes elsewhere, or what is said."""
    assert configuration_from(LOCAL).datagram_bytes == DATAGRAM_BYTES_LOOPBACK
    remote = {**REMOTE, "key_file": key_file}
    assert configuration_from(remote).datagram_bytes == DATAGRAM_BYTES_MINIMUM
    assert configuration_from({**remote, "datagram_bytes": "8000"}).datagram_bytes == 8000
    wildcard = {**LOCAL, "listen": "0.0.0.0:6000", "key_file": key_file}
    assert configuration_from(wildcard).datagram_bytes == DATAGRAM_BYTES_MINIMUM


def test_without_a_key_only_loopback_is_served(key_file: str) -> None:
    """Beyond it a key is needed, or the word that none is."""
    (line,) = problems(dict(REMOTE))
    assert line.startswith("--key-file:")
    assert "keygen" in line
    assert configuration_from({**REMOTE, "insecure": "1"}).insecure
    assert configuration_from({**REMOTE, "key_file": key_file}).key_file == Path(key_file)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", None),
        ("name", "ss_0"),
        ("name", "ss-9"),
        ("listen", None),
        ("listen", "6000"),
        ("listen", "127.0.0.1:0"),
        ("servers", None),
        ("servers", "127.0.0.1:6000"),
        ("servers", "ss-0=127.0.0.1:6000,ss-0=127.0.0.1:6001"),
        ("http", "8080"),
        ("key_file", "/nowhere/at/all"),
        ("insecure", "perhaps"),
        ("heartbeat_ms", "0"),
        ("heartbeat_ms", "fast"),
        ("heartbeat_ms", "1.5"),
        ("heartbeat_ms", "101"),
        ("election_timeout_ms", "300"),
        ("election_timeout_ms", "600-300"),
        ("election_timeout_ms", "300-300"),
        ("election_timeout_ms", "x-y"),
        ("election_timeout_ms", "300-9999999"),
        ("stop_timeout", "-1"),
        ("stop_timeout", "nan"),
        ("stop_timeout", "soon"),
        ("datagram_bytes", "1199"),
        ("datagram_bytes", "65001"),
        ("log_format", "xml"),
        ("log_level", "loud"),
    ],
)
def test_a_wrong_setting_has_its_line(option: str, value: str | None) -> None:
    """One line, which names the option and says more than that it is wrong."""
    (line,) = problems({**LOCAL, option: value})
    assert line.startswith(f"--{option.replace('_', '-')}: ")
    assert len(line.split()) > 4


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("heartbeat_ms", "100"),
        ("election_timeout_ms", "150-151"),
        ("stop_timeout", "0"),
        ("stop_timeout", "0.5"),
        ("datagram_bytes", "1200"),
        ("datagram_bytes", "65000"),
        ("insecure", "no"),
        ("log_level", "DEBUG"),
    ],
)
def test_the_bounds_themselves_are_allowed(option: str, value: str) -> None:
    """What is just within is taken."""
    configuration_from({**LOCAL, option: value})


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Nobody has to mend settings one start at a time."""
    lines = problems({"http": "x", "log_level": "loud", "election_timeout_ms": "9"})
    options = [line.partition(":")[0] for line in lines]
    assert sorted(options) == [
        "--election-timeout-ms",
        "--http",
        "--listen",
        "--log-level",
        "--name",
        "--servers",
    ]


def test_a_key_file_that_is_none_is_refused_without_telling_it(tmp_path: Path) -> None:
    """A mistyped key must not end in a log."""
    path = tmp_path / "key"
    path.write_text("deadbeef\n")
    (line,) = problems({**LOCAL, "key_file": str(path)})
    assert "deadbeef" not in line
