"""Coarser levels are means of the level before, stored beside a scene that stays as it was."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plenostream.edits import add_levels, crop
from plenostream.errors import BudgetError, InvalidInput
from plenostream.field.levels import coarse_grid
from plenostream.format.info import info_lines, scene_info
from plenostream.format.opening import open_level, open_store
from plenostream.format.reader import SceneStore
from plenostream.format.verify import verify
from plenostream.importers.levels import make
from plenostream.importers.levels import source as halved_source
from plenostream.importers.packing.sizing import MemoryPlan, plan_memory
from plenostream.importers.svox2.convert import convert
from plenostream.options import ConvertOptions
from plenostream.testing.checkpoints import random_checkpoint

pytestmark = pytest.mark.usefixtures("small_chunks")

SIZE = (70, 19, 34)
Dense = tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Voxels with densities of both signs, in a grid of odd and even sizes, of three slabs."""
    arrays = random_checkpoint(11, size=SIZE, active_share=0.06, basis_dim=4)
    arrays.density[::3] *= -1
    return arrays.save(tmp_path_factory.mktemp("source") / "a.npz")


@pytest.fixture(scope="module")
def scene(source: Path) -> Path:
    target = source.parent / "scene"
    convert(source, target, ConvertOptions(brick_size=8, levels=3))
    return target


def files(scene: Path) -> dict[str, bytes]:
    found = (path for path in scene.rglob("*") if path.is_file())
    return {path.relative_to(scene).as_posix(): path.read_bytes() for path in found}


def dense(store: SceneStore) -> Dense:
    """All voxels of a scene or level, from every brick that has them."""
    edge, size = store.meta.brick_size, store.meta.grid.size
    active = np.zeros([n + edge for n in size], np.bool_)
    density = np.zeros(active.shape)
    sh = np.zeros((*active.shape, store.meta.sh_columns))
    rows = store.read_array("rows/density"), store.read_array("rows/sh")
    for number, index in enumerate(store.tables.index):
        bits = np.unpackbits(store.tables.mask[number], bitorder="little")
        where = np.flatnonzero(bits[: (edge + 1) ** 3])
        place = tuple(
            np.stack(np.unravel_index(where, (edge + 1,) * 3)) + edge * index.reshape(3, 1)
        )
        own = slice(*store.tables.row_start[number : number + 2])
        active[place], density[place], sh[place] = True, rows[0][own], rows[1][own]
    x, y, z = map(slice, size)
    return active[x, y, z], density[x, y, z], sh[x, y, z]


