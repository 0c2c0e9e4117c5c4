"""Pictures of a scene that no worker holds, drawn by workers that each keep a box of its bricks.

For each band of a picture every worker draws the sheet of its subvolume; where both sides of a cut are
there, the high one's goes to the low one's worker and is laid over it, or under; the last one is
finished and comes here. Dask moves sheets from worker to worker.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from plenostream.cameras import Camera
from plenostream.cluster.drawing import Drawn, Refused
from plenostream.cluster.holding import let_go_soon
from plenostream.cluster.jobs import Job, is_lost
from plenostream.cluster.making import Making, together
from plenostream.cluster.sheet_tasks import (
    Finished,
    ScenesSplit,
    draw_sheet,
    finish_band,
    join_sheets,
    joining_of,
    plan_subvolume,
    split_scene,
)
from plenostream.cluster.splitting import SplitPlan, kept_by, placed
