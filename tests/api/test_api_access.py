"""Tokens and roles, over a server that reaches nothing: what a role opens then fails for that, with 503."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from hypothesis import given, strategies as st
from starlette.responses import StreamingResponse

from qraft.api.app import create_app
from qraft.api.authentication import FAILURES_PER_MINUTE
from qraft.api.errors import ApiError
from qraft.api.links import Backend
from qraft.api.server import ApiServer, guard_of, listen
from qraft.api.tokens import (
    ROLES,
    Role,
    Token,
    TokenBook,
    TokenError,
    digest,
    find,
    make,
    read_tokens,
    tokens_path,
    utc_now,
    write_tokens,
)
from qraft.config.api import ApiSettings
from tests.api.sample import NOW, Serve, until

AWAY = ("nats://127.0.0.1:1", "http://127.0.0.1:1")
PROBLEM = "application/problem+json"
TOKENS = ApiSettings(auth="tokens")
FEEDBACK, INGEST = "/api/feedback/x", "/api/ingest/app"


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def add(path: Path, name: str, role: Role, expires: datetime | None = None) -> str:
    text, token = make(role, now=utc_now(), expires=expires)
    write_tokens(path, {**read_tokens(path), name: token})
    return text


async def test_metrics_may_be_opened_and_nothing_else(serve: Serve, tmp_path: Path) -> None:
    settings = ApiSettings(auth="tokens", open_metrics=True)
    async with serve("nats://127.0.0.1:1", "http://127.0.0.1:1", settings=settings, data_dir=tmp_path) as open_one:
        assert (await open_one.get("/metrics")).status_code == 200
        assert (await open_one.get("/api/stats")).status_code == 401


async def statuses(client: httpx.AsyncClient, text: str) -> list[int]:
    """What reading, labelling and sending events in answer to a token."""
    headers = bearer(text)
    return [
        (await client.get("/metrics", headers=headers)).status_code,
        (await client.post(FEEDBACK, headers=headers, json={"verdict": "confirmed"})).status_code,
        (await client.post(INGEST, headers=headers, json={"x": 1})).status_code,
    ]


async def test_each_role_opens_its_own_and_those_below(serve: Serve, tmp_path: Path) -> None:
    texts = {role: add(tmp_path / "tokens.toml", f"one-{role}", role) for role in ROLES}
    async with serve(*AWAY, settings=TOKENS, data_dir=tmp_path) as client:
        assert await statuses(client, texts["read"]) == [200, 403, 403]
        assert await statuses(client, texts["label"]) == [200, 503, 403]
        assert await statuses(client, texts["admin"]) == [200, 503, 503]
        refused = await client.post(FEEDBACK, headers=bearer(texts["read"]), json={"verdict": "confirmed"})
        assert refused.headers["content-type"] == PROBLEM
        assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="label"'
        assert refused.json()["detail"] == "this needs a token with the role label; one-read has the role read"


async def test_every_endpoint_of_the_interface_asks_for_a_token(serve: Serve, tmp_path: Path) -> None:
    """Whatever the OpenAPI document lists; only what says whether the server is well is open."""
    async with serve(*AWAY, settings=TOKENS, data_dir=tmp_path) as client:
        document = (await client.get("/openapi.json")).json()
        opened = set()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                asked = path.replace("{pattern_id}", "x").replace("{source}", "app")
                answer = await client.request(method, asked, json={} if method == "post" else None)
                if answer.status_code != 401:
                    opened.add(path)
                    assert "security" not in operation
                    continue
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.headers["content-type"] == PROBLEM
                assert "qraft tokens add" in answer.json()["detail"]
                assert operation["security"] == [{"token": []}], path
                assert {"401", "403", "429"} <= set(operation["responses"])
        assert opened == {"/healthz", "/readyz"}
        assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


@pytest.mark.parametrize(
    "header",
    ["Bearer qraft_" + "0" * 64, "Bearer", "Basic b3BzOng=", "qraft_" + "0" * 64, "bearer \xe9", "Bearer a b"],
)
async def test_what_is_no_known_token_is_refused(header: str, serve: Serve, tmp_path: Path) -> None:
    add(tmp_path / "tokens.toml", "ops", "admin")
    async with serve(*AWAY, settings=TOKENS, data_dir=tmp_path) as client:
        answer = await client.get("/metrics", headers=[(b"authorization", header.encode("latin-1"))])
        assert (answer.status_code, answer.headers["content-type"]) == (401, PROBLEM)
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_the_scheme_is_known_in_any_case(serve: Serve, tmp_path: Path) -> None:
    text = add(tmp_path / "tokens.toml", "ops", "read")
    async with serve(*AWAY, settings=TOKENS, data_dir=tmp_path) as client:
        assert (await client.get("/metrics", headers={"authorization": f"bEARER {text}"})).status_code == 200


async def test_an_expired_token_opens_nothing(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    over = add(path, "over", "admin", utc_now() - timedelta(seconds=1))
    valid = add(path, "valid", "read", utc_now() + timedelta(hours=1))
    async with serve(*AWAY, settings=TOKENS, data_dir=tmp_path) as client:
        refused = await client.get("/metrics", headers=bearer(over))
        assert (refused.status_code, "expired" in refused.json()["detail"]) == (401, True)
        assert (await client.get("/metrics", headers=bearer(valid))).status_code == 200


async def test_tokens_come_and_go_while_it_serves(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    async with serve(*AWAY, settings=TOKENS, data_dir=tmp_path) as client:
        assert (await client.get("/metrics")).status_code == 401
        text = add(path, "ops", "read")
        assert (await client.get("/metrics", headers=bearer(text))).status_code == 200
        other = add(path, "other", "read")
        assert (await client.get("/metrics", headers=bearer(other))).status_code == 200
        write_tokens(path, {name: token for name, token in read_tokens(path).items() if name != "ops"})
        assert (await client.get("/metrics", headers=bearer(text))).status_code == 401
        assert (await client.get("/metrics", headers=bearer(other))).status_code == 200
        path.unlink()
        assert (await client.get("/metrics", headers=bearer(other))).status_code == 401


@pytest.mark.parametrize(
    "content", ["[ops\n", "x = 1\n", '[ops]\nrole = "root"\nsha256 = "0"\ncreated = 2026-01-01T00:00:00Z\n', "\udcff"]
)
async def test_a_broken_file_refuses_all_and_the_log_says_so(
    content: str, serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tokens.toml"
    text = add(path, "ops", "admin")
    whole = path.read_bytes()
    async with serve(*AWAY, settings=TOKENS, data_dir=tmp_path) as client:
        assert (await client.get("/metrics", headers=bearer(text))).status_code == 200
        path.write_bytes(content.encode(errors="surrogateescape"))
        for _ in range(2):
            answer = await client.get("/metrics", headers=bearer(text))
            assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
            assert str(tmp_path) not in answer.text
        assert (await client.get("/metrics")).status_code == 401
        said = [record.message for record in caplog.records if str(path) in record.message]
        assert len(said) == 1
        assert "every token is refused" in said[0]
        path.write_bytes(whole)
        assert (await client.get("/metrics", headers=bearer(text))).status_code == 200


async def test_an_answer_without_end_ends_with_its_token(tmp_path: Path) -> None:
    """As the stream of patterns does; so does a token that was taken away open nothing from then on."""
    path = tmp_path / "tokens.toml"
    text = add(path, "ops", "read")
    settings = ApiSettings(auth="tokens")

    def nothing() -> Backend:
        raise AssertionError

    async def ticks() -> AsyncIterator[bytes]:
        while True:
            yield b"tick\n"
            await asyncio.sleep(0.01)

    app = create_app(nothing, now=lambda: NOW, guard=guard_of(settings, tmp_path))
    app.add_api_route("/ticks", lambda: StreamingResponse(ticks()))
    server = ApiServer(app, settings)
    with listen(settings) as listener:
        running = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started)
        url = settings.url(listener.getsockname()[1])
        async with (
            httpx.AsyncClient(trust_env=False, timeout=30) as client,
            client.stream("GET", f"{url}/ticks", headers=bearer(text)) as answer,
        ):
            lines = answer.aiter_lines()
            assert [await anext(lines) for _ in range(3)] == ["tick"] * 3
            write_tokens(path, {})
            async for _ in lines:  # until the server ends it
                pass
        server.should_exit = True
        await running


async def test_wrong_tokens_are_limited_and_right_ones_are_not(serve: Serve, tmp_path: Path) -> None:
    text = add(tmp_path / "tokens.toml", "ops", "read")
    async with serve(*AWAY, settings=TOKENS, data_dir=tmp_path) as client:
        wrong = [await client.get("/metrics", headers=bearer(f"qraft_{n}")) for n in range(FAILURES_PER_MINUTE + 2)]
        assert [answer.status_code for answer in wrong] == [401] * FAILURES_PER_MINUTE + [429, 429]
        assert 1 <= int(wrong[-1].headers["retry-after"]) <= 60
        assert wrong[-1].headers["content-type"] == PROBLEM
        right = await client.get("/metrics", headers=bearer(text))
        assert right.status_code == 200
        assert f'qraft_api_auth_failures_total{{reason="unknown"}} {FAILURES_PER_MINUTE + 2}.0' in right.text
        assert "qraft_api_rate_limited_total 2.0" in right.text


async def test_without_tokens_everyone_on_this_machine_may_ask(alone: httpx.AsyncClient) -> None:
    assert await statuses(alone, "qraft_of_nobody") == [200, 503, 503]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_other_machines_are_let_in_with_tokens_only(host: str, tmp_path: Path) -> None:
    with pytest.raises(ApiError, match=r"can be reached from other machines.*qraft tokens add"):
        guard_of(ApiSettings().model_copy(update={"host": host}), tmp_path)
    assert guard_of(ApiSettings(host=host, auth="tokens"), tmp_path).tokens is not None
    with pytest.raises(ValueError, match="can be reached from other machines"):
        ApiSettings(host=host)


def test_a_token_is_256_random_bits_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "tokens.toml"
    texts = [add(path, f"t{n}", "read") for n in range(3)]
    assert len(set(texts)) == 3
    for text in texts:
        prefix, _, bits = text.partition("_")
        assert (prefix, len(bytes.fromhex(bits))) == ("qraft", 32)
        assert text not in path.read_text()
        assert bits not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert [find(read_tokens(path), text) for text in texts] == ["t0", "t1", "t2"]


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TokenError, match="cannot be written"):
        write_tokens(tmp_path / "file" / "tokens.toml", {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(TokenError, match="Is a directory"):
        read_tokens(tmp_path / "folder")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('["a b"]\nrole = "read"\nsha256 = "{h}"\ncreated = 2026-01-01T00:00:00Z', "is no name of a token"),
        ('[a]\nrole = "read"\nsha256 = "{h}0"\ncreated = 2026-01-01T00:00:00Z', "a.sha256 is no SHA-256"),
        ('[a]\nrole = "read"\nsha256 = "{h}"\ncreated = 2026-01-01T00:00:00', "has no zone"),
        ('[a]\nrole = "read"\nsha256 = "{h}"\ncreated = 2026-01-01T00:00:00Z\nexpries = 1', "expries"),
    ],
)
def test_a_mistake_in_the_file_is_named(entry: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(entry.replace("{h}", "0" * 64))
    with pytest.raises(TokenError, match=said):
        read_tokens(path)


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}", fullmatch=True)
moments = st.integers(0, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
entries = st.builds(
    Token,
    role=st.sampled_from(ROLES),
    sha256=st.binary().map(lambda data: digest(data.hex())),
    created=moments,
    expires=st.none() | moments,
)


@given(st.dictionaries(names, entries, max_size=5))
def test_the_file_keeps_what_it_is_given(tmp_path_factory: pytest.TempPathFactory, tokens: dict[str, Token]) -> None:
    path = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    write_tokens(path, tokens)
    assert TokenBook(path).tokens() == tokens


def test_a_link_that_is_turned_to_another_file_is_followed(tmp_path: Path) -> None:
    """So do mounted secrets change."""
    texts = [add(tmp_path / f"{n}" / "tokens.toml", "ops", "read") for n in range(2)]
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "0")
    book = TokenBook(tokens_path(tmp_path, str(link / "tokens.toml")))
    assert [find(book.tokens(), text) for text in texts] == ["ops", None]
    other = tmp_path / "other"
    other.symlink_to(tmp_path / "1")
    other.replace(link)
    assert [find(book.tokens(), text) for text in texts] == [None, "ops"]
