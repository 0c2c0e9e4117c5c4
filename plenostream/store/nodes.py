"""The ``zarr.json`` documents of a scene, read strictly: anything unexpected is refused by name.

Plain Zarr readers believe what these documents say. So does this one only where it is what
`store.layout` promises: a shape or chunk size that was altered would move every row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from plenostream.errors import BrickCorrupt, StoreFormat, StoreNotFound
from plenostream.store.layout import ArraySpec, codec_metadata
from plenostream.store.source import ByteSource, ZipSource

__all__ = ["GROUPS", "check_array_node", "check_group_node", "read_attributes"]

GROUPS = ("bricks", "rows")
"""Groups below the root."""
_LARGEST_DOCUMENT = 1 << 20
"""Bytes of the largest ``zarr.json`` that is looked at; ours have about 1000."""


def read_attributes(source: ByteSource, *, where: str) -> dict[str, Any]:
    """Attributes of the root group; `where` is said in errors.

    Raises
    ------
    StoreNotFound : there is no root group, so nothing here is a scene.
    StoreFormat : its document cannot be read, or is not that of a group.
    """
    try:
        source.size("zarr.json")
    except KeyError:
        hint = _hint(source)
        raise StoreNotFound(f"{where} is no scene: there is no zarr.json in it{hint}") from None
    except (OSError, BrickCorrupt) as error:
        raise StoreFormat(f"{where}: zarr.json cannot be read: {error}") from error
    document = _read_document(source, "zarr.json", where=where)
    attributes = document.pop("attributes", None)
    if not isinstance(attributes, dict):
        raise StoreFormat(f"{where} is not a plenostream scene: zarr.json has no attributes")
    _compare(document, {"zarr_format": 3, "node_type": "group"}, f"{where}: zarr.json")
    return attributes


def check_group_node(source: ByteSource, name: str, *, where: str) -> None:
    """Refuse (StoreFormat) a group below the root whose document is not that of a plain group."""
    key = f"{name}/zarr.json"
    document = _read_document(source, key, where=where)
    expected = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    _compare({"attributes": {}} | document, expected, f"{where}: {key}")


def check_array_node(source: ByteSource, spec: ArraySpec, *, where: str, exact: bool) -> str:
    """Name of the compressor of an array ("zstd" or "lz4") whose document is as `spec` says.

    How Blosc compressed is written in each chunk too, so other levels and element sizes read the
    same; with `exact` they are refused as well, as alterations.

    Raises
    ------
    StoreFormat : the document is missing, unreadable, or says anything else.
    """
    key = f"{spec.name}/zarr.json"
    document = _read_document(source, key, where=where)
    label = f"{where}: {key}"
    codec = _compressor(document.get("codecs"), label)
    floating = np.dtype(spec.dtype).kind == "f"
    expected: dict[str, Any] = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(spec.shape),
        "data_type": spec.dtype,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": list(spec.chunk_shape)},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": "NaN" if floating else 0,
        "codecs": codec_metadata(spec, codec=codec),
        "attributes": {},
        "storage_transformers": [],
    }
    defaults: dict[str, Any] = {"attributes": {}, "storage_transformers": []}
    document["codecs"] = _completed_codecs(document["codecs"], expected["codecs"], exact=exact)
    _compare(defaults | document, expected, label)
    return codec


def _hint(source: ByteSource) -> str:
    """What a zip file without a scene may be instead."""
    if isinstance(source, ZipSource):
        if "links.npy" in source.keys():
            return "; it is a checkpoint, which `plenostream convert` makes a scene of"
        if any(key.endswith("/zarr.json") for key in source.keys()):
            return "; zip the content of the scene's folder, not the folder"
    return ""


def _read_document(source: ByteSource, key: str, *, where: str) -> dict[str, Any]:
    try:
        text = source.read(key, at_most=_LARGEST_DOCUMENT)
        document = json.loads(text, object_pairs_hook=_refuse_twice)
    except KeyError:
        raise StoreFormat(f"{where}: {key} is missing") from None
    # Deeply nested brackets exhaust the parser's recursion; UnicodeDecodeError is a ValueError.
    except (ValueError, RecursionError, OSError, BrickCorrupt) as error:
        raise StoreFormat(f"{where}: {key} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise StoreFormat(f"{where}: {key} is not a Zarr document")
    return document


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name occurs twice in it")
    return document


def _compare(document: Mapping[str, Any], expected: Mapping[str, Any], label: str) -> None:
    for name in sorted(document.keys() | expected.keys()):
        if name not in expected:
            raise StoreFormat(f"{label} has an entry {name!r}, which this format does not know")
        if name not in document:
            raise StoreFormat(f"{label} has no entry {name!r}")
        if document[name] != expected[name]:
            raise StoreFormat(
                f"{label} has {name} {json.dumps(document[name])[:300]}; "
                f"expected {json.dumps(expected[name])}"
            )


def _compressor(codecs: object, label: str) -> str:
    """`cname` of the Blosc codec in the middle of `codecs`."""
    match codecs:
        case [
            {"name": "bytes"},
            {"name": "blosc", "configuration": {"cname": ("zstd" | "lz4") as codec}},
            {"name": "crc32c"},
        ]:
            return str(codec)
    raise StoreFormat(
        f"{label} has codecs {json.dumps(codecs)[:300]}; expected bytes, blosc (zstd or lz4), crc32c"
    )


def _completed_codecs(
    codecs: list[dict[str, Any]], expected: list[dict[str, Any]], *, exact: bool
) -> list[dict[str, Any]]:
    """`codecs` with what may be left out, or with `exact` off may differ, put in from `expected`."""
    to_bytes, blosc, checksum = codecs
    # Types of one byte have no order of bytes, and crc32c has nothing to configure.
    to_bytes = {"configuration": expected[0]["configuration"]} | to_bytes
    if checksum.get("configuration") == {}:
        checksum = {"name": checksum["name"]}
    if not exact:
        blosc = {"name": blosc["name"], "configuration": expected[1]["configuration"]}
    return [to_bytes, blosc, checksum]
