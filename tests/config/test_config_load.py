"""Each mistake in a configuration is one sentence: where, what was expected, the nearest valid name."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from qraft.config import ConfigError, Problem, Settings, load, parse
from qraft.config.sources import ADAPTERS, FileSource, WebSocketSource


def problems(text: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return caught.value.problems


LISTED = ", ".join(f'"{name}"' for name in ADAPTERS)

MISTAKES = [
    # text, line, key, message
    ("[engine]\npartitons = 8", 2, "engine.partitons", 'unknown key; did you mean "partitions"?'),
    ("\n[sorces]\n", 2, "sorces", 'unknown key; did you mean "sources"?'),
    ('[engine]\nname = "a"\nbarrier_seconds = "5"', 3, "engine.barrier_seconds", 'expected a number, got "5"'),
    (
        '[engine]\nlog_level = "inf"',
        2,
        "engine.log_level",
        'expected one of "debug", "info", "warning", "error", got "inf"; did you mean "info"?',
    ),
    ("[api]\nport = 99999", 2, "api.port", "expected 65535 or less, got 99999"),
    ('[detect.adwin]\nenabled = "yes"', 2, "detect.adwin.enabled", 'expected true or false, got "yes"'),
    ('[nats]\nmax_bytes = "many"', 2, "nats.max_bytes", 'expected a size such as "512 MiB" or "1 GiB", got "many"'),
    (
        '[nats]\nurl = "http://x"',
        2,
        "nats.url",
        (
            'expected "embedded" or an address such as nats://host:4222 or tls://host:4222, or several with commas between, '
            'got "http://x"'
        ),
    ),
    (
        '[sources.a]\nadapter = "fil"',
        2,
        "sources.a.adapter",
        f'unknown adapter "fil"; expected one of {LISTED}; did you mean "file"?',
    ),
    ('[sources.b]\npath = "x"', 1, "sources.b", f"adapter is missing; expected one of {LISTED}"),
    ('[sources.c]\nadapter = "file"', 1, "sources.c.path", "is required and missing"),
    (
        '[sources."bad name"]\nadapter = "host"',
        1,
        'sources."bad name"',
        'expected a name of letters, digits, - and _ only, 64 at most, got "bad name"',
    ),
    (
        '[sources.d]\nadapter = "websocket"\nurl = "http://x"',
        3,
        "sources.d.url",
        'expected an address that starts with ws:// or wss://, got "http://x"',
    ),
    (
        '[clickhouse]\ndatabase = "my-data"',
        2,
        "clickhouse.database",
        'expected a name of letters, digits and _ only, 64 at most, no digit first, got "my-data"',
    ),
    ("[store]\nretention_days = 40", 1, "store", "important_days must not be below retention_days"),
    ("[feedback]\nmin_line = 0.99", 1, "feedback", "min_line must be below max_line"),
    ("[detect.forest]\nheight = 1.5", 2, "detect.forest.height", "expected a whole number, got 1.5"),
    ("[detect]\nline = 1", 2, "detect.line", "expected a number below 1.0, got 1"),
    ("[engine]\nbarrier_seconds = inf", 2, "engine.barrier_seconds", "expected a finite number, got inf"),
    ("[engine]\nname = 1979-05-27", 2, "engine.name", "expected text in quotes, got 1979-05-27"),
    ('[sources.e]\nadapter = "host"\nfields = "cpu"', 3, "sources.e.fields", 'expected a list in [ ], got "cpu"'),
    ("engine = 3", 1, "engine", "expected a table, got 3"),
    ("[sources]\nx = 1", 2, "sources.x", "expected a table, got 1"),
]


@pytest.mark.parametrize(("text", "line", "key", "message"), MISTAKES, ids=[key for _, _, key, _ in MISTAKES])
def test_a_mistake_names_line_key_and_what_was_expected(text: str, line: int, key: str, message: str) -> None:
    assert problems(text) == [Problem("config.toml", line, key, message)]


def test_ten_mistakes_in_one_file_are_all_named_in_order() -> None:
    text = """\
