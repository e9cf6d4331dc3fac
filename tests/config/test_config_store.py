"""How long rows stay and where they are archived: what may be said, and what a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from qraft.config import ConfigError, changes, load, parse


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('url = "gs://bucket"', 'expected a folder, "s3://bucket/prefix", or "" for no archive, got "gs://bucket"'),
        ('url = "s3://"', 'expected "s3://bucket" or "s3://bucket/prefix", got "s3://"'),
        ('tables = ["events"]', "archive.tables[0]: expected one of"),
        ('compression = "gzip"', 'expected one of "zstd", "snappy", "none", got "gzip"'),
        ('endpoint = "minio:9000"', "expected an address that starts with http:// or https://, or an empty text"),
        ('access_key_env = "KEY"', "access_key_env and secret_key_env go together: name both or neither"),
        ('url = "x"\nbucket = "y"', "unknown key"),
    ],
)
def test_a_mistake_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"[store.archive]\n{text}")
    assert said in str(caught.value)


def test_the_important_stay_no_shorter() -> None:
    with pytest.raises(ConfigError, match="important_days must not be below retention_days"):
        parse("[store]\nretention_days = 8\nimportant_days = 7")


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("cold", "{folder}/cold"),
        ("/var/cold", "/var/cold"),
        ("~/cold", "{home}/cold"),
        ("s3://cold/p", "s3://cold/p"),
        ("", ""),
    ],
)
def test_a_relative_folder_starts_at_the_file(tmp_path: Path, url: str, meant: str) -> None:
    (tmp_path / "c.toml").write_text(f'[store.archive]\nurl = "{url}"\n')
    settings = load(tmp_path / "c.toml")
    assert settings.store.archive.url == meant.format(folder=tmp_path, home=Path.home())


def test_all_of_it_is_taken_up_while_the_engine_runs() -> None:
    before = parse("")
    changed = changes(before, parse('[store]\nretention_days = 3\n[store.archive]\nurl = "/cold"\ntables = ["raw_events"]'))
    assert changed.keys == ("store.retention_days", "store.archive.url", "store.archive.tables")
    assert changed.at_start == ()
