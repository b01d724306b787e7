"""Files by URL, into the cache of torch.hub: resumed where they broke off, bounded, and compared with their sha256.

torch.hub has the same cache and names, and reads what is put there. Its own download neither resumes nor bounds, and
it takes a connection that ends early for the end of the file.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from errno import EDQUOT, EFBIG, ENOSPC
from glob import escape
from io import BufferedRandom
from pathlib import Path
from urllib.parse import unquote, urlsplit

from netspec.diagnostics.errors import DataError, UsageError
from netspec.files.parts import wait_for_lock
from netspec.weights.published.connect import Slow, connected, is_safe
from netspec.weights.published.progress import Bar

MIRROR = "NETSPEC_MIRROR"
"""The variable with a URL below which files are read instead, by host and path."""
CHUNK = 2**18
TIMEOUT = 30
"""Seconds without a byte after which a connection is given up."""
ATTEMPTS = 5
"""Connections in a row that may end before they bring more than ever before."""
CONNECTIONS = 100
"""Connections of one download, at most: the next run goes on."""
STILL = ATTEMPTS * TIMEOUT
"""Seconds without a byte after which another process that downloads the same file is not waited for."""
LEAST = 2**18
"""Bytes that come in STILL seconds, at least; with less the largest checkpoints would take weeks."""
FLUSH = 5
"""Seconds after which what came is in the file, where other processes see it grow."""
MIB = 2**20


def hub_folder(environment: Mapping[str, str]) -> Path:
    """The folder in which torch.hub keeps checkpoints."""
    home = environment.get("TORCH_HOME") or os.path.join(environment.get("XDG_CACHE_HOME") or "~/.cache", "torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


def download(url: str, folder: Path, most: int, offline: bool, bar: Bar) -> Path:
    """The file of a URL with its sha256, in a folder, of at most so many bytes; raises UsageError, DataError."""
    address, _, digits = url.partition("#sha256=")
    target = folder / _file_name(address)
    if not target.is_file():
        if offline:
            raise UsageError(
                f"{target} is not there, and HF_HUB_OFFLINE forbids to download it",
                f"unset it, or put the file there from {address}",
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _Download(_mirrored(address), target, digits.lower(), most, bar).run()
        except OSError as e:
            raise _failed(address, target, e) from None
    else:
        _check_digest(target, address, digits.lower())
    return target


def _check_digest(target: Path, address: str, digits: str) -> None:
    """Raises DataError for a file of the cache that is another one than that of an address."""
    if not sha256_of(target).startswith(digits):
        help_ = f"remove it, and it is downloaded again: {target}"
        raise DataError("NS602", f"{target} is not the file of {address}: its sha256 is another", help_)


def sha256_of(path: Path) -> str:
    """The digest of a file, in hexadecimal; raises UsageError."""
    try:
        with path.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror or e}") from None


def check_space(folder: Path, size: int, variable: str) -> None:
    """Raises UsageError where a folder has no space for so many bytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        message = f"{folder} has no space for {size / MIB:,.0f} MiB: {free / MIB:,.0f} MiB are free"
        raise UsageError(message, f"{variable} names another folder")


def check_size(what: str, size: int, most: int) -> None:
    """Raises DataError for a file that is larger than any checkpoint of the network."""
    if size > most:
        message = f"{what} has {size / MIB:,.0f} MiB, and a checkpoint of this network at most {most / MIB:,.0f}"
        raise DataError("NS602", message, "are these the weights of this network?")


def _file_name(address: str) -> str:
    """The name in the cache; raises UsageError for one that would not be a file of its folder."""
    name = unquote(urlsplit(address).path.rpartition("/")[2])
    if name in ("", ".", "..") or {"/", "\\"} & set(name) or not name.isprintable() or len(os.fsencode(name)) > 200:
        raise UsageError(
            f"the file of {address} has no name that a folder can hold", "download it, and give the file to --weights"
        )
    return name


def _mirrored(address: str) -> str:
    """Where an address is read: there, or below the mirror that is set; raises UsageError."""
    mirror = os.environ.get(MIRROR, "").rstrip("/")
    if not mirror:
        return address
    if not is_safe(mirror):
        raise UsageError(f"{MIRROR} is {mirror[:200]}, which is not https", "https://HOST/FOLDER")
    parts = urlsplit(address)
    return f"{mirror}/{parts.netloc}{parts.path}"


class _Early(OSError):
    """A connection that ended before the file did."""


class _Pace:
    """How much comes in the connections of a download, and when it is seen by others; `f` is where it goes."""

    def __init__(self, f: BufferedRandom) -> None:
        self.file, self.bytes, self.since = f, 0, time.monotonic()
        self.flushed = self.since

    def came(self, count: int) -> None:
        """Takes so many bytes; raises Slow where those of the last STILL seconds are too few."""
        self.bytes, now = self.bytes + count, time.monotonic()
        if now - self.flushed >= FLUSH:
            self.file.flush()
            self.flushed = now
        if now - self.since >= STILL:
            if self.bytes < LEAST:
                raise Slow(f"the server gave {self.bytes:,} bytes in {now - self.since:.0f} s, which is too little")
            self.bytes, self.since = 0, now


class _Growing:
    """Whether a file that another process writes has grown of late."""

    def __init__(self, handle: int) -> None:
        self.handle, self.size, self.since = handle, -1, 0.0

    def __call__(self) -> bool:
        if (size := os.fstat(self.handle).st_size) != self.size:
            self.size, self.since = size, time.monotonic()
        return time.monotonic() - self.since < STILL


