"""The settings of a REST source: what they take, and what each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from qraft.config import ConfigError, Settings, parse
from qraft.config.sources import RestSource

HEAD = '[sources.r]\nadapter = "rest"\n'
URL = 'url = "https://host/path?key=1"\n'

MISTAKES = [
    ('url = "ftp://x"', "sources.r.url: expected"),
    ('url = "http://me:hunter2@x/"', 'a user or password does not belong into url; use auth = { kind = "basic", … }'),
    ('url = "http://"', "url is not an address"),
    ('url = "http://[::1"', "url is not an address"),
    ('url = "http://x:99999"', "url is not an address"),
    (URL + 'body = { a = 1 }', 'body needs method = "POST"'),
    (URL + 'method = "PUT"', 'sources.r.method: expected one of "GET", "POST", got "PUT"'),
    (URL + 'auth = { kind = "token", env = "X" }', 'sources.r.auth.kind: expected one of "bearer", "basic"'),
    (URL + 'auth = { kind = "bearer" }', "sources.r.auth.env: is required and missing"),
    (URL + 'auth = { kind = "header", env = "X" }', "name is missing"),
    (URL + 'auth = { kind = "basic", env = "X" }', "user is missing"),
    (URL + 'pages = { by = "cursor" }', "path is missing"),
    (URL + 'pages = { by = "page", max_page = 3 }', 'sources.r.pages.max_page: unknown key; did you mean "max_pages"?'),
    (URL + 'since = { path = "t" }', "sources.r.since.param: is required and missing"),
    (URL + "[sources.r.prometheus]\nquantiles = [99]", "expected a number below 1.0, got 99"),
    (URL + "[sources.r.prometheus]\nmax_fields = 1000", "expected 256 or less, got 1000"),
    (URL + "params = { a = [1] }", "sources.r.params.a: expected text in quotes, got [1]"),
    (URL + 'when_full = "sample"', 'expected one of "block", got "sample"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(HEAD + text)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def source(text: str) -> RestSource:
    found: Settings = parse(HEAD + URL + text)
    settings = found.sources["r"]
    assert isinstance(settings, RestSource)
    return settings


def test_the_place_does_not_show_the_query() -> None:
    assert source("").place == "https://host/path every 10 s"


def test_query_parameters_are_written_as_an_address_writes_them() -> None:
    assert source('params = { a = 1, b = true, c = "x", d = 0.5 }').params == {"a": "1", "b": "true", "c": "x", "d": "0.5"}


def test_labels_that_split_a_scrape_split_the_source() -> None:
    assert source('prometheus = { entity_labels = ["device"] }').entity == "entity"
    assert source('entity = "other"\nprometheus = { entity_labels = ["device"] }').entity == "other"
    assert source("prometheus = { max_fields = 3 }").entity == ""


def test_the_authority_starts_at_the_folder_of_the_file(tmp_path: Path) -> None:
    assert source('ca_file = "ca.pem"').anchored(tmp_path).ca_file == str(tmp_path / "ca.pem")
    assert source("").anchored(tmp_path).ca_file == ""
