"""Background layers and bases in a scene: what is damaged, swapped or hostile is found and named."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plenostream.errors import BrickCorrupt, StoreFormat
from plenostream.field.background import BackgroundLayers
from plenostream.format import layout
from plenostream.format.attributes import ATTRIBUTES_KEY, _checksum, decode_attributes
from plenostream.format.extra_arrays import basis_of
from plenostream.format.folder_staging import FolderStaging
from plenostream.format.info import info_lines, scene_info
from plenostream.format.layout import SceneMeta
from plenostream.format.opening import open_store
from plenostream.format.reader import SceneStore
from plenostream.format.schema import BACKGROUND_ATTRIBUTES, BASIS_ATTRIBUTES
from plenostream.format.verify import verify
from plenostream.options import RenderOptions
from plenostream.stream.texels import Texels, most_texel_bytes
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.extras import layer_arrays, network_arrays, texture_arrays
from plenostream.testing.scenes import write_checkpoint_plain

LAYERS = layer_arrays(1, height=9, layers=4, share=0.9)
TEXTURE = texture_arrays(2, resolution=8, dim=7)
NETWORK = network_arrays(3, dim=7)
ARRAYS = ("background/links", "background/data", "basis/values")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a scene with these arrays, in several chunks each."""
    monkeypatch.setattr(layout, "EXTRA_CHUNK_BYTES", 600)

    def write(arrays: dict[str, Any]) -> Path:
        checkpoint = random_checkpoint(1, size=(9, 8, 7), basis_dim=7)
        write_checkpoint_plain(tmp_path / "s.zarr", checkpoint, extras=arrays)
        return tmp_path / "s.zarr"

    return write


def read_all(scene: Path) -> None:
    with open_store(scene) as store:
        assert basis_of(store).arrays
        all_texels(store)


def all_texels(store: SceneStore) -> BackgroundLayers:
    return Texels(store, RenderOptions(), allowed_bytes=most_texel_bytes(store)).layers


def chunks_of(scene: Path, name: str) -> list[Path]:
    found = [p for p in (scene / name / "c").rglob("*") if p.is_file()]
    return sorted(found, key=lambda path: int(path.relative_to(scene / name / "c").parts[0]))


def test_whole_scene_is_read_as_it_was_written(write: Callable[..., Path]) -> None:
    scene = write(LAYERS | TEXTURE)
    assert verify(scene).faults == ()
    with open_store(scene) as store:
        layers, basis = all_texels(store), basis_of(store)
        assert basis.nbytes == basis.arrays[0].nbytes
    np.testing.assert_array_equal(layers.links, LAYERS["background_links"])
    expected = LAYERS["background_data"]
    texels = layers.texels.reshape(-1, *expected.shape[1:])[: len(expected)]
    np.testing.assert_array_equal(texels, expected)
    np.testing.assert_array_equal(basis.arrays[0], TEXTURE["basis_data"].reshape(-1, 7))


def removed(first: Path, second: Path) -> str:
    first.unlink()
    return "it is missing"


def flipped(first: Path, second: Path) -> str:
    stored = bytearray(first.read_bytes())
    stored[len(stored) // 2] ^= 1
    first.write_bytes(stored)
    return "checksum"


def swapped(first: Path, second: Path) -> str:
    aside = first.with_suffix(".aside")
    for a, b in ((first, aside), (second, first), (aside, second)):
        os.replace(a, b)
    return "not those which were written"


@pytest.mark.parametrize("damage", [removed, flipped, swapped])
@pytest.mark.parametrize("name", ARRAYS)
def test_damage_is_found_and_named(
    name: str, damage: Callable[[Path, Path], str], write: Callable[..., Path]
) -> None:
    scene = write(LAYERS | TEXTURE)
    first, second, *_ = chunks_of(scene, name)
    message = damage(first, second)
    with pytest.raises(BrickCorrupt, match=message) as caught:
        read_all(scene)
    group = name.split("/")[0]
    assert (caught.value.array or "").startswith(group)
    (fault,) = verify(scene).faults
    assert message in fault.message
    assert (fault.array or "").startswith(group)


def test_link_beyond_the_rows_is_refused_though_digests_are_right(
    write: Callable[..., Path],
) -> None:
    links = LAYERS["background_links"].copy()
    links[3, 4] = len(LAYERS["background_data"])
    scene = write(LAYERS | TEXTURE | {"background_links": links})
    with pytest.raises(BrickCorrupt, match="background/links has row"):
        read_all(scene)
    (fault,) = verify(scene).faults
    assert "background/links has row" in fault.message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float, write: Callable[..., Path]) -> None:
    data = LAYERS["background_data"].copy()
    data[5, 1, 2] = value
    with pytest.raises(BrickCorrupt, match="not finite"):
        read_all(write(LAYERS | TEXTURE | {"background_data": data}))


