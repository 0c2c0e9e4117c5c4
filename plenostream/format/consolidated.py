"""Consolidated metadata: the documents of all groups and arrays once more, in that of the root.

As zarr-python writes it. Who has to wait for answers opens a scene by one document then, instead of
one for each array; who has not reads each array's own, which count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from plenostream.errors import BrickCorrupt
from plenostream.format.source import ByteSource

__all__ = ["ConsolidatedSource", "consolidated", "documents_within"]

_KIND = {"kind": "inline", "must_understand": False}
_NODE = "zarr.json"


def consolidated(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The entry ``consolidated_metadata`` of a root document, of all `documents` below the root by the
    name of their group or array."""
    nothing = _KIND | {"metadata": {}}
    return _KIND | {
        "metadata": {
            name: {**document, "consolidated_metadata": nothing}
            if document["node_type"] == "group"
            else dict(document)
            for name, document in documents.items()
        }
    }


def documents_within(root: Mapping[str, Any]) -> dict[str, Any]:
    """What a root document says of groups and arrays, by name; nothing where it is of another kind."""
    match root.get("consolidated_metadata"):
        case {"kind": "inline", "metadata": dict(documents)}:
            return documents
    return {}


class ConsolidatedSource:
    """A source whose documents are known where the root's has them; they are looked at when they are read."""

    def __init__(self, source: ByteSource, documents: Mapping[str, Any]) -> None:
        self.most_at_once, self.n_attempts = source.most_at_once, source.n_attempts
        self._source = source
        self._known = {f"{name}/{_NODE}": document for name, document in documents.items()}

    @property
    def n_at_once(self) -> int:
        """See `ByteSource`."""
        return self._source.n_at_once

    def read(self, key: str, *, at_most: int) -> bytes:
        """See `ByteSource.read`."""
        if key not in self._known:
            return self._source.read(key, at_most=at_most)
        text = json.dumps(self._known[key]).encode()
        if len(text) > at_most:
            raise BrickCorrupt(f"it has {len(text)} bytes, and {at_most} at most are possible")
        return text

    def size(self, key: str) -> int:
        """See `ByteSource.size`."""
        return self._source.size(key)

    def forget(self, key: str) -> None:
        """See `ByteSource.forget`."""
        self._source.forget(key)

    def close(self) -> None:
        """Close the source."""
        self._source.close()
