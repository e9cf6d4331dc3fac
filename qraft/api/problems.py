"""Plain errors after RFC 9457: every answer that is not a success is `application/problem+json` with one sentence.

Its `instance` is the id of the request, under which the log tells more of an error inside the server.
"""

from __future__ import annotations

import http
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from qraft.api.verdicts import FaultyFeedback, NothingToUndo
from qraft.bus import BusRejected, BusUnavailable
from qraft.store import StoreRejected, StoreUnavailable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
_ID = "qraft_request_id"
_ROUTING = {
    404: "there is nothing at this path; /openapi.json lists what there is",
    405: "this path does not take that method; /openapi.json lists what there is",
}
NO_TABLES = frozenset({60, 81})
"""ClickHouse's codes for an unknown table and an unknown database."""


class FieldProblem(BaseModel):
    """One part of a request that cannot be used."""

    field: str
    message: str


class Problem(BaseModel):
    """Why a request failed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Entity",
                    "status": 422,
                    "detail": "min_confidence: should be less than or equal to 1",
                    "instance": "urn:uuid:5b8c4f0e-3a52-4f5e-9a53-6d1f1f0f7c11",
                    "errors": [{"field": "min_confidence", "message": "should be less than or equal to 1"}],
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = ""
    errors: list[FieldProblem] = []


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of these error answers."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": http.HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Makes every error of ``app`` a problem document."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(NothingToUndo, _conflict)
    app.add_exception_handler(FaultyFeedback, _faulty)
    app.add_exception_handler(BusRejected, _refused)
    app.add_exception_handler(StoreRejected, _refused)
    app.add_exception_handler(BusUnavailable, _unavailable)
    app.add_exception_handler(StoreUnavailable, _unavailable)


def answer(
    scope: Scope,
    status: int,
    detail: str,
    *,
    errors: list[FieldProblem] | None = None,
    headers: dict[str, str] | None = None,
    members: dict[str, Any] | None = None,
) -> JSONResponse:
    """A problem as a response to the request of ``scope``; ``members`` are further ones of its own."""
    asked = id_of(scope)
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **({"instance": f"urn:uuid:{asked}"} if asked else {}),
        **({"errors": [error.model_dump() for error in errors]} if errors else {}),
        **(members or {}),
    }
    return JSONResponse(content, status_code=status, headers=headers, media_type=MEDIA_TYPE)


async def refuse(refusal: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request before it comes to any route."""
    headers = dict(refusal.headers) if refusal.headers else None
    await answer(scope, refusal.status_code, refusal.detail, headers=headers)(scope, receive, send)


def failure(scope: Scope, error: Exception) -> JSONResponse:
    """The answer where something failed that nobody foresaw."""
    return answer(scope, 500, f"an error inside the server ({type(error).__name__}); its log says more")


def give_id(scope: Scope, request_id: str) -> None:
    """Gives a request the id that problems and the log call it by."""
    scope.setdefault("state", {})[_ID] = request_id


def id_of(scope: Scope) -> str:
    """The id of a request; empty where none was given."""
    return str(scope.get("state", {}).get(_ID, ""))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [_field_problem(detail) for detail in error.errors()]
    return answer(request.scope, 422, "; ".join(f"{e.field}: {e.message}" for e in errors), errors=errors)


def _field_problem(detail: dict[str, Any]) -> FieldProblem:
    where = ".".join(str(part) for part in detail["loc"][1:]) or str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return FieldProblem(field=where, message="is not a parameter of this request")
    if detail["type"] == "json_invalid":
        return FieldProblem(field="body", message=f"is not JSON: {detail.get('ctx', {}).get('error', detail['msg'])}")
    return FieldProblem(field=where, message=detail["msg"].removeprefix("Value error, ").removeprefix("Input "))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    detail = error.detail
    if detail == http.HTTPStatus(error.status_code).phrase:  # the router's own words
        detail = _ROUTING.get(error.status_code, detail)
    return answer(request.scope, error.status_code, detail, headers=headers)


async def _conflict(request: Request, error: Exception) -> JSONResponse:
    return answer(request.scope, 409, str(error))


async def _faulty(request: Request, error: Exception) -> JSONResponse:
    return answer(request.scope, 422, str(error))


async def _refused(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, StoreRejected) and error.code in NO_TABLES:
        return await _unavailable(request, StoreUnavailable("there are no tables yet; the engine makes them when it starts"))
    log.error("request %s: %s", id_of(request.scope), error)
    return answer(request.scope, 500, str(error))


async def _unavailable(request: Request, error: Exception) -> JSONResponse:
    return answer(request.scope, 503, str(error), headers={"Retry-After": str(RETRY_SECONDS)})
