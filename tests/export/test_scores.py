"""Scores of pictures, against their definitions."""

from __future__ import annotations

import math
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from plenostream.errors import InvalidInput, PlenostreamError
from plenostream.export.perceptual import choose_perceptual
from plenostream.export.scores import Scores, mean_scores, score

pytest.importorskip("skimage", reason="scikit-image is not installed")


def pictures(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    smooth = np.add.outer(np.linspace(0, 0.6, 24), np.linspace(0, 0.4, 31))[..., None]
    first = np.clip(smooth + rng.normal(0, 0.05, (24, 31, 3)), 0, 1)
    return first, np.clip(first + rng.normal(0, 0.1, first.shape), 0, 1)


def ssim_by_windows(a: np.ndarray, b: np.ndarray, weights: np.ndarray, unbiased: float) -> float:
    """Wang and others (2004), window by window, where it lies inside the picture."""
    axes = (-2, -1)
    edge = len(weights)
    x, y = (sliding_window_view(p, (edge, edge), axis=(0, 1)) for p in (a, b))  # type: ignore[call-overload]
    mean_x, mean_y = ((p * weights).sum(axes) for p in (x, y))
    var_x, var_y, both = (
        unbiased * ((p * q * weights).sum(axes) - m * n)
        for p, q, m, n in ((x, x, mean_x, mean_x), (y, y, mean_y, mean_y), (x, y, mean_x, mean_y))
    )
    c1, c2 = 0.01**2, 0.03**2
    over = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return float((over / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())


def test_scores_are_those_of_their_definitions() -> None:
    a, b = pictures()
    found = score(a, b)
    assert found.psnr == pytest.approx(-10 * math.log10(np.square(a - b).mean()))
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    gauss = np.outer(line, line) / line.sum() ** 2
    assert found.ssim_svox2 == pytest.approx(ssim_by_windows(a, b, gauss, 1.0), abs=1e-9)
    uniform = np.full((7, 7), 1 / 49)
    assert found.ssim_skimage == pytest.approx(ssim_by_windows(a, b, uniform, 49 / 48), abs=1e-9)


def test_same_picture_is_perfect_and_infinity_is_null_in_json() -> None:
    a, _ = pictures()
    found = score(a, a)
    assert found == Scores(psnr=math.inf, ssim_svox2=1.0, ssim_skimage=1.0)
    assert found.to_dict()["psnr"] is None


def test_values_beyond_what_a_picture_shows_are_cut_off() -> None:
    a, b = pictures()
    assert score(a * 3 - 1, b) == score(np.clip(a * 3 - 1, 0, 1), b)


def test_mean_is_that_of_the_pictures_scores() -> None:
    one, two = score(*pictures(1)), score(*pictures(2))
    assert mean_scores([one, two]).psnr == pytest.approx((one.psnr + two.psnr) / 2)


class TestPerceptual:
    """LPIPS, with stand-ins for lpips and torch: what they are handed, and what becomes of it."""

    @pytest.fixture
    def made(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
        """What each network was asked for with."""
        asked: list[dict[str, object]] = []

        class Network:
            def __init__(self, **keywords: object) -> None:
                asked.append(keywords)
                if keywords["net"] == "alex":
                    raise URLError("no way out")

            def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
                for tensor in (first, second):
                    assert (tensor.dtype, tensor.ndim, tensor.shape[:2]) == (np.float32, 4, (1, 3))
                    assert tensor.flags.c_contiguous
                    assert -1 <= tensor.min() < -0.5
                    assert 0.5 < tensor.max() <= 1
                return np.square(first - second).mean(axis=(1, 2, 3), keepdims=True)

        for name, module in {
            "lpips": SimpleNamespace(LPIPS=Network, __spec__=object()),
            "torch": SimpleNamespace(from_numpy=lambda a: a, no_grad=nullcontext),
        }.items():
            monkeypatch.setitem(sys.modules, name, module)  # type: ignore[arg-type]
        return asked

    def test_pictures_become_tensors_from_minus_one_to_one(
        self, made: list[dict[str, object]]
    ) -> None:
        lpips, network = choose_perceptual(None)
        assert (network, made) == ("vgg", [{"net": "vgg", "verbose": False}])
        a, b = pictures()
        found = [score(a * 1.5, b, lpips), score(a, b, lpips)]
        assert found[1].lpips == pytest.approx(4 * np.square(a - b).mean(), rel=1e-5)
        assert found[1].to_dict()["lpips"] == found[1].lpips
        mean = mean_scores(found).lpips
        assert mean == pytest.approx(np.mean([each.lpips for each in found]))

    def test_is_left_out_unless_it_is_installed_or_asked_for(
        self, made: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert choose_perceptual("off") == (None, "")
        monkeypatch.delitem(sys.modules, "lpips")
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert choose_perceptual(None) == (None, "")
        assert "lpips" not in score(*pictures()).to_dict()
        monkeypatch.setitem(sys.modules, "lpips", None)
        with pytest.raises(PlenostreamError, match=r"pip install 'plenostream\[lpips\]'"):
            choose_perceptual("vgg")
        assert made == []

    @pytest.mark.usefixtures("made")
    def test_weights_that_cannot_be_had_are_said(self) -> None:
        with pytest.raises(PlenostreamError, match="weights of the network alex.*no way out"):
            choose_perceptual("alex")


@pytest.mark.parametrize(
    ("shape", "other", "said"),
    [((24, 31, 3), (31, 24, 3), "31x24 and 24x31"), ((10, 40, 3), (10, 40, 3), "40x10")],
)
def test_pictures_that_cannot_be_compared_are_refused(
    shape: tuple[int, ...], other: tuple[int, ...], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        score(np.zeros(shape), np.zeros(other))
