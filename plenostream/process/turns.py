"""Turns of threads at a shared resource, so that it is closed only while no thread uses it.

A thread takes a turn for as long as it uses the resource. Closing refuses new turns, waits for those
that are running, and then gives back what the resource holds.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from plenostream.errors import InvalidInput, PlenostreamError

__all__ = ["Turns"]


class Turns:
    """Turns at one resource: one at a time, in the order of asking, or any number at once.

    Parameters
    ----------
    name : what it is, for messages
    closed : makes the error for a thread that asks for a turn after `close`
    one_at_a_time : whether others wait until a turn has ended
    """

    def __init__(
        self, name: str, *, closed: Callable[[], PlenostreamError], one_at_a_time: bool
    ) -> None:
        self._name = name
        self._closed_error = closed
        self._one_at_a_time = one_at_a_time
        self._is_closing = self._is_closed = False
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._turns: dict[object, int] = {}
        """Running turns, each with the number of its thread."""
        self._waiting: list[object] = []

    def _leave_parent(self) -> None:
        """In a forked child: the threads that had turns, or the lock, are not there."""
        if self._process != os.getpid():
            self._begin()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for a turn, which lasts until the `with` ends.

        Raises
        ------
        PlenostreamError : it is closed, or about to be.
        InvalidInput : this thread is in the middle of a turn, and would wait for itself.
        """
        self._leave_parent()
        mine = object()
        try:
            with self._changed:
                self._wait_for_turn(mine)
                self._turns[mine] = threading.get_ident()
            yield
        finally:
            with self._changed:
                self._turns.pop(mine, None)
                self._changed.notify_all()

    def _wait_for_turn(self, mine: object) -> None:
        if self._one_at_a_time:
            self._refuse_own("it can be used again when that is done")
        self._waiting.append(mine)
        try:
            while self._one_at_a_time and not self._is_closing:
                if self._waiting[0] is mine and not self._turns:
                    break
                self._changed.wait()
            if self._is_closing:
                raise self._closed_error()
        finally:
            self._waiting.remove(mine)
            self._changed.notify_all()

    def _refuse_own(self, remedy: str) -> None:
        if threading.get_ident() in self._turns.values():
            raise InvalidInput(
                f"{self._name} is in use by this very thread, further up (this is called by a "
                f"signal handler or a callback); {remedy}"
            )

    def close(self, give_back: Callable[[], None]) -> None:
        """Refuse new turns, wait for those that are running, then call `give_back`, the first time only.

        Raises
        ------
        InvalidInput : this thread is in the middle of a turn, and would wait for itself.
        """
        self._leave_parent()
        with self._changed:
            self._refuse_own("close it when that is done")
            self._is_closing = True
            self._changed.notify_all()
            while self._turns:
                self._changed.wait()
            if not self._is_closed:
                give_back()
                self._is_closed = True

    def refuse_closed(self) -> None:
        """Raise that error once `close` has ended."""
        if self._is_closed:
            raise self._closed_error()
