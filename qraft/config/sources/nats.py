"""Settings of the NATS adapter."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from qraft.config.nats_login import NatsLogin, check_nats_url
from qraft.config.sources.common import SourceSettings

OWN_PREFIX = "qraft"
"""First token of every subject that Qraft itself publishes on."""


def _check_subject(value: str) -> str:
    tokens = value.split(".")
    for number, token in enumerate(tokens, 1):
        if not token or any(c.isspace() for c in token) or ("*" in token and token != "*"):
            raise ValueError("expected tokens with dots between, without spaces; * stands for one whole token")
        if ">" in token and (token != ">" or number < len(tokens)):
            raise ValueError("expected > as the last token only; it stands for the rest")
    return value


def _check_stream(value: str) -> str:
    if len(value) > 255 or any(c.isspace() or c in ".*>/\\" for c in value):
        raise ValueError("expected the name of a stream, without spaces, dots, * and >")
    return value


class NatsSource(NatsLogin, SourceSettings):
    """Messages of a subject of any NATS server: one JSON object, NDJSON or an array a message.

    A plain subscription gets what is published while it stands. With ``stream`` the messages come from a JetStream stream:
    reading waits when the engine is behind, and goes on after a restart where it stopped.
    """

    adapter: Literal["nats"]
    url: Annotated[str, AfterValidator(check_nats_url), Field(json_schema_extra={"pattern": "^(nats|tls)://"})]
    """Address of the server; several servers of one cluster with commas between."""
    subject: Annotated[str, Field(min_length=1), AfterValidator(_check_subject)]
    """Subject to read; * and > stand for one token and for the rest."""
    stream: Annotated[str, AfterValidator(_check_stream)] = ""
    """JetStream stream to read the subject from; empty subscribes to what is published from now on."""
    start: Literal["all", "new"] = "all"
    """Where reading a stream begins at the first start: with all it holds, or with what comes."""
    format: Literal["json", "value"] = "json"
    """json takes objects, NDJSON and arrays; value takes plain numbers and texts, each line as the field "value"."""
    record: str = ""
    """Path of the object, or the array of them, within a message, such as "data"; empty takes the whole message."""
    subject_fields: dict[str, Annotated[int, Field(ge=0, le=64)]] = {}
    """Fields filled from the message's subject: { symbol = 2 } takes its second token, 0 the whole subject."""
    time_header: str = ""
    """Header that holds event time, where `time` is empty."""
    pending_messages: Annotated[int, Field(ge=100, le=1_000_000)] = 65_536
    """Messages of a subscription held while the engine is behind (64 MiB at most); what comes beyond is counted missing."""
    own_subjects: bool = False
    """Also takes subjects that begin with qraft., such as another Qraft's; what was taken so once is left out."""

    @property
    def place(self) -> str:
        """Where the events come from."""
        return f"{self.url} {self.subject}{f' (stream {self.stream})' if self.stream else ''}"

    @property
    def can_wait(self) -> bool:  # type: ignore[override]  # whether it can depends on the settings here
        """A stream keeps what is not read yet; a plain subscription does not."""
        return bool(self.stream)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.subject.split(".")[0] == OWN_PREFIX and not self.own_subjects:
            raise ValueError(
                "subject: begins with qraft., where Qraft publishes itself and would read its own output; name the subject "
                "that your programs publish on, or set own_subjects = true where the server is another Qraft's"
            )
        if self.stream and self.when_full != "block":
            raise ValueError('when_full: expected "block" with stream, which keeps what is not read yet')
        return self
