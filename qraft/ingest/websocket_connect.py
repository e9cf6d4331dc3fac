"""Connecting to a WebSocket server: what of the settings comes from the environment, and what each refusal means."""

from __future__ import annotations

import os
import re
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidProxy, InvalidURI, ProxyError

from qraft.config.sources import WebSocketSource
from qraft.ingest.base import NotConnected, SourceError

OPEN_SECONDS: Final = 10.0
"""How long connecting may take."""
CLOSE_SECONDS: Final = 1.0
"""How long the server may take to agree to an end."""

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expanded(value: Any, key: str) -> Any:
    """A setting with every ``${NAME}`` in its texts replaced by the environment variable.

    Raises:
        SourceError: a variable is not set; ``key`` is the setting's name.
    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _variable(found.group(1), key), value)
    if isinstance(value, dict):
        return {name: expanded(inner, f"{key}.{name}") for name, inner in value.items()}
    if isinstance(value, list):
        return [expanded(inner, key) for inner in value]
    return value


def _variable(name: str, key: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SourceError(f"{key}: the environment variable {name} is not set")
    if not value.isprintable():
        raise SourceError(f"{key}: the environment variable {name} holds more than one line of text")
    return value


async def open_connection(name: str, settings: WebSocketSource) -> ClientConnection:
    """A connection to the server of the source ``name``. Errors show the address as it was written, without secrets.

    Raises:
        NotConnected: no connection; the text says why.
        SourceError: the settings cannot be used.
    """
    shown, key = settings.url, f"sources.{name}"
    url: str = expanded(settings.url, f"{key}.url")
    headers: dict[str, str] = expanded(settings.headers, f"{key}.headers")
    keys: dict[str, Any] = {}
    if any(header.lower() == "user-agent" for header in headers):
        keys["user_agent_header"] = None
    try:
        return await connect(
            url,
            additional_headers=headers,
            max_size=settings.max_message_bytes,
            open_timeout=OPEN_SECONDS,
            # Pings keep the way open. Their answers are not waited for: they stand behind the messages that a full
            # sink leaves unread. idle_seconds finds a dead server.
            ping_timeout=None,
            close_timeout=CLOSE_SECONDS,
            proxy=_proxy(url, expanded(settings.proxy, f"{key}.proxy")),
            compression="deflate" if settings.compression else None,
            **keys,
        )
    except ValueError as error:
        raise SourceError(f"{shown}: not the address of a WebSocket server ({error}); check url") from None
    except InvalidURI as error:
        raise SourceError(f"{shown}: not the address of a WebSocket server ({error.msg}); check url") from None
    except InvalidProxy as error:
        raise SourceError(f"{key}.proxy: not the address of a proxy ({error.msg})") from None
    except ImportError:
        raise SourceError(
            f"{key}.proxy: a SOCKS proxy needs the package python-socks; install it or use an HTTP proxy"
        ) from None
    except TimeoutError:
        raise NotConnected(f"{shown} did not answer within {OPEN_SECONDS:g} s") from None
    except OSError as error:
        raise NotConnected(f"{shown} cannot be reached: {error.strerror or error}") from None
    except ProxyError as error:
        raise NotConnected(f"{shown} cannot be reached through the proxy: {error}") from None
    except InvalidHandshake as error:
        raise NotConnected(f"{shown} refused the connection: {error}") from None


def _proxy(url: str, proxy: str) -> str | Literal[True] | None:
    if proxy == "none":
        return None
    if proxy != "env":
        return proxy
    return None if urlsplit(url).hostname in _LOOPBACK and urlsplit(url).port != 0 else True
