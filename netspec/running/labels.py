"""The names of classes: of ImageNet, which are shipped, or one on each line of a file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from netspec.diagnostics.errors import DataError, UsageError
from netspec.files.pipes import check_file, is_read
from netspec.syntax.published import IMAGENET

MAX_BYTES = 16 * 2**20


def imagenet() -> list[str]:
    """The 1,000 classes of ImageNet (ILSVRC 2012) in the order of its index, as torchvision names them."""
    text = (files("netspec.running") / "assets" / "imagenet.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


def labels_of(weights: str | tuple[str, ...]) -> list[str]:
    """The labels that come with weights: `imagenet`, or the names themselves."""
    return imagenet() if weights == IMAGENET else list(weights)


def read_labels(source: str) -> list[str]:
    """`imagenet`, or the lines of a file; raises UsageError, DataError."""
    if source == IMAGENET:
        return imagenet()
    path = Path(source)
    check_file(path, "--labels takes a file of one name a line, or imagenet")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(
                "NS701", f"{source} is larger than {MAX_BYTES >> 20} MiB", "is it a file of labels? one name a line"
            )
        is_read(path)
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as e:
        raise UsageError(f"{source} cannot be read: {e.strerror}") from None
    except UnicodeDecodeError:
        raise DataError("NS701", f"{source} is not UTF-8 text", "--labels takes a file of one name a line") from None
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise DataError("NS701", f"{source} holds no names", "one name a line, in the order of the classes")
    return [line.strip() for line in lines]
