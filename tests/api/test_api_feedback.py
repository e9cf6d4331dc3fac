"""Verdicts, mutes, notes and undos over REST."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from qraft.api.tokens import Role, Token, make, tokens_path, utc_now, write_tokens
from qraft.bus import Bus
from qraft.config.api import ApiSettings
from qraft.model import Feedback, Scope, Verdict
from qraft.store import Block, Store
from tests.api.sample import NOW, START_US, Serve, make_pattern, until, until_well

PROBLEM = "application/problem+json"


async def heard_by(bus: Bus) -> list[Feedback]:
    heard: list[Feedback] = []
    await bus.watch_feedback(heard.append)
    return heard


async def test_a_verdict_is_on_the_stream_when_the_answer_comes(client: httpx.AsyncClient, bus: Bus) -> None:
    heard = await heard_by(bus)
    one = make_pattern(5)
    request = {"verdict": "false_positive", "note": "nightly", "user": "ops1"}
    answer = await client.post(f"/api/feedback/{one.pattern_id}", json=request)
    assert answer.status_code == 202
    await until(lambda: bool(heard))
    assert heard == [Feedback(**answer.json())]
    given = heard[0]
    assert (given.pattern_id, given.source, given.detector, given.timestamp) == (one.pattern_id, one.source, "test", NOW)
    assert (given.verdict, given.note, given.user) == ("false_positive", "nightly", "ops1")
    stream = await bus.jetstream().stream_info("QRAFT_EVENTS")
    assert stream.state.messages == 1


async def test_the_same_feedback_id_is_stored_once(client: httpx.AsyncClient, bus: Bus) -> None:
    request = {"verdict": "confirmed", "feedback_id": "mine-1"}
    for _ in range(3):
        answer = await client.post(f"/api/feedback/{make_pattern(5).pattern_id}", json=request)
        assert (answer.status_code, answer.json()["feedback_id"]) == (202, "mine-1")
    assert (await bus.jetstream().stream_info("QRAFT_EVENTS")).state.messages == 1


async def test_an_undo_names_the_verdict_it_takes_back(client: httpx.AsyncClient) -> None:
    path = f"/api/feedback/{make_pattern(3).pattern_id}"
    answer = await client.post(path, json={"verdict": "undo", "user": "ops1"})
    assert (answer.status_code, answer.json()["undoes"]) == (202, "fb-3")
    other = await client.post(path, json={"verdict": "undo", "user": "ops2"})
    assert other.status_code == 409
    assert other.json()["detail"] == f'no verdict of "ops2" is in force on pattern {make_pattern(3).pattern_id}'


async def test_a_verdict_that_is_not_stored_yet_can_be_undone_at_once(client: httpx.AsyncClient) -> None:
    path = f"/api/feedback/{make_pattern(5).pattern_id}"
    given = (await client.post(path, json={"verdict": "confirmed", "user": "ops1"})).json()
    undo = await client.post(path, json={"verdict": "undo", "user": "ops1"})
    assert (undo.status_code, undo.json().get("undoes")) == (202, given["feedback_id"])
    again = await client.post(path, json={"verdict": "undo", "user": "ops1"})
    assert again.status_code == 409


SCOPE = {"source": "market", "entity": "BTC", "type": "", "detector": ""}


async def test_a_mute_and_a_note_travel_with_what_they_need(client: httpx.AsyncClient, bus: Bus) -> None:
    heard = await heard_by(bus)
    path = f"/api/feedback/{make_pattern(5).pattern_id}"
    mute = {"verdict": "mute", "scope": SCOPE, "until": "2026-11-22T19:00:00+01:00", "user": "ops1"}
    answer = await client.post(path, json=mute)
    assert (answer.status_code, answer.json()["scope"]) == (202, SCOPE)
    assert (await client.post(path, json={"verdict": "note", "note": "backup"})).status_code == 202
    await until(lambda: len(heard) == 2)
    assert (heard[0].scope, heard[0].until) == (Scope(source="market", entity="BTC"), "2026-11-22T18:00:00.000000Z")
    assert heard[0].source == make_pattern(5).source
    assert (heard[1].verdict, heard[1].note, heard[1].scope, heard[1].until) == ("note", "backup", None, "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"verdict": "note"}, "a note needs its text"),
        ({"verdict": "mute", "until": "2026-11-22T18:00:00Z"}, "a mute needs a scope"),
        ({"verdict": "mute", "scope": {}, "until": "2026-11-22T18:00:00Z"}, "a mute needs a scope"),
        ({"verdict": "mute", "scope": SCOPE}, "a mute needs an end"),
        ({"verdict": "mute", "scope": SCOPE, "until": "2026-11-22T11:00:00Z"}, "a mute must end after it begins"),
        ({"verdict": "mute", "scope": SCOPE, "until": "2027-11-22T11:00:00Z"}, "a mute ends after 30 days at the latest"),
        ({"verdict": "confirmed", "scope": SCOPE}, '"confirmed" takes neither a scope nor an end'),
    ],
)
async def test_a_mute_or_note_without_what_it_needs_is_refused(
    client: httpx.AsyncClient, bus: Bus, body: dict[str, object], reason: str
) -> None:
    answer = await client.post(f"/api/feedback/{make_pattern(5).pattern_id}", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert answer.json()["detail"].startswith(reason)
    assert (await bus.jetstream().stream_info("QRAFT_EVENTS")).state.messages == 0


async def test_mutes_and_notes_are_told_with_their_pattern_and_undone_by_who_said_them(
    client: httpx.AsyncClient, store: Store
) -> None:
    one = make_pattern(3)

    def said(name: str, verdict: Verdict, **more: Any) -> Feedback:
        base = {"feedback_id": name, "pattern_id": one.pattern_id, "verdict": verdict, "timestamp": NOW}
        return msgspec.convert({**base, "source": one.source, "user": "ops1", **more}, Feedback)

    past = said("ended", "mute", scope=SCOPE, until="2026-11-22T11:59:00Z", timestamp="2026-11-22T11:00:00Z")
    await store.write(Block(token="a", ingested_at=START_US + 1, feedback=[said("note", "note", note="hm"), past]))
    path = f"/api/feedback/{one.pattern_id}"
    undo = {"verdict": "undo", "user": "ops1"}
    assert (await client.post(path, json=undo)).json()["undoes"] == "note", "a mute that ended needs no undo"
    mute = said("mute", "mute", scope=SCOPE, until="2026-11-22T18:00:00Z")
    await store.write(Block(token="b", ingested_at=START_US + 2, feedback=[mute]))
    assert (await client.post(path, json=undo)).json()["undoes"] == "mute"
    body = (await client.get(f"/api/pattern/{one.pattern_id}")).json()
    assert (body["verdict"], body["feedback_id"]) == ("confirmed", "fb-3")
    assert [(f["feedback_id"], f["scope"], f["until"]) for f in body["feedback"]] == [
        ("fb-3", None, ""),
        ("note", None, ""),
        ("ended", SCOPE, "2026-11-22T11:59:00.000000Z"),
        ("mute", SCOPE, "2026-11-22T18:00:00.000000Z"),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{}", "verdict"),
        ('{"verdict": "ok"}', "verdict"),
        ('{"verdict": "confirmed", "notes": ""}', "notes"),
        ('{"verdict": "confirmed", "note": 3}', "note"),
        ('{"verdict": "confirmed", "feedback_id": "a b"}', "feedback_id"),
        ('{"verdict": "confirmed", "note": "\\ud800"}', "note"),
        ('{"verdict": "mute", "until": 1795000000}', "until"),
        ('{"verdict": "mute", "until": "soon"}', "until"),
        ('{"verdict": "mute", "scope": {"type": "spike"}}', "scope.type"),
        ('{"verdict": "mute", "scope": {"host": "x"}}', "scope.host"),
        ("{", "body"),
        ("[]", "body"),
    ],
)
async def test_a_body_that_cannot_be_used_names_the_field(alone: httpx.AsyncClient, body: str, field: str) -> None:
    path = f"/api/feedback/{make_pattern(5).pattern_id}"
    answer = await alone.post(path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_body_that_is_not_declared_as_json_is_refused(client: httpx.AsyncClient, bus: Bus) -> None:
    path = f"/api/feedback/{make_pattern(5).pattern_id}"
    answer = await client.post(path, content='{"verdict": "confirmed"}', headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert (await bus.jetstream().stream_info("QRAFT_EVENTS")).state.messages == 0


@pytest.mark.usefixtures("store")
async def test_a_token_speaks_for_itself_and_admin_for_others(
    bus: Bus, serve: Serve, clickhouse_url: str, database: str, tmp_path: Path
) -> None:
    texts: dict[str, str] = {}
    tokens: dict[str, Token] = {}
    roles: dict[str, Role] = {"ann": "label", "root": "admin"}
    for name, role in roles.items():
        texts[name], tokens[name] = make(role, now=utc_now())
    write_tokens(tokens_path(tmp_path), tokens)
    path = f"/api/feedback/{make_pattern(5).pattern_id}"
    settings = ApiSettings(auth="tokens", rate_per_minute=0)
    async with serve(bus.url, clickhouse_url, database, settings=settings, data_dir=tmp_path) as client:
        await until_well(client)
        for token, user, status, name in (
            ("ann", "", 202, "ann"),
            ("ann", "ann", 202, "ann"),
            ("ann", "bob", 403, ""),
            ("root", "", 202, "root"),
            ("root", "bob", 202, "bob"),
        ):
            body = {"verdict": "confirmed", "user": user}
            answer = await client.post(path, json=body, headers={"Authorization": f"Bearer {texts[token]}"})
            assert (answer.status_code, answer.json().get("user", "")) == (status, name), (token, user)
            if status == 403:
                assert answer.json()["detail"] == 'this token speaks for "ann", not for "bob"; leave user out'
