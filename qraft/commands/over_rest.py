"""Commands against a REST server elsewhere: ``--url``, and the token from the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

if TYPE_CHECKING:
    from qraft.client import AsyncClient, Client

UrlOption = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="QRAFT_URL",
        metavar="URL",
        help="A REST server elsewhere, https://host:port, in place of the instance here. "
        "Its token stands in QRAFT_TOKEN, certificates to trust in the file that QRAFT_CA_FILE names.",
    ),
]


class _Identity(TypedDict):
    token: str
    ca_file: str


def client_of(url: str) -> Client:
    """A client of the server at ``url``.

    Raises:
        ClientError: ``url`` is no address, or the certificates cannot be read.
    """
    from qraft.client import Client

    return Client(url, **_identity())


def async_client_of(url: str) -> AsyncClient:
    """The same for asyncio."""
    from qraft.client import AsyncClient

    return AsyncClient(url, **_identity())


def _identity() -> _Identity:
    return {"token": os.environ.get("QRAFT_TOKEN", "").strip(), "ca_file": os.environ.get("QRAFT_CA_FILE", "")}
