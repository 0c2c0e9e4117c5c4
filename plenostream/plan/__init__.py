"""The scheduler: which bricks a picture needs, in which order, in which waves, met by which tiles.

NumPy over boxes and tiles, never over rays; it returns values and touches no device and no file.
"""

from plenostream.plan.boxes import BoxTable, build_boxes
from plenostream.plan.bundles import BundleScreen, TileBundles, bundle_levels, tile_bundles
from plenostream.plan.cones import ConeScreen, TileCones, tile_cones
from plenostream.plan.cut import bricks_drawn
from plenostream.plan.screen import BOXES_AT_ONCE, ParallelScreen, PinholeScreen, Screen
from plenostream.plan.split import Cut, Split, bricks_within, fold, split_bricks
from plenostream.plan.views import PAIRS_AT_ONCE, CameraView, PacketView, TilesView, View
from plenostream.plan.waves import plan_waves, shells_of, split_waves

__all__ = [
    "BOXES_AT_ONCE",
    "PAIRS_AT_ONCE",
    "BoxTable",
    "BundleScreen",
    "CameraView",
    "ConeScreen",
    "Cut",
    "PacketView",
    "ParallelScreen",
    "PinholeScreen",
    "Screen",
    "Split",
    "TileBundles",
    "TileCones",
    "TilesView",
    "View",
    "bricks_drawn",
    "bricks_within",
    "build_boxes",
    "bundle_levels",
    "fold",
    "plan_waves",
    "shells_of",
    "split_bricks",
    "split_waves",
    "tile_bundles",
    "tile_cones",
]
