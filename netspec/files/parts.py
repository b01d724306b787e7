"""Files on their way: a `.netspec-*.part` is locked while it is written, and one that was left behind is removed."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PREFIX, SUFFIX = ".netspec-", ".part"
SECONDS = 60
"""A part younger than this is left alone: its writer may be about to lock it, or to rename it."""
SMALL = 64 * 2**20
"""Bytes of a model next to its data; larger ones hold their weights and mention no data file."""
CHUNK = 2**20
PAUSE = 0.02
"""Seconds between two looks at a lock that another process holds."""
NO_LOCKS = {ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP}
"""What a file system says that has no locks."""
UNFINISHED = b"netspec: unfinished\n"
"""What the note of an unfinished change begins with."""


class Part:
    """A new file under a name of its own, locked until it is placed or dropped; a context for `write`."""

    def __init__(self, folder: Path, hashed: bool = False) -> None:
        handle, name = tempfile.mkstemp(prefix=PREFIX, suffix=SUFFIX, dir=folder)
        self.path = Path(name)
        self.failure: BaseException | None = None
        """What ended a write, an interrupt too: libraries that write through us may raise an error of their own."""
        self._hash = hashlib.sha256() if hashed else None
        try:
            lock(handle)
            self.file = os.fdopen(handle, "wb")
        except BaseException:
            with suppress(OSError):
                os.close(handle)
            with suppress(OSError):
                os.unlink(name)
            raise

    def write(self, data: Buffer) -> int:
        """Adds bytes, or a buffer."""
        try:
            written = self.file.write(data)
            if self._hash is not None:
                self._hash.update(data)
        except BaseException as e:
            self.failure = e
            raise
        return written

    def flush(self) -> None:
        """Gives the system what is still buffered."""
        try:
            self.file.flush()
        except BaseException as e:
            self.failure = e
            raise

    def sha256(self) -> str:
        """The digest of what was written, in hexadecimal."""
        assert self._hash is not None
        return self._hash.hexdigest()

    def settle(self, mode: int) -> None:
        """Puts the content on the disk."""
        self.flush()
        os.fsync(self.file.fileno())
        os.chmod(self.path, mode)
        if os.name == "nt":  # an open file cannot be renamed there: from here on it is guarded by its age alone
            os.utime(self.path)
            self.file.close()

    def place(self, target: Path) -> None:
        """Renames it; the lock is held until then."""
        os.replace(self.path, target)
        with suppress(OSError):
            self.file.close()

    def leave(self) -> None:
        """Closes it and leaves it to a later run."""
        with suppress(OSError):  # a full disk shows here again
            self.file.close()

    def drop(self) -> None:
        """Removes it, unless it is placed already."""
        self.leave()
        with suppress(OSError):
            os.unlink(self.path)


def spare(folder: Path) -> Path:
    """A name for a part that is not there."""
    return folder / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"


def lock(handle: int) -> bool:
    """Locks an open file without waiting; False where another process holds it, or the file system has no locks."""
    return _refused(handle) is None


def wait_for_lock(handle: int, patient: Callable[[], bool]) -> bool:
    """Locks an open file as soon as no other process holds it; False where the patience ends before.

    Nobody is waited for where the file system has no locks.
    """
    while (error := _refused(handle)) is not None and error.errno not in NO_LOCKS:
        if not patient():
            return False
        time.sleep(PAUSE)
    return True


def _refused(handle: int) -> OSError | None:
    """Why an open file is not locked; None where it is."""
    try:
        if sys.platform == "win32":
            before = os.lseek(handle, 0, os.SEEK_CUR)
            os.lseek(handle, 2**62, os.SEEK_SET)  # a lock keeps others from the bytes it covers: far behind ours
            try:
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(handle, before, os.SEEK_SET)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        return e
    return None


def sweep(folder: Path) -> None:
    """Removes what runs that were killed left in a folder; what cannot be read or removed stays."""
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [e.name for e in entries if e.name.startswith(PREFIX) and e.name.endswith(SUFFIX)]:
            with suppress(OSError):
                _sweep_one(folder / name)


def _sweep_one(path: Path) -> None:
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode) or time.time() - found.st_mtime < SECONDS:
        return
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    try:
        opened = os.fstat(handle)
        if not lock(handle) or (opened.st_ino, opened.st_dev) != (found.st_ino, found.st_dev):
            return
        note = os.read(handle, CHUNK)
        if note.startswith(UNFINISHED) and not _undo(path.parent, note):
            return  # the next run tries again
        if os.name != "nt":
            os.unlink(path)  # while it is locked
    finally:
        os.close(handle)
    if os.name == "nt":
        os.unlink(path)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for files of this process alone; those that killed processes left are removed."""
    with suppress(OSError):
        for old in [p for p in Path(tempfile.gettempdir()).glob("netspec-*") if p.is_dir() and not p.is_symlink()]:
            with suppress(OSError):
                _sweep_folder(old)
    folder = Path(tempfile.mkdtemp(prefix="netspec-"))
    try:
        mark = Part(folder)
        try:
            yield folder
        finally:
            mark.leave()  # an open file cannot be removed everywhere
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def temporary_folder() -> Path:
    """The same, kept until this process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(scratch())


def _sweep_folder(folder: Path) -> None:
    """Removes a folder whose part nobody holds; one without a part only where it is empty."""
    found = os.lstat(folder)
    if time.time() - found.st_mtime < SECONDS or hasattr(os, "getuid") and found.st_uid != os.getuid():
        return
    marks = list(folder.glob(f"{PREFIX}*{SUFFIX}"))
    if not marks:
        os.rmdir(folder)
    elif len(marks) == 1:
        handle = os.open(marks[0], os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        free = lock(handle)
        os.close(handle)
        if free:
            shutil.rmtree(folder)


# Data files: a model names the file with its weights, `<model>.<12 digits of its hash>.data`.


def data_name(target: str, digest: str) -> str:
    """The name of the data file of a model."""
    return f"{target}.{digest[:12]}.data"


def is_data_of(name: str, target: str) -> bool:
    """Whether a file name is that of a data file of a model."""
    digits = name[len(target) + 1 : -5]
    return name == data_name(target, digits) and len(digits) == 12 and set(digits) <= set("0123456789abcdef")


def own_data(target: Path) -> list[str]:
    """The data files next to a model that it names itself; raises OSError."""
    try:
        with os.scandir(target.parent) as entries:
            names = [e.name for e in entries if is_data_of(e.name, target.name) and e.is_file(follow_symlinks=False)]
    except PermissionError:  # a folder in which one may write, but not look
        return []
    return [name for name in names if mentions(target, name)]


def mentions(path: Path, name: str) -> bool:
    """Whether the bytes of a file hold a name; raises OSError for a file that cannot be read."""
    sought, kept = os.fsencode(name), b""
    try:
        with path.open("rb") as f:
            if os.fstat(f.fileno()).st_size > SMALL:
                return False
            while chunk := f.read(CHUNK):
                kept = kept[-len(sought) :] + chunk
                if sought in kept:
                    return True
    except FileNotFoundError:
        pass
    return False


def remove_unused(folder: Path, target: str, names: Iterable[str]) -> bool:
    """Removes data files of a model that no model of the folder names; False where a file could not be removed.

    Where a model cannot be read, nothing is removed.
    """
    done = True
    for name in names:
        if is_data_of(name, target) and Path(name).name == name:
            try:
                if mentions(folder / target, name):
                    continue
                models = [p for p in folder.iterdir() if p.suffix == Path(target).suffix and p.is_file()]
                if not any(mentions(p, name) for p in models):
                    os.unlink(folder / name)
            except FileNotFoundError:
                pass
            except OSError:
                done = False
    return done


def unfinished(folder: Path, target: str, names: Iterable[str]) -> Part:
    """A note of the data files that a change of `target` makes or leaves, for the run after one that was killed."""
    note = Part(folder)
    try:
        note.write(UNFINISHED + json.dumps({"target": target, "data": list(names)}).encode())
        note.settle(0o600)
    except BaseException:
        note.drop()
        raise
    return note


def _undo(folder: Path, note: bytes) -> bool:
    """Removes the data that a note tells of, where no model came to name it; False where that failed."""
    try:
        told = json.loads(note[len(UNFINISHED) :])
        target, names = told["target"], told["data"]
    except (ValueError, TypeError, KeyError):
        return True  # killed in the midst of the note: nothing was renamed yet
    if isinstance(target, str) and isinstance(names, list):
        return remove_unused(folder, target, [name for name in names if isinstance(name, str)])
    return True
