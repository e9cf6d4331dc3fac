"""Where the next page is, as a header (RFC 8288)."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request, Response

PAGED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "headers": {"Link": {"description": 'The next page, as rel="next"; none on the last.', "schema": {"type": "string"}}}
    }
}
"""The OpenAPI entry of a list's header."""


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """Names the page after ``cursor`` in the answer's Link header; the last page has none."""
    if cursor is not None:
        url = request.url.include_query_params(cursor=cursor)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
