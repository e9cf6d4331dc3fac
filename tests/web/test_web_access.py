"""Who may open the interface in a browser."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, strategies as st

from qraft.web.access import Access, checked_public_url, checked_token, needs_token
from qraft.web.errors import WebError
from qraft.web.page import HEADERS, forward_page, refusal_page, terminal_page

NAMES = st.text(string.ascii_lowercase + string.digits + ".-", min_size=1, max_size=20)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "LOCALHOST:80", "127.0.0.1:9", "localhost.:9"]
)
def test_loopback_is_answered_under_every_name_of_its_own(host: str) -> None:
    access = Access("127.0.0.1")
    assert access.refuses_address({"Host": host}, websocket=False) is None
    assert access.refuses_address({"Host": host, "Origin": f"http://{host}"}, websocket=True) is None
    refusal = access.refuses_address({"Host": host}, websocket=True)
    assert refusal is not None
    assert refusal.status == 403


@given(NAMES.map(lambda name: f"{name}.example"), st.sampled_from(["127.0.0.1", "0.0.0.0", "::", "192.0.2.1"]))
def test_a_foreign_name_is_refused_wherever_it_listens(name: str, host: str) -> None:
    access = Access(host, public_url="https://ops.test")
    for asked in (name, f"{name}:8090", f"127.0.0.1.{name}", f"127.0.0.1@{name}", f"ops.test.{name}"):
        assert access.refuses_address({"Host": asked}, websocket=False) is not None
        assert access.refuses_address({"Host": "ops.test", "Origin": f"https://{asked}"}, websocket=False) is not None
    assert access.refuses_address({"Host": "ops.test", "Origin": "https://ops.test"}, websocket=True) is None


def test_another_port_of_the_same_machine_is_another_site() -> None:
    access = Access("127.0.0.1")
    assert access.refuses_address({"Host": "localhost:8090", "Origin": "http://localhost:3000"}, websocket=True) is not None


@given(st.text(), st.text(string.printable.strip(), min_size=16))
def test_only_the_token_and_its_cookie_are_known(guess: str, token: str) -> None:
    access = Access("0.0.0.0", token=token, port=8090)
    assert access.knows(token)
    assert access.knows(guess) == (guess == token)
    assert access.refuses_token(access.cookie_value) is None
    assert (access.refuses_token(guess) is None) == (guess == access.cookie_value)
    assert token not in access.cookie_value
    assert not Access("127.0.0.1").knows("")


def test_where_a_token_is_needed() -> None:
    assert not any(needs_token(host, "") for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"))
    assert all(needs_token(host, "") for host in ("0.0.0.0", "::", "192.0.2.1", "ops.example"))
    assert needs_token("127.0.0.1", "https://ops.example")
    assert not needs_token("127.0.0.1", "http://localhost:80")


@pytest.mark.parametrize(
    "url", ["ops.example", "ftp://ops.example", "https://ops.example/qraft", "https://a:1x", "https://u@a", "https://"]
)
def test_a_public_url_is_an_origin(url: str) -> None:
    with pytest.raises(WebError, match="--public-url"):
        checked_public_url(url)
    assert checked_public_url("https://Ops.example/") == "https://ops.example"


@pytest.mark.parametrize("token", ["short", "with a space in its middle", "ümlaut-ümlaut-ümlaut", ""])
def test_a_token_is_long_and_fits_an_address(token: str) -> None:
    with pytest.raises(WebError, match="token"):
        checked_token(token, "QRAFT_WEB_TOKEN")


def test_pages_load_nothing_from_elsewhere_and_carry_no_markup_of_others() -> None:
    pages = [terminal_page(size) for size in (None, "20", "5", "x", '"><script>', "９９")]
    assert not any(re.search(r"https?:|//[a-z]", page) for page in pages)
    assert 'data-font-size="20"' in pages[1]
    assert all('data-font-size="16"' in page for page in (pages[0], *pages[2:]))
    assert "<script>" not in refusal_page("<script>") + forward_page('/?x="><script>')
    assert "http" not in HEADERS["Content-Security-Policy"]
