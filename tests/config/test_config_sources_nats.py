"""Mistakes in the settings of a NATS source, and of a host source with parts, as the user is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from qraft.config import ConfigError, load, parse
from qraft.config.sources.nats import NatsSource

TABLE = '[sources.a]\nadapter = "nats"\nurl = "nats://h:4222"\nsubject = "t.*"\n'


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"nats://h:4222"', '"http://h"'), "sources.a.url: expected an address such as nats://host:4222"),
        (('"nats://h:4222"', '"nats://u:p@h:4222"'), "sources.a.url: expected an address without secrets"),
        (('"nats://h:4222"', '"nats://h:4222,nats://"'), "sources.a.url: expected an address such as"),
        (('"t.*"', '"t.>.x"'), "sources.a.subject: expected > as the last token only"),
        (('"t.*"', '"t..x"'), "sources.a.subject: expected tokens with dots between"),
        (('"t.*"', '"t.x*"'), "sources.a.subject: expected tokens with dots between"),
        (('"t.*"', '"qraft.events.*"'), "set own_subjects = true where the server is another Qraft's"),
        (('"t.*"', '"t.*"\nstream = "S"\nwhen_full = "sample"'), 'when_full: expected "block" with stream'),
        (('"t.*"', '"t.*"\nstream = "S x"'), "sources.a.stream: expected the name of a stream"),
        (('"t.*"', '"t.*"\nuser = "u"'), "user and password_env go together"),
        (('"t.*"', '"t.*"\ntoken_env = "T"\nnkey_file = "f"'), "expected one way to log in, got token_env and nkey_file"),
        (('"t.*"', '"t.*"\ntls_key_file = "f"'), "tls_key_file needs tls_cert_file"),
        (('"t.*"', '"t.*"\nsubject_fields = { x = -1 }'), "sources.a.subject_fields.x: expected 0 or more, got -1"),
    ],
)
def test_each_mistake_is_told(change: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(TABLE.replace(*change))
    (problem,) = caught.value.problems
    assert said in str(problem)
    assert problem.line > 0


def test_a_stream_can_wait_and_a_subscription_cannot() -> None:
    plain = parse(TABLE).sources["a"]
    stream = parse(TABLE + 'stream = "S"\n').sources["a"]
    assert (plain.can_wait, stream.can_wait) == (False, True)
    assert stream.place == "nats://h:4222 t.* (stream S)"


def test_files_stand_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(TABLE + 'credentials_file = "keys/a.creds"\n', encoding="utf-8")
    source = load(tmp_path / "config.toml").sources["a"]
    assert isinstance(source, NatsSource)
    assert source.credentials_file == str(tmp_path / "keys" / "a.creds")
    assert source.tls_ca_file == ""


def test_another_qrafts_subjects_on_demand() -> None:
    source = parse(TABLE.replace("t.*", "qraft.patterns.>") + "own_subjects = true\n").sources["a"]
    assert isinstance(source, NatsSource)
    assert source.own_subjects


def test_parts_of_the_host_are_sources_of_their_own() -> None:
    settings = parse('[sources.h]\nadapter = "host"\nentity = ""\nper = ["disk", "core"]\ntop = 3\n')
    host = settings.sources["h"]
    assert host.feeds("h") == ("h-processes", "h-disks", "h-cores")
    assert [settings.source(name).entity for name in host.feeds("h")] == ["part"] * 3
    assert settings.source("h-interfaces").entity == ""
    assert parse('[sources.h]\nadapter = "host"\n').sources["h"].feeds("h") == ()
    assert parse('[sources.h]\nadapter = "host"\ntop = 1\nentity = "x"\n').sources["h"].entity == "x"
    assert host.feeds("x" * 64)[0] == "x" * 54 + "-processes"
