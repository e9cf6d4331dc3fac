"""Which page of an answer to ask for next."""

from __future__ import annotations

import hashlib

import httpx

from qraft.config.sources.rest import PagesSettings
from qraft.ingest.rest_client import Answer, Request
from qraft.ingest.rest_formats import ABSENT, Records, at

_ADDRESS = ("http://", "https://", "/", "?")


class Pages:
    """The pages of one poll, in order.

    Attributes:
        cut: whether `after` ended at ``max_pages`` while there was more.
        repeated: whether the page last given to `after` was one before it again, so that its records are known.
    """

    def __init__(self, settings: PagesSettings | None, params: dict[str, str | int | float]) -> None:
        self._settings = settings
        self._params = params
        self._read = 0
        self._place = 0
        self._known: set[str | bytes] = set()
        self.cut = False
        self.repeated = False

    def first(self) -> Request:
        """The request of the first page."""
        form = self._settings
        if form is None or form.by not in ("page", "offset"):
            return Request(None, self._params)
        self._place = form.start if form.start is not None else int(form.by == "page")
        return self._numbered(form)

    def after(self, answer: Answer, page: Records) -> Request | None:
        """The request of the page after ``answer``; None behind the last.

        A server that gives the same page or the same cursor again has come to its end, whatever else it says.
        """
        form = self._settings
        if form is None:
            return None
        self._read += 1
        following = (
            self._numbered_after(form, answer, page) if form.by in ("page", "offset") else self._named(form, answer, page)
        )
        if following is not None and self._read >= form.max_pages:
            self.cut = True
            return None
        return following

    def _numbered_after(self, form: PagesSettings, answer: Answer, page: Records) -> Request | None:
        self.repeated = bool(page.count) and self._seen(hashlib.sha256(answer.body).digest())
        if not page.count or page.count < form.size or self.repeated:
            return None
        self._place += 1 if form.by == "page" else page.count
        return self._numbered(form)

    def _numbered(self, form: PagesSettings) -> Request:
        return Request(None, {**self._params, (form.param or form.by): self._place})

    def _named(self, form: PagesSettings, answer: Answer, page: Records) -> Request | None:
        if form.by == "link":
            address = answer_link(answer)
            return None if address is None or self._seen(str(address)) else Request(address, {})
        value = at(page.document, form.path)
        if value is ABSENT or value is None or value is False or value == "" or not isinstance(value, str | int | float):
            return None
        if self._seen(str(value)):
            return None
        if isinstance(value, str) and value.startswith(_ADDRESS):
            return Request(answer.url.join(value), {})
        return Request(None, {**self._params, (form.param or form.by): value})

    def _seen(self, mark: str | bytes) -> bool:
        known = mark in self._known
        self._known.add(mark)
        return known


def answer_link(answer: Answer) -> httpx.URL | None:
    """Where the Link header (RFC 8288) says the next page is."""
    response = httpx.Response(answer.status, headers=answer.headers)
    target = response.links.get("next", {}).get("url")
    return answer.url.join(target) if target else None
