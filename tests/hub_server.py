"""A server on the loopback address that speaks the protocol of the Hugging Face hub, and gives files by URL."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hosted:
    """A file, and what goes wrong with it."""

    data: bytes
    cuts: list[int] = field(default_factory=list)
    """After how many bytes each of the next connections ends."""
    status: int = 200
    said: int | None = None
    """The length that the server says, if that is not the file's."""
    ranges: bool = True
    """Whether the server gives a part of it, or always the whole."""
    drip: tuple[int, float] | None = None
    """So many bytes at a time, with so many seconds between them; None for all at once."""
    slow_head: str = ""
    """How the server goes on where headers are to end: `drip` gives a header byte by byte, `flood` one line after
    another, `chunks` the length of a first chunk byte by byte."""
    damaged: bool = False
    """Whether the last byte is another than the one whose checksum is said."""

    @property
    def sent(self) -> bytes:
        """The bytes that go out."""
        return self.data[:-1] + bytes([self.data[-1] ^ 1]) if self.damaged else self.data


@dataclass
class Hub:
    """What a server has: files by path; `/ORG/NAME/resolve/REVISION/FILE` are those of repositories."""

    url: str
    files: dict[str, Hosted] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and range of each request."""
    redirects: dict[str, str] = field(default_factory=dict)
    closed: bool = False

    def add(self, repo: str, name: str, data: bytes) -> Hosted:
        """Puts a file into a repository."""
        made = self.files[f"/{repo}/resolve/main/{name}"] = Hosted(data)
        self.files[f"/{repo}/resolve/{COMMIT}/{name}"] = made
        return made

    def ranges(self) -> list[str]:
        """The ranges that were asked for, those of whole files too."""
        return [range_ for method, _, range_ in self.asked if method == "GET"]


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"
    timeout = 30
    """Seconds without a byte after which a connection is closed."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def do_HEAD(self) -> None:
        """The headers of a file."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """A file, or what follows the beginning of a range."""
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        hub, path = self.hub, self.path.partition("?")[0]
        wanted = self.headers.get("Range", "")
        hub.asked.append((self.command, path, wanted))
        if path in hub.redirects:
            return self._end(302, {"Location": hub.redirects[path]})
        found = hub.files.get(path)
        if found is None:
            repo = re.match(r"/[^/]+/[^/]+/resolve/", path)
            known = repo is not None and any(p.startswith(repo[0]) for p in hub.files)
            code = {"X-Error-Code": "EntryNotFound" if known else "RepoNotFound"} if repo is not None else {}
            return self._end(404 if known or repo is None else 401, code)
        if found.status != 200:
            return self._end(found.status, {})
        if found.slow_head:
            return self._drag(found.slow_head)
        if not found.ranges:
            wanted = ""
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(found.data).hexdigest()}"'}
        start = int(wanted.removeprefix("bytes=").partition("-")[0] or 0) if wanted else 0
        data = found.sent[start:]
        if wanted and not data:
            return self._end(416, {})
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{len(found.sent) - 1}/{len(found.sent)}"
        length = found.said - start if found.said is not None else len(data)
        self.send_response(206 if wanted else 200)
        for name, value in {**headers, "Content-Length": str(length), "Accept-Ranges": "bytes"}.items():
            self.send_header(name, value)
        self.end_headers()
        if not body:
            return None
        if found.cuts:
            data = data[: found.cuts.pop(0)]
            self.close_connection = True
        step, seconds = found.drip or (len(data) or 1, 0.0)
        for i in range(0, len(data), step):
            try:
                self.wfile.write(data[i : i + step])
            except OSError:
                break  # nobody reads on
            time.sleep(seconds)
            if hub.closed:
                break
        return None

    def _drag(self, kind: str) -> None:
        """An answer that never gets to its file, until nobody reads on, or for half a minute."""
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"Transfer-Encoding: chunked\r\n\r\n" * (kind == "chunks"))
        end = time.monotonic() + 30
        while time.monotonic() < end and not self.hub.closed:
            try:
                self.wfile.write(b"X-More: %s\r\n" % (b"x" * 60_000) if kind == "flood" else b"0")
            except OSError:
                return
            time.sleep(0 if kind == "flood" else 0.02)

    def _end(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def serving() -> Iterator[Hub]:
    """A server that runs as long as the context."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub = handler.hub = Hub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.closed = True
        server.shutdown()
        server.server_close()
        thread.join(10)
        assert not thread.is_alive(), "the server does not end"
