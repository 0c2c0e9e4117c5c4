"""Opens and validates svox2 checkpoints (.npz); converts nothing."""

from __future__ import annotations

from plenostream.checkpoint.model import Checkpoint, StoredArray, open_checkpoint
from plenostream.checkpoint.stream import MemberStream, read_exactly

__all__ = ["Checkpoint", "MemberStream", "StoredArray", "open_checkpoint", "read_exactly"]
