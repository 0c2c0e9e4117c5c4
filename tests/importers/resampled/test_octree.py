"""PlenOctrees: refused by name, resampled when asked to, and their own picture worked out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from octrees import Tree, ball_tree, ray_by_ray

import plenostream as ps
from plenostream import reference
from plenostream.cli import main as cli
from plenostream.importers.resampled.colours import fitted_coefficients
from plenostream.importers.resampled.convert import convert_foreign, open_foreign
from plenostream.options import ResampleOptions
from plenostream.testing.pictures import open_renderer, rays_around

APPROXIMATE = ResampleOptions(approximate=True)
BRICKS = ps.ConvertOptions(brick_size=8)


@pytest.fixture(scope="module")
def tree() -> Tree:
    return ball_tree(5)


@pytest.fixture(scope="module")
def file(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree.save(tmp_path_factory.mktemp("trees") / "ball.npz")


def test_is_refused_by_name_with_the_way_to_approximate(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ps.CheckpointError, match="a PlenOctree.*--approximate"):
        convert_foreign(file, tmp_path / "s", ResampleOptions())
    with pytest.raises(ps.CheckpointError, match="a PlenOctree.*--approximate"):
        ps.convert(file, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_rays_see_what_the_rules_of_svox_say(tree: Tree, file: Path, tmp_path: Path) -> None:
    _, model = convert_foreign(file, tmp_path / "s", APPROXIMATE, BRICKS)
    origins, dirs = rays_around(3, 300, radius=1.0)
    expected = ray_by_ray(tree, origins, dirs)
    assert (expected.min(axis=1) < 0.9).mean() > 0.2
    # The file has the scaling in float32.
    np.testing.assert_allclose(model.see(origins, 2.5 * dirs), expected, atol=1e-5)


def test_scene_has_the_leaves_densities_in_the_same_place(
    tree: Tree, file: Path, tmp_path: Path
) -> None:
    convert_foreign(file, tmp_path / "s", APPROXIMATE, BRICKS)
    with ps.open_scene(tmp_path / "s") as scene:
        grid = scene.grid
        assert grid.size == (32, 32, 32)
        assert grid.radius == pytest.approx((1.5,) * 3)
        assert grid.center == pytest.approx((0.25,) * 3)
    # In the middle of the ball all densities are 6: a ray within it fades as in svox.
    with open_renderer(
        tmp_path / "s", precision="float32", options={"background": 1.0}
    ) as renderer:
        seen = renderer.render_rays([[-3.0, 0.2, 0.3]], [[1.0, 0.0, 0.0]])
    expected = ray_by_ray(tree, np.array([[-3.0, 0.2, 0.3]]), np.array([[1.0, 0.0, 0.0]]))
    assert seen.rgb[0] == pytest.approx(expected[0], abs=0.02)


def test_finer_trees_are_approximated_better(tmp_path: Path) -> None:
    errors = []
    for levels in (4, 6):
        made = ball_tree(levels).save(tmp_path / f"{levels}.npz")
        _, model = convert_foreign(made, tmp_path / f"{levels}", APPROXIMATE, BRICKS)
        origins, dirs = rays_around(4, 300, radius=0.8)
        with ps.open_scene(tmp_path / f"{levels}") as scene, ps.Renderer(scene) as renderer:
            difference = renderer.render_rays(origins, dirs).rgb - model.see(origins, dirs)
        errors.append(np.sqrt(np.square(difference).mean()))
    assert errors[1] < 0.6 * errors[0]
    assert errors[1] < 0.03


def test_colours_that_no_direction_changes_are_fitted_exactly() -> None:
    sh = np.zeros((5, 27), np.float32)
    sh[:, [0, 9, 18]] = np.random.default_rng(1).normal(0, 4, (5, 3))
    fitted = fitted_coefficients(sh, 9).reshape(5, 3, 9)
    expected = 1 / (1 + np.exp(-0.28209479 * sh[:, [0, 9, 18]]))
    np.testing.assert_allclose(0.5 + 0.28209479 * fitted[..., 0], expected, atol=1e-6)
    np.testing.assert_allclose(fitted[..., 1:], 0, atol=1e-5)


def test_colours_of_all_directions_are_next_to_those_of_the_sigmoid() -> None:
    sh = np.random.default_rng(2).normal(0, 0.7, (40, 27)).astype(np.float32)
    dirs = np.random.default_rng(3).normal(size=(500, 3))
    basis = reference.sh_basis(dirs / np.linalg.norm(dirs, axis=1, keepdims=True), 9)
    own = 1 / (1 + np.exp(-np.einsum("vcd,nd->vcn", sh.reshape(40, 3, 9), basis)))
    ours = 0.5 + np.einsum("vcd,nd->vcn", fitted_coefficients(sh, 9).reshape(40, 3, 9), basis)
    assert np.abs(own - ours).mean() < 0.01


def test_command_says_how_far_the_picture_is(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["convert", str(file), str(tmp_path / "s")]) == 1
    assert "--approximate" in capsys.readouterr().err
    assert cli.main(["convert", str(file), str(tmp_path / "s"), "--approximate"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("picture   ")
    assert 20 < float(last.split()[1]) < 60
    assert "against the format's own rules" in last


def test_approximate_changes_nothing_for_a_checkpoint(
    tiny_checkpoint: Path, tmp_path: Path
) -> None:
    assert open_foreign(tiny_checkpoint) is None
    assert (
        cli.main(["convert", str(tiny_checkpoint), str(tmp_path / "s"), "--approximate", "-q"]) == 0
    )


def looped() -> dict[str, Any]:
    """A link that leads back to its own node."""
    tree = ball_tree(2)
    tree.child[1, 0, 0, 0] = -1
    return {"child": tree.child}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no place": ({"offset": None}, "it has no offset"),
    "branching of 4": ({"child": np.zeros((1, 4, 4, 4), np.int32)}, r"expected integers \[n, 2, 2, 2\]"),
    "links in floats": ({"child": np.zeros((9, 2, 2, 2))}, "expected integers"),
    "other data": ({"data": np.zeros((2, 2, 2, 2, 13), np.float16)}, "expected floating point"),
    "odd basis": ({"data": np.zeros((9, 2, 2, 2, 20), np.float16)}, "with c one of"),
    "Gaussians": ({"data_format": "SG4"}, "spherical Gaussians"),
    "another order": ({"data_format": "SH9"}, "expected SH4"),
    "plain colours": (
        {"data_format": "RGBA", "data": np.zeros((9, 2, 2, 2, 4), np.float16)}, "without a basis",
    ),
    "objects": ({"data_format": np.array([{}])}, "pickled Python objects"),
    "link out of the tree": ({"child": np.full((9, 2, 2, 2), 7, np.int32)}, "leads out|lead to one node"),
    "loop": (looped(), "lead to one node"),
    "NaN": ({"data": np.full((9, 2, 2, 2, 13), np.nan, np.float16)}, "not finite"),
    "no size": ({"invradius3": np.zeros(3)}, "radius is"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_damaged_tree_is_refused_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    changes, message = BAD[case]
    tree = ball_tree(2)
    assert tree.child.shape[0] == 9
    made = tree.save(tmp_path / "t.npz", **changes)
    with pytest.raises(ps.CheckpointError, match=message):
        convert_foreign(made, tmp_path / "s", APPROXIMATE, BRICKS)
    assert list(tmp_path.iterdir()) == [made]


def test_tree_that_memory_does_not_hold_is_refused(file: Path, tmp_path: Path) -> None:
    options = ps.ConvertOptions(host_memory="1MB")
    with pytest.raises(ps.BudgetError):
        convert_foreign(file, tmp_path / "s", APPROXIMATE, options)
