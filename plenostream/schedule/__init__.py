"""The scheduler: which bricks a picture needs, in which order, in which waves, as which work items.

NumPy over boxes and items, never over rays; it returns values and touches no device and no file
(DESIGN section 4).
"""

from plenostream.schedule.boxes import BoxTable, build_boxes, project_boxes
from plenostream.schedule.items import Items, pack_calls
from plenostream.schedule.views import PacketView, PinholeView, View
from plenostream.schedule.waves import shells_of, split_waves

__all__ = [
    "BoxTable",
    "Items",
    "PacketView",
    "PinholeView",
    "View",
    "build_boxes",
    "pack_calls",
    "project_boxes",
    "shells_of",
    "split_waves",
]
