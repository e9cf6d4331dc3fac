"""What is refused before any route: too often, too much, no JSON, under another name, from another site."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, strategies as st

from qraft.api.limits import address
from qraft.api.origins import Addresses
from qraft.config.api import ApiSettings
from tests.api.sample import Serve
from tests.api.test_api_access import add, bearer

AWAY = ("nats://127.0.0.1:1", "http://127.0.0.1:1")
PROBLEM = "application/problem+json"
FEEDBACK = "/api/feedback/x"
VERDICT = {"verdict": "confirmed"}
STANDING = re.compile(r'"minute";r=(\d+);t=(\d+)')


def standing(answer: httpx.Response) -> int:
    found = STANDING.fullmatch(answer.headers["ratelimit"])
    assert found is not None
    assert 1 <= int(found[2]) <= 60
    return int(found[1])


async def test_who_asks_too_often_is_told_when_to_come_back(serve: Serve) -> None:
    async with serve(*AWAY, settings=ApiSettings(rate_per_minute=3)) as client:
        answers = [await client.get("/metrics") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [standing(answer) for answer in answers] == [2, 1, 0, 0]
        refused = answers[-1]
        assert refused.headers["content-type"] == PROBLEM
        assert refused.headers["ratelimit-policy"] == '"minute";q=3;w=60'
        assert refused.headers["retry-after"] in refused.json()["detail"]
        assert refused.json()["instance"].startswith("urn:uuid:")
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503


async def test_each_token_has_a_limit_of_its_own(serve: Serve, tmp_path: Path) -> None:
    one, two = (add(tmp_path / "tokens.toml", name, "read") for name in ("one", "two"))
    async with serve(*AWAY, settings=ApiSettings(auth="tokens", rate_per_minute=2), data_dir=tmp_path) as client:
        said = [(await client.get("/metrics", headers=bearer(text))).status_code for text in (one, one, one, two)]
        assert said == [200, 200, 429, 200]
        assert (await client.get("/metrics")).status_code == 401


async def test_a_limit_of_none_says_nothing(alone: httpx.AsyncClient) -> None:
    assert "ratelimit" not in (await alone.get("/metrics")).headers


async def test_behind_a_proxy_that_is_trusted_each_client_counts(serve: Serve) -> None:
    def settings(*proxies: str) -> ApiSettings:
        return ApiSettings(rate_per_minute=1, trusted_proxies=list(proxies))

    for trusted, expected in ((("127.0.0.0/8",), [200, 200, 429]), ((), [200, 429, 429])):
        async with serve(*AWAY, settings=settings(*trusted)) as client:
            asked = [await client.get("/metrics", headers={"x-forwarded-for": f"192.0.2.{n}"}) for n in (1, 2, 1)]
            assert [answer.status_code for answer in asked] == expected


async def chunks(size: int, count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * size
        await asyncio.sleep(0)


async def test_a_body_that_is_too_large_is_refused(serve: Serve) -> None:
    """Of stated length before it is read, and else once so much has come."""
    async with serve(*AWAY, settings=ApiSettings(rate_per_minute=0, max_body=1000)) as client:
        json = {"content-type": "application/json"}
        stated = await client.post(FEEDBACK, content=b" " * 1001, headers=json)
        unstated = await client.post(FEEDBACK, content=chunks(101, 10), headers=json)
        for answer in (stated, unstated):
            assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)
            assert "more than 1000 bytes (api.max_body)" in answer.json()["detail"]
        fits = await client.post(FEEDBACK, content=chunks(100, 10), headers=json)
        assert (fits.status_code, fits.json()["errors"][0]["field"]) == (422, "body")


async def raw_answer(client: httpx.AsyncClient, request: bytes) -> bytes:
    """What a server answers to bytes until it closes."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    try:
        writer.write(request)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.transport.abort()


async def test_a_body_that_is_refused_is_not_waited_for(serve: Serve) -> None:
    async with serve(*AWAY, settings=ApiSettings(max_body=1000)) as client:
        head = b"POST /api/feedback/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        said = await raw_answer(client, head + b"Content-Length: 100000000000\r\n\r\n{")
        assert said.startswith(b"HTTP/1.1 413 ")
        said = await raw_answer(client, head + b"Expect: 100-continue\r\nContent-Length: 100000000000\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 413 ")
        assert (await client.get("/healthz")).status_code == 200


async def test_a_body_of_nobody_is_not_waited_for(serve: Serve, tmp_path: Path) -> None:
    async with serve(*AWAY, settings=ApiSettings(auth="tokens"), data_dir=tmp_path) as client:
        head = b"POST /api/feedback/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        for length in (b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n"):
            said = await raw_answer(client, head + b"Connection: close\r\n" + length + b"\r\n")
            assert said.startswith(b"HTTP/1.1 401 ")
            assert b"www-authenticate: Bearer\r\n" in said


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /" + b"a" * 40_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000,
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["endless path", "endless field", "no host", "odd length", "TLS"],
)
async def test_a_head_that_is_no_fit_is_refused(request_head: bytes, alone: httpx.AsyncClient) -> None:
    assert (await raw_answer(alone, request_head)).startswith(b"HTTP/1.1 400 ")
    assert (await alone.get("/healthz")).status_code == 200


