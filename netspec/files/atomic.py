"""Writing files so that a failure leaves nothing half-written: to a part, then renamed; pairs of files together."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

from netspec.diagnostics.errors import UsageError
from netspec.files.parts import Part, data_name, own_data, remove_unused, spare, sweep, unfinished, wait_for_lock
from netspec.files.pipes import keep_inputs


@contextmanager
def writing(target: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its place under `target` when the block ends well; raises UsageError.

    The folder must be there. What stood there before stays until the new file is whole and on the disk; a link stays
    a link, its file is replaced. A device or a pipe (/dev/stdout, /dev/null) is written as it is.
    """
    real, device = _place(target)
    try:
        if device:
            with Path(target).open("wb") as f:
                yield f
        else:
            with _terminable(), _change(real, target) as change:
                yield change.add(real.name).file
    except BrokenPipeError:
        raise  # the reader has gone: nothing is wrong with the name
    except OSError as e:
        raise _cannot(target, e) from None


@contextmanager
def together(target: str | Path) -> Iterator[Change]:
    """Several files of the folder of `target` that take their places in order, `target` last; raises UsageError.

    A link to `target` stays a link: all files stand next to what it leads to.
    """
    real, device = _place(target)
    if device:
        raise UsageError(
            f"{target} is not a regular file, and more files are written next to it", "name a file with -o"
        )
    try:
        with _terminable(), _change(real, target) as change:
            yield change
    except OSError as e:
        raise _cannot(target, e) from None


class Change:
    """New files of a folder; those of before stay until all of the new ones are whole and on the disk."""

    def __init__(self, target: Path, asked: Path) -> None:
        self.target, self.asked = target, asked
        self.parts: list[tuple[Part, str]] = []
        self._made: list[str] = []

    def add(self, name: str, hashed: bool = False) -> Part:
        """A new file under this name next to the target; raises UsageError."""
        if (self.target.parent / name).is_dir() and name:
            raise UsageError(f"{self.target.parent / name} is a folder", "a file of that name is to be written")
        keep_inputs(self.target.parent / name)
        part = Part(self.target.parent, hashed)
        self.parts.append((part, name))
        return part

    def path(self, name: str) -> Path:
        """A file next to the target, as the user would name it."""
        linked = os.path.islink(self.asked)
        return (self.target if linked else self.asked).with_name(name)

    def name_by_hash(self, part: Part) -> str:
        """Gives a hashed file the name of the target's data; from then on nothing may be written to it."""
        name = data_name(self.target.name, part.sha256())
        self.parts = [(p, name if p is part else other) for p, other in self.parts]
        self._made.append(name)
        return name

    def commit(self) -> None:
        """Renames the files in order; where one cannot be, those before it are put back."""
        folder = self.target.parent
        for part, name in self.parts:
            part.settle(_mode(folder / name))
        with _turn(folder):
            data = [*self._made, *own_data(self.target)]
            note = unfinished(folder, self.target.name, data) if data else None
            try:
                self._rename(folder)
            finally:
                if remove_unused(folder, self.target.name, data) and note is not None:
                    note.drop()
                elif note is not None:
                    note.leave()

    def _rename(self, folder: Path) -> None:
        """Renames all, or none."""
        first: list[tuple[Part, Path, Path | None]] = []
        try:
            for part, name in self.parts[:-1]:
                place = folder / name
                kept = _keep(place)
                if kept is not None or not place.exists():
                    first.append((part, place, kept))
                part.place(place)
                _sync_folder(folder)
            self.parts[-1][0].place(folder / self.parts[-1][1])
            _sync_folder(folder)
        except BaseException:
            if self.parts[-1][0].path.exists():  # an interrupt may come when all is done
                for part, place, kept in reversed(first):
                    if not part.path.exists():
                        _put_back(place, kept)
            raise
        finally:
            for _, _, kept in first:
                if kept is not None:
                    with suppress(OSError):
                        os.unlink(kept)

    def drop(self) -> None:
        """Removes what was not renamed."""
        for part, _ in self.parts:
            part.drop()


