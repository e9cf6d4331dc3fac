"""What `qraft doctor` says of the REST server's access."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from qraft.api.tokens import make, utc_now, write_tokens
from qraft.commands.checks import Check
from qraft.commands.checks_api import of_api
from qraft.config.api import ApiSettings

TOKENS = ApiSettings(auth="tokens")


def one(settings: ApiSettings, data_dir: Path) -> Check:
    (check,) = of_api(settings, data_dir)
    return check


def test_where_no_token_is_needed_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert list(of_api(ApiSettings(), tmp_path)) == []


def test_it_says_whose_tokens_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    none = one(TOKENS, tmp_path)
    assert (none.state, "qraft tokens add" in none.fix) == ("warn", True)
    over = make("read", now=utc_now(), expires=utc_now() - timedelta(hours=1))[1]
    write_tokens(path, {"over": over})
    assert one(TOKENS, tmp_path).state == "warn"
    write_tokens(path, {"over": over, "ops": make("admin", now=utc_now())[1]})
    assert one(TOKENS, tmp_path) == Check("REST tokens", "ok", f"ops in {path}")
    path.write_text("[ops\n")
    broken = one(TOKENS, tmp_path)
    assert (broken.state, str(path) in broken.detail) == ("fail", True)


@pytest.mark.parametrize(("days", "state"), [(300, "ok"), (5, "warn"), (-1, "fail")])
def test_it_says_until_when_the_certificate_holds(days: int, state: str, tmp_path: Path) -> None:
    ends = datetime.now(UTC) + timedelta(days=days, hours=1)
    certificate = trustme.CA().issue_cert("localhost", not_after=ends, not_before=ends - timedelta(days=400))
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    settings = ApiSettings(tls_cert_file=str(tmp_path / "cert.pem"), tls_key_file="key.pem")
    assert one(settings, tmp_path).state == state


def test_a_file_without_a_certificate_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing")
    settings = ApiSettings(tls_cert_file=str(tmp_path / "cert.pem"), tls_key_file="key.pem")
    assert one(settings, tmp_path).state == "fail"
