"""A visitor of the viewer without a browser: says what the page says, and takes what it takes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

from plenostream.process.closing import Closing

__all__ = ["Picture", "VisitingClient"]

WAIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What came of a view."""

    head: dict[str, Any]
    """What is said of it; see `viewer.painter`."""
    jpeg: bytes

    @property
    def is_coarse(self) -> bool:
        """Whether it is the whole picture, and no patch."""
        return self.head["left"] is None


class VisitingClient(Closing):
    """Comes in at the viewer's address; a context manager.

    Raises whatever websockets raises where it is not let in.
    """

    def __init__(self, url: str, *, origin: str | None = None) -> None:
        """Take the `origin` of the page that it says it is; None: the viewer's own."""
        parts = urlsplit(url)
        own = f"{parts.scheme}://{parts.netloc}"
        target = parts._replace(scheme="ws", path="/stream").geturl()
        self._entered = ExitStack()
        self.connection: ClientConnection = self._entered.enter_context(
            connect(
                target, origin=own if origin is None else origin, compression=None, max_size=None
            )
        )
        self.number = 0
        self.scene: dict[str, Any] = self.told("scene")

    def close(self) -> None:
        """Leave."""
        self._entered.close()

    def say(self, **message: Any) -> None:
        """Send a message."""
        self.connection.send(json.dumps(message))

    def look(self, *, moves: bool = False, **said: Any) -> int:
        """Ask for a view, the first camera's pose unless said otherwise; its number."""
        self.number += 1
        first = {"size": [64, 48], "pose": self.scene["first"]["pose"], "fov": 45.0}
        shown = {"output": "rgb", "background": [1.0, 1.0, 1.0], "camera": None}
        self.say(**first | shown | said, kind="view", number=self.number, moves=moves)
        return self.number

    def told(self, *kinds: str) -> dict[str, Any]:
        """The next thing that is said of such kinds; pictures before it are taken in."""
        for got in self._coming():
            if isinstance(got, dict) and got["kind"] in kinds:
                return got
        raise TimeoutError(f"nothing was said of {kinds}")

    def picture(self, number: int | None = None) -> Picture:
        """The next picture of that view, or of any; said to be seen."""
        for got in self._coming():
            if isinstance(got, Picture) and number in (None, got.head.get("view")):
                return got
        raise TimeoutError(f"there was no picture of view {number}")

    def pictures_until_exact(self, number: int) -> list[Picture]:
        """All pictures of a view that rests, to the last patch."""
        pictures = [self.picture(number)]
        while not pictures[-1].head["exact"]:
            pictures.append(self.picture(number))
        return pictures

    def _coming(self) -> Iterator[dict[str, Any] | Picture]:
        """What comes in the next minute."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            yield self._next()

    def _next(self) -> dict[str, Any] | Picture:
        data = self.connection.recv(timeout=WAIT_S)
        if isinstance(data, str):
            told: dict[str, Any] = json.loads(data)
            return told
        n = int.from_bytes(data[:4], "little")
        head = json.loads(data[4 : 4 + n])
        if "view" in head:
            self.say(kind="seen")
        return Picture(head=head, jpeg=data[4 + n :])
