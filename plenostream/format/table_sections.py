"""Tables that are too large to be read when a scene opens: which digests let them be read in sections.

A scene of many bricks says two things more about its tables, as attributes that a reader need not
know: the digest of those that say where bricks are (`PLACES`), which are read when it opens, and a
digest for each section of the others (`SECTIONED`), a chunk of each, which are read where bricks of it are
first needed. Of any scene, `tables_digest` is that of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["MOST_SECTIONS", "PLACES", "SECTIONED", "TableSections", "decode_sections"]

PLACES = ("bricks/index", "bricks/density_max", "bricks/sh_bound")
"""Where bricks are, whether they are drawn, and how bright they may be: 28 bytes a brick."""
SECTIONED = ("bricks/row_start", "bricks/mask", "bricks/boxes", "bricks/digest")
"""What is needed of bricks that are drawn, in the order of the digests."""
MOST_SECTIONS = 16_384
"""Digests that the document of a scene has room for: 67 million bricks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSections:
    """The digests, 16 hexadecimal digits each."""

    places: str
    """xxh3-64 of `PLACES`, one array after another."""
    sections: tuple[str, ...]
    """xxh3-64 of each section: the rows of the same chunk of each of `SECTIONED`. The last entry of
    `bricks/row_start` belongs to no brick, and to no section."""

    def attributes(self) -> dict[str, Any]:
        """As JSON values."""
        return {"table_places": self.places, "table_sections": list(self.sections)}


def decode_sections(attributes: Mapping[str, Any]) -> TableSections | None:
    """What checked attributes say; None where they say nothing of sections."""
    if "table_places" not in attributes or "table_sections" not in attributes:
        return None
    return TableSections(
        places=attributes["table_places"], sections=tuple(attributes["table_sections"])
    )
