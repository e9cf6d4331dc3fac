"""The server's certificate: read at the start, and again when its files change, so that renewing it needs no restart."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from qraft.api.errors import ApiError

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 30.0
"""So often the files are looked at."""


class Certificate:
    """A certificate with its key, as a context that connections are accepted with.

    Raises (when it is made):
        ApiError: the files cannot be used.
    """

    def __init__(self, cert_file: str, key_file: str) -> None:
        """
        Args:
            cert_file: the certificate and its chain, in PEM.
            key_file: the private key, in PEM, without a passphrase.
        """
        self._files = cert_file, key_file
        self._seen = self._state()
        self.context = self._read(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    async def follow(self, seconds: float = LOOK_SECONDS) -> None:
        """Takes up changed files for the connections to come, for ever; files that cannot be used change nothing."""
        while True:
            await asyncio.sleep(seconds)
            if (state := self._state()) == self._seen:
                continue
            try:
                self._read(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # half of a renewal must not spoil what is in use
                self._read(self.context)
            except ApiError as error:
                log.warning("%s; the certificate that was read before stays in use", error)
            else:
                log.info("took up the certificate in %s", self._files[0])
            self._seen = state

    def _state(self) -> tuple[tuple[int, ...], ...]:
        return tuple(_state(Path(file)) for file in self._files)

    def _read(self, context: ssl.SSLContext) -> ssl.SSLContext:
        for key, file in zip(("tls_cert_file", "tls_key_file"), self._files, strict=True):
            try:
                with Path(file).open("rb"):
                    pass
            except OSError as error:
                raise ApiError(f"api.{key}: {file}: {error.strerror}") from None
        try:
            context.load_cert_chain(*self._files, password=_no_passphrase)
        except ssl.SSLError as error:
            pair, said = " and ".join(self._files), error.reason or str(error)
            raise ApiError(f"api.tls_cert_file: {pair} are no certificate and its key in PEM: {said}") from None
        return context


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError as error:
        return (error.errno or 0,)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _no_passphrase() -> str:
    """OpenSSL would ask the terminal for it."""
    raise ApiError("api.tls_key_file: the key has a passphrase; give one without, readable by this user only")
