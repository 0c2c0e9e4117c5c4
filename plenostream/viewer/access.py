"""Who may come in, and how much they may say: decided before anything else is looked at.

A page of any site can make the browser that shows it ask a server of this machine. It is kept out
twice: the browser says with each WebSocket which page opened it (Origin), and a name that leads to
this machine in another's stead is not one of ours (Host).
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

__all__ = ["Access", "Allowance"]

_TOKEN_BYTES = 24
_OWN_NAMES = ("localhost", "127.0.0.1", "::1")


class Access:
    """What a request has to bring along."""

    def __init__(self, *, needs_token: bool) -> None:
        self.token = secrets.token_urlsafe(_TOKEN_BYTES) if needs_token else ""
        """Empty where none is needed."""

    @property
    def query(self) -> str:
        """What the viewer's address ends in."""
        return f"?token={self.token}" if self.token else ""

    def refusal_of_page(self, target: str, host: str) -> str | None:
        """Why a request for the page is refused, None where it is not.

        Parameters
        ----------
        target : path and query. host : what the browser took us for
        """
        if self.token:
            given = parse_qs(urlsplit(target).query).get("token", [""])[0]
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                return "the address lacks the token that plenostream printed, or has another one"
        elif urlsplit(f"//{host}").hostname not in _OWN_NAMES:
            # Through a tunnel (ssh -L) the port may be any, the name is this machine's own.
            return "without a token, only localhost and 127.0.0.1 lead here; see --share-token"
        return None

    def refusal_of_stream(self, target: str, host: str, origin: str) -> str | None:
        """The same for a WebSocket, which a page of ours at `origin` has to have opened."""
        refusal = self.refusal_of_page(target, host)
        if refusal is None and urlsplit(origin).netloc.lower() != host.lower():
            refusal = "the page that asks is none of this server's"
        return refusal


class Allowance:
    """So many messages a second, and so many at once."""

    def __init__(
        self, *, per_second: float, at_once: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second, self._most, self._clock = per_second, at_once, clock
        self._left, self._then = at_once, clock()

    def take(self) -> bool:
        """Whether one more is allowed."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._then) * self._per_second)
        self._then = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