def altered(scene: Path, **changes: Any) -> Path:
    """A scene with other attributes, and the right checksum."""
    path = scene / "zarr.json"
    document = json.loads(path.read_text())
    document["attributes"] = with_checksum(document["attributes"][ATTRIBUTES_KEY] | changes)
    path.write_text(json.dumps(document))
    return scene


def with_checksum(body: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in copy.deepcopy(body).items() if key != "checksum"}
    return {ATTRIBUTES_KEY: rest | {"checksum": _checksum(rest)}}


def test_bound_that_the_values_do_not_have_is_refused(write: Callable[..., Path]) -> None:
    scene = altered(write(LAYERS | TEXTURE), basis_bound=[0.1, 0.1, 0.1])
    with pytest.raises(BrickCorrupt, match="basis_bound"):
        read_all(scene)
    (fault,) = verify(scene).faults
    assert "basis_bound" in fault.message


@pytest.mark.parametrize(
    ("arrays", "changes"),
    [
        (TEXTURE, {"basis_dim": 8}),
        (TEXTURE, {"basis_resolution": 9}),
        (NETWORK, {"basis_dim": 8}),
        (NETWORK, {"basis_frequencies": 3}),
        (NETWORK, {"basis_widths": [15, 16, 16, 7]}),
        (LAYERS | TEXTURE, {"background_height": 10}),
        (LAYERS | TEXTURE, {"background_layers": 5}),
        (LAYERS | TEXTURE, {"background_rows": 5}),
        (TEXTURE, {"basis_type": "SH"}),
        (TEXTURE, {"format_version": 1}),
    ],
    ids=str,
)
def test_sizes_that_contradict_the_arrays_are_refused_before_they_are_read(
    arrays: dict[str, Any], changes: dict[str, Any], write: Callable[..., Path]
) -> None:
    with pytest.raises(StoreFormat):
        open_store(altered(write(arrays), **changes))


WRONG: list[Any] = [
    *(None, True, -1, 9.5, float("nan"), 10**400, "text", "9" * 3_000_000),
    *([], [9, None], {}, {"a": [[[{}]]]}, [10**9] * 3, [-1.0] * 3),
]


def body_of(scene: Path) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((scene / "zarr.json").read_text())["attributes"][
        ATTRIBUTES_KEY
    ]
    return body


def decode(body: dict[str, Any]) -> SceneMeta:
    return decode_attributes(json.loads(json.dumps(with_checksum(body))), where="scene")


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("kind", ["texture", "MLP"])
def test_every_attribute_has_a_rule(kind: str, value: Any, write: Callable[..., Path]) -> None:
    body = body_of(write(LAYERS | (TEXTURE if kind == "texture" else NETWORK)))
    assert decode(body).basis_type == kind
    for name in {*BACKGROUND_ATTRIBUTES, *BASIS_ATTRIBUTES[kind]}:
        if name == "basis_bound" and value == [10**9] * 3:
            continue  # three finite numbers: only the values contradict them
        with pytest.raises(StoreFormat, match=f"attributes have {name} .*; expected "):
            decode(body | {name: value})
        with pytest.raises(StoreFormat, match=f"attributes have no {name}"):
            decode({key: v for key, v in body.items() if key != name})


def test_info_says_what_there_is(write: Callable[..., Path]) -> None:
    info = scene_info(write(LAYERS | TEXTURE))
    assert (info["format_version"], info["basis_type"], info["basis_dim"]) == (2, "texture", 7)
    assert (info["background_layers"], info["background_height"]) == (4, 9)
    text = "\n".join(info_lines(info))
    assert "a learned texture of functions, 7 a channel" in text
    assert "background 4 layers of 18 x 9 texels" in text


def test_scene_may_be_replaced_and_nothing_else_goes_with_it(write: Callable[..., Path]) -> None:
    scene = write(LAYERS | TEXTURE)
    FolderStaging(scene, overwrite=True)
    (scene / "background" / "notes.txt").write_text("mine")
    with pytest.raises(Exception, match=r"notes\.txt"):
        FolderStaging(scene, overwrite=True)