def halved(fine: Dense, below: float) -> Dense:
    """The 27 voxels around every second one, added up one by one; the last ones repeat."""
    active, density, sh = fine
    size = [-(-(n - 1) // 2) + 1 for n in active.shape]
    some, total = np.zeros(size, np.bool_), np.zeros(size)
    weights, colours = np.zeros(size), np.zeros((*size, sh.shape[-1]))
    for step in product((-1, 0, 1), repeat=3):
        share = 0.25**3 * 2.0 ** step.count(0)
        at = np.ix_(
            *(
                np.clip(2 * np.arange(n) + by, 0, most - 1)
                for n, by, most in zip(size, step, active.shape, strict=True)
            )
        )
        some |= active[at]
        total += share * np.where(density < 0, below, 1.0)[at] * density[at]
        weight = share * np.where(active[at], np.maximum(density[at], 0) + 1e-20, 0)
        weights += weight
        colours += weight[..., None] * sh[at]
    return some, total, colours / np.where(some, weights, 1.0)[..., None]


def test_level_is_the_mean_of_the_voxels_around_those_it_keeps(scene: Path) -> None:
    report = verify(scene)
    assert report.ok, report.lines()
    with open_store(scene) as store:
        assert [level.n_voxels for level in store.meta.levels] == sorted(
            (level.n_voxels for level in store.meta.levels), reverse=True
        )
        for level in (1, 2, 3):
            expected = halved(dense(open_level(store, level - 1)), 0.5 if level == 1 else 1.0)
            got = dense(open_level(store, level))
            np.testing.assert_array_equal(got[0], expected[0])
            np.testing.assert_allclose(got[1], expected[1], atol=1e-5)
            np.testing.assert_allclose(got[2][got[0]], expected[2][got[0]], atol=2e-3)


def test_voxels_of_a_level_lie_where_every_second_one_lies(scene: Path) -> None:
    with open_store(scene) as store:
        coarse = coarse_grid(store.meta.grid, 2)
        assert coarse.size == tuple(-(-(n - 1) // 4) + 1 for n in SIZE)
        places = np.array([[0, 0, 0], [5, 1, 3]])
        there = store.meta.grid.grid_to_world(4 * places)
        np.testing.assert_allclose(coarse.grid_to_world(places), there, atol=1e-12)
        radius, center = np.array(coarse.radius), np.array(coarse.center)
        np.testing.assert_allclose(coarse.scale, 0.5 / radius * coarse.size, rtol=1e-12)
        np.testing.assert_allclose(
            coarse.offset, 0.5 * (1 - center / radius) * coarse.size - 0.5, atol=1e-9
        )


def test_scene_itself_is_the_same_without_levels(source: Path, scene: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "plain", ConvertOptions(brick_size=8, levels=0))
    plain, with_levels = files(tmp_path / "plain"), files(scene)
    del plain["zarr.json"]
    assert plain == {
        name: content
        for name, content in with_levels.items()
        if not name.startswith("levels/") and name != "zarr.json"
    }
    with open_store(scene) as store:
        assert store.meta.format_version == 1


def test_bytes_depend_on_neither_memory_nor_workers_nor_the_way(
    source: Path, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def narrow(*args: Any, **values: Any) -> MemoryPlan:
        return replace(plan_memory(*args, **values), column=1)

    with monkeypatch.context() as patch:
        patch.setattr(make, "plan_memory", narrow)
        patch.setattr(halved_source, "_PIECE_ROWS", 500)
        options = ConvertOptions(brick_size=8, levels=3, workers=1)
        convert(source, tmp_path / "one", options)
    convert(source, tmp_path / "plain", ConvertOptions(brick_size=8, levels=0))
    add_levels(tmp_path / "plain", tmp_path / "later", levels=3)
    assert files(tmp_path / "one") == files(tmp_path / "later") == files(scene)


@pytest.mark.parametrize("stop", [("pack level 1", 1), ("finish level 3", 0)])
def test_work_that_was_cut_off_goes_on(
    source: Path, scene: Path, tmp_path: Path, stop: tuple[str, int]
) -> None:
    said: list[str] = []

    def interrupt(step: str, done: int, total: int) -> None:
        if (step, done) == stop:
            raise KeyboardInterrupt

    options = ConvertOptions(brick_size=8, levels=3, workers=1)
    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "s", options, progress=interrupt)
    assert not (tmp_path / "s").exists()
    resumed = ConvertOptions(brick_size=8, levels=3, resume=True)
    convert(source, tmp_path / "s", resumed, progress=lambda step, *_: said.append(step))
    assert files(tmp_path / "s") == files(scene)
    assert ("count level 1" in said) == (stop[0] == "pack level 1")


def test_damage_in_a_level_is_named_and_leaves_the_scene_alone(scene: Path, tmp_path: Path) -> None:
    convert_files = files(scene)
    broken = tmp_path / "s"
    for name, content in convert_files.items():
        (broken / name).parent.mkdir(parents=True, exist_ok=True)
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        (broken / name).write_bytes(flipped if name == "levels/2/rows/density/c/0" else content)
    (fault,) = verify(broken).faults
    assert (fault.array, fault.chunk) == ("levels/2/rows/density", 0)
    with open_store(broken) as store:
        assert open_level(store, 2).meta.n_rows > 0
        with pytest.raises(InvalidInput, match="has levels 0 to 3, and level is 4"):
            open_level(store, 4)


def test_info_says_what_each_level_adds(scene: Path) -> None:
    info = scene_info(scene)
    assert [level["grid_size"] for level in info["levels"]][0] == [36, 10, 18]
    stored = sum(len(content) for name, content in files(scene).items() if "/c/" in name)
    assert stored == info["stored_bytes"] + sum(level["stored_bytes"] for level in info["levels"])
    assert sum(line.startswith("level ") for line in info_lines(info)) == 3


def test_without_a_word_the_grid_is_halved_down_to_32_and_edits_keep_that(tmp_path: Path) -> None:
    arrays = random_checkpoint(3, size=(70, 8, 9), active_share=0.05, basis_dim=1)
    convert(arrays.save(tmp_path / "a.npz"), tmp_path / "s")
    crop(tmp_path / "s", tmp_path / "half", ((0, 0, 0), (35, 7, 8)), units="voxels")
    for name, longest in (("s", [36, 19]), ("half", [18])):
        levels = scene_info(tmp_path / name)["levels"]
        assert [level["grid_size"][0] for level in levels] == longest


def test_more_levels_than_the_grid_can_be_halved_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="levels is 8, and a grid of .* can be halved 7 times"):
        convert(source, tmp_path / "s", ConvertOptions(levels=8))


def test_too_little_memory_for_levels_is_refused_at_the_start_and_what_is_named_does(
    source: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    with pytest.raises(BudgetError, match="raise --host-memory, or .* --levels 0") as refused:
        convert(
            source,
            tmp_path / "s",
            ConvertOptions(brick_size=8, levels=1, host_memory="70MB"),
            progress=lambda step, *_: told.append(step),
        )
    assert set(told) == {"digest"}
    assert not list(tmp_path.iterdir())
    named = re.search(r"takes (\S+) of memory at least", str(refused.value))
    assert named is not None
    enough = ConvertOptions(brick_size=8, levels=1, host_memory=named[1])
    assert convert(source, tmp_path / "s", enough).planned_bytes <= enough.host_bytes
    assert not verify(tmp_path / "s").faults
