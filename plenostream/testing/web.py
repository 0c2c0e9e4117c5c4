"""A web server for a folder, or before another server, whose answers go wrong as a test asks for."""

from __future__ import annotations

import http.client
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from plenostream.testing.distance import Distance

__all__ = ["Fault", "WebFolder", "serving"]

Fault = Callable[[SimpleHTTPRequestHandler, bytes], bytes | None]
"""Gets the request and the right bytes: the bytes to send instead, or None where it answered."""

_NOT_PASSED_ON = ("connection", "content-length", "date", "server", "transfer-encoding")
"""Headers of an answer that are made anew."""


class WebFolder:
    """What `serving` gives."""

    def __init__(self, url: str, distance: Distance) -> None:
        self.url = url
        self.distance = distance
        self.requests: Counter[str] = Counter()
        """How often each path was asked for."""
        self.faults: dict[str, list[Fault]] = {}
        """What goes wrong with the next answers of a path, one after another; then all is well."""
        self.ignores_ranges = False
        """Whether requests for a part of a file are answered with all of it."""


class _Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    blob: bytes


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Connections that are opened at once: one too many would be tried again after a second."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up as they like; all else is printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, origin: Path | str, web: WebFolder) -> None:
        self._origin, self._web = origin, web
        super().__init__(*args)

    def setup(self) -> None:
        super().setup()
        self._web.distance.wait()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_HEAD(self) -> None:  # noqa: N802
        self._answer(with_body=False)

    def do_GET(self) -> None:  # noqa: N802
        self._answer(with_body=True)

    do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def _answer(self, *, with_body: bool) -> None:
        key = self.path.lstrip("/").partition("?")[0]
        self._web.requests[key] += 1
        self._web.distance.wait()
        if self._web.ignores_ranges:
            del self.headers["Range"]
        if isinstance(self._origin, Path):
            answer = _of_folder(self._origin / key, self.headers.get("Range", ""))
        else:
            answer = self._of_server(self._origin)
        blob: bytes | None = answer.blob
        faults = self._web.faults.get(key)
        if faults and with_body:
            blob = faults.pop(0)(self, answer.blob)
        if blob is None:
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if with_body or isinstance(self._origin, Path):
            self.send_header("Content-Length", str(len(blob)))
        self.end_headers()
        if with_body:
            self._web.distance.send(blob, self.wfile.write)

    def _of_server(self, url: str) -> _Answer:
        """What the server at `url` answers; of a HEAD request its length, too."""
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            connection.request(self.command, self.path, sent, dict(self.headers.items()))
            answer = connection.getresponse()
            headers = dict(answer.getheaders())
            drop = (
                _NOT_PASSED_ON[0:1] + _NOT_PASSED_ON[2:]
                if self.command == "HEAD"
                else _NOT_PASSED_ON
            )
            kept = {name: value for name, value in headers.items() if name.lower() not in drop}
            return _Answer(answer.status, kept, answer.read())
        finally:
            connection.close()


def _of_folder(path: Path, asked: str) -> _Answer:
    """The bytes of a file, or the range of them that is asked for."""
    if not path.is_file():
        return _Answer(404, {}, b"")
    size = path.stat().st_size
    part = re.fullmatch(r"bytes=(\d*)-(\d*)", asked)
    headers = {"Accept-Ranges": "bytes"}
    with path.open("rb") as file:
        if part is None or part[0] == "bytes=-":
            return _Answer(200, headers, file.read())
        last = min(int(part[2] or size), size - 1) if part[1] else size - 1
        first = int(part[1]) if part[1] else max(0, size - int(part[2]))
        file.seek(first)
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return _Answer(206, headers, file.read(last + 1 - first))


@contextmanager
def serving(origin: Path | str, distance: Distance | None = None) -> Iterator[WebFolder]:
    """Serve the files of a folder, or what the server at a URL answers, on a port of this machine."""
    web = WebFolder("", distance or Distance())
    server = _Server(("127.0.0.1", 0), partial(_Handler, origin=origin, web=web))
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
