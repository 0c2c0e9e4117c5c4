"""The scheduler: which bricks a picture needs, in which order, in which waves, as which work items.

NumPy over boxes and items, never over rays; it returns values and touches no device and no file
(DESIGN section 4).
"""

from plenostream.plan.blocks import BlockMap, block_shape, map_blocks, walk_size
from plenostream.plan.boxes import BOXES_AT_ONCE, BoxTable, build_boxes, project_boxes
from plenostream.plan.items import Items, pack_calls
from plenostream.plan.views import ITEMS_AT_ONCE, PacketView, PinholeView, View
from plenostream.plan.waves import plan_waves, shells_of, split_waves

__all__ = [
    "BOXES_AT_ONCE",
    "ITEMS_AT_ONCE",
    "BlockMap",
    "BoxTable",
    "Items",
    "PacketView",
    "PinholeView",
    "View",
    "block_shape",
    "build_boxes",
    "map_blocks",
    "pack_calls",
    "plan_waves",
    "project_boxes",
    "shells_of",
    "split_waves",
    "walk_size",
]
