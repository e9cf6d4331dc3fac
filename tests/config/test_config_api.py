"""The section of the REST server: what goes together, and what would let everyone in."""

from __future__ import annotations

from pathlib import Path

import pytest

from qraft.config import ConfigError, load, parse


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('host = "0.0.0.0"', 'host 0.0.0.0 can be reached from other machines; set auth = "tokens" with it'),
        ('hosts = ["*"]', 'hosts = ["*"] would let any web page in by a name of its own; set auth = "tokens" with it'),
        ('tls_cert_file = "cert.pem"', "tls_cert_file and tls_key_file go together"),
        ('auth = "none"', "auth: expected"),
        (
            'hosts = ["ops.example:80"]',
            'hosts[0]: expected the name of a host, without port, or "*"',
        ),
        ('cors_origins = ["*"]', "cors_origins[0]: expected an origin such as https://ops.example, without a path"),
        ('cors_origins = ["https://ops.example/"]', "cors_origins[0]: expected an origin"),
        ("rate_per_minute = -1", "rate_per_minute: expected 0 or more, got -1"),
        ('max_body = "0 MiB"', "max_body: expected a number above 0"),
    ],
)
def test_a_mistake_is_told_in_words(keys: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"[api]\n{keys}\n")
    (problem,) = caught.value.problems
    assert said in str(problem)


def test_with_tokens_other_machines_may_ask() -> None:
    assert parse('[api]\nhost = "0.0.0.0"\nauth = "tokens"\nhosts = ["*"]\n').api.hosts == ["*"]


@pytest.mark.parametrize(
    ("host", "tls", "url"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:80"),
        ("::1", "", "http://[::1]:80"),
        ("0.0.0.0", "c", "https://127.0.0.1:80"),
        ("::", "", "http://[::1]:80"),
        ("ops.example", "", "http://ops.example:80"),
    ],
)
def test_the_address_for_this_machine(host: str, tls: str, url: str) -> None:
    keys = f'host = "{host}"\nauth = "tokens"\ntls_cert_file = "{tls}"\ntls_key_file = "{tls}"\n'
    assert parse(f"[api]\n{keys}").api.url(80) == url


def test_relative_files_start_at_the_configuration(tmp_path: Path) -> None:
    text = '[api]\ntls_cert_file = "c.pem"\ntls_key_file = "/k.pem"\ntokens_file = "t/tokens.toml"\n'
    (tmp_path / "c.toml").write_text(text)
    found = load(tmp_path / "c.toml").api
    assert (found.tls_cert_file, found.tls_key_file) == (str(tmp_path / "c.pem"), "/k.pem")
    assert found.tokens_file == str(tmp_path / "t" / "tokens.toml")
