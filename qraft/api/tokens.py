"""The tokens that open the REST interface: what a token is, the file that holds them, and the reader that follows the file.

A token is "qraft_" and 256 random bits in hexadecimal, so that secret scanners find it by `qraft_[0-9a-f]{64}`. The file
holds its SHA-256 only. A slow, salted hash (Argon2, bcrypt) protects what people choose, which can be guessed; nobody
guesses 256 random bits, so that a fast hash loses nothing here.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import msgspec

log = logging.getLogger(__name__)

Role = Literal["read", "label", "admin"]
"""What a token opens: each role opens what those before it open."""
ROLES: tuple[Role, ...] = get_args(Role)
PREFIX = "qraft_"
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$"
"""Names of tokens; they stand as the user of a verdict."""


class TokenError(Exception):
    """The file of tokens cannot be used, or not in this way; the text is a sentence for people."""


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One token as it stands in the file.

    Attributes:
        role: what it opens.
        sha256: SHA-256 of its text, in hexadecimal.
        created: when it was made.
        expires: when it ends; None for never.
    """

    role: Role
    sha256: str
    created: datetime
    expires: datetime | None = None

    def expired(self, now: datetime) -> bool:
        """Whether it no longer opens anything."""
        return self.expires is not None and self.expires <= now


Tokens = dict[str, Token]
"""Tokens by name."""


def tokens_path(data_dir: Path, configured: str = "") -> Path:
    """Where the tokens stand: the file of `api.tokens_file`, else tokens.toml in the data directory."""
    return Path(configured).expanduser().absolute() if configured else data_dir / "tokens.toml"


def digest(text: str) -> str:
    """What the file holds of a token."""
    return hashlib.sha256(text.encode()).hexdigest()


def make(role: Role, *, now: datetime, expires: datetime | None = None) -> tuple[str, Token]:
    """A new token: its text, which is shown once, and its entry."""
    text = PREFIX + secrets.token_hex(32)
    return text, Token(role=role, sha256=digest(text), created=now, expires=expires)


def find(tokens: Tokens, text: str) -> str | None:
    """The name of the token with this text. Every entry is compared, each in constant time."""
    wanted, found = digest(text), None
    for name, token in tokens.items():
        if hmac.compare_digest(wanted, token.sha256):
            found = name
    return found


def read_tokens(path: Path) -> Tokens:
    """The tokens of a file; none where it does not exist.

    Raises:
        TokenError: it cannot be read, or holds something else than tokens.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise TokenError(f"{path}: {error.strerror}") from None
    try:
        tokens = msgspec.toml.decode(content, type=Tokens)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TokenError(f"{path}: these are no tokens: {error}") from None
    for name, token in tokens.items():
        _check(path, name, token)
    return tokens


def write_tokens(path: Path, tokens: Tokens) -> None:
    """Replaces the file in one step; only its owner may read it.

    Raises:
        TokenError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(b"# Tokens of Qraft's REST interface; `qraft tokens` edits this file.\n\n")
            file.write(msgspec.toml.encode(tokens))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise TokenError(f"{path}: cannot be written: {error.strerror}") from None


class TokenBook:
    """The tokens of a file, read again when it changes.

    A file that cannot be used opens nothing: it is an error in the log, once for each change, and everyone is refused
    until it is mended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, ...] | None = None
        self._tokens: Tokens = {}
        self._error: TokenError | None = None

    def tokens(self) -> Tokens:
        """The tokens as the file holds them now.

        Raises:
            TokenError: the file cannot be used.
        """
        seen = self._state()
        if seen != self._seen:
            self._seen = seen
            self._read()
        if self._error is not None:
            raise TokenError(str(self._error))
        return self._tokens

    def _read(self) -> None:
        try:
            self._tokens, self._error = read_tokens(self.path), None
        except TokenError as error:
            self._tokens, self._error = {}, error
            log.error("%s; every token is refused until that is mended", error)
        else:
            log.info("%d tokens in %s", len(self._tokens), self.path)

    def _state(self) -> tuple[int, ...]:
        try:
            found = self.path.stat()
        except OSError as error:
            return (error.errno or 0,)
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def utc_now() -> datetime:
    """The time now, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def _check(path: Path, name: str, token: Token) -> None:
    if not re.fullmatch(NAME, name):
        raise TokenError(f"{path}: {name!r} is no name of a token: letters, digits and _ . @ - only, 64 at most")
    if not re.fullmatch(r"[0-9a-f]{64}", token.sha256):
        raise TokenError(f"{path}: {name}.sha256 is no SHA-256 in hexadecimal")
    for moment in (token.created, token.expires):
        if moment is not None and moment.tzinfo is None:
            raise TokenError(f"{path}: a time of {name} has no zone; write it as 2026-01-31T00:00:00Z")
