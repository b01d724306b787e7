"""Connections to servers: by https, or to this machine, and with answers that begin in time."""

from __future__ import annotations

import http.client
import io
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from socket import socket
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from netspec.weights.published.meant import is_loopback

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BEGIN = 60
"""Seconds in which an answer is to begin: its headers, and what comes with one that only leads elsewhere."""
HEAD = 2**20
"""Bytes that these have, at most."""


def connected(request: urllib.request.Request, timeout: float, each: Callable[[], None]) -> http.client.HTTPResponse:
    """An answer, of which the headers are read; `timeout` is of each read, in seconds; raises OSError, Slow.

    `each` is called after each read of what follows, that of lengths between chunks too, and may raise Slow.
    """
    proxies = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(request.full_url).hostname) else []
    opener = urllib.request.build_opener(_SafeRedirects, _HttpHandler, _HttpsHandler, *proxies)
    answer: http.client.HTTPResponse = opener.open(request, timeout=timeout)
    if isinstance(answer, _Answer):
        answer.raw.each = each
    return answer


def is_safe(url: str) -> bool:
    """Whether nobody on the way can change what is read."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.scheme == "http" and is_loopback(parts.hostname)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows https alone, and http on this machine."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        """The request of a redirection; raises URLError for one to http."""
        if not is_safe(newurl):
            raise urllib.error.URLError(f"it leads to {newurl[:200]}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


class Slow(OSError):
    """A server that gives too little."""


class _Begins(io.RawIOBase):
    """The bytes of a connection: its answer is to begin, and an answer that only leads elsewhere to end, in time.

    The time-out of a socket is of each read, and a server that gives a byte now and then never exceeds it.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self.raw, self.left, self.until = raw, HEAD, time.monotonic() + BEGIN
        self.each: Callable[[], None] | None = None
        """What is called after each read of the file, when that has begun."""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """The next bytes; raises Slow, OSError."""
        count = self.raw.readinto(buffer)
        if self.each is not None:
            self.each()
            return count
        self.left -= count or 0
        if self.left < 0 or time.monotonic() > self.until:
            why = f"in {BEGIN} s" if self.left >= 0 else f"within {HEAD:,} bytes"
            raise Slow(f"the server's answer does not begin {why}")
        return count

    def close(self) -> None:
        """Closes the connection."""
        self.raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer whose headers are to come in time."""

    def __init__(self, sock: socket, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.raw = _Begins(self.fp.detach())
        self.fp = io.BufferedReader(self.raw)


class _Http(http.client.HTTPConnection):
    response_class = _Answer


class _Https(http.client.HTTPSConnection):
    response_class = _Answer


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Http, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Https, req)
