"""The OpenAPI document: complete, its examples valid, and no request it allows breaks the server."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
from collections import Counter

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from pydantic import BaseModel
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from qraft import api
from qraft.bus import Bus
from qraft.model import EngineStats, SourceStats
from tests.api.sample import NOW, make_pattern

PROBLEM = "application/problem+json"
UNCHECKED = [positive_data_acceptance, negative_data_rejection]
"""Cursors, filters and mutes follow rules that JSON Schema cannot say; and what is wrong as JSON may be right in a query."""
ENDPOINTS = {
    "GET /api/sources": "list_sources",
    "GET /api/patterns": "list_patterns",
    "GET /api/pattern/{pattern_id}": "get_pattern",
    "POST /api/feedback/{pattern_id}": "give_feedback",
    "GET /api/events": "list_events",
    "GET /api/stats": "get_stats",
    "GET /api/stream": "stream_patterns",
    "POST /api/ingest/{source}": "ingest_events",
}


async def test_the_openapi_document_is_complete(alone: httpx.AsyncClient) -> None:
    document = (await alone.get("/openapi.json")).json()
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert {name: one["operationId"] for name, one in operations.items() if "/api/" in name} == ENDPOINTS
    schemas = document["components"]["schemas"]
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert len(operation["tags"]) == 1, name
        assert all(parameter.get("description") for parameter in operation.get("parameters", [])), name
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)
            for media, content in answer.get("content", {}).items():
                assert (media == PROBLEM) == (int(status) >= 400), (name, status)
                references = [one.get("$ref", "") for one in content["schema"].get("anyOf", [content["schema"]])]
                known = all(one.rsplit("/", 1)[-1] in schemas for one in references)
                assert known or content["schema"] == {"type": "string"}, (name, status)
    assert not [name for name, times in Counter(one["operationId"] for one in operations.values()).items() if times > 1]
    for name in ("PatternView", "PatternPage", "PatternDetail", "SourceView", "FeedbackRequest", "FeedbackView", "Problem",
                 "EventView", "EventPage", "StatsView", "EngineStatsView", "Ingested"):  # fmt: skip
        assert schemas[name]["examples"], name


def views() -> list[type[BaseModel]]:
    """Every model of the package."""
    names = [found.name for found in pkgutil.walk_packages(api.__path__, "qraft.api.")]
    values = [value for name in names for value in vars(importlib.import_module(name)).values()]
    return [value for value in values if isinstance(value, type) and issubclass(value, BaseModel)]


@pytest.mark.parametrize("model", sorted(set(views()), key=lambda model: model.__name__))
def test_the_examples_of_the_openapi_document_are_valid(model: type[BaseModel]) -> None:
    if model is BaseModel:
        return
    for example in model.model_json_schema().get("examples", []):
        assert model.model_validate(example).model_dump(exclude_unset=True, mode="json") == example


async def live(bus: Bus) -> None:
    """Speaks as an engine does, once a second."""
    while True:
        sources = [SourceStats(source="host", state="running", rate=1.0)]
        await bus.publish_stats(EngineStats(engine="main", timestamp=NOW, state="running", sources=sources))
        await asyncio.sleep(1)


async def test_no_request_that_the_document_allows_breaks_the_server(client: httpx.AsyncClient, bus: Bus) -> None:
    """What it allows, and what it does not, is answered as it says. The stream, which does not end, is not asked."""
    engine = asyncio.create_task(live(bus))
    try:
        await until_ready(client)
        await asyncio.to_thread(ask, str(client.base_url))
    finally:
        engine.cancel()
        await asyncio.gather(engine, return_exceptions=True)


async def until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while (await client.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.1)


def ask(url: str) -> None:
    """Requests that schemathesis makes from the document: the same each time."""
    document = httpx.get(f"{url}/openapi.json", trust_env=False).json()
    for methods in document["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)  # on loopback no token is needed
    schema = schemathesis.openapi.from_dict(document).exclude(path="/api/stream")
    schema.config.update(base_url=url)
    few = settings(
        max_examples=10,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    for found in schema.get_all_operations():
        operation = found.ok()
        strategies = [operation.as_strategy(mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]
        if "{pattern_id}" in operation.path:
            known = {"pattern_id": make_pattern(3).pattern_id}
            strategies.append(operation.as_strategy(GenerationMode.POSITIVE, path_parameters=known))
        for strategy in strategies:

            @few
            @given(case=strategy)
            def answers(case: schemathesis.Case) -> None:
                case.call_and_validate(timeout=30, excluded_checks=UNCHECKED)

            with contextlib.suppress(Unsatisfiable):  # nothing is wrong for an operation without parameters
                answers()
