"""One port: the page, and a WebSocket for each browser that shows it."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import threading
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from plenostream.cameras import Camera
from plenostream.errors import AddressError, PlenostreamError
from plenostream.options import RenderOptions, StreamOptions, ViewOptions
from plenostream.process.closing import Closing
from plenostream.renderer import Renderer
from plenostream.scene import Scene
from plenostream.viewer.access import Access, Allowance
from plenostream.viewer.greeting import drawn_corners, greeting
from plenostream.viewer.messages import LARGEST_MESSAGE, read_message
from plenostream.viewer.pages import HEADERS, PAGE, load_assets
from plenostream.viewer.painter import Painter
from plenostream.viewer.visitor import Visitor

__all__ = ["STREAM", "Viewer"]

STREAM = "/stream"
"""Where browsers open their WebSocket."""

MOST_VISITORS = 16
_PER_SECOND, _AT_ONCE = 300.0, 600.0
"""Messages of a visitor: a screen of 120 Hz sends a view and an answer for each picture."""
_STATUS_S = 0.5
"""Seconds between two lines about the renderer."""
_MOST_OUTGOING = 128
"""Messages that wait for a connection; a browser that takes none of them in is dropped. Pictures
are bounded by what it says that it has seen, answers by what it asks."""
_PATIENCE_S = 20.0
"""Seconds without a sign of life."""
_GOING_AWAY, _REFUSED, _TRY_LATER = 1001, 1008, 1013
"""Codes with which a WebSocket is closed (RFC 6455)."""

_quiet = logging.Logger("plenostream.viewer", level=logging.CRITICAL + 1)
"""Of the library that speaks the protocol: strangers may send what they like, and it is no news."""


class Viewer(Closing):
    """Serves a scene to browsers, from when it is made to `close`; a context manager.

    Parameters
    ----------
    name : what the scene is called on the page
    scene : stays open meanwhile
    cameras : of a data set, to jump to

    Raises
    ------
    AddressError : nothing can listen there; the port is taken, say. Else as `Renderer`.
    """

    def __init__(
        self,
        name: str,
        scene: Scene,
        cameras: list[Camera],
        *,
        options: RenderOptions,
        stream: StreamOptions,
        view: ViewOptions,
    ) -> None:
        self.access = Access(needs_token=view.needs_token)
        self._view = view
        self._assets = load_assets()
        corners = drawn_corners(scene)
        self.renderer = Renderer(scene, options, stream)
        self._greeting = greeting(name, scene, self.renderer, cameras, corners)
        self._painter = Painter(scene, self.renderer, cameras, corners)
        self._painter.failed = self._end
        self._n_visitors = 0
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._port = 0
        self._listens = threading.Event()
        self._is_over = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="plenostream-viewer", daemon=True)
        self._thread.start()
        self._listens.wait()
        if self._failure is not None:
            self._thread.join()
            self.renderer.close()
            if isinstance(self._failure, OSError):
                raise _address_error(view, self._failure) from self._failure
            raise self._failure
        self._painter.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        return f"http://{_reachable(self._view.host)}:{self._port}{PAGE}{self.access.query}"

    def wait(self) -> None:
        """Until it is over. Raises what ended it, where that is a bug of ours."""
        # Again and again: without a time, a wait in the main thread takes no signals on some systems.
        while not self._is_over.wait(1.0):
            pass
        failure = self._painter.failure or self._failure
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Send all away, give up what is being drawn, and give back the port and the renderer."""
        self._painter.close()
        self._end()
        self._thread.join()

    def _end(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended.set)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except (
            BaseException
        ) as error:  # whatever it is: raised by the thread that made this, or waits
            self._failure = error
        finally:
            self._loop.close()
            self._is_over.set()
            self._listens.set()

    async def _serve(self) -> None:
        server = await self._listening()
        self._port = server.sockets[0].getsockname()[1]
        self._listens.set()
        async with server:
            await self._ended.wait()
            server.close(close_connections=True, code=_GOING_AWAY, reason="the viewer has ended")

    async def _listening(self) -> Server:
        return await serve(
            self._welcome,
            self._view.host,
            self._view.port,
            process_request=self._answer,
            max_size=LARGEST_MESSAGE,
            max_queue=8,
            # Pictures are compressed already, and a small message may not become a large one.
            compression=None,
            open_timeout=_PATIENCE_S,
            ping_interval=_PATIENCE_S,
            ping_timeout=_PATIENCE_S,
            close_timeout=1.0,
            server_header=None,
            logger=_quiet,
        )

    # Requests

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """A part of the page, a refusal, or None: the WebSocket is opened."""
        hosts, origins = request.headers.get_all("Host"), request.headers.get_all("Origin")
        host = hosts[0] if len(hosts) == 1 else ""
        path = request.path.partition("?")[0]
        if path == STREAM:
            origin = origins[0] if len(origins) == 1 else ""
            refusal = self.access.refusal_of_stream(request.path, host, origin)
            if refusal is not None:
                return _response(HTTPStatus.FORBIDDEN, refusal)
            if self._n_visitors >= MOST_VISITORS:
                return _response(HTTPStatus.SERVICE_UNAVAILABLE, "there are too many visitors")
            return None
        asset = self._assets.get(path)
        if asset is None:
            return _response(HTTPStatus.NOT_FOUND, "there is nothing here")
        refusal = self.access.refusal_of_page(request.path, host) if path == PAGE else None
        if refusal is not None:
            return _response(HTTPStatus.FORBIDDEN, refusal)
        return _response(HTTPStatus.OK, asset.body, asset.content_type)

    # Visitors

    async def _welcome(self, connection: ServerConnection) -> None:
        """A browser, from when it has come in until it goes."""
        outgoing: asyncio.Queue[str | bytes] = asyncio.Queue(_MOST_OUTGOING)

        def put(message: str | bytes) -> None:
            try:
                outgoing.put_nowait(message)
            except asyncio.QueueFull:
                connection.transport.abort()

        def send(message: str | bytes) -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(put, message)

        visitor = Visitor(send)
        self._n_visitors += 1
        put(json.dumps(self._greeting | self._painter.changeable))
        self._painter.enter(visitor)
        tasks = [
            asyncio.create_task(self._hand_on(connection, outgoing)),
            asyncio.create_task(self._report(outgoing)),
        ]
        try:
            await self._listen(connection, visitor)
        except ConnectionClosed:
            pass  # it went, as all do
        finally:
            self._n_visitors -= 1
            self._painter.leave(visitor)
            for task in tasks:
                task.cancel()

    async def _listen(self, connection: ServerConnection, visitor: Visitor) -> None:
        allowance = Allowance(per_second=_PER_SECOND, at_once=_AT_ONCE)
        async for text in connection:
            if not allowance.take():
                await connection.close(_TRY_LATER, "too many messages")
                return
            try:
                self._painter.tell(visitor, read_message(text))
            except PlenostreamError as error:
                await connection.close(_REFUSED, str(error).encode()[:120].decode(errors="ignore"))
                return

    async def _hand_on(
        self, connection: ServerConnection, outgoing: asyncio.Queue[str | bytes]
    ) -> None:
        try:
            while True:
                await connection.send(await outgoing.get())
        except ConnectionClosed:
            pass  # `_listen` finds out too

    async def _report(self, outgoing: asyncio.Queue[str | bytes]) -> None:
        while True:
            if outgoing.empty():
                outgoing.put_nowait(json.dumps(self._painter.status()))
            await asyncio.sleep(_STATUS_S)


def _response(
    status: HTTPStatus, body: str | bytes, content_type: str = "text/plain; charset=utf-8"
) -> Response:
    content = f"{body}\n".encode() if isinstance(body, str) else body
    headers = Headers(HEADERS)
    headers["Content-Type"] = content_type
    headers["Content-Length"] = str(len(content))
    headers["Connection"] = "close"
    return Response(status.value, status.phrase, headers, content)


def _reachable(host: str) -> str:
    """The host as it stands in an address on this machine."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _address_error(view: ViewOptions, error: OSError) -> AddressError:
    if error.errno == errno.EADDRINUSE:
        return AddressError(
            f"port {view.port} of {view.host} is taken, by another viewer perhaps; say --port with "
            "another number, or --port 0 for any that is free"
        )
    return AddressError(
        f"nothing can listen at {view.host}, port {view.port}: {error.strerror or error}"
    )
