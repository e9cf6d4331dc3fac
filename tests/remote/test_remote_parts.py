"""What is typed and what is read: destinations, addresses, the question asked of a shell, run.json."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from qraft.config import RunInfo
from qraft.remote import Destination, RemoteError, Wanted, question
from qraft.remote.address import Forward, Target, local_url
from qraft.remote.question import Answer, find_answer
from qraft.remote.ssh import Ssh, private_folder, program

PLAIN = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=12)


@pytest.mark.parametrize(
    "text",
    ["far", "me@far", "me@far.example.org", "ssh://me@far:2222", "ssh://far", "ssh://me@[::1]:22", "me@::1", "a@b@far"],
)
def test_a_destination_goes_to_ssh_as_it_was_typed(text: str) -> None:
    destination = Destination.parse(text)
    command = Ssh(("ssh",), destination).connection("true", [], ask=True)
    assert command[-2:] == [text, "true"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected user@host"),
        ("-oProxyCommand=touch x", "expected user@host"),
        ("-oProxyCommand=x", "expected user@host"),
        ("me@-oProxyCommand=x", "expected user@host"),
        ("-v@far", "expected user@host"),
        ("ssh://-oProxyCommand=x", "expected user@host"),
        ("ssh://far:99999", "a port from 1 to 65535"),
        ("ssh://far:0", "expected user@host"),
        ("ssh://far/path", "expected user@host"),
        ("http://far", "expected user@host"),
        ("@far", "expected user@host"),
        ("me@", "expected user@host"),
        ("me@far:22", "write a port as ssh://me@far:22"),
        ("far:2222", "write a port as ssh://far:2222"),
        ("far\n", "expected user@host"),
    ],
)
def test_what_is_no_destination_is_refused(text: str, said: str) -> None:
    with pytest.raises(RemoteError, match=r"^--ssh ") as caught:
        Destination.parse(text)
    assert said in str(caught.value)


@given(st.text(min_size=1, max_size=30))
def test_no_destination_becomes_an_option(text: str) -> None:
    try:
        destination = Destination.parse(text)
    except RemoteError:
        return
    assert not destination.text.startswith("-")
    assert not any(part.startswith("-") for part in str(destination).split("@"))


@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_a_folder_s_name_stays_one_name(text: str, data_dir: str) -> None:
    name = Destination(text).folder(data_dir)
    assert len(name.encode()) < 120
    assert "/" not in name
    assert "\0" not in name
    assert name not in ("", ".", "..")
    assert name == Destination(text).folder(data_dir)


def test_instances_of_their_own_have_folders_of_their_own() -> None:
    texts = ["far", "me@far", "ssh://me@far:22", "ssh://me@far:23", "me_far", "me@far_22"]
    names = {Destination(text).folder(where) for text in texts for where in ("", "/a", "/b", "_a")}
    assert len(names) == len(texts) * 4
    assert Destination("me@far").folder() == "me@far"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("nats://127.0.0.1:4333", "127.0.0.1", 4333),
        ("nats://bus.internal", "bus.internal", 4222),
        ("tls://me:secret@bus.internal:4443", "bus.internal", 4443),
        ("http://10.1.2.3", "10.1.2.3", 8123),
        ("https://ch.internal/", "ch.internal", 8443),
        ("http://[fd00::7]:8123", "fd00::7", 8123),
    ],
)
def test_an_address_names_a_target(url: str, host: str, port: int) -> None:
    assert Target.of(url) == Target(host, port)


@pytest.mark.parametrize("url", ["", "embedded", "nats://", "nats://h:99999", "ftp://h"])
def test_what_is_no_address_is_said(url: str) -> None:
    with pytest.raises(RemoteError, match=r"no address|names no host"):
        Target.of(url)


def test_a_forwarding_is_on_loopback_here() -> None:
    assert Forward(4000, Target("bus", 4222)).specification == "127.0.0.1:4000:bus:4222"
    assert Forward(4000, Target("fd00::7", 4222)).specification == "127.0.0.1:4000:[fd00::7]:4222"


def test_an_address_is_led_through_a_port_here() -> None:
    assert local_url("nats://127.0.0.1:4222", 5000) == "nats://127.0.0.1:5000"
    assert local_url("http://me:secret@ch:8123/db?wait=1", 5000) == "http://me:secret@127.0.0.1:5000/db?wait=1"
    assert local_url("https://ch:8443/?a=b", 5000) == "https://127.0.0.1:5000/?a=b&server_host_name=ch"
    assert local_url("tls://bus", 5000) == "tls://127.0.0.1:5000?server_host_name=bus"


def ask(folder: str, home: Path, shell: str = "sh", marks: tuple[str, ...] = ("ab12",)) -> bytes:
    """What the login shell of another machine writes; its home is ``home``."""
    done = subprocess.run(
        [shell, "-c", question.command(folder)],
        input="".join(f"{mark}\n" for mark in marks).encode(),
        capture_output=True,
        check=True,
        cwd=home,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        timeout=20,
    )
    assert done.stderr == b""
    return done.stdout


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "zsh", "fish", "csh", "tcsh", "ksh", "busybox"])
def test_any_login_shell_hands_the_question_on(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    folder = tmp_path / 'it\'s a "data" $HOME `dir` !! \\ *'
    folder.mkdir()
    (folder / "run.json").write_bytes(b'{"engine": "there"}')
    answer = find_answer(ask(str(folder), tmp_path, shell), "ab12")
    assert answer is not None
    assert answer.run("x").engine == "there"


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=20))
def test_a_path_arrives_over_there_as_it_is(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("far") / f"d{name}"
    folder.mkdir()
    (folder / "run.json").write_text(f'{{"config": {msgspec.json.encode(name).decode()}}}')
    answer = find_answer(ask(str(folder), folder.parent), "ab12")
    assert answer is not None
    assert answer.run("x").config == name


def test_home_is_the_home_over_there(tmp_path: Path) -> None:
    folder = tmp_path / ".local/share/qraft"
    folder.mkdir(parents=True)
    (folder / "run.json").write_bytes(b"{}")
    (tmp_path / "-n").mkdir()
    (tmp_path / "-n" / "run.json").write_bytes(b"{}")
    for name in ("~/.local/share/qraft", ".local/share/qraft", "-n"):
        assert find_answer(ask(name, tmp_path), "ab12") == Answer("here", b"{}")
    (tmp_path / "run.json").write_bytes(b"[]")
    assert find_answer(ask("~", tmp_path), "ab12") == Answer("here", b"[]")
    assert find_answer(ask("~/elsewhere", tmp_path), "ab12") == Answer("none", b"")


def test_each_line_is_answered_and_noise_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b'{"engine": "e"}')
    heard = b"Welcome!\nab12 here we go\n" + ask(str(tmp_path), tmp_path, marks=("ab12", "cd34"))
    for mark in ("ab12", "cd34"):
        answer = find_answer(heard, mark)
        assert answer is not None
        assert answer.run("x").engine == "e"
    assert find_answer(heard[:-2], "cd34") is None
    assert find_answer(heard, "ef56") is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer("none"), "nothing is running under /d on far; start it with `qraft up` there"),
        (Answer("closed"), "may not be read by this user"),
        (Answer("here", b"{"), "of another version than here?"),
        (Answer("here", b'{"nats_url": 7}'), "of another version than here?"),
        (Answer("here", b"\xff"), "of another version than here?"),
        (Answer("here", b'{"nats_url": "nats://h"}'), "is just starting"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(answer: Answer, said: str) -> None:
    with pytest.raises(RemoteError) as caught:
        Wanted("/d").run(answer, "/d on far")
    assert said in str(caught.value)
    assert "/d on far" in str(caught.value)


@given(PLAIN, PLAIN, st.integers(0, 65535))
def test_what_a_later_version_adds_to_run_json_does_no_harm(database: str, engine: str, pid: int) -> None:
    info = RunInfo(pids={"up": pid}, nats_url="nats://h:1", clickhouse_url="http://h:2", database=database, engine=engine)
    text = msgspec.json.encode({**msgspec.to_builtins(info), "later": {"more": [1]}})
    assert Wanted("/d").run(Answer("here", text), "x") == info


def test_addresses_given_take_the_place_of_run_json_s() -> None:
    here = Answer("here", b'{"nats_url": "nats://a", "clickhouse_url": "http://a", "database": "d"}')
    run = Wanted("/d", clickhouse_url="http://b").run(here, "x")
    assert (run.nats_url, run.clickhouse_url, run.database) == ("nats://a", "http://b", "d")
    both = Wanted("/d", "nats://b", "http://b", RunInfo(database="mine"))
    assert both.run(Answer("none"), "x").database == "mine"
    with pytest.raises(RemoteError, match="nothing is running"):
        Wanted("/d", nats_url="nats://b").run(Answer("none"), "x")


def test_the_command_is_split_as_git_splits_its_own() -> None:
    assert program({"PATH": "/usr/bin:/bin"}) == ("ssh",) if shutil.which("ssh") else True
    assert program({"QRAFT_SSH": "sh -F 'a b'", "PATH": "/usr/bin:/bin"}) == ("sh", "-F", "a b")
    with pytest.raises(RemoteError, match="QRAFT_SSH: No closing quotation"):
        program({"QRAFT_SSH": "sh 'a", "PATH": "/usr/bin:/bin"})
    with pytest.raises(RemoteError, match="no-such-ssh was not found"):
        program({"QRAFT_SSH": "no-such-ssh -4", "PATH": "/usr/bin:/bin"})


def test_the_socket_s_folder_is_private_and_its_path_short(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    folder = private_folder({"XDG_RUNTIME_DIR": str(long)})
    assert folder is not None
    try:
        assert not folder.is_relative_to(long)
        assert folder.stat().st_mode & 0o077 == 0
        assert len(str(folder / "s")) <= 86
    finally:
        folder.rmdir()