@contextmanager
def _change(target: Path, asked: str | Path) -> Iterator[Change]:
    sweep(target.parent)
    change = Change(target, Path(asked))
    try:
        yield change
        change.commit()
    finally:
        change.drop()


def check_place(target: str | Path) -> None:
    """Raises UsageError where a file cannot be written for lack of a folder, or because it is one."""
    path = Path(target)
    try:
        if path.is_dir():
            raise UsageError(f"{target} is a folder", "name a file in it")
        if not path.parent.exists():
            raise UsageError(f"{str(target)!r} cannot be written: there is no folder {path.parent}", "make it first")
        if not path.parent.is_dir():
            raise UsageError(
                f"{str(target)!r} cannot be written: {path.parent} is not a folder", "name a file in a folder"
            )
        path.parent.stat()  # a/../b is not a file where there is no a, though realpath says b
    except (OSError, ValueError) as e:  # a name that is too long, or with a NUL
        raise _cannot(target, e) from None


@contextmanager
def folder_for(folder: str | Path | None) -> Iterator[None]:
    """A folder that files are written into, made where it is missing, and then removed where none came.

    Raises UsageError where it cannot be made. None is the working folder.
    """
    made = folder is not None and not Path(folder).is_dir()
    if folder is not None and made:
        check_place(folder)
        try:
            Path(folder).mkdir()
        except OSError as e:
            raise _cannot(folder, e) from None
    try:
        yield
    finally:
        if folder is not None and made:
            with suppress(OSError):  # it is not empty
                os.rmdir(folder)


def check_writable(target: str | Path) -> None:
    """Raises UsageError where no file can be made in the folder of a target: before what is to be written is measured.

    A device or a pipe is not tried.
    """
    check_place(target)
    try:
        real = Path(os.path.realpath(target))
        if real.is_file() or not real.exists():
            Part(real.parent).drop()
    except (OSError, ValueError) as e:
        raise _cannot(target, e) from None


def _place(target: str | Path) -> tuple[Path, bool]:
    """Where a target really is, and whether it is a device or a pipe; raises UsageError."""
    try:
        path = Path(target)
        check_place(path)
        keep_inputs(path)
        return Path(os.path.realpath(target)), path.exists() and not path.is_file()
    except (OSError, ValueError) as e:  # a name that is too long, or with a NUL
        raise _cannot(target, e) from None


def _cannot(target: str | Path, error: Exception) -> UsageError:
    return UsageError(f"{str(target)!r} cannot be written: {getattr(error, 'strerror', None) or error}")


def write_bytes(target: str | Path, data: bytes) -> Path:
    """Writes a whole file; raises UsageError."""
    with writing(target) as f:
        f.write(data)
    return Path(target)


def write_text(target: str | Path, text: str) -> Path:
    """Writes a whole file as UTF-8; raises UsageError."""
    return write_bytes(target, text.encode("utf-8"))


def _mode(place: Path) -> int:
    """The mode of the file that is replaced, or that of a new file."""
    return place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~_umask()


def _keep(place: Path) -> Path | None:
    """A second name for a file that is about to be replaced; None where there is none, or it cannot have two."""
    kept = spare(place.parent)
    try:
        os.link(place, kept)
    except OSError:
        return None
    return kept


def _put_back(place: Path, kept: Path | None) -> None:
    """What stood at a place before it was replaced."""
    with suppress(OSError):
        if kept is not None:
            os.replace(kept, place)
        else:
            os.unlink(place)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One change of a folder at a time, so that two runs do not mix their pairs; none waits longer than 10 s."""
    handle = None
    if os.name == "posix":
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
    try:
        if handle is not None:
            end = time.monotonic() + 10
            wait_for_lock(handle, lambda: time.monotonic() < end)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Puts a rename on the disk where the system lets folders be opened; elsewhere it does so in its own time."""
    if os.name == "posix":
        with suppress(OSError):
            fd = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the program through its clean-up, as SIGINT does; outside the main thread it stays as it is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
