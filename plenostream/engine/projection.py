"""Which rays are drawn: those of the world, or the same in normalised device coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace

from plenostream.errors import InvalidInput
from plenostream.field.ndc import Ndc, in_ndc, looks_forward_facing, ndc_factors
from plenostream.format.layout import SceneMeta
from plenostream.integrator.interface import RaySource
from plenostream.options import RenderOptions

__all__ = ["ChosenNdc", "choose_ndc", "projected", "take_ndc_of_data_set"]

_SAME_SHAPE = 0.02
"""Relative difference of two shapes of pictures that are the same but for rounded sizes."""


@dataclass(frozen=True, slots=True)
class ChosenNdc:
    """The reference camera of the coordinates that rays are brought to, and what there is to say."""

    camera: Ndc | None
    """None: rays stay in the world."""
    why: str = ""
    """A sentence where the scene may need coordinates that nobody named; else empty."""


def choose_ndc(options: RenderOptions, meta: SceneMeta) -> ChosenNdc:
    """What `options` ask for, else what the scene says."""
    if options.ndc is None:
        camera = meta.ndc
        if camera is None and looks_forward_facing(meta.grid):
            return ChosenNdc(
                None,
                "the scene's place is that of a forward-facing one, which needs normalised device "
                "coordinates, and is drawn without; say ndc=(width, height, focal), the camera that it "
                'was trained with, or ndc="off" (--ndc)',
            )
        return ChosenNdc(camera)
    return ChosenNdc(None if isinstance(options.ndc, str) else options.ndc)


def take_ndc_of_data_set(
    options: RenderOptions, meta: SceneMeta, ndc: Ndc | None
) -> tuple[RenderOptions, str]:
    """`options` as cameras of a data set need them, and a sentence about it; else as they are.

    Where neither `options` nor the scene name the reference camera of normalised device coordinates,
    and the scene lies as svox2 places forward-facing ones, it is `ndc`, that of the data set.

    Raises
    ------
    InvalidInput : the scene was trained with pictures of another shape.
    """
    if ndc is None or options.ndc is not None or meta.ndc is not None:
        return options, ""
    if not looks_forward_facing(meta.grid):
        return options, (
            "none, though the cameras are those of a forward-facing data set, since the scene does not "
            "lie as svox2 places those; --ndc WIDTH,HEIGHT,FOCAL brings rays there"
        )
    width, height, fx, fy = ndc
    # svox2 places the sides of the volume as many pixels beyond the picture as its top and bottom.
    beyond_x, beyond_y = (length - 1.0 for length in meta.grid.radius[:2])
    shape = beyond_y / beyond_x
    if abs(shape * height / width - 1.0) > _SAME_SHAPE:
        raise InvalidInput(
            f"the scene lies as one trained with pictures {shape:.3f} times as wide as high, and those of "
            f"the data set are {width / height:.3f} times: it seems to be of another one. Say --ndc "
            "WIDTH,HEIGHT,FOCAL, the camera that it was trained with, or --ndc off"
        )
    focal = f"{fx:g}" if fx == fy else f"{fx:g},{fy:g}"
    return replace(options, ndc=ndc), (
        f"{width:g},{height:g},{focal}, as svox2 trains such a data set, since the scene lies as a "
        "forward-facing one and names none; --ndc off draws rays as they are"
    )


def projected(rays: RaySource, ndc: Ndc | None) -> RaySource:
    """World rays as they are drawn."""
    if ndc is None:
        return rays
    return replace(rays, make=in_ndc(rays.make), shared=(*rays.shared, ndc_factors(ndc)))
