"""A web server for a folder, whose answers go wrong as a test asks for."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

__all__ = ["WebFolder", "serving"]

Fault = Callable[[SimpleHTTPRequestHandler, bytes], bytes | None]
"""Gets the request and the right bytes: the bytes to send instead, or None where it answered."""


class WebFolder:
    """What `serving` gives."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: Counter[str] = Counter()
        """How often each path was asked for."""
        self.faults: dict[str, list[Fault]] = {}
        """What goes wrong with the next answers of a path, one after another; then all is well."""


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, folder: Path, web: WebFolder) -> None:
        self._folder, self._web = folder, web
        super().__init__(*args, directory=str(folder))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_HEAD(self) -> None:  # noqa: N802
        self._answer(with_body=False)

    def do_GET(self) -> None:  # noqa: N802
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        key = self.path.lstrip("/").partition("?")[0]
        self._web.requests[key] += 1
        path = self._folder / key
        if not path.is_file():
            self.send_error(404)
            return
        blob: bytes | None = path.read_bytes()
        faults = self._web.faults.get(key)
        if faults and with_body:
            blob = faults.pop(0)(self, path.read_bytes())
        if blob is None:
            return
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        self.send_response(206 if part else 200)
        if part:
            first, last = int(part[1]), min(int(part[2] or len(blob)), len(blob) - 1)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(blob)}")
            blob = blob[first : last + 1]
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(blob)))
        self.end_headers()
        self.wfile.write(blob if with_body else b"")


@contextmanager
def serving(folder: Path) -> Iterator[WebFolder]:
    """Serve the files of a folder on a port of this machine."""
    web = WebFolder("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, folder=folder, web=web))
    server.daemon_threads = True
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