async def test_a_long_path_is_just_not_known(alone: httpx.AsyncClient) -> None:
    for path in ("/" + "a" * 30_000, "/api/pattern/" + "a" * 30_000, "/api/patterns?cursor=" + "a" * 30_000):
        answer = await alone.get(path)
        assert (answer.status_code in (404, 422), answer.headers["content-type"]) == (True, PROBLEM)


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "json"]
)
async def test_only_json_is_taken(kind: str, alone: httpx.AsyncClient) -> None:
    answer = await alone.post(FEEDBACK, content=b'{"verdict":"confirmed"}', headers={"content-type": kind} if kind else {})
    assert (answer.status_code, answer.headers["content-type"]) == (415, PROBLEM)
    for other in ("application/json", "Application/JSON; charset=utf-8"):
        taken = await alone.post(FEEDBACK, content=b'{"verdict":"confirmed"}', headers={"content-type": other})
        assert taken.status_code == 503, "NATS is away"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example"])
async def test_a_page_of_another_site_may_not_ask(origin: str, alone: httpx.AsyncClient) -> None:
    for answer in (
        await alone.post(FEEDBACK, json=VERDICT, headers={"origin": origin}),
        await alone.get("/metrics", headers={"origin": origin}),
        await alone.options(FEEDBACK, headers={"origin": origin, "access-control-request-method": "POST"}),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (403, PROBLEM)
        assert "access-control-allow-origin" not in answer.headers
        assert "qraft_api" not in answer.text


async def test_its_own_pages_may_ask(alone: httpx.AsyncClient) -> None:
    own = str(alone.base_url).rstrip("/")
    assert (await alone.post(FEEDBACK, json=VERDICT, headers={"origin": own})).status_code == 503


async def test_pages_of_a_named_origin_may_ask(serve: Serve) -> None:
    named = "https://ops.example"
    async with serve(*AWAY, settings=ApiSettings(cors_origins=[named], rate_per_minute=9)) as client:
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
        before = await client.options(FEEDBACK, headers={"origin": named, **asked})
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] == named
        assert "authorization" in before.headers["access-control-allow-headers"].lower()
        assert "access-control-allow-credentials" not in before.headers
        answer = await client.get("/metrics", headers={"origin": named})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, named)
        assert "RateLimit" in answer.headers["access-control-expose-headers"]
        other = await client.get("/metrics", headers={"origin": "https://evil.example"})
        assert (other.status_code, "access-control-allow-origin" in other.headers) == (403, False)


async def test_a_name_that_is_not_the_servers_is_not_answered(alone: httpx.AsyncClient, serve: Serve) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "", "a b", "192.0.2.1"):
        answer = await alone.get("/metrics", headers={"host": host})
        assert (answer.status_code, "qraft_api" in answer.text) == (400, False), host
    assert (await alone.get("/metrics", headers={"host": "evil.example"})).headers["content-type"] == PROBLEM
    for host in ("localhost", "localhost:1", "127.0.0.1", "[::1]:1", "LocalHost."):
        assert (await alone.get("/metrics", headers={"host": host})).status_code == 200, host
    async with serve(*AWAY, settings=ApiSettings(hosts=["Qraft.example"])) as client:
        assert (await client.get("/metrics", headers={"host": "qraft.example"})).status_code == 200


@pytest.mark.parametrize(
    ("listens", "names", "asked", "answered"),
    [
        ("192.0.2.1", [], "192.0.2.1:80", True),
        ("192.0.2.1", [], "192.0.2.2", False),
        ("192.0.2.1", [], "localhost", True),
        ("2001:db8::1", [], "[2001:db8::1]:8080", True),
        ("0.0.0.0", [], "192.0.2.2", True),
        ("::", [], "[2001:db8::1]", True),
        ("0.0.0.0", [], "api:8080", False),
        ("0.0.0.0", ["api"], "api:8080", True),
        ("0.0.0.0", ["*"], "anything.example", True),
        ("0.0.0.0", ["*"], "any thing", False),
        ("ops.example", [], "ops.example", True),
    ],
)
def test_the_names_of_a_server(listens: str, names: list[str], asked: str, answered: bool) -> None:
    assert Addresses(host=listens, names=frozenset(names)).answers_to(asked) is answered


@given(st.text(), st.text())
def test_no_header_breaks_the_checks(asked: str, origin: str) -> None:
    addresses = Addresses()
    assert addresses.answers_to(asked) in (True, False)
    assert addresses.lets(origin, asked) is (origin in (f"http://{asked}", f"https://{asked}"))


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5), "192.0.2.1"),
        (("2001:db8::1", 5), "2001:db8::/64"),
        (("2001:db8::ffff:1", 5), "2001:db8::/64"),
        (("fe80::1%eth0", 5), "fe80::/64"),
        (("unknown", 5), "unknown"),
        (None, ""),
    ],
)
def test_an_address_counts_with_its_network(client: tuple[str, int] | None, counted: str) -> None:
    assert address({"client": client}) == counted
