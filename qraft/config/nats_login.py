"""How Qraft logs in to NATS, as the message bus and as a source alike: keys, the address made of them, faults in words."""

from __future__ import annotations

import dataclasses
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, model_validator

from qraft.config.base import Section
from qraft.config.tls import LoginError, TlsFiles

_REFUSALS: Final = (
    "authorization",
    "authentication",
    "maximum connections",
    "maximum account",
    "account not found",
    "user not found",
)
S = TypeVar("S", bound=Section)

_NO_FILES: Final = TlsFiles("nats.tls_")
_FILES: Final = ("nkey_file", "credentials_file", "tls_ca_file", "tls_cert_file", "tls_key_file")


def check_nats_url(value: str) -> str:
    """Passes the address of a server, or of several with commas between.

    Raises:
        ValueError: it is none, or it holds secrets.
    """
    for one in value.split(","):
        try:
            parts = urlsplit(one.strip())
            usable = parts.scheme in ("nats", "tls") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError(
                "expected an address such as nats://host:4222 or tls://host:4222, or several with commas between"
            )
        if parts.username is not None:
            raise ValueError("expected an address without secrets; put them into user and password_env, or into token_env")
    return value


def _check_inbox(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", value):
        raise ValueError('expected a beginning of subjects such as "_INBOX" or "_INBOX_engine", without * and >')
    return value


@dataclass(frozen=True, slots=True)
class NatsAddress:
    """Where NATS is and who connects: all that a connection needs, made once from the settings and passed on whole.

    Attributes:
        url: addresses of the servers of one cluster, with commas between. ``?server_host_name=NAME`` says which name the
            certificate bears where an address is not the server's own but that of a tunnel to it.
        section: where its keys stand in the configuration, for messages.
        nkey_file: file of an NKey's seed.
        credentials_file: file of a JWT and a seed.
        inbox_prefix: beginning of the subjects on which answers come.
    """

    url: str
    section: str = "nats"
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    token: str = dataclasses.field(default="", repr=False)
    nkey_file: str = ""
    credentials_file: str = ""
    tls: TlsFiles = _NO_FILES
    inbox_prefix: str = "_INBOX"

    def at(self, url: str) -> NatsAddress:
        """The same login at another address."""
        return dataclasses.replace(self, url=url)

    @property
    def servers(self) -> list[str]:
        """The address of each server."""
        return [one.strip() for one in self.url.split(",")]

    @property
    def secure(self) -> bool:
        """Whether the connection must be a TLS one."""
        return bool(self.tls) or any(one.startswith("tls:") for one in self.servers)

    @property
    def certificate_name(self) -> str:
        """The name that the certificate has to bear; empty for the one in the address."""
        return parse_qs(urlsplit(self.servers[0]).query).get("server_host_name", [""])[0]

    def options(self) -> dict[str, Any]:
        """What ``nats.aio.client.Client.connect`` takes to say who connects and whom it trusts; the files are looked at now.

        Raises:
            LoginError: a file cannot be used.
        """
        options: dict[str, Any] = {"inbox_prefix": self.inbox_prefix}
        if self.user:
            options |= {"user": self.user, "password": self.password}
        if self.token:
            options["token"] = self.token
        if self.nkey_file:
            options["nkeys_seed"] = self._key_file("nkey_file", self.nkey_file, b"SU")
        if self.credentials_file:
            marks = (b"BEGIN NATS USER JWT", b"BEGIN USER NKEY SEED")
            options["user_credentials"] = self._key_file("credentials_file", self.credentials_file, *marks)
        if self.tls:
            options["tls"] = self.tls.context()
        if self.certificate_name:
            options["tls_hostname"] = self.certificate_name
        return options

    def fault(self, error: BaseException | str) -> str:
        """A sentence where an error of connecting will not mend itself: a refused login, a certificate; else empty."""
        said = str(error).removeprefix("nats: ").strip("'")
        if (kind := type(error).__module__).partition(".")[0] == "nkeys" or kind.startswith("binascii"):
            return f"the key of {self.section} cannot be used: {said}; check nkey_file, credentials_file"
        if any(word in said.lower() for word in _REFUSALS):
            return f"{self.url} refuses the login ({said}); check {self._login_keys}"
        if "offers no TLS" in said:
            return f"{self.url}: {said}, so no login is told; switch TLS on there, or write nats:// and no TLS files"
        if (isinstance(error, ssl.SSLError) or "SSL" in said) and (meaning := self.tls.fault(said)):
            return f"{self.url}: {meaning}"
        return ""

    @property
    def _login_keys(self) -> str:
        """The keys that say who connects."""
        given = {
            "credentials_file": self.credentials_file,
            "nkey_file": self.nkey_file,
            "token_env": self.token,
            "user and {}.password_env": self.user,
            "tls_cert_file": self.tls.cert_file,
        }
        named = [f"{self.section}.{key}".format(self.section) for key, value in given.items() if value]
        return " and ".join(named) or f"{self.section}: user, token or key is missing"

    def _key_file(self, key: str, path: str, *marks: bytes) -> str:
        """The path of a file that holds all of ``marks``; nats-py reads one without them for ever."""
        try:
            text = Path(path).read_bytes()
        except OSError as error:
            raise LoginError(f"{self.section}.{key}: {path} cannot be read: {error.strerror or error}") from None
        for mark in marks:
            if mark not in text:
                raise LoginError(f'{self.section}.{key}: {path} holds no "{mark.decode()}"; it is a file of another kind')
        return path


class NatsLogin(Section):
    """The keys of a login to NATS, the same wherever one is configured."""

    user: str = ""
    """User name."""
    password_env: str = ""
    """Name of the environment variable that holds the user's password."""
    token_env: str = ""
    """Name of the environment variable that holds the token."""
    nkey_file: str = ""
    """File that holds the seed of an NKey (starts with SU)."""
    credentials_file: str = ""
    """File of user JWT and NKey seed, as `nsc` writes it (.creds)."""
    tls_ca_file: str = ""
    """File of the certificates to trust; empty trusts the system's."""
    tls_cert_file: str = ""
    """File of the client's own certificate, where the server asks for one."""
    tls_key_file: str = ""
    """File of the key of tls_cert_file; empty where that file holds it."""
    inbox_prefix: Annotated[str, AfterValidator(_check_inbox)] = "_INBOX"
    """Beginning of the subjects on which answers come; with one for each login, none can hear another's answers."""

    def login(self, url: str, section: str, environment: Mapping[str, str] = os.environ) -> NatsAddress:
        """Everything that a connection to ``url`` needs.

        Raises:
            LoginError: an environment variable is not set.
        """
        return NatsAddress(
            url=url,
            section=section,
            user=self.user,
            password=secret(f"{section}.password_env", self.password_env, environment),
            token=secret(f"{section}.token_env", self.token_env, environment),
            nkey_file=self.nkey_file,
            credentials_file=self.credentials_file,
            inbox_prefix=self.inbox_prefix,
            tls=TlsFiles(f"{section}.tls_", self.tls_ca_file, self.tls_cert_file, self.tls_key_file),
        )

    def anchored(self, folder: Path) -> Self:
        """These settings with the paths of files made to start at ``folder``."""
        return anchor(self, folder, _FILES)

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if bool(self.user) != bool(self.password_env):
            raise ValueError("user and password_env go together; one of them is missing")
        ways = [key for key in ("user", "token_env", "nkey_file", "credentials_file") if getattr(self, key)]
        if len(ways) > 1:
            raise ValueError(f"expected one way to log in, got {' and '.join(ways)}")
        if self.tls_key_file and not self.tls_cert_file:
            raise ValueError("tls_key_file needs tls_cert_file")
        return self


class TlsOnly:
    """Mixed into nats-py's client, before it: tells secrets over TLS only, whatever the server says of itself."""

    _server_info: dict[str, Any]

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise ConnectionError("the server offers no TLS")
        command: bytes = super()._connect_command()  # type: ignore[misc]  # that of the client it is mixed into
        return command


def secret(key: str, variable: str, environment: Mapping[str, str]) -> str:
    """The value of an environment variable that the key of the configuration names; empty where it names none.

    Raises:
        LoginError: the variable is not set.
    """
    if not variable:
        return ""
    if variable not in environment:
        raise LoginError(f"{key}: the environment variable {variable} is not set")
    return environment[variable]


def anchor(settings: S, folder: Path, keys: tuple[str, ...]) -> S:
    """``settings`` with the paths at ``keys`` made to start at ``folder``, as far as they are given."""
    given = {key: str(getattr(settings, key)) for key in keys if getattr(settings, key)}
    return settings.model_copy(update={key: str(folder / Path(path).expanduser()) for key, path in given.items()})
