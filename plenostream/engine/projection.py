"""Which rays are drawn: those of the world, or the same in normalised device coordinates."""

from __future__ import annotations

from dataclasses import dataclass, replace

from plenostream.field.ndc import Ndc, in_ndc, looks_forward_facing, ndc_factors
from plenostream.format.layout import SceneMeta
from plenostream.integrator.interface import RaySource
from plenostream.options import RenderOptions

__all__ = ["ChosenNdc", "choose_ndc", "projected"]


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


def projected(rays: RaySource, ndc: Ndc | None) -> RaySource:
    """World rays as they are drawn."""
    if ndc is None:
        return rays
    return replace(rays, make=in_ndc(rays.make), shared=(*rays.shared, ndc_factors(ndc)))
