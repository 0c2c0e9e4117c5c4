"""Host memory as it is measured while something is drawn."""

from __future__ import annotations

__all__ = ["HostLedger"]


class HostLedger:
    """The largest bytes of each kind while something is drawn."""

    def __init__(self) -> None:
        self._peaks: dict[str, int] = {}

    def note(self, kind: str, n_bytes: int) -> None:
        """So much is in use now."""
        self._peaks[kind] = max(self._peaks.get(kind, 0), n_bytes)

    @property
    def peak_bytes(self) -> int:
        """The peaks of all kinds together: at least what was in use at any one time."""
        return sum(self._peaks.values())
