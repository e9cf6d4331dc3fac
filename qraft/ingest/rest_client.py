"""One HTTP answer: asked for with credentials, redirects, a time limit and a size limit; its failures in plain words."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
from collections.abc import Mapping
from functools import cache
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import httpx

from qraft import __version__
from qraft.config.sources import RestSource
from qraft.ingest.base import Clock, NotConnected, SourceError
from qraft.ingest.rest_auth import Credentials
from qraft.ingest.rest_limits import retry_after, spent

MAX_REDIRECTS: Final = 5
"""Redirects followed for one answer."""
KEEP_SECONDS: Final = 2.0
"""An idle connection is kept so long; servers close theirs after 5 s and more, and a race with that costs a poll."""
SAID_CHARACTERS: Final = 200
"""So much of a refusal's own words is shown."""

_ACCEPT: Final = {
    "json": "application/json, */*;q=0.1",
    "geojson": "application/geo+json, application/json;q=0.9, */*;q=0.1",
    "ndjson": "application/x-ndjson, */*;q=0.1",
    "csv": "text/csv, */*;q=0.1",
    "prometheus": "text/plain;version=0.0.4, */*;q=0.1",
    "auto": "*/*",
}
_MOVED: Final = (301, 302, 303, 307, 308)
_LATER: Final = (408, 425)
_REMEDIES: Final = {404: "check url", 410: "check url", 405: "check method", 406: "check format and headers"}

