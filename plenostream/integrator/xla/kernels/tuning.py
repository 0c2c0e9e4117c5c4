"""Block sizes of the integrator for each kind of device: parameters, not other code."""

from __future__ import annotations

from plenostream.field.aovs import NO_AOVS, Aovs
from plenostream.integrator.interface import Light
from plenostream.integrator.xla.kernels.state import KernelShape

__all__ = ["kernel_shape"]


def kernel_shape(
    platform: str,
    *,
    brick_size: int,
    basis_dim: int,
    entry_bits: int,
    spheric_clip: bool = False,
    light: Light = Light.MULTIPLIES,
    aovs: Aovs = NO_AOVS,
) -> KernelShape:
    """The integrator's static parameters on `platform` ("cpu", "gpu", ...).

    On a CPU the working arrays of a group should stay in a core's second-level cache. On a GPU
    the trips of data-dependent loops wait for the host, so blocks there are much larger.
    """
    if platform == "cpu":
        items, lanes, rounds, classes, span, shade, fences = 512, 1024, 4, 6, 32, 512, True
        bricks_at_once, pages_at_once, tiles_at_once = 1, 64, 64
    else:
        items, lanes, rounds, classes, span, shade = 16_384, 32_768, 8, 3, 32, 65_536
        bricks_at_once, pages_at_once, tiles_at_once, fences = 64, 2048, 512, False
    return KernelShape(
        brick_size=brick_size,
        basis_dim=basis_dim,
        entry_bits=entry_bits,
        items=items,
        lanes=lanes,
        rounds=rounds,
        length_classes=classes,
        span=span,
        shade=shade,
        bricks_at_once=bricks_at_once,
        pages_at_once=pages_at_once,
        tiles_at_once=tiles_at_once,
        spheric_clip=spheric_clip,
        light=light,
        aovs=aovs,
        fences=fences,
    )
