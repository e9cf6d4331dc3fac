"""Entity tags: who has an answer already is told so, without the answer."""

from __future__ import annotations

import httpx
from hypothesis import given, strategies as st

from qraft.api.etags import matches
from qraft.store import Block, Store
from tests.api.sample import START_US, make_pattern

PATHS = ("/api/sources", "/api/patterns", f"/api/pattern/{make_pattern(3).pattern_id}", "/api/events", "/openapi.json")


async def test_the_same_answer_is_not_sent_again(client: httpx.AsyncClient) -> None:
    for path in PATHS:
        first = await client.get(path)
        tag = first.headers["etag"]
        assert (first.status_code, first.headers["cache-control"]) == (200, "private, no-cache"), path
        for asked in (tag, f"W/{tag}", f'"other", W/"more",{tag}', "*"):
            again = await client.get(path, headers={"If-None-Match": asked})
            assert (again.status_code, again.content) == (304, b""), (path, asked)
            assert (again.headers["etag"], again.headers["cache-control"]) == (tag, "private, no-cache")
            assert not {"content-type", "content-length", "link"} & set(again.headers)
        for asked in ('"other"', tag.strip('"'), ""):
            assert (await client.get(path, headers={"If-None-Match": asked})).content == first.content, (path, asked)


async def test_several_fields_are_one_list(client: httpx.AsyncClient) -> None:
    tag = (await client.get("/api/patterns")).headers["etag"]
    again = await client.get("/api/patterns", headers=[("If-None-Match", '"other"'), ("If-None-Match", tag)])
    assert again.status_code == 304


async def test_an_answer_that_changed_has_another_tag(client: httpx.AsyncClient, store: Store) -> None:
    tag = (await client.get("/api/patterns")).headers["etag"]
    await store.write(Block(token="more", ingested_at=START_US, patterns=[make_pattern(60)]))
    again = await client.get("/api/patterns", headers={"If-None-Match": tag})
    assert (again.status_code, again.headers["etag"] != tag) == (200, True)


async def test_what_is_no_list_or_value_has_no_tag(client: httpx.AsyncClient) -> None:
    assert "etag" not in (await client.get("/api/pattern/unknown")).headers
    posted = await client.post(f"/api/feedback/{make_pattern(3).pattern_id}", json={"verdict": "confirmed"})
    assert "etag" not in posted.headers


TAG = st.from_regex(r'"[!#-~]{0,20}"', fullmatch=True)


@given(tag=TAG, others=st.lists(TAG), weak=st.booleans())
def test_a_tag_is_found_in_any_list(tag: str, others: list[str], weak: bool) -> None:
    assert matches([", ".join([*others, f"W/{tag}" if weak else tag])], tag)
    assert matches([*others, tag], tag)
    assert matches([", ".join(others)], tag) == (tag in others)


@given(st.lists(st.text()))
def test_no_header_breaks_the_comparison(fields: list[str]) -> None:
    matches(fields, '"a"')
