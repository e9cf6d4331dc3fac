"""Where ssh is to go: what the user typed, checked just so far that ssh takes it for a destination and nothing else."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from qraft.remote.errors import RemoteError

_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination as ssh(1) takes it: ``host``, ``user@host``, an alias of ssh_config, or ``ssh://user@host:port``."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Destination:
        """Checks a destination; names are ssh's to resolve.

        Raises:
            RemoteError: ssh would take it for an option, or for another host than was meant.
        """
        expected = "expected user@host or ssh://user@host:port"
        if re.search(r"[\s\x00-\x1f\x7f]", text) or not text:
            raise RemoteError(f"--ssh {text!r}: {expected}")
        address = text
        if "://" in text:
            try:
                parts = urlsplit(text)
                port = parts.port
            except ValueError:
                raise RemoteError(f"--ssh {text}: {expected}, with a port from 1 to 65535") from None
            if parts.scheme != "ssh" or not parts.hostname or parts.path.strip("/") or port == 0:
                raise RemoteError(f"--ssh {text}: {expected}")
            address = parts.netloc
        user, at, host = address.rpartition("@")
        if not host or (at and not user) or any(part.startswith("-") for part in (user, host)):
            raise RemoteError(f"--ssh {text}: {expected}")
        if address == text and (named := re.fullmatch(r"([^:]+):(\d+)", host)):
            raise RemoteError(f"--ssh {text}: write a port as ssh://{user}{at}{named[1]}:{named[2]}")
        return cls(text)

    def __str__(self) -> str:
        return self.text.removeprefix("ssh://").rstrip("/")

    def folder(self, data_dir: str = "") -> str:
        """The name of the folder here that keeps what belongs to an instance there.

        Args:
            data_dir: the instance's data directory there; empty for the usual one.
        """
        full = f"{self}:{data_dir}" if data_dir else str(self)
        name = re.sub(r"[^A-Za-z0-9._@-]", "_", full).lstrip(".")[:_LONGEST_NAME]
        if name == full:
            return name
        return f"{name}-{hashlib.sha256(full.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