[engine]
partitons = 8
barrier_rows = 1
[nats]
url = "localhost"
[api]
port = -1
[detect.ddm]
warmup = "long"
[sources.a]
adapter = "webscket"
[sources.b]
adapter = "file"
pth = "x.csv"
[sources.c]
adapter = "host"
detect.forest.treees = 3
[sources.d]
adapter = "file"
path = "x.csv"
delimiter = ";;"
[streams.x]
a = 1
"""
    found = problems(text)
    assert [(p.line, p.key) for p in found] == [
        (2, "engine.partitons"),
        (3, "engine.barrier_rows"),
        (5, "nats.url"),
        (7, "api.port"),
        (9, "detect.ddm.warmup"),
        (11, "sources.a.adapter"),
        (12, "sources.b.path"),
        (14, "sources.b.pth"),
        (17, "sources.c.detect.forest.treees"),
        (21, "sources.d.delimiter"),
        (22, "streams"),
    ]
    assert str(found[7]) == 'config.toml:14: sources.b.pth: unknown key; did you mean "path"?'


def test_a_name_far_from_all_lists_what_is_known() -> None:
    assert problems("[metrics]\nxyzzy = 1")[0].message == "unknown key; known here: host, port"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[engine]\nname = ", 2, "the value is neither"),
        ("[engine", 1, "Expected ']'"),
        ('[engine]\nname = "a"\nname = "b"\n', 3, "the key is given twice"),
        ("a = 1\nb\n", 2, "Expected '='"),
        ('x = "never closed', 1, "Unterminated string"),
        ("\nport: 3\n", 2, "Expected '='"),
    ],
)
def test_text_that_is_not_toml_names_the_line(text: str, line: int, said: str) -> None:
    (problem,) = problems(text)
    assert (problem.line, problem.key) == (line, "")
    assert problem.message.startswith(f"not valid TOML: {said}")


def test_lines_are_right_below_nested_lists_long_strings_and_comments() -> None:
    text = '''\
# [engine] a comment, with partitons = 1
[sources.d] # = [
adapter = "websocket"
url = """
wss://example.org/[a]
key = 1"""
subscribe = [
  { op = "subscribe", args = [
    ["a"],
  ] },
]
idle_secnds = 3
'''
    assert [(p.line, p.key) for p in problems(text)][-1] == (12, "sources.d.idle_secnds")


def test_a_file_is_named_and_its_line_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf[engine]\r\npartitons = 1\r\n")  # as an editor on Windows writes it
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f'{path}:2: engine.partitons: unknown key; did you mean "partitions"?'


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "latin.toml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_without_permission_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "secret.toml"
    path.write_text("")
    path.chmod(0)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(path)


def test_relative_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        '[engine]\ndata_dir = "state"\n'
        '[sources.a]\nadapter = "file"\npath = "in/a.csv"\n'
        '[sources.b]\nadapter = "file"\npath = "/b.csv"\n'
    )
    settings = load(tmp_path / "c.toml")
    assert settings.data_dir == tmp_path / "state"
    assert [s.path for s in settings.sources.values() if isinstance(s, FileSource)] == [str(tmp_path / "in/a.csv"), "/b.csv"]


@pytest.mark.parametrize(("text", "size"), [("512 MiB", 512 * 1024**2), ("1.5 GB", 1_500_000_000), ("77", 77), ("2k", None)])
def test_sizes(text: str, size: int | None) -> None:
    document = f'[nats]\nmax_bytes = "{text}"'
    if size is None:
        assert problems(document)[0].key == "nats.max_bytes"
    else:
        assert parse(document).nats.max_bytes == size


def test_a_size_beyond_all_numbers_is_a_mistake_and_no_crash() -> None:
    assert problems('[nats]\nmax_bytes = "1e999 GB"')[0].key == "nats.max_bytes"


def sections(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], set[str]]]:
    """Every table of the settings that has no required key, with the keys it knows."""
    found = [(path, set(model.model_fields))]
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            found += sections(type(field.default), (*path, name))
    return found


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), min_size=0, max_size=12)


@given(place=st.sampled_from(sections()), name=NAMES, blanks=st.integers(0, 3))
def test_any_unknown_key_is_reported_with_its_line(place: tuple[tuple[str, ...], set[str]], name: str, blanks: int) -> None:
    path, known = place
    if name in known:
        name += "?"
    key = json.dumps(name, ensure_ascii=False)
    header = f"[{'.'.join(path)}]\n" if path else ""
    (problem,) = problems("\n" * blanks + header + f"{key} = 1\n")
    assert problem.line == blanks + bool(path) + 1
    assert problem.key == ".".join([*path, name if re.fullmatch("[A-Za-z0-9_-]+", name) else key])
    assert problem.message.startswith("unknown key; ")


@given(st.text(max_size=60))
def test_any_text_gives_settings_or_a_sentence(text: str) -> None:
    found: list[Problem] = []
    try:
        parse(text)
    except ConfigError as error:
        found = error.problems
    assert all(p.message and "\n" not in p.message for p in found)


def test_a_valid_file_is_read_as_written() -> None:
    settings = parse('[sources.t]\nadapter = "websocket"\nurl = "wss://x"\nsubscribe = [{ op = "s" }]\n[detect]\nline = 0.7')
    source: Any = settings.sources["t"]
    assert isinstance(source, WebSocketSource)
    assert (source.subscribe, settings.detect_for("t").line, settings.nats.url) == ([{"op": "s"}], 0.7, "embedded")
