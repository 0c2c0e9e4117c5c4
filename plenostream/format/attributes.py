"""The attributes of a scene as JSON values, written and read: `layout.SceneMeta` as documents say it."""

from __future__ import annotations

import json
import reprlib
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import xxhash

from plenostream.errors import InvalidInput, StoreFormat
from plenostream.field.grid import GridSpec
from plenostream.format.extras import decode_background, decode_basis
from plenostream.format.layout import FORMAT_VERSION, SceneMeta
from plenostream.format.levels import decode_levels
from plenostream.format.schema import check_attributes
from plenostream.format.table_sections import decode_sections

__all__ = [
    "ATTRIBUTES_KEY",
    "decode_attributes",
    "encode_attributes",
    "unfinished_attributes",
]

ATTRIBUTES_KEY = "plenostream"
"""Key of the group's attributes under which all of ours lie."""
_COMPOSED = ("grid", "learned", "background", "ndc", "history", "levels", "table_sections")
"""Fields of `SceneMeta` that are no attribute, or several."""


def _checksum(attributes: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(attributes, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        return "nested too deeply"  # no checksum
    return xxhash.xxh3_64_hexdigest(text.encode())


def encode_attributes(meta: SceneMeta, *, complete: bool) -> dict[str, Any]:
    """The group's attributes as JSON values; `complete` is true only once all else is written.

    `checksum` is the xxh3-64 of all the others as compact JSON with sorted keys.
    """
    values = {f.name: getattr(meta, f.name) for f in fields(meta) if f.name not in _COMPOSED}
    extras = [part.attributes() for part in (meta.background, meta.learned) if part is not None]
    grid = asdict(meta.grid)
    body = {
        "format_version": meta.format_version,
        "grid_size": [int(v) for v in grid["size"]],
        "radius": [float(v) for v in grid["radius"]],
        "center": [float(v) for v in grid["center"]],
        "basis_type": meta.basis_type,
        **values,
        **({"history": list(meta.history)} if meta.history else {}),
        **({"levels": [level.attributes() for level in meta.levels]} if meta.levels else {}),
        **(meta.table_sections.attributes() if meta.table_sections else {}),
        **ChainMap(*extras),
        **({"ndc": [float(v) for v in meta.ndc]} if meta.ndc else {}),
        "complete": complete,
    }
    return {ATTRIBUTES_KEY: body | {"checksum": _checksum(body)}}


def unfinished_attributes(writing: str) -> dict[str, Any]:
    """Attributes of a scene that is not complete; `writing` tells which conversion it is of."""
    body = {"format_version": FORMAT_VERSION, "writing": writing, "complete": False}
    return {ATTRIBUTES_KEY: body | {"checksum": _checksum(body)}}


def decode_attributes(attributes: Mapping[str, Any], *, where: str) -> SceneMeta:
    """The scene that a group's attributes describe; `where` is said in errors.

    Raises
    ------
    StoreFormat : no scene, a newer version, not complete, altered, or with an attribute that is
        missing, of the wrong type or out of range (see `schema`); it is named.
    """
    body = attributes.get(ATTRIBUTES_KEY)
    if not isinstance(body, dict):
        raise StoreFormat(f"{where} is a Zarr group, but not a plenostream scene")
    version = body.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise StoreFormat(
            f"{where} has format version {reprlib.repr(version)}; this plenostream reads versions "
            f"1 to {FORMAT_VERSION}. Upgrade plenostream, or convert the checkpoint again."
        )
    rest = dict(body)
    if rest.pop("checksum", None) != _checksum(rest):
        raise StoreFormat(f"{where}: the attributes do not match their checksum; they were altered")
    if rest.pop("complete", None) is not True:
        raise StoreFormat(f"{where} is not complete: its conversion did not finish")
    check_attributes(rest, where=where)
    size, radius, center = rest["grid_size"], rest["radius"], rest["center"]
    try:
        grid = GridSpec(
            size=(size[0], size[1], size[2]),
            radius=(float(radius[0]), float(radius[1]), float(radius[2])),
            center=(float(center[0]), float(center[1]), float(center[2])),
        )
    except InvalidInput as error:
        raise StoreFormat(f"{where}: the attributes are not those of a scene: {error}") from error
    # Attributes that are not known here are let be: a later version may add some.
    known = {f.name: rest[f.name] for f in fields(SceneMeta) if f.name not in _COMPOSED}
    known["density_rounding"] = float(rest["density_rounding"])
    learned, background = decode_basis(rest), decode_background(rest)
    x = rest["ndc"] if version > 1 and "ndc" in rest else None
    ndc = None if x is None else (float(x[0]), float(x[1]), float(x[2]), float(x[3]))
    return SceneMeta(
        grid=grid,
        learned=learned,
        background=background,
        ndc=ndc,
        history=tuple(rest.get("history", ())),
        levels=decode_levels(rest),
        table_sections=decode_sections(rest),
        **known,
    )
