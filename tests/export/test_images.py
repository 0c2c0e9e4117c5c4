"""Pictures: what is in the files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import OpenEXR
import pytest
from PIL import Image
from written_frames import Frame, picture, read_png, render_to

from plenostream.errors import InvalidInput
from plenostream.export.painting import Painter
from plenostream.export.photographs import read_picture
from plenostream.export.pixels import colour_8bit
from plenostream.export.stills import still_output, write_picture
from plenostream.export.targets import choose_target
from plenostream.options import OUTPUTS, FileOptions


def test_colours_of_depth_go_by_what_it_is_of_and_not_by_layers_behind(frame: Frame) -> None:
    plain = picture(frame)
    opaque = np.ones_like(plain.alpha)
    layers = replace(plain, alpha=opaque, depth_weight=plain.alpha)
    maps = [
        Painter(background=0.0, options=FileOptions()).map_of(seen, "mean-depth")
        for seen in (plain, layers)
    ]
    np.testing.assert_array_equal(*maps)


class TestPng:
    def test_of_rgb_has_the_rounded_colours(self, tmp_path: Path, frame: Frame) -> None:
        assert render_to(tmp_path / "a.png", frame, "rgb") == ["a.png"]
        np.testing.assert_array_equal(read_png(tmp_path / "a.png"), colour_8bit(frame["rgb"]))

    def test_cuts_off_what_is_brighter_than_white(self) -> None:
        values = np.array([-0.1, 0.0, 0.5, 1.0, 1.7], np.float32)
        np.testing.assert_array_equal(colour_8bit(values), [0, 0, 128, 255, 255])

    @pytest.mark.parametrize("behind", [0.0, 0.25, 1.0])
    def test_of_rgba_laid_over_a_brightness_shows_what_would_be_seen_before_it(
        self, tmp_path: Path, frame: Frame, behind: float
    ) -> None:
        assert render_to(tmp_path / "a.png", frame, "alpha", "rgb") == ["a.png"]
        pixels = read_png(tmp_path / "a.png") / 255.0
        assert pixels.shape == (24, 32, 4)
        laid_over = pixels[..., :3] * pixels[..., 3:] + (1 - pixels[..., 3:]) * behind
        transparency = 1 - frame["alpha"][..., None]
        expected = frame["rgb"] + transparency * (behind - 0.25)
        np.testing.assert_allclose(laid_over, expected, atol=1.2 / 255)

    def test_of_alpha_is_grey(self, tmp_path: Path, frame: Frame) -> None:
        assert render_to(tmp_path / "a.png", frame, "alpha") == ["a.png"]
        np.testing.assert_array_equal(read_png(tmp_path / "a.png"), colour_8bit(frame["alpha"]))

    def test_of_depth_comes_with_its_values(self, tmp_path: Path, frame: Frame) -> None:
        assert render_to(tmp_path / "a.png", frame, "depth") == ["a.npy", "a.png"]
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), frame["depth"])
        assert read_png(tmp_path / "a.png").shape == (24, 32, 3)

    def test_beside_depth_keeps_the_name(self, tmp_path: Path, frame: Frame) -> None:
        names = render_to(tmp_path / "a.png", frame, "rgb", "alpha", "depth")
        assert names == ["a.png", "a_depth.npy", "a_depth.png"]


class TestFloatFiles:
    @pytest.mark.parametrize(
        ("outputs", "shape"),
        [(("rgb",), (24, 32, 3)), (("rgb", "alpha"), (24, 32, 4)), (("alpha",), (24, 32))],
        ids=["rgb", "rgba", "alpha"],
    )
    def test_npy_has_the_values_as_they_are(
        self, tmp_path: Path, frame: Frame, outputs: tuple[str, ...], shape: tuple[int, ...]
    ) -> None:
        frame["rgb"] *= 3  # brighter than white is right
        assert render_to(tmp_path / "a.npy", frame, *outputs) == ["a.npy"]
        values = np.load(tmp_path / "a.npy")
        assert values.shape == shape
        assert values.dtype == np.float32
        channels = [frame[name].reshape(24, 32, -1) for name in outputs]
        np.testing.assert_array_equal(values.reshape(24, 32, -1), np.concatenate(channels, -1))

    def test_npy_of_depth_is_alone(self, tmp_path: Path, frame: Frame) -> None:
        assert render_to(tmp_path / "a.npy", frame, "depth") == ["a.npy"]
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), frame["depth"])

    def test_exr_has_all_outputs_as_layers_of_float32(self, tmp_path: Path, frame: Frame) -> None:
        names = render_to(tmp_path / "a.exr", frame, *OUTPUTS.choices)
        assert names == ["a.exr"]
        with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
            channels = {name: np.array(channel.pixels) for name, channel in file.channels().items()}
        drawn = picture(frame)
        expected = dict(zip("RGB", np.moveaxis(frame["rgb"], -1, 0), strict=True))
        expected |= {"A": frame["alpha"], "Z": frame["depth"], "cost.Y": drawn.channel("cost")}
        expected |= {f"N.{c}": drawn.channel("normals")[..., i] for i, c in enumerate("XYZ")}
        expected |= {
            f"{name}.Z": drawn.channel(name)
            for name in ("mean-depth", "median-depth", "density-depth")
        }
        assert set(channels) == set(expected)
        for name, values in expected.items():
            assert channels[name].dtype == np.float32
            np.testing.assert_array_equal(channels[name], values)

    def test_npz_has_all_outputs_by_their_names(self, tmp_path: Path, frame: Frame) -> None:
        assert render_to(tmp_path / "a.npz", frame, *OUTPUTS.choices) == ["a.npz"]
        with np.load(tmp_path / "a.npz") as archive:
            assert archive.files == list(OUTPUTS.choices)
            for name in archive.files:
                np.testing.assert_array_equal(archive[name], picture(frame).channel(name))

    def test_exr_of_a_single_map_has_no_colour_space(self, tmp_path: Path, frame: Frame) -> None:
        render_to(tmp_path / "a.exr", frame, "normals")
        with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
            assert "colorInteropID" not in file.header()
            assert sorted(file.channels()) == ["N.X", "N.Y", "N.Z"]


class TestLinearLight:
    """Values of the sRGB curve are those of IEC 61966-2-1, from its table of both ends."""

    def test_is_named_in_the_header_and_read_as_srgb_again(
        self, tmp_path: Path, frame: Frame
    ) -> None:
        frame["rgb"][0, :4, 0] = (0.0, 0.04045, 0.5, 1.0)
        frame["rgb"][0, 4, 0] = 1.5  # brighter than white stays so
        spaces = {}
        for name, linear in {"light.exr": True, "as_is.exr": False}.items():
            render_to(tmp_path / name, frame, "rgb", options=FileOptions(linear=linear))
            with OpenEXR.File(str(tmp_path / name), separate_channels=True) as file:
                spaces[name] = file.header()["colorInteropID"], file.header()["comments"]
                red = np.array(file.channels()["R"].pixels)
            if linear:
                np.testing.assert_allclose(red[0, :4], [0, 0.0031308, 0.21404114, 1], atol=1e-6)
                assert red[0, 4] > 2
            else:
                np.testing.assert_array_equal(red, frame["rgb"][..., 0])
            seen = read_picture(tmp_path / name, background=1.0)
            np.testing.assert_allclose(seen, frame["rgb"], atol=1e-6)
        assert spaces["light.exr"][0] == "lin_rec709_scene"
        assert spaces["as_is.exr"][0] == "srgb_rec709_scene"
        assert "not converted" in spaces["as_is.exr"][1]

    def test_of_transparent_colours_is_multiplied_by_alpha(
        self, tmp_path: Path, frame: Frame
    ) -> None:
        alpha = frame["alpha"][..., None]
        frame["rgb"] = np.float32(0.5) * alpha * np.ones(3, np.float32)
        options = FileOptions(linear=True)
        render_to(tmp_path / "a.npz", frame, "rgb", "alpha", options=options, background="none")
        with np.load(tmp_path / "a.npz") as archive:
            expected = np.float32(0.21404114) * alpha * np.ones(3, np.float32)
            np.testing.assert_allclose(archive["rgb"], expected, atol=1e-6)


class TestPreviews:
    @pytest.mark.parametrize("ending", ["jpg", "webp"])
    def test_are_read_by_others_and_smaller_where_quality_is_lower(
        self, tmp_path: Path, frame: Frame, ending: str
    ) -> None:
        for quality in (20, 95):
            options = FileOptions(quality=quality)
            render_to(tmp_path / f"{quality}.{ending}", frame, "rgb", options=options)
        with Image.open(tmp_path / f"95.{ending}") as shown:
            assert shown.format == {"jpg": "JPEG", "webp": "WEBP"}[ending]
            pixels = np.asarray(shown.convert("RGB"), np.float32) / 255
        assert np.abs(pixels - frame["rgb"]).mean() < 0.02
        small, large = ((tmp_path / f"{q}.{ending}").stat().st_size for q in (20, 95))
        assert small < large
        assert np.abs(read_picture(tmp_path / f"95.{ending}", background=1.0) - pixels).max() < 0.02

    def test_webp_is_transparent_and_jpeg_refuses_to_be(self, tmp_path: Path, frame: Frame) -> None:
        render_to(tmp_path / "a.webp", frame, "rgb", "alpha")
        with Image.open(tmp_path / "a.webp") as shown:
            alpha = np.asarray(shown.convert("RGBA"), np.float32)[..., 3] / 255
        np.testing.assert_allclose(alpha, frame["alpha"], atol=1 / 255)
        with pytest.raises(InvalidInput, match="JPEG has no transparency"):
            render_to(tmp_path / "a.jpg", frame, "rgb", "alpha")

    def test_of_maps_come_in_the_format_that_was_asked_for(
        self, tmp_path: Path, frame: Frame
    ) -> None:
        names = render_to(tmp_path / "a.jpg", frame, "rgb", "depth", "normals")
        assert names == ["a.jpg", "a_depth.jpg", "a_normals.jpg"]


class TestMaps:
    def test_have_values_and_a_picture_beside_a_png(self, tmp_path: Path, frame: Frame) -> None:
        assert render_to(tmp_path / "a.png", frame, *OUTPUTS.choices) == [
            "a.png",
            *(f"a_{name}.npy" for name in OUTPUTS.choices[2:]),
            *(f"a_{name}.png" for name in OUTPUTS.choices[2:]),
        ]
        for name in OUTPUTS.choices[2:]:
            values = np.load(tmp_path / f"a_{name}.npy")
            np.testing.assert_array_equal(values, picture(frame).channel(name))

    @pytest.mark.parametrize("bits", [8, 16])
    def test_normals_are_half_and_half_of_each_axis(
        self, tmp_path: Path, frame: Frame, bits: int
    ) -> None:
        render_to(tmp_path / "n.png", frame, "normals", options=FileOptions(png_bits=bits))
        # FFmpeg's decoder: OpenCV wrote it.
        with av.open(str(tmp_path / "n.png")) as opened:
            form = {8: "rgb24", 16: "rgb48le"}[bits]
            pixels = next(opened.decode(video=0)).to_ndarray(format=form)
        normals = pixels / (2**bits - 1) * 2 - 1
        expected = picture(frame).channel("normals")
        np.testing.assert_allclose(normals, expected, atol=1.01 / (2**bits - 1))

    def test_range_and_colours_are_told(self, tmp_path: Path, frame: Frame) -> None:
        target = choose_target(
            tmp_path / "a.png",
            outputs=("median-depth", "cost"),
            n_frames=1,
            options=FileOptions(depth_colormap="viridis"),
        )
        with still_output(target, numbers=[0], background=1.0, overwrite=False) as writer:
            writer.write(0, picture(frame))
        depth, cost = picture(frame).channel("median-depth"), picture(frame).channel("cost")
        near, far = np.nanmin(depth), np.nanmax(depth)
        assert writer.notes() == [
            f"colours of median-depth (viridis): yellow {near:.4g}, violet {far:.4g} (world units)",
            f"colours of cost (viridis): violet 0, yellow {cost.max():.4g} (samples a pixel)",
        ]


def test_sixteen_bits_of_a_transparent_png_are_the_values(tmp_path: Path, frame: Frame) -> None:
    options = FileOptions(png_bits=16)
    render_to(tmp_path / "a.png", frame, "rgb", "alpha", options=options)
    with av.open(str(tmp_path / "a.png")) as opened:
        decoded = next(opened.decode(video=0))
        assert decoded.format.name == "rgba64be"
        pixels = decoded.to_ndarray(format="rgba64le") / 65_535
    laid_over = pixels[..., :3] * pixels[..., 3:] + (1 - pixels[..., 3:]) * 0.25
    np.testing.assert_allclose(laid_over, frame["rgb"], atol=1.5 / 65_535)
    np.testing.assert_allclose(pixels[..., 3], frame["alpha"], atol=0.51 / 65_535)


def test_no_background_leaves_colours_multiplied_by_alpha(tmp_path: Path, frame: Frame) -> None:
    alpha = frame["alpha"][..., None]
    frame["rgb"] = alpha * np.array([1, 0.5, 0.25], np.float32)
    render_to(tmp_path / "a.png", frame, "rgb", "alpha", background="none")
    seen = read_png(tmp_path / "a.png")[frame["alpha"] > 0.5]
    assert np.abs(seen[:, :3].astype(int) - (255, 128, 64)).max() <= 1
    written = write_picture(tmp_path / "a.npy", picture(frame), ("rgb",), background="none")
    np.testing.assert_array_equal(np.load(written[0]), frame["rgb"])


def test_depth_colours_mean_the_same_depth_in_all_frames(tmp_path: Path, frame: Frame) -> None:
    target = choose_target(tmp_path / "out", outputs=("depth",), n_frames=2)
    farther = {**frame, "depth": frame["depth"] + frame["alpha"]}
    with still_output(target, numbers=[0, 1], background=1.0, overwrite=False) as writer:
        writer.write(0, picture(frame))
        told = writer.notes()
        writer.write(1, picture(farther))
    assert told
    assert writer.notes() == told
