from __future__ import annotations

from pathlib import Path

import pytest

from qraft.config import ConfigError, load
from qraft.config.edit import add_source, remove_source, value_of

TEXT = """# my streams
[detect]
line = 0.6   # stricter

[sources.host]          # this machine
adapter = "host"

# trades of the desk
[sources.trades]
adapter = "websocket"
url = "ws://127.0.0.1:1"
[sources.trades.detect.forest]
trees = 5

[store]
retention_days = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(TEXT)
    path.chmod(0o640)
    return path


def test_a_source_is_added_and_everything_else_stays_as_it_was(file: Path) -> None:
    add_source(file, "rows", {"adapter": "file", "path": "a.csv", "fields": ["x", "y"]})
    text = file.read_text()
    assert text.startswith(TEXT)
    found = load(file).sources
    assert list(found) == ["host", "trades", "rows"]
    assert found["rows"].fields == ["x", "y"]
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["config.toml"]


def test_a_source_is_removed_with_all_below_it_and_everything_else_stays(file: Path) -> None:
    remove_source(file, "trades")
    text = file.read_text()
    assert "trades" not in text.replace("# trades of the desk", "")
    for kept in ("# my streams", "line = 0.6   # stricter", '[sources.host]          # this machine\nadapter = "host"'):
        assert kept in text
    assert load(file).store.retention_days == 3
    add_source(file, "trades", {"adapter": "host"})
    remove_source(file, "host")
    assert list(load(file).sources) == ["trades"]


def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    add_source(tmp_path / "new.toml", "host", {"adapter": "host"})
    assert list(load(tmp_path / "new.toml").sources) == ["host"]


def test_a_symlink_stays_one(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    add_source(link, "rows", {"adapter": "file", "path": "a.csv"})
    assert link.is_symlink()
    assert "rows" in load(file).sources


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("host", {"adapter": "host"}, "sources.host: is there already"),
        ("rows", {"adapter": "file"}, "sources.rows.path: is required and missing"),
        ("rows", {"adapter": "fiel", "path": "x"}, 'unknown adapter "fiel"'),
        ("bad name", {"adapter": "host"}, "expected a name of letters"),
    ],
)
def test_a_mistake_leaves_the_file_as_it_was(file: Path, name: str, keys: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        add_source(file, name, keys)
    assert file.read_text() == TEXT


def test_an_unknown_source_and_a_broken_file_are_named(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"sources\.x: there is no such source; there are: host, trades"):
        remove_source(file, "x")
    file.write_text("[sources\n")
    with pytest.raises(ConfigError, match=r"config\.toml:1: not valid TOML"):
        add_source(file, "x", {"adapter": "host"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("0.5", 0.5),
        ("true", True),
        ('["a"]', ["a"]),
        ("a.csv", "a.csv"),
        ('"5"', "5"),
        ("ws://x", "ws://x"),
        ("", ""),
    ],
)
def test_values_of_the_command_line(text: str, value: object) -> None:
    assert value_of(text) == value
