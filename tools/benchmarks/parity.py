"""How far the renderer is from the recorded svox2 outputs: a line for each case and precision.

The tests hold the same figures to their limits (tests/test_parity_svox2.py); this prints them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plenostream as ps
from plenostream.testing.pictures import open_renderer
from plenostream.testing.recorded import (
    EXTRAS,
    MAIN_JOB,
    OPTIONS,
    RecordedCase,
    largest_difference,
    load_case,
)

__all__ = ["parity_lines"]

_HEADS = ("rgb", "T", "depth")
_SVOX2S_CAP = 2000.0
"""Grid units at which svox2's CUDA kernel ends rays."""


def parity_lines(shared: Path, names: Sequence[str]) -> Iterator[str]:
    """The largest differences of the cases named, or of all; `shared` holds the recorded cases."""
    heads = "".join(f"{head:>10}" for head in _HEADS)
    yield f"{'case':<26}{'precision':<11}{'rays':>7}{heads}{'PSNR dB':>9}"
    for name in names or (*MAIN_JOB, *EXTRAS, *OPTIONS):
        case = load_case(shared, name)
        with tempfile.TemporaryDirectory() as folder:
            scene = Path(folder) / "scene.zarr"
            ps.convert(case.checkpoint, scene)
            for precision in ("float32", "float16"):
                yield _line(case, name, precision, _see(case, scene, precision, case.options))
                if case.rgb_cap is not None:
                    options = case.options | {"far_cap": _SVOX2S_CAP}
                    rgb, *_ = _see(case, scene, precision, options)
                    yield _line(
                        replace(case, rgb=case.rgb_cap), "  ended at a cap", precision, (rgb,)
                    )


def _line(case: RecordedCase, name: str, precision: str, seen: tuple[NDArray[Any], ...]) -> str:
    """A line of the table, of colour and, where they are, transmittance and depth."""
    wanted, rgb = (case.rgb, case.trans, case.depth), seen[0]
    worst = [
        largest_difference(value, expected, fragile=case.fragile)
        for value, expected in zip(seen, wanted, strict=False)
    ]
    noise = float(np.mean((rgb - case.rgb)[~case.fragile].astype(np.float64) ** 2))
    psnr = f"{-10 * np.log10(noise):.1f}" if noise else "same"
    figures = "".join(f"{value:10.1e}" for value in worst)
    return f"{name:<26}{precision:<11}{len(rgb):>7}{figures:<30}{psnr:>9}"


def _see(
    case: RecordedCase, scene: Path, precision: str, options: dict[str, Any]
) -> tuple[NDArray[Any], ...]:
    """Colour [n, 3], transmittance [n] and depth [n] of a case's rays, from cameras if it has no rays.

    Recorded rays are as they are drawn: those of forward-facing scenes are projected already.
    """
    seen: Sequence[ps.RenderResult | ps.RayResult]
    with open_renderer(scene, options=options | {"ndc": "off"}, precision=precision) as renderer:
        if case.origins is None or case.dirs is None:
            seen = [renderer.render(ps.Camera(**view)) for view in case.views]
        else:
            seen = [renderer.render_rays(case.origins, case.dirs)]
    rgb = np.concatenate([part.rgb.reshape(-1, 3) for part in seen])
    alpha, depth = (
        np.concatenate([getattr(part, name).reshape(-1) for part in seen])
        for name in ("alpha", "depth")
    )
    return rgb, 1.0 - alpha.astype(np.float64), depth
