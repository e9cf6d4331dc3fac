"""The server sees who asks; nobody else sees the secret."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest

from qraft.config.sources import RestSource
from qraft.ingest.base import IngestError, SourceError
from tests.ingest.rest_server import Asked, Reply, adapter, polled, served

SECRET = "s3cret/tok+en=="
QUOTED = "s3cret%2Ftok%2Ben%3D%3D"
VARIABLE = "QRAFT_TEST_KEY"

KINDS = [
    ({"kind": "bearer"}, "authorization", f"Bearer {SECRET}"),
    ({"kind": "basic", "user": "me"}, "authorization", "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()),
    ({"kind": "header", "name": "X-Api-Key"}, "x-api-key", SECRET),
    ({"kind": "query", "name": "apikey"}, "", SECRET),
]
kinds = pytest.mark.parametrize(("auth", "header", "value"), KINDS, ids=[kind["kind"] for kind, _, _ in KINDS])


def shown(asked: Asked, header: str) -> str | None:
    return asked.headers.get(header) if header else asked.query.get("apikey")


@kinds
async def test_the_server_sees_it(
    sink: Any, monkeypatch: pytest.MonkeyPatch, auth: dict[str, str], header: str, value: str
) -> None:
    monkeypatch.setenv(VARIABLE, f"{SECRET}\n")  # a value read from a file often ends its line
    async with served([{"a": 1}]) as server:
        await polled(f"{server.url}/x?q=1", sink, lambda: bool(sink.events), auth={**auth, "env": VARIABLE})
    assert shown(server.asked[0], header) == value
    assert server.asked[0].query["q"] == "1"


@kinds
async def test_the_secret_stays_with_its_server(
    sink: Any, monkeypatch: pytest.MonkeyPatch, auth: dict[str, str], header: str, value: str
) -> None:
    """A redirect and a next page to other servers (another port is one) are followed without it."""
    monkeypatch.setenv(VARIABLE, SECRET)
    async with served([{"a": 1}]) as other:

        def answer(asked: Asked) -> Reply:
            if asked.path == "/paged":
                return Reply({"a": 0}, headers={"Link": f'<{other.url}/next>; rel="next"'})
            return Reply(status=307, headers={"Location": f"{other.url}/moved"})

        async with served(answer) as server:
            keys: dict[str, Any] = {"auth": {**auth, "env": VARIABLE}, "headers": {"X-Team": "blue"}}
            await polled(server.url, sink, lambda: len(other.asked) >= 1, **keys)
            await polled(f"{server.url}/paged", sink, lambda: other.asked[-1].path == "/next", pages={"by": "link"}, **keys)
    assert shown(server.asked[0], header) == shown(server.asked[-1], header) == value
    for asked in other.asked:
        assert shown(asked, header) is None
        assert "x-team" not in asked.headers


@pytest.mark.parametrize("auth", [auth for auth, _, _ in KINDS], ids=[auth["kind"] for auth, _, _ in KINDS])
async def test_no_message_holds_it(
    sink: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, auth: dict[str, str]
) -> None:
    """A server that says all it was told, in refusals, in broken answers, in redirects; logs at their most verbose."""
    monkeypatch.setenv(VARIABLE, SECRET)
    caplog.set_level(logging.DEBUG)
    said: list[str] = []

    def everything(asked: Asked) -> str:
        pairs = "&".join(f"{name}={one}" for name, one in asked.query.items())
        return f"{asked.headers} {asked.query} {pairs} {QUOTED}"

    def answer(asked: Asked) -> Reply:
        match asked.path.strip("/").split("/"):
            case ["broken"]:
                return Reply("{" + everything(asked))
            case ["moved", *_]:
                return Reply(status=302, headers={"Location": f"/moved?apikey={QUOTED}"})
            case ["limited"]:
                return Reply(status=429, headers={"Retry-After": "90"})
            case [status]:
                return Reply(everything(asked), int(status))
            case _:
                raise AssertionError(asked)

    keys: dict[str, Any] = {"auth": {**auth, "env": VARIABLE}}
    async with served(answer) as server:
        for path in ("401", "403", "422", "500", "moved"):
            with pytest.raises(IngestError) as caught:
                await adapter(f"{server.url}/{path}", sink, **keys).run()
            said.append(str(caught.value))
        await polled(f"{server.url}/broken", sink, lambda: bool(sink.letters), **keys)
        await polled(f"{server.url}/limited", sink, lambda: bool(sink.notices), **keys)
    for letter in sink.letters:
        said += [letter.reason, letter.original.decode()]
    said += [text for _, text in sink.notices]
    said += [record.getMessage() for record in caplog.records]
    assert len(said) >= 8
    assert f"check auth and the value of the environment variable {VARIABLE}" in said[0]
    hidden = (SECRET, QUOTED, base64.b64encode(f"me:{SECRET}".encode()).decode())
    for text in said:
        assert not any(secret in text for secret in hidden), text


async def test_a_missing_variable_is_named(sink: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = {"kind": "bearer", "env": VARIABLE}
    for value in (None, "", " \n"):
        if value is None:
            monkeypatch.delenv(VARIABLE, raising=False)
        else:
            monkeypatch.setenv(VARIABLE, value)
        with pytest.raises(SourceError, match=f"the environment variable {VARIABLE}, which auth.env names, is not set"):
            await adapter("http://127.0.0.1:1", sink, auth=auth).run()


@pytest.mark.parametrize("value", ["a\nb", "schlüssel"])
async def test_a_value_that_no_header_can_carry(sink: Any, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(SourceError, match=f"{VARIABLE} holds characters that no HTTP header can carry") as caught:
        await adapter("http://127.0.0.1:1", sink, auth={"kind": "bearer", "env": VARIABLE}).run()
    assert value not in str(caught.value)


async def test_a_key_in_the_configured_address_is_not_shown(sink: Any) -> None:
    settings = RestSource(adapter="rest", url="https://127.0.0.1:1/x?apikey=abc#frag")
    assert settings.place == "https://127.0.0.1:1/x every 10 s"
    with pytest.raises(IngestError) as caught:
        await adapter("http://127.0.0.1:1/x?apikey=abc", sink).run()
    assert "abc" not in str(caught.value)
