"""What changes while training goes on: sizes of the grid, and rates."""

from __future__ import annotations

import math
from dataclasses import dataclass

from plenostream.options import TrainOptions

__all__ = ["Course", "delayed_exponential", "stages_of"]

_LEAST_SIZE = 32
"""Voxels an axis that training begins with, where it ends with twice as many or more."""
_RATE_SIZE = 256
"""Voxels an axis for which rates of densities are said."""
_GROWTH = 1.8
"""How much longer a stage takes than the one before."""
_DELAY_FACTOR = 0.01
"""Of a rate while it is delayed, at the beginning."""


def stages_of(size: int) -> tuple[int, ...]:
    """Voxels an axis of each stage, each half of the next one's, 32 at least but for the last."""
    stages = [size]
    while stages[0] % 2 == 0 and stages[0] // 2 >= _LEAST_SIZE:
        stages.insert(0, stages[0] // 2)
    return tuple(stages)


def delayed_exponential(first: float, last: float, delay: float, share: float) -> float:
    """A rate when `share` of the training is done: from `first` to `last` in equal ratios, and less in
    the `delay` at the beginning.

    Source: svox2's ``get_expon_lr_func`` (``opt/util/util.py``), after JaxNeRF.
    """
    delayed = 1.0
    if delay > 0.0:
        done = min(share / delay, 1.0)
        delayed = _DELAY_FACTOR + (1.0 - _DELAY_FACTOR) * math.sin(0.5 * math.pi * done)
    return delayed * math.exp((1.0 - share) * math.log(first) + share * math.log(last))


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The whole training: stages, and the share of it that each ends with."""

    options: TrainOptions
    stages: tuple[int, ...]

    @property
    def ends(self) -> tuple[float, ...]:
        """Share of the training that is done at the end of each stage."""
        lengths = [_GROWTH**number for number in range(len(self.stages))]
        whole = sum(lengths)
        return tuple(sum(lengths[: number + 1]) / whole for number in range(len(lengths)))

    def share(self, step: int, seconds: float) -> float:
        """How much of the training is done, 0 to 1."""
        limit = self.options.seconds
        done = step / self.options.n_steps if limit is None else seconds / limit
        return min(done, 1.0)

    def rates(self, share: float, size: int) -> tuple[float, float]:
        """Of densities, in a grid of `size` voxels an axis, and of coefficients.

        What a density per world unit does to light depends on how long a voxel is: a rate that turns
        256 voxels opaque in so many steps would turn 32 in an eighth of them.
        """
        options = self.options
        sigma = delayed_exponential(
            options.lr_sigma, options.lr_sigma_final, options.lr_sigma_delay, share
        )
        sh = delayed_exponential(options.lr_sh, options.lr_sh_final, 0.0, share)
        return sigma * size / _RATE_SIZE, sh

    def texel_rates(self, share: float) -> tuple[float, float]:
        """Of densities and colours of background layers."""
        options = self.options
        return (
            delayed_exponential(options.lr_texel_sigma, options.lr_texel_sigma_final, 0.0, share),
            delayed_exponential(options.lr_texel_color, options.lr_texel_color_final, 0.0, share),
        )
