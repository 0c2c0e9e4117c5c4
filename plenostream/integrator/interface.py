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
business. `testing.plain` is an integrator in plain NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.field.aovs import NO_AOVS, Aovs
from plenostream.field.basis import Basis
from plenostream.field.finished import Place
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.field.tiles import Pairs
from plenostream.integrator.costs import DeviceCosts, HostCosts, Sizes
from plenostream.integrator.loss import LossByRays, RowDerivatives

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
    "SampleRule",
    "SceneShape",
    "Sizes",
]

CPU_BYTES = 8_000_000_000
"""Allowed on a CPU where nothing is said: the 8 GB card that this renderer is made for."""
LEFT_OUT = -2
"""In place of a brick's slot: rays pass through it as if it were empty."""
IN_POOL = -1
"""In place of a row that a brick brings: the one that it has in the pool already."""
PAGE_ROWS = 16
"""Colour rows of a page, the unit in which the rows of a pool are handed out. Page 0 is never handed
out: it holds the row of zeros that a voxel without coefficients points to."""

OPAQUE_LENGTH = 1e9
"""World units: how long the last sample of a ray is where it is to be opaque (svox2's number)."""

_LEAST_STAGED = 4096
"""Rows of a staging buffer, at least."""

Report = Callable[[], NDArray[np.bool_]]
"""Which tiles [n_tiles] still had a live ray; waits until that is known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boxes:
    """The boxes of cells of a scene that can contribute, m of them, none empty."""

    brick: NDArray[np.int32]
    """[m]: brick of each box."""
    block: NDArray[np.int32]
    """[m, 3]: coordinates of the block of 8^3 cells that it lies in; no two lie in one."""
    corners: NDArray[np.uint8]
    """[m, 6]: first cell and one past the last inside the brick, x, y, z each."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.brick.nbytes + self.block.nbytes + self.corners.nbytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneShape:
    """What an integrator knows of a scene before it sees a brick."""

    grid: GridSpec
    bricks: BrickGrid
    basis: Basis
    """Functions of a ray's direction, K a channel, and what they take."""
    sh_dtype: str
    """Type of the coefficients as they are stored."""
    largest_rows: int
    """Rows of the brick with the most."""
    n_rows: int
    """Rows of all bricks that can contribute."""
    boxes: Boxes

    @property
    def basis_dim(self) -> int:
        """Basis functions a channel, K."""
        return self.basis.dim

    def staged_rows(self, batch_rows: int) -> int:
        """Rows of a staging buffer for batches of `batch_rows`: no more than the scene has, those of
        the largest brick at least, and a page that may be read beyond the last.

        A power of two but for that: programs are compiled for it.
        """
        most = max(min(batch_rows, self.n_rows), self.largest_rows, _LEAST_STAGED)
        return (1 << (most - 1).bit_length()) + PAGE_ROWS


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrivals:
    """Bricks on their way into the pool, b of them, rows as they are stored.

    The rows lie in r runs, those of a run one after another: in one run, a staging buffer at a multiple
    of 64 bytes, but where the integrator `takes_in_place`. What follows the n rows of the bricks in the
    last means nothing. All arrays are valid until the next arrivals are asked for.
    """

    index: NDArray[np.int32]
    """[b, 3]: brick coordinates."""
    mask: NDArray[np.uint8]
    """[b, bytes]: bit v (little bit order) says that voxel v (C order, z fastest) has a row."""
    density: tuple[NDArray[np.float32], ...]
    """r runs [rows]: per world unit; the rows of one brick after those of another."""
    sh: tuple[NDArray[np.floating], ...]
    """r runs [rows, 3 K]: channel-major."""
    row_start: NDArray[np.int64]
    """[b + 1]: rows of brick i are [row_start[i], row_start[i + 1])."""
    slots: NDArray[np.int32]
    """[b]: where each goes."""
    pages: NDArray[np.int32]
    """[sum of ceil(rows / PAGE_ROWS)]: pages of their rows, brick by brick."""
    source: NDArray[np.int32] | None = None
    """[n]: which row of the only run each row is. `IN_POOL`: the one that is in the pool; then all bricks are
    in these slots already, keep their pages, and `pages` is empty. None: they lie one after another."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, of the rows that come only."""
        density, sh = self.density[0], self.sh[0]
        row_bytes = density.itemsize + sh.itemsize * int(sh.shape[1])
        others = (self.index, self.mask, self.row_start, self.slots, self.pages)
        n = int(self.row_start[-1])
        if self.source is not None:
            n = int(np.count_nonzero(self.source != IN_POOL))
        return n * row_bytes + sum(array.nbytes for array in others)


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
