"""One browser: what it wants to see, how far that is, and how much it has not taken in yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from plenostream.errors import InvalidInput
from plenostream.viewer.messages import Change, Message, Path, Pick, Seen, Thumbnail, View
from plenostream.viewer.pacing import Pace, Patch, patches_of

__all__ = ["CoarseJob", "Job", "PatchJob", "Visitor"]

_COARSE_UNSEEN, _MOST_UNSEEN = 2, 6
"""Pictures on their way to a browser: more of them would only make it see the camera's past."""
_MIDDLE = 2
"""Divisor of a picture between the coarse one and the patches, where that one was coarser."""
_MOST_WAITING = 32
"""Questions that wait for their turn; what is asked beyond that replaces the oldest."""


@dataclass(frozen=True, slots=True, eq=False)
class CoarseJob:
    """The whole picture at a part of its resolution."""

    view: View
    divisor: int | None = None
    """Which part; None for what the pace allows."""


@dataclass(frozen=True, slots=True, eq=False)
class PatchJob:
    """A part of the picture at full resolution."""

    view: View
    patch: Patch
    n_left: int
    """Patches that follow."""


Job = CoarseJob | PatchJob | Pick | Thumbnail | Path | Change


class Visitor:
    """All of it is called with the painter's lock held, but for `send`."""

    def __init__(self, send: Callable[[str | bytes], None]) -> None:
        """Take `send`, which hands a message on and returns at once."""
        self.send = send
        self.pace = Pace()
        self.is_gone = False
        self.view: View | None = None
        """The last that was asked for."""
        self._sketched: View | None = None
        self._divisor = 1
        """Of the last coarse picture."""
        self._patches: deque[Patch] | None = None
        self._asked: deque[Job] = deque(maxlen=_MOST_WAITING)
        self._n_unseen = 0

    def take(self, message: Message) -> None:
        """What the browser says.

        Raises
        ------
        InvalidInput : it has seen more pictures than there were.
        """
        if isinstance(message, View):
            if self.view is not None and self._sketched is self.view:
                # A camera that comes to rest has been seen where it is.
                self._sketched = message if message.shows_the_same(self.view) else None
            self.view, self._patches = message, None
        elif isinstance(message, Seen):
            if self._n_unseen == 0:
                raise InvalidInput("a picture was seen that was not sent")
            self._n_unseen -= 1
        else:
            self._asked.append(message)

    def next_job(self, size_of: Callable[[View], tuple[int, int]]) -> Job | None:
        """What to do for it next; None where there is nothing, or its browser has to catch up.

        Parameters
        ----------
        size_of : width and height of a view's picture
        """
        view = self.view
        questions = [job for job in self._asked if not isinstance(job, Thumbnail)]
        if questions:
            self._asked.remove(questions[0])
            return questions[0]
        if view is not None and self._sketched is not view:
            if self._n_unseen >= _COARSE_UNSEEN:
                return None
            self._n_unseen += 1
            self._sketched = view
            return CoarseJob(view)
        if view is not None and not view.moves:
            if self._n_unseen >= _MOST_UNSEEN:
                return None
            if self._patches is None and self._divisor > _MIDDLE:
                self._n_unseen += 1
                self._divisor = _MIDDLE
                return CoarseJob(view, _MIDDLE)
            if self._patches is None:
                self._patches = deque(patches_of(*size_of(view), self.pace.patch_edge))
            if self._patches:
                self._n_unseen += 1
                patch = self._patches.popleft()
                return PatchJob(view, patch, len(self._patches))
        return self._asked.popleft() if self._asked else None

    def sketched(self, divisor: int) -> None:
        """It is being sent a coarse picture."""
        self._divisor = divisor

    def draw_again(self) -> None:
        """The picture is no longer what is on screen."""
        self._sketched = self._patches = None

    def give_up(self, job: CoarseJob | PatchJob, *, for_good: bool) -> None:
        """A picture that it was to see does not come; nor, `for_good`, does the rest of its view."""
        self._n_unseen -= 1
        if for_good and job.view is self.view:
            self._sketched, self._patches = self.view, deque()

    def wants(self, job: Job) -> bool:
        """Whether it still waits for that."""
        if self.is_gone:
            return False
        if isinstance(job, PatchJob) or (isinstance(job, CoarseJob) and job.divisor is not None):
            return job.view is self.view
        return True
