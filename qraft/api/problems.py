"""Plain errors after RFC 9457: every answer that is not a success is `application/problem+json` with one sentence."""

from __future__ import annotations

import http
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from qraft.api.verdicts import FaultyFeedback, NothingToUndo
from qraft.bus import BusRejected, BusUnavailable
from qraft.store import StoreRejected, StoreUnavailable

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
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
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "min_confidence: should be less than or equal to 1",
                    "errors": [{"field": "min_confidence", "message": "should be less than or equal to 1"}],
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str
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
    app.add_exception_handler(Exception, _unexpected)


def answer(
    status: int, detail: str, *, errors: list[FieldProblem] | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem as a response."""
    problem = Problem(title=http.HTTPStatus(status).phrase, status=status, detail=detail, errors=errors or [])
    content = problem.model_dump(exclude=set() if errors else {"errors"})
    return JSONResponse(content, status_code=status, headers=headers, media_type=MEDIA_TYPE)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [_field_problem(detail) for detail in error.errors()]
    return answer(422, "; ".join(f"{e.field}: {e.message}" for e in errors), errors=errors)


def _field_problem(detail: dict[str, Any]) -> FieldProblem:
    where = ".".join(str(part) for part in detail["loc"][1:]) or str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return FieldProblem(field=where, message="is not a parameter of this request")
    if detail["type"] == "json_invalid":
        return FieldProblem(field="body", message=f"is not JSON: {detail.get('ctx', {}).get('error', detail['msg'])}")
    return FieldProblem(field=where, message=detail["msg"].removeprefix("Value error, ").removeprefix("Input "))


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return answer(error.status_code, error.detail, headers=headers)


async def _conflict(_: Request, error: Exception) -> JSONResponse:
    return answer(409, str(error))


async def _faulty(_: Request, error: Exception) -> JSONResponse:
    return answer(422, str(error))


async def _refused(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, StoreRejected) and error.code in NO_TABLES:
        return await _unavailable(request, StoreUnavailable("there are no tables yet; the engine makes them when it starts"))
    return answer(500, str(error))


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    return answer(503, str(error), headers={"Retry-After": str(RETRY_SECONDS)})


async def _unexpected(_: Request, error: Exception) -> JSONResponse:
    return answer(500, f"an error inside the server ({type(error).__name__}); its log says more")
