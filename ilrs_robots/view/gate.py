"""Who may open the view: every HTTP request and every WebSocket goes through ``Gate.admit``.

A page that can send vehicles about must not answer to everybody. The viewer's server knows no
users, so each of its requests is looked at before the server sees it:

* without a token it listens on loopback only, and answers only to a loopback ``Host`` (a foreign
  name that points at 127.0.0.1 is DNS rebinding);
* a ``Origin`` must be the page's own: browsers let every page open a WebSocket to this machine;
* with a token, it must come once in the address (``/?token=...``) and then as a cookie.

Reference: RFC 6455 section 10.2 (Origin), RFC 6265bis (SameSite, HttpOnly).
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs, urlsplit

from ilrs_robots.core.errors import ConfigError

COOKIE: Final = "ilrs_view"
MIN_TOKEN: Final = 16
"""Characters of a token; ``secrets.token_urlsafe(16)`` gives 22."""


@dataclass(frozen=True)
class Answer:
    """What to do with a request.

    Attributes:
        status: 200 lets it through; 303 and 403 are answered at once.
        sentence: body of a refusal.
        headers: of that answer.
    """

    status: int
    sentence: str = ""
    headers: tuple[tuple[str, str], ...] = ()


PASS: Final = Answer(200)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Gate:
    """Decides on requests.

    Args:
        host: address that the server listens on.
        token: that a browser must bring; empty for none.

    Raises:
        ConfigError: an address beyond loopback without a token, or a token that is too short.
    """

    def __init__(self, host: str, token: str = "") -> None:
        if not token and not is_loopback(host):
            raise ConfigError(
                f"host = {host!r}: the view can send vehicles about, so beyond 127.0.0.1 it needs "
                "a token (--token)"
            )
        if token and len(token) < MIN_TOKEN:
            raise ConfigError(f"the token has {len(token)} characters: at least {MIN_TOKEN}")
        self._token = token

    def admit(self, path: str, headers: Iterable[tuple[str, str]]) -> Answer:
        """Look at one request.

        Args:
            path: with its query, as it stands in the request line.
            headers: names and values, as they came.
        """
        told: dict[str, list[str]] = {}
        for name, value in headers:
            told.setdefault(name.lower(), []).append(value)
        hosts, origins = told.get("host", []), told.get("origin", [])
        if len(hosts) != 1 or len(origins) > 1:
            return _refused("a request names one host")
        if not self._token and not is_loopback(_host_of(hosts[0])):
            return _refused("without a token this view answers to 127.0.0.1 and localhost only")
        if origins and urlsplit(origins[0]).netloc.lower() != hosts[0].lower():
            return _refused("this page is not the view's own")
        if not self._token or self._has_cookie(told.get("cookie", [])):
            return PASS
        given = parse_qs(urlsplit(path).query).get("token", [""])[0]
        if not self._is(given):
            return _refused("open the view by its whole address, with ?token=...")
        cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        return Answer(303, headers=(("Location", "/"), ("Set-Cookie", cookie)))

    def _has_cookie(self, texts: list[str]) -> bool:
        for text in texts:
            try:
                found = SimpleCookie(text).get(COOKIE)
            except CookieError:
                continue
            if found is not None and self._is(found.value):
                return True
        return False

    def _is(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _host_of(text: str) -> str:
    try:
        return urlsplit(f"//{text}").hostname or ""
    except ValueError:
        return ""


def _refused(why: str) -> Answer:
    return Answer(403, f"ilrs view: {why}\n")
