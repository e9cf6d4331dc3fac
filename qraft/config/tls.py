"""TLS towards a server: which certificates are trusted, which one is shown, and what a failure means in words."""

from __future__ import annotations

import base64
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


class LoginError(Exception):
    """A login that cannot even be tried: a variable is not set, or a file cannot be used. The text names the key."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files behind a TLS connection; empty ones are not given.

    Attributes:
        prefix: what stands before ``ca_file``, ``cert_file`` and ``key_file`` in the configuration, such as ``nats.tls_``.
        ca_file: certificates of the authorities to trust, in place of the system's.
        cert_file: the client's own certificate.
        key_file: its key, where ``cert_file`` does not hold it.
        verify: whether the server's certificate is checked.
    """

    prefix: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    verify: bool = True

    def __bool__(self) -> bool:
        return bool(self.ca_file or self.cert_file or not self.verify)

    def context(self) -> ssl.SSLContext:
        """What Python's connections take; the files are read now.

        Raises:
            LoginError: a file is absent or holds something else.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise LoginError(f"{self.prefix}ca_file: {self.ca_file} cannot be used: {_words(error)}") from None
        if self.cert_file:
            try:
                context.load_cert_chain(self.cert_file, self.key_file or None, password=self._no_password)
            except (OSError, ssl.SSLError) as error:
                raise LoginError(f"{self.prefix}cert_file: {self._pair} cannot be used: {_words(error)}") from None
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def fault(self, said: str) -> str:
        """Why a TLS connection failed and what mends it, from the library's words; empty where TLS is not the reason."""
        for pattern, meaning in _FAULTS:
            if re.search(pattern, said, re.IGNORECASE):
                return meaning.format(prefix=self.prefix, said=_shortened(said))
        return ""

    @property
    def _pair(self) -> str:
        return f"{self.cert_file} with {self.key_file}" if self.key_file else self.cert_file

    def _no_password(self) -> str:
        """OpenSSL would ask the terminal for a passphrase."""
        raise LoginError(
            f"{self.prefix}key_file: the key in {self.key_file or self.cert_file} has a passphrase; give one without"
        )


_FAULTS: Final = (
    (r"certificate has expired", "its certificate has expired; renew it there, or set this machine's clock right"),
    (r"certificate is not yet valid", "its certificate is not valid yet; set both machines' clocks right"),
    (
        r"(hostname|ip address) mismatch|doesn't match",
        "the certificate is not accepted ({said}); write a name that it bears into the address",
    ),
    (
        r"certificate required|bad certificate|no required (ssl )?certificate",
        "the server asks for a certificate of the client; set {prefix}cert_file and {prefix}key_file to one that it accepts",
    ),
    (
        r"alert unknown ca|alert certificate|unknown_ca",
        "the server does not accept the client's certificate ({said}); check {prefix}cert_file",
    ),
    (
        r"certificate.verify.failed",
        "the certificate is not accepted ({said}); set {prefix}ca_file to the certificate of the authority that issued it",
    ),
    (
        r"wrong.version.number|record.layer.failure|packet length too long|unexpected message|http request",
        "that port does not speak TLS; take the TLS port, or write an address without TLS",
    ),
)
"""What OpenSSL says, and what it means; the first that fits counts."""


def expiry(pem: str) -> datetime | None:
    """When the first of the certificates in a text expires; None where there is none."""
    dates = [not_after(base64.b64decode(found)) for found in _PEM.findall(pem)]
    return min(dates, default=None)


def expiry_of(path: str) -> datetime | None:
    """When the first of the certificates in a file expires; None where it holds none or cannot be read."""
    try:
        return expiry(Path(path).read_text(encoding="ascii", errors="ignore"))
    except (OSError, ValueError):
        return None


def not_after(der: bytes) -> datetime:
    """The end of a certificate's validity (RFC 5280, section 4.1: Certificate > tbsCertificate > validity > notAfter).

    The standard library reads it from a verified peer only, and a doctor also looks at what is not accepted.

    Raises:
        ValueError: it is no X.509 certificate.
    """
    try:
        body = _value(_value(der, 0)[1], 0)[1]
        tag, _, at = _value(body, 0)
        if tag == 0xA0:  # the version, which may be left out
            _, _, at = _value(body, at)
        for _ in range(2):  # past the algorithm and the issuer
            _, _, at = _value(body, at)
        _, validity, _ = _value(body, at)
        _, _, at = _value(validity, 0)
        tag, when, _ = _value(validity, at)
        text = when.decode("ascii")
        # A UTCTime has two digits of the year, those of 1950 to 2049; a GeneralizedTime has four.
        whole = text if tag == 0x18 else f"{'19' if text[:2] >= '50' else '20'}{text}"
        return datetime.strptime(whole, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("no X.509 certificate") from error


def _value(der: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and value of the DER element at an offset, and where the next one begins."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        octets = length & 0x7F
        length, start = int.from_bytes(der[start : start + octets], "big"), start + octets
    if start + length > len(der):
        raise IndexError(at)
    return tag, der[start : start + length], start + length


def _words(error: OSError) -> str:
    return error.strerror or str(error)


def _shortened(said: str) -> str:
    """OpenSSL's words without its error codes and source lines."""
    found = re.search(r"certificate verify failed: ([^()]+)", said)
    return (found.group(1) if found else re.sub(r"\[SSL: \w+\]\s*|\s*\(_ssl\.c:\d+\)", "", said)).strip(" .")
