"""Tables of scenes with very many bricks: read in sections, checked as well as whole ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xxhash

import plenostream as ps
from plenostream.errors import BrickCorrupt, StoreFormat
from plenostream.format import digests
from plenostream.format.attributes import ATTRIBUTES_KEY, decode_attributes, encode_attributes
from plenostream.format.excerpts import excerpt_of
from plenostream.format.layout import TABLES
from plenostream.format.opening import open_store
from plenostream.format.verify import verify

pytestmark = pytest.mark.usefixtures("small_chunks")

PER_SECTION = 3
"""Bricks: a chunk of the tables has so many in these tests."""


@pytest.fixture(scope="module")
def folder(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of some bricks with levels, converted as if these were very many."""
    target = tmp_path_factory.mktemp("sections") / "scene.zarr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "_WHOLE", 0)
        ps.convert(tiny_checkpoint, target, ps.ConvertOptions(brick_size=8, levels=1))
    return target


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy.zarr"))


def chunk_of(scene: Path, name: str, chunk: int) -> Path:
    with open_store(scene) as store:
        return scene / store.specs[name].chunk_key(chunk)


def swap(scene: Path, name: str) -> None:
    """Let the first two chunks of a table change places."""
    first, second = (chunk_of(scene, name, chunk) for chunk in (0, 1))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def test_part_is_what_the_whole_tables_say_of_its_bricks(folder: Path) -> None:
    bricks = np.array([1, PER_SECTION, PER_SECTION + 2])
    with open_store(folder) as store:
        excerpt = excerpt_of(store, bricks)
        for name in set(TABLES) - {"row_start"}:
            one, other = (getattr(held.tables, name) for held in (store, excerpt))
            np.testing.assert_array_equal(other, one[bricks], strict=True)
        every = np.arange(len(bricks))
        for one, other in zip(
            excerpt.tables.rows_of(every), store.tables.rows_of(bricks), strict=True
        ):
            np.testing.assert_array_equal(one, other, strict=True)
        assert excerpt.tables.scene_number(2) == PER_SECTION + 2


def test_what_no_drawn_brick_needs_is_not_read(copy: Path) -> None:
    for chunk in [chunk_of(copy, name, 0) for name in ("bricks/mask", "bricks/boxes")]:
        chunk.unlink()
    with open_store(copy) as store:
        excerpt_of(store, np.array([PER_SECTION]))
        with pytest.raises(BrickCorrupt, match=r"chunk 0 of bricks/\w+ .* it is missing"):
            excerpt_of(store, np.array([PER_SECTION - 1, PER_SECTION]))
        with pytest.raises(BrickCorrupt, match="missing"):
            store.tables  # noqa: B018


@pytest.mark.parametrize("name", ["bricks/mask", "bricks/boxes"])
def test_part_that_belongs_elsewhere_is_found(copy: Path, name: str) -> None:
    swap(copy, name)
    with open_store(copy) as store, pytest.raises(BrickCorrupt, match="section, 0, that is not"):
        excerpt_of(store, np.array([0]))
    assert not verify(copy).ok


def test_places_that_belong_elsewhere_are_found_at_opening(copy: Path) -> None:
    swap(copy, "bricks/index")
    with pytest.raises(BrickCorrupt, match="bricks/index, density_max and sh_bound"):
        open_store(copy)


def test_verify_holds_parts_against_their_digests(copy: Path) -> None:
    assert verify(copy).ok
    document = json.loads((copy / "zarr.json").read_bytes())
    body = document["attributes"][ATTRIBUTES_KEY]
    assert len(body["table_sections"]) == -(-body["n_bricks"] // PER_SECTION)
    assert "table_sections" in body["levels"][0]
    meta = decode_attributes(document["attributes"], where="here")
    assert encode_attributes(meta, complete=True) == document["attributes"]
    body["table_sections"][0] = "0" * 16
    write(copy, document)
    assert "sections have other digests" in verify(copy).faults[0].message
    body["table_sections"].pop()
    write(copy, document)
    with pytest.raises(StoreFormat, match=r"table_sections; expected \d+, by n_bricks"):
        open_store(copy)


def write(scene: Path, document: dict[str, dict[str, dict[str, object]]]) -> None:
    """Write the document of a scene whose attributes were changed, with a checksum of them."""
    body = document["attributes"][ATTRIBUTES_KEY]
    body.pop("checksum", None)
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["checksum"] = xxhash.xxh3_64_hexdigest(text.encode())
    (scene / "zarr.json").write_text(json.dumps(document))
