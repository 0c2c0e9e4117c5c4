"""What an integrator knows of samples: where they lie on a ray, and what happens at each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from plenostream.field.aovs import NO_AOVS, Aovs

__all__ = ["OPAQUE_LENGTH", "Light", "SampleRule"]

OPAQUE_LENGTH = 1e9
"""World units: how long the last sample of a ray is where it is to be opaque (svox2's number)."""


class Light(Enum):
    """How a sample takes light from its ray, as its colour counts. Depth knows the first way alone
    (`docs/rules.md`, rules 13, 16, 25 and 28)."""

    MULTIPLIES = 0
    """By a factor, for the length of a step."""
    OPAQUE_END = 1
    """As the first, but the last sample of a ray is `OPAQUE_LENGTH` long."""
    ADDS_UP = 2
    """Opacities add up, to 1 at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRule:
    """Where samples lie and what happens at them: what an integrator needs of `RenderOptions`."""

    step_size: float
    """Grid units between samples."""
    sigma_thresh: float
    """Densities per world unit up to this contribute nothing."""
    stop_thresh: float
    """Transmittance below which a ray ends."""
    near_clip: float
    """World units before which there are no samples; with `spheric_clip` a share of the radius."""
    far_cap: float
    """Grid units from a ray's origin behind which there are no samples; infinite for no such end."""
    spheric_clip: bool
    """Whether rays begin and end at ellipsoids instead of the box, see `lattice`."""
    light: Light
    aovs: Aovs = NO_AOVS
    """What rays gather beside colour, depth and alpha; costs nothing where it is nothing."""
    depth_density: float = 0.0
    """Density per world unit above which a sample ends density-depth."""
    weigh: bool = False
    """Whether the largest weights of samples are kept, for `Integrator.weights`."""
    differentiate: bool = False
    """Whether derivatives by the rows are kept, for `Integrator.derivatives`; not of `Light.ADDS_UP`."""
