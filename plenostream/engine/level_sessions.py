"""Sessions for all levels of a scene, each within its share of what is allowed."""

from __future__ import annotations

from dataclasses import replace

from plenostream.cameras import Camera
from plenostream.engine.scene_sessions import Cut, SceneSessions
from plenostream.engine.session import Session
from plenostream.format.opening import open_level
from plenostream.format.reader import SceneStore
from plenostream.options import RenderOptions, StreamOptions
from plenostream.results import PoolUse

__all__ = ["LevelSessions"]

_FRONT_SHARE = 4
"""Of the host memory, the part that is kept for putting levels together."""


class LevelSessions:
    """Opens the sessions of a level when it is first drawn, and keeps them.

    Half of the memory is shared out equally, since every level's rays take the same; half by what
    the levels hold, each half of what the one before has.
    """

    def __init__(
        self,
        root: SceneStore,
        options: RenderOptions,
        stream: StreamOptions,
        *,
        device_bytes: int,
    ) -> None:
        """Take the `device_bytes` that all levels together may use.

        Raises
        ------
        StoreFormat, BrickCorrupt : a level is damaged.
        """
        self.stores = [open_level(root, level) for level in range(len(root.meta.levels) + 1)]
        self.options = options
        self.device_bytes, self.host_bytes = device_bytes, stream.host_bytes
        self.front_bytes = stream.host_bytes // _FRONT_SHARE
        self._stream = stream
        self._sessions: dict[int, SceneSessions] = {}

    def session(self, level: int) -> Session:
        """That of a level which is open at the moment; raises as `open_session`."""
        return self.of(level).current

    def of(self, level: int) -> SceneSessions:
        """Those of a level; raises as `open_session`."""
        if level not in self._sessions:
            stream = replace(
                self._stream,
                device_memory=int(self.device_bytes * self.share(level)),
                host_memory=int(self.host_bytes * self.host_share(level)),
            )
            self._sessions[level] = SceneSessions(self.stores[level], self.options, stream)
        return self._sessions[level]

    def shown(self, level: int, camera: Camera, cut: Cut) -> SceneStore:
        """The bricks of a level from which those of a picture are chosen: all, where they are few."""
        store = self.stores[level]
        return self.of(level).seeing(camera, cut=cut).store if store.has_sections else store

    def share(self, level: int) -> float:
        """Part of the memory that a level may use; all of them together are no more than 1."""
        return 0.5 / len(self.stores) + 0.25 / 2.0**level

    def host_share(self, level: int) -> float:
        """The same of the host's memory, of which some is kept for putting levels together."""
        return self.share(level) * (1.0 - 1.0 / _FRONT_SHARE)

    @property
    def use(self) -> PoolUse:
        """See `Renderer.use`; sums over the levels that were drawn."""
        uses = [session.use for session in list(self._sessions.values())]
        return PoolUse(
            bricks=sum(use.bricks for use in uses),
            slots=sum(use.slots for use in uses),
            bytes_read=sum(use.bytes_read for use in uses),
            chunks_coming=sum(use.chunks_coming for use in uses),
        )

    def interrupt(self) -> None:
        """See `Session.interrupt`."""
        for session in list(self._sessions.values()):
            session.interrupt()

    def close(self) -> None:
        """Give back what all of them hold."""
        for session in self._sessions.values():
            session.close()
