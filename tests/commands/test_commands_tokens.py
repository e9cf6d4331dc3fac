"""`qraft tokens`: what it prints, what it keeps, what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qraft import cli
from qraft.api.tokens import find, read_tokens

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `qraft tokens` on a data directory of its own, in a folder without a configuration."""
    monkeypatch.chdir(tmp_path)

    def ran(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qraft", "tokens", *arguments, "--data-dir", str(tmp_path / "data")])
        status = cli.main()
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return ran


def test_a_token_is_printed_once_and_alone(run: Run, tmp_path: Path) -> None:
    status, text, said = run("add", "grafana", "--role", "read")
    assert status == 0
    assert "grafana has the role read" in said
    assert 'set api.auth = "tokens"' in said
    tokens = read_tokens(tmp_path / "data" / "tokens.toml")
    assert find(tokens, text.removesuffix("\n")) == "grafana"
    assert tokens["grafana"].expires is None
    for command in (["list"], ["list", "--json"], []):
        status, listed, _ = run(*command)
        assert (status, "grafana" in listed, text.strip() in listed) == (0, True, False)


def test_where_tokens_are_asked_for_it_says_nothing_of_that(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[api]\nauth = "tokens"\ntokens_file = "elsewhere.toml"\n')
    _, _, said = run("add", "grafana", "--role", "read")
    assert said == "qraft: grafana has the role read; this is its only showing: keep it safe\n"
    assert list(read_tokens(tmp_path / "elsewhere.toml")) == ["grafana"]


def test_a_token_ends_when_it_is_told_to(run: Run, tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    _, out, _ = run("add", "ops", "--role", "admin", "--expires", "30d", "--json")
    made = json.loads(out)
    assert (made["name"], made["role"]) == ("ops", "admin")
    ends = read_tokens(tmp_path / "data" / "tokens.toml")["ops"].expires
    assert ends is not None
    assert before <= ends - timedelta(days=30) <= datetime.now(UTC)
    assert made["expires"] == ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert json.loads(run("list", "--json")[1])["tokens"][0] == {
        "name": "ops",
        "role": "admin",
        "created": read_tokens(tmp_path / "data" / "tokens.toml")["ops"].created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "expires": made["expires"],
        "expired": False,
    }


def test_they_are_listed_by_name_with_what_is_over(run: Run, tmp_path: Path) -> None:
    assert run("list") == (0, "no tokens; `qraft tokens add NAME --role read` makes one\n", "")
    for name, role in (("zoe", "label"), ("bot", "read")):
        run("add", name, "--role", role)
    path = tmp_path / "data" / "tokens.toml"
    over = '\n[over]\nrole = "read"\nsha256 = "' + "0" * 64 + '"\n'
    path.write_text(path.read_text() + over + "created = 2020-01-01T00:00:00Z\nexpires = 2020-01-02T02:00:00+02:00\n")
    _, out, _ = run("list")
    header, bot, last, zoe = out.splitlines()
    assert header.split() == ["name", "role", "made", "ends"]
    assert (bot.split()[:2], zoe.split()[:2]) == (["bot", "read"], ["zoe", "label"])
    assert last.split() == ["over", "read", "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", "(over)"]
    assert zoe.split()[3] == "never"


def test_one_is_removed_and_the_others_stay(run: Run, tmp_path: Path) -> None:
    texts = {name: run("add", name, "--role", "read")[1].strip() for name in ("one", "two")}
    path = tmp_path / "data" / "tokens.toml"
    assert run("remove", "one") == (0, f"{path}: removed one\n", "")
    tokens = read_tokens(path)
    assert (find(tokens, texts["one"]), find(tokens, texts["two"])) == (None, "two")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "a b", "--role", "read"], '"a b" is no name of a token: letters, digits and _ . @ - only, 64 at most'),
        (["add", "x", "--role", "root"], '--role: there is no role "root"; there are read, label, admin'),
        (["add", "x", "--role", "read", "--expires", "soon"], "--expires: expected a duration such as"),
        (["add", "x", "--role", "read", "--expires", "1ms"], '--expires: expected a second or more, got "1ms"'),
        (["add", "ops", "--role", "read"], "there is a token ops already; `qraft tokens remove ops` ends it"),
        (["remove", "opps"], "there is no token opps; did you mean ops?"),
        (["remove", "zzz"], "there is no token zzz"),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(arguments: list[str], said: str, run: Run, tmp_path: Path) -> None:
    run("add", "ops", "--role", "admin")
    before = (tmp_path / "data" / "tokens.toml").read_bytes()
    status, out, err = run(*arguments)
    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert said in err
    assert (tmp_path / "data" / "tokens.toml").read_bytes() == before


def test_a_broken_file_is_not_written_over(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "data" / "tokens.toml"
    path.parent.mkdir()
    path.write_text("[ops\n")
    for command in (["list"], ["add", "x", "--role", "read"], ["remove", "ops"]):
        status, out, err = run(*command)
        assert (status, out, path.read_text()) == (1, "", "[ops\n")
        assert err.startswith(f"qraft: {path}: these are no tokens: ")
