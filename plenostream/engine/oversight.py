"""Pictures that may be cancelled, and that say how far they are.

Whoever draws waits in many places: for bricks that are read, for threads that draw, for a device. So
a thread of its own asks whether the picture is still wanted, and where it is not, it has all of
these waits end soon (`Session.interrupt`). What is then on its way to the caller is half done,
whether an error came of it or not: it is given up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

from plenostream.errors import InternalError, RenderCancelled
from plenostream.results import Cancel, Progress

__all__ = ["UNWATCHED", "Oversight", "overseen"]

_POLL_S = 0.005
"""Seconds between questions whether a picture is wanted: a tenth of what a cancelled one may take."""
_STEP = "drawing"


class Oversight:
    """What a picture in hand answers to."""

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._cancelled = threading.Event()
        self._done = self._total = self._lot = 0
        self._told: int | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether the picture is not wanted any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """From now on it is not."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise RenderCancelled where the picture is not wanted any more."""
        if self.is_cancelled:
            raise RenderCancelled("the picture was cancelled before it was done")

    def begin(self, n_rays: int) -> None:
        """So many rays are going to be drawn."""
        self._done, self._total = 0, n_rays
        self._tell(0)

    def begin_lot(self, n_rays: int) -> None:
        """So many of them are next."""
        self.check()
        self._lot = n_rays

    def lot_is_at(self, share: float) -> None:
        """Such a share of their way is done, 0 to 1."""
        self.check()
        self._tell(self._done + int(share * self._lot))

    def end_lot(self) -> None:
        """They are drawn."""
        self.check()
        self._done += self._lot
        self._tell(self._done)

    def _tell(self, done: int) -> None:
        if self._progress is not None and done != self._told:
            self._told = done
            self._progress(_STEP, done, self._total)


UNWATCHED = Oversight()
"""Of pictures that are drawn to the end, and that nobody asks about."""


@contextmanager
def overseen(
    cancel: Cancel | None, progress: Progress | None, interrupt: Callable[[], None]
) -> Iterator[Oversight]:
    """Oversight of a picture that is drawn inside the `with`.

    Parameters
    ----------
    interrupt : ends the waits of the thread that draws; called from another one, again and again
        until the `with` is left, since a wait may have begun just after a call

    Raises
    ------
    RenderCancelled : `cancel` said so before the `with` was left. Whatever `cancel` raises.
    """
    oversight = Oversight(progress)
    if cancel is None:
        yield oversight
        return
    left = threading.Event()
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            while not cancel():
                if left.wait(_POLL_S):
                    return
        except BaseException as error:  # of the caller's own: raised where the caller is
            failures.append(error)
        oversight.cancel()
        while not left.is_set():
            interrupt()
            left.wait(_POLL_S)

    watcher = threading.Thread(target=watch, name="plenostream-cancel", daemon=True)
    watcher.start()
    try:
        yield oversight
    except (CancelledError, InternalError, RenderCancelled):
        if not oversight.is_cancelled:
            raise
    finally:
        left.set()
        watcher.join()
    if failures:
        raise failures[0]
    oversight.check()
