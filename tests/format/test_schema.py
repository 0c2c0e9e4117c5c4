"""Every attribute of a scene has a type and a range; what is wrong is named, with its checksum made anew."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from plenostream.errors import StoreFormat
from plenostream.field.grid import GridSpec
from plenostream.format.attributes import (
    ATTRIBUTES_KEY,
    _checksum,
    decode_attributes,
    encode_attributes,
)
from plenostream.format.layout import SceneMeta
from plenostream.format.schema import ATTRIBUTES

META = SceneMeta(
    grid=GridSpec(size=(40, 30, 20)), brick_size=16, basis_dim=9, n_bricks=12, n_occupied=11,
    n_voxels=20_000, n_rows=70_000, sh_dtype="float16", density_rounding=0.25, converter="1",
    source_name="model.npz", source_bytes=123, source_digest="0" * 16, tables_digest="f" * 16,
)  # fmt: skip
BODY = encode_attributes(META, complete=True)[ATTRIBUTES_KEY]
WRONG: list[Any] = [
    *(None, True, -1, 9.5, 9.0, float("nan"), float("inf"), 10**400, "text", "9" * 3_000_000),
    *([], [9, 9], [9, 9, None], {}, {"a": [[[{}]]]}),
]


def decode(body: dict[str, Any]) -> SceneMeta:
    """As if read from a file, with the right checksum."""
    rest = {key: value for key, value in copy.deepcopy(body).items() if key != "checksum"}
    rest = json.loads(json.dumps(rest))
    return decode_attributes({ATTRIBUTES_KEY: rest | {"checksum": _checksum(rest)}}, where="scene")


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_attribute_is_taken_as_it_is_or_refused_by_name(name: str, value: Any) -> None:
    text = name in ("converter", "source_name") and value == "text"
    number = name == "density_rounding" and type(value) is float and abs(value) < 10
    if text or number:
        decode(BODY | {name: value})
        return
    with pytest.raises(StoreFormat, match=f"attributes have {name} .*; expected ") as caught:
        decode(BODY | {name: value})
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", sorted(ATTRIBUTES))
def test_missing_attribute_is_named(name: str) -> None:
    with pytest.raises(StoreFormat, match=f"attributes have no {name}"):
        decode({key: value for key, value in BODY.items() if key != name})


@pytest.mark.parametrize("version", [True, 1.0, "1", None, [], 0, 3, 10**300])
def test_version_that_is_not_the_number_one_is_refused(version: Any) -> None:
    with pytest.raises(StoreFormat, match="format version"):
        decode(BODY | {"format_version": version})


def test_unknown_attribute_is_let_be() -> None:
    assert decode(BODY | {"licence": "CC0"}) == META


def test_every_attribute_has_a_rule() -> None:
    assert set(BODY) == {*ATTRIBUTES, "format_version", "complete", "checksum"}
