"""When certificates end, and what failures of TLS mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from qraft.config.tls import TlsFiles, expiry, expiry_of, not_after


@pytest.mark.parametrize("ends", [datetime(2049, 12, 31, 23, 59, 58), datetime(2051, 2, 3, 4, 5, 6)])  # noqa: DTZ001 what trustme takes
def test_the_end_of_a_certificate_in_either_form_of_time(ends: datetime) -> None:
    """RFC 5280: to 2049 with two digits of the year, from 2050 with four."""
    issued = trustme.CA().issue_cert("h", not_after=ends)
    pem = issued.cert_chain_pems[0].bytes().decode()
    assert expiry(pem) == ends.replace(tzinfo=UTC)


def test_of_several_certificates_the_first_to_end_counts(tmp_path: Path) -> None:
    ca, soon = trustme.CA(), datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    file = tmp_path / "both.pem"
    ca.issue_cert("h", not_after=soon.replace(tzinfo=None)).private_key_and_cert_chain_pem.write_to_path(file)
    ca.cert_pem.write_to_path(file, append=True)
    assert expiry_of(str(file)) == soon
    assert expiry("no certificate") is None
    assert expiry_of(str(tmp_path / "absent")) is None


@pytest.mark.parametrize("der", [b"", b"0", b"0\x82", b"0\x03\x02\x01\x01", bytes(200)])
def test_what_is_no_certificate_is_said_to_be_none(der: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 any sentence
        not_after(der)


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1)", "renew it"),
        ("certificate verify failed: self-signed certificate", "set x.ca_file"),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required", "set x.cert_file and x.key_file"),
        ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca", "check x.cert_file"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "does not speak TLS"),
        ("connection refused", ""),
    ],
)
def test_a_fault_is_told_with_its_remedy(said: str, meaning: str) -> None:
    found = TlsFiles("x.").fault(said)
    assert meaning in found
    assert bool(found) == bool(meaning)
