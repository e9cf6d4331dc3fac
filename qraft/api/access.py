"""Who may do what: the caller behind a request, and the dependency by which a route asks for a role.

A middleware (`qraft.api.authentication`) finds the caller before anything else is done, so that limits count by caller; a
route then says what it needs: ``caller: Annotated[Caller, Security(needs("label"))]``. Bearer tokens: RFC 6750.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import Scope

from qraft.api.meters import meters_of
from qraft.api.tokens import ROLES, Role

__all__ = ["EVERYONE", "Caller", "Role", "caller", "caller_name", "needs", "note"]

SCHEME = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    bearerFormat="qraft_ and 64 hexadecimal digits",
    description=(
        "A token made by `qraft tokens add NAME --role ROLE`, where the server asks for one. The role read opens what is "
        "read, label also verdicts, admin also what changes the instance."
    ),
)
_STATE = "qraft_caller"
"""Where in a request's state the caller stands, or the refusal."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: name of the token, the default user of a verdict; empty where no tokens are needed.
        role: what it opens.
    """

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the caller's role opens what ``role`` opens."""
        return ROLES.index(self.role) >= ROLES.index(role)


EVERYONE = Caller("", "admin")
"""The caller where no tokens are needed: someone on this machine."""


@functools.cache
def needs(role: Role) -> Callable[..., Awaitable[Caller]]:
    """The dependency that lets callers with this role, or one above, through.

    Raises (when it is called):
        HTTPException: 401 without a valid token, 403 with one whose role is too low, 503 while tokens cannot be checked.
    """

    async def permitted(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(SCHEME)]) -> Caller:
        found = caller(request.scope)
        if not found.may(role):
            meters_of(request.app).refused("role")
            raise HTTPException(
                403,
                f"this needs a token with the role {role}; {found.name} has the role {found.role}",
                headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{role}"'},
            )
        return found

    return permitted


def caller(scope: Scope) -> Caller:
    """Who asks.

    Raises:
        HTTPException: 401 without a valid token, 503 while tokens cannot be checked.
    """
    found = scope["state"].get(_STATE)
    if isinstance(found, Caller):
        return found
    if isinstance(found, HTTPException):
        raise found
    meters_of(scope["app"]).refused("missing")
    raise HTTPException(
        401,
        "this needs a token, as `Authorization: Bearer qraft_...`; `qraft tokens add` makes one",
        headers={"WWW-Authenticate": "Bearer"},
    )


def note(scope: Scope, found: Caller | HTTPException | None) -> None:
    """Notes who asks: a caller, why it is refused, or None where no token is shown."""
    scope.setdefault("state", {})[_STATE] = found


def caller_name(scope: Scope) -> str:
    """Name of the token behind a request; empty for none."""
    found = scope.get("state", {}).get(_STATE)
    return found.name if isinstance(found, Caller) else ""