@dataclass
class _Download:
    """A file on its way into the cache; what came is kept where a connection ends, so that a later run goes on."""

    url: str
    target: Path
    digits: str
    most: int
    bar: Bar

    def run(self) -> None:
        """Downloads the file; raises OSError, UsageError, DataError."""
        part = self.target.with_name(f"{self.target.name}.{self.digits[:8]}.netspec-part")
        with self._own(part) as f:
            if self.target.is_file():
                part.unlink(missing_ok=True)
                return _check_digest(self.target, self.url, self.digits)
            try:
                self._fill(f)
                f.flush()
                os.fsync(f.fileno())
                if os.name == "nt":
                    f.close()
                os.replace(part, self.target)
            except (DataError, UsageError):
                part.unlink(missing_ok=True)
                raise
            except OSError as e:
                if e.errno in (ENOSPC, EDQUOT, EFBIG) or not part.stat().st_size:
                    part.unlink(missing_ok=True)
                raise

    def _own(self, part: Path) -> BufferedRandom:
        """The file for what comes, which no other process writes; raises UsageError where one has it and stands still.

        What was waited for is gone where the other has renamed or removed it.
        """
        while True:
            f = part.open("a+b")
            try:
                if not wait_for_lock(f.fileno(), _Growing(f.fileno())):
                    message = f"another process downloads {self.target}, and got nothing for {STILL} s"
                    raise UsageError(message, "end it, and the same command goes on from there")
                if part.exists() and os.path.samestat(os.fstat(f.fileno()), part.stat()):
                    return f
            except BaseException:
                f.close()
                raise
            f.close()

    def _fill(self, f: BufferedRandom) -> None:
        """Reads until the file is whole and has its sha256; what an earlier run left and does not fit is left out."""
        old = most = f.seek(0, os.SEEK_END)
        pace = _Pace(f)
        failures = connections = 0
        whole = False
        while not whole:
            try:
                self._connect(f, pace)
                whole = True
            except OSError as e:
                here, connections = f.seek(0, os.SEEK_END), connections + 1
                failures = 1 if here > most else failures + 1
                most = max(most, here)
                if not here or failures >= ATTEMPTS or connections >= CONNECTIONS or not _passes(e):
                    raise
                time.sleep(0.2 * failures)
        f.seek(0)
        found = hashlib.file_digest(f, "sha256").hexdigest()
        if not found.startswith(self.digits):
            if old:  # of another file of this name, or damaged on the disk
                f.truncate(0)
                return self._fill(f)
            message = f"the file of {self.url} has another sha256: {found[: len(self.digits)]}, not {self.digits}"
            raise DataError("NS602", message, "it was changed on its way, or is another version: nothing is kept")

    def _connect(self, f: BufferedRandom, pace: _Pace) -> None:
        """Appends what the server sends; raises _Early where that is less than it said, Slow."""
        have = f.seek(0, os.SEEK_END)
        headers = {"User-Agent": "netspec", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            answer = connected(urllib.request.Request(self.url, headers=headers), TIMEOUT, lambda: pace.came(0))
        except urllib.error.HTTPError as e:
            if e.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                return  # it is whole, or its sha256 says that it is another
            raise
        with answer:
            begins = str(answer.headers.get("Content-Range", "")).startswith(f"bytes {have}-")
            if answer.status != http.client.PARTIAL_CONTENT or not begins:
                have = 0
                f.truncate(0)
                f.seek(0)
            length = answer.headers.get("Content-Length", "")
            total = have + int(length) if length.isascii() and length.isdigit() else None
            if total is not None:
                check_size(f"the file of {self.url}", total, self.most)
                check_space(self.target.parent, total - have, "TORCH_HOME")
            with self.bar.show(self.target.name, total) as shown:
                shown(have)
                while chunk := _read(answer):
                    f.write(chunk)
                    have += len(chunk)
                    check_size(f"the file of {self.url}", have, self.most)
                    shown(have)
                    pace.came(len(chunk))
            f.flush()
        if total is not None and have < total:
            raise _Early(f"the connection ended after {have:,} of {total:,} bytes")


def _read(answer: http.client.HTTPResponse) -> bytes:
    """The next bytes of an answer, as soon as there are some; raises OSError."""
    try:
        return answer.read1(CHUNK)
    except http.client.HTTPException as e:
        raise _Early(f"the answer is broken: {e or type(e).__name__}") from None


def _passes(error: OSError) -> bool:
    """Whether another try may do: the network failed, and not the disk, the server's mind or our rules."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= http.client.INTERNAL_SERVER_ERROR
    why = getattr(error, "reason", error)
    return isinstance(why, (_Early, TimeoutError, ConnectionError))


def _failed(address: str, target: Path, error: OSError) -> UsageError:
    """What is said of a download that failed."""
    if isinstance(error, urllib.error.HTTPError):
        why = f"the server answers {error.code} {error.reason}"
        return UsageError(f"{address} cannot be downloaded: {why}", "is this its name?" if error.code == 404 else "")
    if error.errno in (ENOSPC, EDQUOT, EFBIG):
        message = f"{target} cannot be written: {error.strerror}"
        return UsageError(message, "TORCH_HOME names another folder")
    if error.filename is not None:
        message = f"{error.filename} cannot be written: {error.strerror}"
        return UsageError(message, "TORCH_HOME names another folder")
    reason = getattr(error, "reason", None) or error.strerror or error
    why = " ".join(str(reason).split())[:300]
    if not any(part.stat().st_size for part in target.parent.glob(f"{escape(target.name)}.*.netspec-part")):
        return UsageError(f"{address} cannot be downloaded: {why}", "nothing came: is this its host?")
    kept = "what came is kept: the same command goes on from there"
    if isinstance(reason, Slow):
        kept += f", later or with {MIRROR}, the URL of a faster server"
    return UsageError(f"{address} cannot be downloaded: {why}", kept)