# At INFO httpx logs each address with its query, at DEBUG httpcore the headers of each answer: both may hold a key.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Limited(Exception):
    """The server wants fewer requests; ``seconds`` until the next one, None where it does not say."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Request(NamedTuple):
    """What to ask: an address (None is the configured one) and the parameters that change from one request to the next."""

    url: httpx.URL | None
    params: dict[str, str | int | float]


class Answer(NamedTuple):
    """What came: ``fault`` says why the body is not whole, ``rest`` how many seconds a used-up quota asks to wait."""

    status: int
    url: httpx.URL
    headers: httpx.Headers
    body: bytes
    fault: str
    rest: float


class HttpClient:
    """Asks one server, as an asynchronous context manager.

    Credentials go to the configured server only, whatever it redirects to. A proxy is taken from the environment, but not
    for an address of this machine.

    Raises:
        SourceError: the settings cannot be used.
    """

    def __init__(self, settings: RestSource, credentials: Credentials, clock: Clock) -> None:
        self._settings = settings
        self._credentials = credentials
        self._clock = clock
        self.shown = settings.shown_url
        try:
            self._base = httpx.URL(settings.url)
        except httpx.InvalidURL as error:
            raise SourceError(f"{self.shown}: not an address ({error}); check url") from None
        if not self._base.host:
            raise SourceError(f"{self.shown}: not an address (it names no server); check url")
        try:
            self._client = httpx.AsyncClient(
                verify=_tls(settings),
                timeout=None,  # asyncio.timeout bounds the whole answer, not each of its steps
                limits=httpx.Limits(keepalive_expiry=KEEP_SECONDS),
                trust_env=not _is_loopback(self._base.host),
            )
        except (ValueError, ImportError):  # its text may hold the proxy's password
            raise SourceError(
                f"{self.shown}: the proxy that the environment names cannot be used; check HTTPS_PROXY"
            ) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(self, request: Request, conditions: Mapping[str, str], room: int) -> Answer:
        """The answer to ``request``: 2xx or 304.

        Args:
            request: what to ask.
            conditions: further headers, such as If-None-Match.
            room: bytes of the body, at most; reading stops beyond.

        Raises:
            Limited: the server wants fewer requests.
            NotConnected: the server cannot be reached, is too slow, or fails.
            SourceError: the server refuses for good.
        """
        seconds = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(request, conditions, room)
        except TimeoutError:
            raise NotConnected(f"{self.shown} did not answer within {seconds:g} s") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise SourceError(f"{self.shown} leads to an address that is none; check url") from None
        except (httpx.LocalProtocolError, UnicodeEncodeError):
            raise SourceError(f"{self.shown}: a header cannot be sent as it is; check headers") from None
        except httpx.TransportError as error:
            raise self._unreachable(error) from None

    async def _ask(self, request: Request, conditions: Mapping[str, str], room: int) -> Answer:
        method, body = self._settings.method, self._settings.body
        if request.url is not None:
            url = request.url
        elif body is not None:
            url, body = self._base.copy_merge_params(self._settings.params), body | request.params
        else:
            url = self._base.copy_merge_params({**self._settings.params, **request.params})
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._client.send(self._built(method, url, body, conditions), stream=True)
            try:
                if response.status_code not in _MOVED or "location" not in response.headers:
                    return await self._read(response, url, room)
                if response.status_code not in (307, 308):
                    method, body = "GET", None
                url = url.join(response.headers["location"])
            finally:
                await response.aclose()
        raise SourceError(f"{self.shown} redirects more than {MAX_REDIRECTS} times; check url")

    def _built(
        self, method: str, url: httpx.URL, body: dict[str, Any] | None, conditions: Mapping[str, str]
    ) -> httpx.Request:
        headers = {
            "User-Agent": f"qraft/{__version__}",
            "Accept": _ACCEPT[self._settings.format],
            "Accept-Encoding": "gzip, deflate",
            **conditions,
        }
        if self._is_home(url):
            headers |= self._settings.headers | self._credentials.headers()
            url = self._credentials.signed(url)
        return self._client.build_request(method, url, headers=headers, json=body if method == "POST" else None)

    def _is_home(self, url: httpx.URL) -> bool:
        """Whether an address is on the configured server, or the same one by TLS."""
        home = self._base
        if (url.scheme, url.host, url.port) == (home.scheme, home.host, home.port):
            return True
        return (
            url.host == home.host
            and (home.scheme, url.scheme) == ("http", "https")
            and (home.port, url.port) == (None, None)
        )

    async def _read(self, response: httpx.Response, url: httpx.URL, room: int) -> Answer:
        status, headers = response.status_code, response.headers
        if status == 304 or 200 <= status < 300:
            body, fault = await _body(response, room, self._settings.max_bytes)
            return Answer(status, url, headers, body, fault, spent(headers, self._clock()))
        wait = retry_after(headers, self._clock())
        quota = spent(headers, self._clock())
        if status == 429 or (status == 503 and wait is not None) or (status == 403 and (wait is not None or quota)):
            raise Limited(wait if wait is not None else quota or None)
        said = f"{status} {response.reason_phrase}".rstrip()
        if status >= 500 or status in _LATER:
            raise NotConnected(f"{self.shown} answered {said}")
        raise SourceError(f"{self.shown} answered {said}{await self._words(response)}; {self._remedy(status)}")

    async def _words(self, response: httpx.Response) -> str:
        """What the server itself says about a refusal, on one line."""
        raw, _ = await _body(response, 4096, 4096)
        text = self._credentials.hide(" ".join(raw.decode(errors="replace").split()))
        if not text or text.startswith("<") or not text.isprintable():
            return ""
        return f" ({text if len(text) <= SAID_CHARACTERS else text[:SAID_CHARACTERS] + '…'})"

    def _remedy(self, status: int) -> str:
        if status in (401, 403):
            return self._credentials.remedy
        if status == 407:
            return "check the proxy that the environment names"
        return _REMEDIES.get(status, "check url, params, headers and body")

    def _unreachable(self, error: httpx.TransportError) -> Exception:
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return SourceError(
                    f"{self.shown}: its certificate is not trusted ({cause.verify_message}); "
                    "set ca_file to the authority that signed it"
                )
        said = next((cause.strerror for cause in reversed(causes) if isinstance(cause, OSError) and cause.strerror), "")
        said = self._credentials.hide(said or str(error) or type(error).__name__)
        return NotConnected(f"{self.shown} cannot be reached: {said}")


async def _body(response: httpx.Response, room: int, limit: int) -> tuple[bytes, str]:
    """The body, and why it is not whole (empty if it is)."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > room:
                return b"".join(parts)[:room], f"longer than {limit} bytes; raise max_bytes to take it"
    except httpx.DecodingError:
        return b"".join(parts), f"not {response.headers.get('content-encoding', '')[:20]}, as which it is sent"
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return b"".join(parts), f"truncated: the connection ended after {size} bytes"
    return b"".join(parts), ""


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    queue = [error]
    while queue:
        one = queue.pop(0)
        if one is None or one in found:
            continue
        found.append(one)
        queue += [one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@cache
def _usual_authorities() -> ssl.SSLContext:
    """What httpx trusts by default; loading it takes 30 ms, which each new start of a source would pay."""
    return httpx.create_ssl_context()


def _tls(settings: RestSource) -> ssl.SSLContext:
    if not settings.ca_file:
        return _usual_authorities()
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise SourceError(f"{settings.ca_file}: cannot be used as ca_file: {error.strerror or error}") from None
