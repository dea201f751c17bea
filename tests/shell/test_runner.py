"""Running lines: what is printed where, and the exit status."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from raftudp.errors import InvalidRequest, NoAnswer, NotDone, OutcomeUnknown
from shell.answers import ExitStatus
from shell.output import Output
from shell.runner import Runner
from shell.signals import Ended
from tests.shell.fakes import FakeCluster, FakeStarter, operations_on, run

Captured = pytest.CaptureFixture[str]


def test_a_session_from_a_pipe(capsys: Captured) -> None:
    """Answers go to standard output, and nothing else goes anywhere."""
    status = run(FakeCluster(), "submit write a 1", "submit read a", "", "# a remark", "sub r b")
    out, err = capsys.readouterr()
    assert out == "done: a = 1  (revision 5)\na = 1  (revision 5)\nb is absent\n"
    assert err == ""
    assert status is ExitStatus.DONE


def test_a_command_after_exit_is_not_run() -> None:
    """`exit` ends the run."""
    cluster = FakeCluster()
    assert run(cluster, "exit", "submit write a 1") is ExitStatus.DONE
    assert not cluster.values


def test_an_error_names_its_line(capsys: Captured) -> None:
    """Errors go to standard error with the number of the line, and the lines after it are run."""
    status = run(FakeCluster(), "submit write a 1", "sub", "submit read a")
    out, err = capsys.readouterr()
    assert err.startswith("line 2: 'submit' is not complete")
    assert out.count("a = 1") == 2
    assert status is ExitStatus.WRONG_USAGE


@pytest.mark.parametrize(
    ("failure", "line", "status", "text"),
    [
        (NoAnswer("nobody leads", "no-leader"), "sub r a", ExitStatus.FAILED, "nobody leads"),
        (NotDone("not done, silence"), "sub w a 1", ExitStatus.FAILED, "not done, silence"),
        (InvalidRequest("a key has at most"), "sub w a 1", ExitStatus.FAILED, "a key has at most"),
        (OutcomeUnknown("write 7 timed out", "7"), "sub w a 1", ExitStatus.UNKNOWN, "write 7"),
        (KeyboardInterrupt(), "sub w a 1", ExitStatus.UNKNOWN, "its outcome is unknown"),
        (Ended(), "sub w a 1", ExitStatus.UNKNOWN, "its outcome is unknown"),
        (KeyboardInterrupt(), "sub r a", ExitStatus.FAILED, "it changes nothing"),
        (ZeroDivisionError("x"), "sub r a", ExitStatus.FAILED, "a fault of raftudp"),
        (ZeroDivisionError("x"), "sub w a 1", ExitStatus.UNKNOWN, "a fault of raftudp"),
    ],
)
def test_failures_are_one_line_and_a_status(
    capsys: Captured, failure: BaseException, line: str, status: ExitStatus, text: str
) -> None:
    """Whatever goes wrong is told in a line, and the outcome of a write is told apart."""
    assert run(FakeCluster(failure=failure), line) is status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("line 1: ")
    assert text in err
    assert err.count("\n") == 1


def test_the_highest_status_counts() -> None:
    """Unknown outranks wrong usage, which outranks failure, whatever comes last."""
    cluster = FakeCluster()
    assert run(cluster, "submit compare a 1 2", "submit read a") is ExitStatus.FAILED
    assert run(cluster, "nonsense", "submit compare a 1 2") is ExitStatus.WRONG_USAGE
    cluster.failure = OutcomeUnknown("timed out", "7")
    assert run(cluster, "submit write a 1", "nonsense") is ExitStatus.UNKNOWN


def test_ctrl_c_ends_a_run_that_nobody_types() -> None:
    """The commands after a broken-off one are not run."""
    cluster = FakeCluster(failure=KeyboardInterrupt())
    assert run(cluster, "submit read a", "leader transfer ss-1") is ExitStatus.FAILED
    assert cluster.leader == "ss-0"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, Ended])
def test_an_interruption_between_two_lines_is_an_end_of_input(
    capsys: Captured, interruption: type[BaseException]
) -> None:
    """What was run counts, and nothing is said to have failed."""

    def lines() -> Iterator[str]:
        yield "servers"
        raise interruption

    runner = Runner(operations_on(FakeCluster()), Output())
    runner.run_all(lines(), "line")
    assert runner.status is ExitStatus.DONE
    assert capsys.readouterr().err == ""


def test_servers_are_found_by_unique_prefixes(capsys: Captured) -> None:
    """A name may be cut short too, and an unknown one lists the known."""
    cluster = FakeCluster()
    assert run(cluster, "stop ss-1") is ExitStatus.DONE
    assert cluster.stopped == ["127.0.0.1:6001"]
    assert run(cluster, "stop ss-9") is ExitStatus.FAILED
    assert run(cluster, "stop ss") is ExitStatus.FAILED
    err = capsys.readouterr().err
    assert "there is no server 'ss-9'; known are ss-0, ss-1, ss-2" in err
    assert "'ss' is ambiguous: ss-0, ss-1, ss-2" in err


def test_status_succeeds_while_anyone_answers(capsys: Captured) -> None:
    """A silent server is part of the picture; only silence of all, or of the one asked, fails."""
    assert run(FakeCluster(silent={"ss-2"}), "status") is ExitStatus.DONE
    assert "did not answer" in capsys.readouterr().out
    assert run(FakeCluster(silent={"ss-2"}), "status ss-2") is ExitStatus.FAILED
    assert capsys.readouterr().err.startswith("line 1: ss-2: ")
    assert run(FakeCluster(silent={"ss-0", "ss-1", "ss-2"}), "status") is ExitStatus.FAILED
    assert capsys.readouterr().out.count("did not answer within 10 s") == 3


def test_no_leader_is_told(capsys: Captured) -> None:
    """`leader` fails where nobody leads, and says what an election needs."""
    assert run(FakeCluster(leader=""), "leader") is ExitStatus.FAILED
    assert "nobody leads" in capsys.readouterr().err


def test_leader_transfer_waits_for_the_new_leader(capsys: Captured) -> None:
    """It is done once the servers name the new one."""
    assert run(FakeCluster(), "lea tr ss-2", "leader") is ExitStatus.DONE
    assert capsys.readouterr().out == (
        "ss-2 leads, in term 2\nss-2 leads, at 127.0.0.1:6002, in term 2\n"
    )


def test_start_and_stop_of_processes_here(capsys: Captured) -> None:
    """Under `raftudp up` stop waits for the process's end, and start starts it again."""
    starter = FakeStarter()
    assert run(FakeCluster(), "stop ss-1", "start ss-1", starter=starter) is ExitStatus.DONE
    assert starter.started == ["ss-1"]
    assert "'start ss-1' starts it again" in capsys.readouterr().out


def test_stop_on_kubernetes_says_what_will_be_seen(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kubelet starts the container again at once."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    run(FakeCluster(), "stop ss-1")
    assert "the kubelet starts it again at once" in capsys.readouterr().out


def test_json_is_all_that_is_on_standard_output(capsys: Captured) -> None:
    """One object a line for every command, failed ones too, whose text goes to standard error."""
    run(FakeCluster(), "sub w a 1", "sub", "store ss-0", "?", "leader", "exit", as_json=True)
    out, err = capsys.readouterr()
    objects = [json.loads(line) for line in out.splitlines()]
    assert objects[0]["outcome"] == "done"
    assert objects[1]["error"].startswith("'submit' is not complete")
    assert err.startswith("line 2: 'submit' is not complete")
    assert objects[-1] == {"name": "ss-0", "address": "127.0.0.1:6000", "term": 2}
