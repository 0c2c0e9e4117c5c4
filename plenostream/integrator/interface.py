"""What an integrator does: the one interface between the host loop and a device.

An integrator keeps bricks in a pool on its device and brings rays through them, front to back. It
knows bricks, rays, rows and the sample rule; it sees no scene, camera or file. The host loop
(`engine.frame`) knows no device. A frame is::

    begin(rays)
    for each wave, front to back:
        take_in(the bricks of the wave that are not in the pool)
        advance(the boxes of the wave and the tiles of rays that may meet them) -> report
    finish(background) -> colour, depth and alpha of every tile, and what else rays gather

Where derivatives are asked for, the same rays may then go back: the same again with `begin_back` in
place of `begin`, once a loss says what it makes of their colours, and `derivatives` in place of
`finish`.

Everything is arrays of NumPy; what goes to the device, when, and in which form is the integrator's
business. `testing.plain` is an integrator in plain NumPy. What an integrator is told has modules of its
own beside this one, and is imported from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.field.finished import Place
from plenostream.field.tiles import Pairs
from plenostream.integrator.arrivals import IN_POOL, PAGE_ROWS, Arrivals, Runs
from plenostream.integrator.costs import DeviceCosts, HostCosts, Sizes
from plenostream.integrator.loss import LossByRays, RowDerivatives
from plenostream.integrator.sample_rule import OPAQUE_LENGTH, Light, SampleRule
from plenostream.integrator.scene_shape import Boxes, SceneShape

__all__ = [
    "CPU_BYTES",
    "IN_POOL",
    "LEFT_OUT",
    "OPAQUE_LENGTH",
    "PAGE_ROWS",
    "Arrivals",
    "Boxes",
    "DeviceCosts",
    "HostCosts",
    "Integrator",
    "Light",
    "LossByRays",
    "RaySource",
    "Report",
    "RowDerivatives",
    "Runs",
    "SampleRule",
    "SceneShape",
    "Sizes",
]

CPU_BYTES = 8_000_000_000
"""Allowed on a CPU where nothing is said: the 8 GB card that this renderer is made for."""
LEFT_OUT = -2
"""In place of a brick's slot: rays pass through it as if it were empty."""
Report = Callable[[], NDArray[np.bool_]]
"""Which tiles [n_tiles] still had a live ray; waits until that is known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RaySource:
    """Rays of n tiles, as a function that the integrator calls on its device.

    ``make(xp, *per_tile, *shared)`` gives origins and directions [3, n * 64] f64 in the world,
    directions of any length above zero, and which of them are rays [n * 64] bool. It works on
    arrays of NumPy and JAX (`xp`) alike, on any part of the tiles, and is the same function each
    time, since programs are compiled for it.
    """

    make: Callable[..., tuple[Any, Any, Any]]
    per_tile: tuple[NDArray[Any], ...]
    """Arrays whose first axis counts the tiles."""
    nothing: tuple[NDArray[Any], ...]
    """One entry of each of them for a tile without rays."""
    shared: tuple[NDArray[Any], ...]
    """Arrays that are the same for all tiles."""
    packets: bool = False
    """Whether `octant_keys` and `boxes_met` will be asked for: the rays have no common eye."""
    keys_only: bool = False
    """Whether nothing but `octant_keys` will be: their functions need no values."""
    between: tuple[float, float] = (0.0, math.inf)
    """Distances from the rays' origins (world units) between which all bricks lie that are drawn: an
    integrator need not follow rays before or behind."""

    @property
    def n_tiles(self) -> int:
        """Tiles of rays."""
        return len(self.per_tile[0])


class Integrator(Protocol):
    """One way of bringing rays through bricks; one picture at a time.

    Errors: DeviceError where the device fails. After any error, `drop` makes it ready for the next
    picture; where `pool_is_lost`, all bricks are gone and the pool has to be made again.
    """

    name: str
    """How `StreamOptions` and the statistics call it."""
    precision: str
    """Type of the pool's densities and coefficients: float16 or float32."""
    allowed_bytes: int
    """Device bytes that may be used."""
    n_threads: int
    """Threads of the host that may be used."""

    batch_bricks: int
    """Most bricks of `Arrivals`."""
    batch_rows: int
    """Most rows of `Arrivals`, unless a single brick has more."""
    takes_in_place: bool
    """Whether rows are taken from where they lie: in any number of runs, or by `Arrivals.source`, and of any
    number. Else they have to be gathered in staging buffers."""

    def device_costs(self, rays: RaySource) -> DeviceCosts:
        """Bytes for rays of this kind, however many `rays` has."""
        ...

    def temporary_bytes(self, sizes: Sizes | None, rays: RaySource) -> int:
        """Temporaries of all kernels at these sizes; with None, at some that all scenes share:
        others differ little."""
        ...

    def host_costs(self, pairs_at_once: int) -> HostCosts:
        """Bytes on the host, where portions of pairs have up to `pairs_at_once`."""
        ...

    def make_pool(self, n_slots: int, n_pages: int) -> None:
        """Allocate the pool, empty; one that there is goes first."""
        ...

    @property
    def pool_is_lost(self) -> bool:
        """Whether there is no pool, or an error took it."""
        ...

    def begin(self, rays: RaySource, n_tiles: int) -> None:
        """Set up the rays; their tiles are padded to `n_tiles`."""
        ...

    def octant_keys(self) -> NDArray[np.int64]:
        """Sort keys [n_tiles * 64] of the rays that were begun: octant of the direction (bit a set:
        axis a falls) in bits 32 and up, 8 for rays that can meet no box; below it an order that
        keeps neighbours together."""
        ...

    def boxes_met(self, n_packets: int, at_once: int) -> Iterator[tuple[NDArray[np.int64], ...]]:
        """The boxes that the rays of each packet may meet: (packet [i], box [i]), each pair once, in
        portions of at most `at_once` pairs unless a single packet has more."""
        ...

    def staging_memory(self, n_bytes: int) -> NDArray[np.uint8]:
        """Memory for a staging buffer, see `Arrivals`: what the device takes bricks from fastest."""
        ...

    def take_in(self, arrivals: Iterator[Arrivals]) -> None:
        """Bring bricks into the pool; they are there when `advance` is called next, which may be
        what asks for them: the supply's threads gather them meanwhile. One may come again in the slot
        and the pages that it has, with other numbers in its rows: these take the place of the old."""
        ...

    def advance(self, pairs: Iterable[Pairs], slot_of: NDArray[np.int32]) -> None:
        """Bring the rays through boxes, front to back; returns before it is done.

        Parameters
        ----------
        pairs : portions, in order
        slot_of : [bricks of the scene] slot of each brick, or `LEFT_OUT`; those of the boxes are in the
            pool
        """
        ...

    def report(self) -> Report:
        """The live tiles, once all that was asked for so far is drawn."""
        ...

    def weights(self, slots: NDArray[np.int32]) -> NDArray[np.float32]:
        """Largest weights [s, voxels] of samples, from 0 to 1, in the bricks of these slots [s] since
        they came in, whatever the rays: a sample's weight, with which its colour counts, is that of
        the eight voxels around it. Waits for all that was asked for; only where the rule says `weigh`.
        """
        ...

    def begin_back(self, rays: RaySource, n_tiles: int, loss: LossByRays) -> None:
        """As `begin`, to go back through the samples of rays that were drawn and finished: `advance`
        then adds to the derivatives of a loss by the rows of the bricks that are met, and nothing is
        gathered. Samples, and where rays wait, are those of drawing, whatever the waves are; the rows
        have to be those that were drawn. After the last wave comes `report`, which waits for them, and
        then `drop`.

        Parameters
        ----------
        rays, n_tiles : as they were begun; where nothing was begun or dropped since, their places need
            not be found again
        loss : its arrays are not to be changed before `drop`, or the next `begin`

        Notes
        -----
        `docs/rules.md`, rule 34. Only where the rule says `differentiate`.
        """
        ...

    def derivatives(
        self, slots: NDArray[np.int32], into: RowDerivatives | None = None
    ) -> RowDerivatives:
        """Derivatives of the loss by the rows of the bricks in these slots [s], brick by brick and in
        the order of their voxels, as they arrived: of all rays that went back since a brick came in or
        was asked for last. They are 0 again afterwards. Waits for all that was asked for.

        Parameters
        ----------
        into : room for as many rows, which is filled and given back; None: new arrays

        Notes
        -----
        By the values that the pool holds, straight through their rounding. Sums are the same to the last
        bit for the same rays in the same waves with as many threads.
        """
        ...

    def add_derivatives(
        self, slots: NDArray[np.int32], owner: NDArray[np.int32], into: RowDerivatives
    ) -> None:
        """As `derivatives`, to add each to the row `owner` [n] of `into`, in this order, which then counts
        as touched; rows that got nothing touch none."""
        ...

    def finish(self, background: NDArray[np.float32], place: Place) -> None:
        """Hand the finished tiles to `place`, from several threads at once; waits for the end.

        Parameters
        ----------
        background : [3] red, green, blue behind everything
        """
        ...

    def interrupt(self) -> None:
        """From another thread, at any time: have what the rays are going through end soon, with any
        error or with values that mean nothing; `begin` makes it ready for others."""
        ...

    def drop(self) -> None:
        """Let go of the rays, and of what waits."""
        ...

    def close(self) -> None:
        """Give back the device and the threads."""
        ...

    def take_counts(self) -> dict[str, int]:
        """What was counted since the last call, by the names of `FrameStats`: compiles, items,
        bytes_uploaded, peak_device_bytes, and what the kernels count."""
        ...

    def take_host_peaks(self) -> dict[str, int]:
        """Largest host bytes since the last call, of staging and queue."""
        ...
