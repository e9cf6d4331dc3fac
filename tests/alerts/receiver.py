"""A real HTTP server that takes messages, and may be slow, refuse, or ask to wait."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes ...").decode()


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def identity(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def signed(self, secret: str = SECRET) -> bool:
        """As a receiver checks it, after the text of Standard Webhooks."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = b".".join((self.identity.encode(), self.headers["webhook-timestamp"].encode(), self.body))
        wanted = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(wanted, self.headers["webhook-signature"])


@dataclass
class Receiver:
    """What came, and what is answered: the next of ``answers``, the last one for ever.

    ``answers`` are statuses, or statuses with headers; ``hold`` keeps every answer back while it is cleared.
    """

    url: str = ""
    answers: list[int | tuple[int, dict[str, str]]] = field(default_factory=lambda: [200])
    received: list[Received] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    def answer(self) -> tuple[int, dict[str, str]]:
        one = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return one if isinstance(one, tuple) else (one, {})

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Each message once, as a receiver keeps them: one that comes again bears the same id."""
        found: dict[str, dict[str, Any]] = {}
        for number, one in enumerate(list(self.received)):
            found.setdefault(one.headers.get("webhook-id", str(number)), one.message)
        return list(found.values())


@contextlib.contextmanager
def receiving(certificate: Path | None = None, port: int = 0) -> Iterator[Receiver]:
    """A receiver on 127.0.0.1; over TLS with a certificate and key in one file."""
    receiver = Receiver()
    receiver.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender was killed in mid-sentence: nothing was received
                return
            receiver.hold.wait(60)
            receiver.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, headers = receiver.answer()
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()
