"""How a NATS source logs in: secrets from environment variables and files, made into options of nats-py."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

from qraft.config.sources import NatsSource
from qraft.ingest.base import SourceError


def login_options(name: str, settings: NatsSource) -> dict[str, Any]:
    """The options of ``nats.aio.client.Client.connect`` that say who connects, and whom it trusts.

    Raises:
        SourceError: an environment variable is not set, or a file cannot be used.
    """
    options: dict[str, Any] = {}
    if settings.user:
        options |= {"user": settings.user, "password": _secret(name, "password_env", settings.password_env)}
    if settings.token_env:
        options["token"] = _secret(name, "token_env", settings.token_env)
    if settings.nkey_file:
        options["nkeys_seed"] = _key_file(name, "nkey_file", settings.nkey_file, b"SU")
    if settings.credentials_file:
        path = settings.credentials_file
        options["user_credentials"] = _key_file(
            name, "credentials_file", path, b"BEGIN NATS USER JWT", b"BEGIN USER NKEY SEED"
        )
    if settings.tls_ca_file or settings.tls_cert_file:
        options["tls"] = _context(name, settings)
    return options


def _context(name: str, settings: NatsSource) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise SourceError(f"sources.{name}.tls_ca_file: {settings.tls_ca_file} cannot be used: {_words(error)}") from None
    if settings.tls_cert_file:
        try:
            context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file or None)
        except (OSError, ssl.SSLError) as error:
            raise SourceError(
                f"sources.{name}.tls_cert_file: {settings.tls_cert_file} cannot be used: {_words(error)}"
            ) from None
    return context


def _secret(name: str, key: str, variable: str) -> str:
    if variable not in os.environ:
        raise SourceError(f"sources.{name}.{key}: the environment variable {variable} is not set")
    return os.environ[variable]


def _key_file(name: str, key: str, path: str, *marks: bytes) -> str:
    """The path of a file that holds all of ``marks``; nats-py reads one without them for ever."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise SourceError(f"sources.{name}.{key}: {path} cannot be read: {_words(error)}") from None
    for mark in marks:
        if mark not in text:
            raise SourceError(f'sources.{name}.{key}: {path} holds no "{mark.decode()}"; it is a file of another kind')
    return path


def _words(error: OSError) -> str:
    return error.strerror or str(error)
