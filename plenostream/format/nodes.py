"""The ``zarr.json`` documents of a scene: what they say of where and how its values are stored.

Values are what `layout` promises, so shapes and types must be just that: one that was
altered would move every row. How they are stored is for Zarr to say: a scene that was copied with
other chunks, codecs or attributes holds the same values, and is read as it lies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plenostream.errors import BrickCorrupt, StoreFormat, StoreNotFound
from plenostream.format.attributes import ATTRIBUTES_KEY, decode_attributes
from plenostream.format.codecs import DecodeError
from plenostream.format.consolidated import documents_within
from plenostream.format.layout import ArraySpec, SceneMeta, check_counts
from plenostream.format.source import ByteSource, ZipSource
from plenostream.format.stored import StoredArray, stored_array

__all__ = ["LARGEST_DOCUMENT", "RootNode", "check_group_node", "read_array_node", "read_root"]

LARGEST_DOCUMENT = 1 << 20
"""Bytes of the largest ``zarr.json`` that is looked at; ours have about 1000, and consolidated
metadata repeats those of all arrays."""
_GROUP = {"zarr_format": 3, "node_type": "group"}
_STORAGE = ("chunk_grid", "chunk_key_encoding", "fill_value", "codecs")
"""Entries that say how an array is stored."""
_ANNOTATIONS = ("attributes", "dimension_names")
"""Entries that change no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootNode:
    """What the document of a scene's root group says."""

    meta: SceneMeta
    checksum: str
    """Of the attributes: tells the scene from all others."""
    documents: dict[str, Any]
    """Of the groups and arrays below it, by name, as far as it has them; not looked at."""


def read_root(source: ByteSource, *, where: str) -> RootNode:
    """What a scene says about itself in the document of its root group; `where` is said in errors.

    Raises
    ------
    StoreNotFound : there is no root group, so nothing here is a scene.
    StoreFormat : its document cannot be read, is not that of a group, or describes no scene; see
        `decode_attributes` and `check_counts`.
    """
    try:
        document = _read_document(source, "zarr.json", where=where)
    except _Missing:
        hint = _hint(source)
        raise StoreNotFound(f"{where} is no scene: there is no zarr.json in it{hint}") from None
    attributes = document.pop("attributes", None)
    if not isinstance(attributes, dict):
        raise StoreFormat(f"{where} is not a plenostream scene: zarr.json has no attributes")
    _compare(document, _GROUP, f"{where}: zarr.json")
    meta = decode_attributes(attributes, where=where)
    check_counts(meta, where=where)
    return RootNode(
        meta=meta,
        checksum=str(attributes[ATTRIBUTES_KEY]["checksum"]),
        documents=documents_within(document),
    )


def check_group_node(source: ByteSource, name: str, *, where: str) -> None:
    """Refuse (StoreFormat) a group below the root whose document is not that of a group."""
    key = f"{name}/zarr.json"
    document = _read_document(source, key, where=where)
    _compare(document, _GROUP, f"{where}: {key}")


def read_array_node(source: ByteSource, spec: ArraySpec, *, where: str) -> StoredArray:
    """How the array that `spec` describes is stored.

    Raises
    ------
    StoreFormat : the document is missing, unreadable, of another array than `spec`, or with codecs
        that are not known here.
    """
    key = f"{spec.name}/zarr.json"
    document = _read_document(source, key, where=where)
    label = f"{where}: {key}"
    expected: dict[str, Any] = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(spec.shape),
        "data_type": spec.dtype,
    }
    storage = {name: document.pop(name, None) for name in _STORAGE}
    transformers = document.pop("storage_transformers", None)
    _compare(document, expected, label)
    if transformers not in (None, []):
        raise StoreFormat(f"{label} has storage_transformers, which are not known here")
    try:
        return stored_array(spec, **storage)
    except DecodeError as error:
        raise StoreFormat(f"{label} cannot be read here: {error}") from error


class _Missing(StoreFormat):
    """There is no such document."""


def _hint(source: ByteSource) -> str:
    """What a folder or zip file without a scene may be instead."""
    for key in (".zgroup", ".zarray"):
        try:
            source.size(key)
        except (KeyError, OSError, BrickCorrupt):
            continue
        return f"; {key} says Zarr version 2, and scenes are Zarr version 3"
    if isinstance(source, ZipSource):
        if "links.npy" in source.keys():
            return "; it is a checkpoint, which `plenostream convert` makes a scene of"
        if any(key.endswith("/zarr.json") for key in source.keys()):
            return "; zip the content of the scene's folder, not the folder"
    return ""


def _read_document(source: ByteSource, key: str, *, where: str) -> dict[str, Any]:
    try:
        text = source.read(key, at_most=LARGEST_DOCUMENT)
        document = json.loads(text, object_pairs_hook=_refuse_twice)
    except KeyError:
        raise _Missing(f"{where}: {key} is missing") from None
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
    """Refuse a document without the `expected` entries, or with others that must be understood."""
    for name, value in document.items():
        # Zarr's own rule: what need not be understood says so. Nothing at all says nothing.
        harmless = value is None or (
            isinstance(value, dict) and value.get("must_understand") is False
        )
        if name not in expected and name not in _ANNOTATIONS and not harmless:
            raise StoreFormat(
                f"{label} has an entry {name[:60]!r}, which this format does not know"
            )
    for name, value in expected.items():
        if name not in document:
            raise StoreFormat(f"{label} has no entry {name!r}")
        # As JSON: true is not 1.
        if (stored := json.dumps(document[name])) != json.dumps(value):
            raise StoreFormat(f"{label} has {name} {stored[:300]}; expected {json.dumps(value)}")
