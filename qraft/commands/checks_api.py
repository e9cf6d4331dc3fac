"""What `qraft doctor` says of the REST server's access: its tokens and its certificate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qraft.commands.checks import Check
from qraft.commands.checks_tls import until

if TYPE_CHECKING:
    from qraft.config.api import ApiSettings


def of_api(settings: ApiSettings, data_dir: Path) -> Iterator[Check]:
    """Whether somebody can ask, where tokens are needed, and until when the certificate holds."""
    from qraft.config.tls import expiry_of

    if settings.auth == "tokens":
        yield _tokens(settings, data_dir)
    if settings.tls_cert_file:
        name = f"REST certificate {settings.tls_cert_file}"
        ends = expiry_of(settings.tls_cert_file)
        if ends is None:
            yield Check(name, "fail", "there is none in that file", "correct api.tls_cert_file")
        else:
            yield until(name, ends, "put a new one there; the server takes it up by itself")


def _tokens(settings: ApiSettings, data_dir: Path) -> Check:
    from qraft.api.tokens import TokenError, read_tokens, tokens_path, utc_now

    path, make = tokens_path(data_dir, settings.tokens_file), "`qraft tokens add NAME --role read` makes one"
    try:
        tokens = read_tokens(path)
    except TokenError as error:
        return Check("REST tokens", "fail", str(error), "mend that file; until then every token is refused")
    valid = [name for name, token in tokens.items() if not token.expired(utc_now())]
    if not valid:
        return Check("REST tokens", "warn", f"{path} holds no valid one, so nobody is let in", make)
    return Check("REST tokens", "ok", f"{', '.join(sorted(valid))} in {path}")
