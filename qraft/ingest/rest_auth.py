"""Who asks: the secret of a REST source, put into its requests and kept out of everything else."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

import httpx

from qraft.config.sources.rest import AuthSettings
from qraft.ingest.base import SourceError

_HIDDEN = "***"


class Credentials:
    """What a request carries to show who asks; without settings it carries nothing.

    Raises:
        SourceError: the environment variable is not set, or its value cannot be sent.
    """

    def __init__(self, settings: AuthSettings | None, environment: Mapping[str, str] = os.environ) -> None:
        self._settings = settings
        self._secret = ""
        self._forms: list[str] = []
        if settings is None:
            return
        self._secret = environment.get(settings.env, "").strip()
        if not self._secret:
            raise SourceError(
                f"the environment variable {settings.env}, which auth.env names, is not set; set it and restart"
            )
        if not (self._secret.isascii() and self._secret.isprintable()) and settings.kind in ("bearer", "header"):
            raise SourceError(f"the environment variable {settings.env} holds characters that no HTTP header can carry")
        self._basic = base64.b64encode(f"{settings.user}:{self._secret}".encode()).decode()
        forms = {self._secret, quote(self._secret), quote(self._secret, safe=""), quote_plus(self._secret), self._basic}
        self._forms = sorted(forms, key=len, reverse=True)

    def headers(self) -> dict[str, str]:
        """The headers that show who asks."""
        kind = self._settings.kind if self._settings is not None else ""
        if kind == "bearer":
            return {"Authorization": f"Bearer {self._secret}"}
        if kind == "basic":
            return {"Authorization": f"Basic {self._basic}"}
        if kind == "header" and self._settings is not None:
            return {self._settings.name: self._secret}
        return {}

    def signed(self, url: httpx.URL) -> httpx.URL:
        """The address with the key in its query, where that is its place."""
        if self._settings is None or self._settings.kind != "query":
            return url
        return url.copy_set_param(self._settings.name, self._secret)

    @property
    def remedy(self) -> str:
        """What to look at when the server refuses."""
        if self._settings is None:
            return "set auth"
        return f"check auth and the value of the environment variable {self._settings.env}"

    def hide(self, text: str) -> str:
        """The text without the secret in any of its forms."""
        for form in self._forms:
            text = text.replace(form, _HIDDEN)
        return text

    def hide_bytes(self, raw: bytes) -> bytes:
        """The bytes without the secret in any of its forms."""
        for form in self._forms:
            raw = raw.replace(form.encode(), _HIDDEN.encode())
        return raw
