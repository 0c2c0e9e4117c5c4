"""A scene's surface: closed whatever the bricks, where density has its value, seen from outside."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.field.basis import SphericalHarmonics
from plenostream.testing.checkpoints import (
    CheckpointArrays,
    constant_checkpoint,
    empty_checkpoint,
    flat_colour_sh,
    from_dense,
    random_checkpoint,
)
from plenostream.testing.scenes import write_checkpoint_plain

MIDDLE = np.array([19.5, 20.0, 17.0])
trimesh = pytest.importorskip("trimesh")


def ball(*, radius: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> CheckpointArrays:
    """Density falls linearly with the distance from `MIDDLE`: 50 at 10 voxels, 0 at 15."""
    voxels = np.stack(np.meshgrid(*[np.arange(40)] * 3, indexing="ij"), axis=-1)
    distance = np.linalg.norm(voxels - MIDDLE, axis=-1)
    density = 10 * np.clip(15 - distance, 0, None)
    sh = np.zeros((3, 4))
    sh[:, 2] = 0.8  # brighter along +z, for rays that go up
    return from_dense(density > 0, density, sh.reshape(-1), radius=radius, sh_dtype=np.float32)


def mesh_of(
    checkpoint: CheckpointArrays,
    folder: Path,
    ending: str = ".ply",
    *,
    brick_size: int = 16,
    **options: Any,
) -> Any:
    folder.mkdir(exist_ok=True)
    write_checkpoint_plain(folder / "scene.zarr", checkpoint, brick_size=brick_size)
    asked = ps.ExportOptions(format="mesh", **options)
    report = ps.export_scene(folder / "scene.zarr", folder / f"out{ending}", asked)
    mesh = trimesh.load(folder / f"out{ending}", force="mesh", process=False)
    assert report.counts == {"vertices": len(mesh.vertices), "triangles": len(mesh.faces)}
    return mesh


@pytest.mark.parametrize("brick_size", [8, 16, 32])
def test_ball_is_closed_and_where_density_has_its_value(tmp_path: Path, brick_size: int) -> None:
    scene = ball(radius=(1.0, 0.5, 2.0))
    mesh = mesh_of(scene, tmp_path, brick_size=brick_size, min_density=50.0)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.euler_number == 2
    distance = np.linalg.norm(scene.grid.world_to_grid(mesh.vertices) - MIDDLE, axis=1)
    np.testing.assert_allclose(distance, 10, atol=0.02)
    in_grid = 4 / 3 * np.pi * 10**3
    assert mesh.volume == pytest.approx(in_grid / scene.grid.scale.prod(), rel=0.01)


@pytest.mark.parametrize("seed", range(1, 7))
@pytest.mark.parametrize("brick_size", [8])
def test_any_field_has_a_closed_surface(tmp_path: Path, seed: int, brick_size: int) -> None:
    # Single voxels, ambiguous faces, densities at the level itself and at the borders of the grid.
    rough = random_checkpoint(seed, size=(33, 17, 20), active_share=0.5)
    rough.density[::7] = 4.0
    mesh = mesh_of(rough, tmp_path, brick_size=brick_size, min_density=4.0)
    assert len(mesh.faces) > 1000
    assert mesh.is_watertight
    assert mesh.is_winding_consistent


def test_surface_does_not_depend_on_bricks(gyroid: CheckpointArrays, tmp_path: Path) -> None:
    small, large = (
        mesh_of(gyroid, tmp_path / str(size), brick_size=size, min_density=12.1) for size in (8, 32)
    )
    assert len(small.vertices) == len(large.vertices)
    assert len(small.faces) == len(large.faces)
    for mesh in (small, large):
        # At the grid's borders, several are drawn back to one place.
        inner = mesh.vertices[np.abs(mesh.vertices).max(axis=1) < 47 / 48 - 1e-6]
        assert len(np.unique(inner, axis=0)) == len(inner)
    order = [np.lexsort(np.round(mesh.vertices, 5).T) for mesh in (small, large)]
    for name in ("vertices", "vertex_normals"):
        values = [getattr(mesh, name)[at] for mesh, at in zip((small, large), order, strict=True)]
        np.testing.assert_allclose(*values, atol=1e-5)


def test_surface_ends_at_the_outermost_voxels(tmp_path: Path) -> None:
    full = constant_checkpoint(size=(9, 17, 20), density=5.0)
    mesh = mesh_of(full, tmp_path, brick_size=8, min_density=2.0)
    assert mesh.is_watertight
    corners = full.grid.grid_to_world([[0, 0, 0], [8, 16, 19]])
    np.testing.assert_allclose(mesh.bounds, corners, atol=1e-6)


def test_normals_and_colours_are_those_of_the_outside(tmp_path: Path) -> None:
    scene = ball()
    mesh = mesh_of(scene, tmp_path, min_density=50.0, colours="float")
    plyfile = pytest.importorskip("plyfile")
    vertices = plyfile.PlyData.read(tmp_path / "out.ply")["vertex"]
    outside = scene.grid.world_to_grid(mesh.vertices) - MIDDLE
    outside /= np.linalg.norm(outside, axis=1)[:, None]
    normals = np.stack([vertices[name] for name in ("nx", "ny", "nz")], axis=-1)
    assert (normals * outside).sum(axis=1).min() > 0.999
    # Who looks at the top looks down: rays run against the normal.
    basis = SphericalHarmonics(4)(np, -normals.T.astype(np.float64))
    np.testing.assert_allclose(vertices["red"], np.clip(0.5 + 0.8 * basis[2], 0, 1), atol=1e-5)
    top, bottom = outside[:, 2].argmax(), outside[:, 2].argmin()
    assert vertices["red"][top] < 0.2 < 0.8 < vertices["red"][bottom]


def test_voxels_without_a_row_give_no_colour(tmp_path: Path) -> None:
    active = np.zeros((12, 12, 12), np.bool_)
    active[3:9, 3:9, 3:9] = True
    sh = flat_colour_sh((0.9, 0.2, 0.4), basis_dim=1)
    mesh = mesh_of(from_dense(active, 30.0, sh, sh_dtype=np.float32), tmp_path, min_density=3.0)
    assert set(map(tuple, mesh.visual.vertex_colors.tolist())) == {(230, 51, 102, 255)}


def test_without_a_density_half_of_the_light_counts(tmp_path: Path) -> None:
    scene = ball()
    level = np.log(2) / (2 / 40)
    mesh = mesh_of(scene, tmp_path)
    distance = np.linalg.norm(scene.grid.world_to_grid(mesh.vertices) - MIDDLE, axis=1)
    np.testing.assert_allclose(distance, 15 - level / 10, atol=0.03)


@pytest.mark.parametrize("ending", [".obj", ".glb"])
def test_other_formats_hold_the_same_mesh(tmp_path: Path, ending: str) -> None:
    scene = ball()
    plain = mesh_of(scene, tmp_path / "ply", min_density=50.0)
    other = mesh_of(scene, tmp_path / "other", ending, min_density=50.0)
    places, colours = plain.vertices, plain.visual.vertex_colors / 255
    if ending == ".glb":
        # glTF has y up and light, not sRGB.
        places = np.stack([places[:, 0], places[:, 2], -places[:, 1]], axis=-1)
        colours[:, :3] = np.where(
            colours > 0.04045, ((colours + 0.055) / 1.055) ** 2.4, colours / 12.92
        )[:, :3]
    assert other.is_watertight
    np.testing.assert_array_equal(other.faces, plain.faces)
    np.testing.assert_allclose(other.vertices, places, atol=1e-6)
    np.testing.assert_allclose(other.visual.vertex_colors / 255, colours, atol=1.1 / 255)


@pytest.mark.parametrize("ending", [".ply", ".obj", ".glb"])
def test_other_programs_open_them(tmp_path: Path, ending: str) -> None:
    open3d = pytest.importorskip("open3d", exc_type=ImportError)
    mesh = mesh_of(ball(), tmp_path, ending, min_density=50.0)
    opened = open3d.io.read_triangle_mesh(str(tmp_path / f"out{ending}"))
    assert opened.is_watertight()
    # It numbers vertices anew: triangle by triangle, corners are the same.
    theirs, ours = np.asarray(opened.triangles), mesh.faces
    np.testing.assert_allclose(
        np.asarray(opened.vertices)[theirs], mesh.vertices[ours], rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(
        np.asarray(opened.vertex_colors)[theirs],
        mesh.visual.vertex_colors[:, :3][ours] / 255,
        atol=1.1 / 255,
    )
    assert opened.has_vertex_normals()


def test_memory_stays_below_what_is_allowed(tmp_path: Path) -> None:
    noise = random_checkpoint(6, size=(80, 80, 80), active_share=0.3, basis_dim=1)
    scene, allowed = tmp_path / "scene.zarr", 40_000_000
    ps.convert(noise.save(tmp_path / "in.npz", compressed=False), scene)
    mesh_of(ball(), tmp_path / "first")  # what is imported late is not counted
    options = {"format": "mesh", "min_density": 4.0, "host_memory": allowed}
    tracemalloc.start()
    try:
        ps.export_scene(scene, tmp_path / "out.ply", ps.ExportOptions(**options))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= allowed
    with pytest.raises(ps.BudgetError, match=r"\.ply is not"):
        ps.export_scene(scene, tmp_path / "out.obj", ps.ExportOptions(**options))
    assert not (tmp_path / "out.obj").exists()


@pytest.mark.parametrize(
    ("checkpoint", "density", "error", "words"),
    [
        (empty_checkpoint(), 1.0, ps.OutputError, "no surface"),
        (constant_checkpoint(density=1.0), 5.0, ps.OutputError, "nowhere reaches 5"),
        (constant_checkpoint(), 0.0, ps.InvalidInput, "min_density is 0"),
    ],
    ids=["empty", "too thin", "zero"],
)
def test_what_has_no_surface_is_refused(
    tmp_path: Path,
    checkpoint: CheckpointArrays,
    density: float,
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        mesh_of(checkpoint, tmp_path, min_density=density)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.zarr"]
