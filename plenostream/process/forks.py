"""Which process something belongs to: threads and devices do not survive `os.fork`."""

from __future__ import annotations

import os

from plenostream.errors import DeviceError

__all__ = ["Owner"]


class Owner:
    """The process in which it was made."""

    def __init__(self) -> None:
        self._process = os.getpid()

    @property
    def is_another(self) -> bool:
        """Whether this process is a child of that one, by `os.fork`."""
        return self._process != os.getpid()

    def refuse_others(self) -> None:
        """Raise DeviceError in such a child: the threads are not there, and it would wait for them."""
        if self.is_another:
            raise DeviceError(
                f"this process was forked from one ({self._process}) that had made a Renderer, whose "
                "threads and device do not survive that; start processes that render by "
                "multiprocessing's 'spawn' or 'forkserver', or fork before the first Renderer is made"
            )
