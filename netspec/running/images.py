"""Pictures as inputs: any kind that Pillow reads, upright, cut to the centre and normalised as for ImageNet."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from netspec.diagnostics.errors import DataError, UsageError
from netspec.running.convert import Say
from netspec.running.ports import Port, dims, dtype_of
from netspec.running.sizes import spatial

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GRAY_MEAN, GRAY_STD = 0.449, 0.226
"""What one channel is normalised with: the averages of the three."""

WIDE = ("I", "F")
"""Pillow's modes of more than 8 bits, I;16 and its like too."""


def read_images(files: list[str], name: str, port: Port, shape: tuple[int, ...], say: Say) -> np.ndarray:
    """The pictures as one input of that shape, its batch apart; raises UsageError, DataError."""
    axes = spatial(port) if len(port.shape) == 4 else (2, 3)
    channels = shape[6 - sum(axes)] if len(shape) == 4 else 0
    if port.kind != "tensor" or channels not in (1, 3):
        raise UsageError(f"--image needs an input of 3 or 1 x H x W, '{name}' is {dims(port.shape)}")
    if port.element not in ("float", "double", "float16", "bfloat16", "uint8"):
        raise UsageError(f"--image makes values of float or uint8, but the input '{name}' takes {port.type}")
    made = [_prepared(Path(f), channels, (shape[axes[0]], shape[axes[1]]), port.element == "uint8", say) for f in files]
    stacked = np.stack(made)
    return stacked if axes == (1, 2) else stacked.transpose(0, 3, 1, 2)


def reader(name: str, port: Port, shape: tuple[int, ...], say: Say) -> Callable[[Path], np.ndarray]:
    """What reads one image as an input of that shape, of batch 1, in the type of the input."""
    dtype = dtype_of(port.element)

    def read(path: Path) -> np.ndarray:
        return read_images([str(path)], name, port, shape, say).astype(dtype)

    return read


def _prepared(path: Path, channels: int, size: tuple[int, int], raw: bool, say: Say) -> np.ndarray:
    """A picture as (H, W, C): short side to 8/7 of the input, centre cut out, normalised unless `raw` bytes are due."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large or unusual files; what cannot be read is an error below
            planes = _planes(path, channels, say)
            cells = np.stack([np.asarray(_cut(plane, *size), np.float32) for plane in planes], axis=-1)
    except (DataError, MemoryError):
        raise
    except OSError as e:
        if e.errno is not None:
            raise UsageError(f"{path} cannot be read: {e.strerror}") from None
        raise _unreadable(path, e) from None
    except Exception as e:  # a damaged file fails in as many ways as Pillow has readers
        raise _unreadable(path, e) from None
    if raw:
        return np.clip(np.rint(cells), 0, 255).astype(np.uint8)
    mean, std = (MEAN, STD) if channels == 3 else ((GRAY_MEAN,), (GRAY_STD,))
    normal: np.ndarray = (cells / 255 - np.array(mean, np.float32)) / np.array(std, np.float32)
    return normal


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError("NS701", f"{path} is not an image that can be read: {str(error)[:200] or type(error).__name__}")


def _planes(path: Path, channels: int, say: Say) -> list[Image.Image]:
    """The channels of a picture that stands upright, from 0 (black) to 255 (white), in Pillow's mode L or F."""
    with Image.open(path) as opened:
        opened.load()
        try:
            picture: Image.Image = ImageOps.exif_transpose(opened)
        except Exception:  # noqa: BLE001 - a damaged EXIF block says nothing of the orientation
            picture = opened
        if picture.mode.partition(";")[0] in WIDE:
            return [_scaled(picture, path, say)] * channels
        if picture.has_transparency_data:
            whole = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole)
        return list(picture.convert("RGB" if channels == 3 else "L").split())


def _scaled(picture: Image.Image, path: Path, say: Say) -> Image.Image:
    """A picture of 16 bits, 32 bits or floats, from 0 to 255; floats end at 1, 255 or 65535, the least that holds them.

    Raises DataError where no white is known.
    """
    values = np.asarray(picture).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(values).all() and 0 <= low and high <= 65535):
        raise DataError(
            "NS701",
            f"{path} holds values from {low:g} to {high:g}: what is black and what is white is not known",
            "convert it to 8 or 16 bits",
        )
    white = 65535.0
    if picture.mode == "F":
        white = next(w for w in (1.0, 255.0, 65535.0) if high <= w)
        say(f"{path} holds floats up to {high:g}: 0 is taken for black and {white:g} for white")
    elif picture.mode == "I" and high <= 255:
        say(f"{path} holds integers of 32 bits up to {high:g}: 0 is taken for black and {white:g} for white")
    return Image.fromarray(values * np.float32(255 / white))


def _cut(plane: Image.Image, height: int, width: int) -> Image.Image:
    """The centre of a plane whose short side is resized to 8/7 of what is cut out."""
    scale = max(height * 8 / 7 / plane.height, width * 8 / 7 / plane.width)
    wide, high = max(width, round(plane.width * scale)), max(height, round(plane.height * scale))
    left, top = (wide - width) // 2, (high - height) // 2
    across, down = plane.width / wide, plane.height / high
    # the whole resized picture is never made: a strip of one pixel by 65,000 would take gigabytes
    box = (left * across, top * down, (left + width) * across, (top + height) * down)
    return plane.resize((width, height), Image.Resampling.BILINEAR, box)
