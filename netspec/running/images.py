"""Pictures as inputs: any kind that Pillow reads, upright, cut to the centre and normalised, as for ImageNet or as
the weights say that they were trained.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from netspec.diagnostics.errors import DataError, UsageError
from netspec.files.pipes import check_file
from netspec.running.convert import Say
from netspec.running.ports import Port, dims, dtype_of
from netspec.running.sizes import spatial
from netspec.syntax.published import Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GRAY_MEAN, GRAY_STD = 0.449, 0.226
"""What one channel is normalised with: the averages of the three."""

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
WHOLE = 2**26
"""Pixels up to which a plane is resized as a whole, as torchvision does; of a larger one what is cut out alone."""
ONLY = {"LAB": "RGB", "La": "LA"}
"""The mode that Pillow converts some others into, and into nothing else."""
WIDE = ("I", "F")
"""Pillow's modes of more than 8 bits, I;16 and its like too."""


def read_images(
    files: list[str], name: str, port: Port, shape: tuple[int, ...], say: Say, how: Preprocessing | None = None
) -> np.ndarray:
    """The pictures as one input of that shape, its batch apart; raises UsageError, DataError."""
    axes = spatial(port) if len(port.shape) == 4 else (2, 3)
    channels = shape[6 - sum(axes)] if len(shape) == 4 else 0
    if port.kind != "tensor" or channels not in (1, 3):
        message = f"--image needs an input of 3 or 1 x H x W, '{name}' is {dims(port.shape)}"
        raise UsageError(message, f"give an array by --npy {name}=FILE.npy")
    if port.element not in ("float", "double", "float16", "bfloat16", "uint8"):
        message = f"--image makes values of float or uint8, but the input '{name}' takes {port.type}"
        raise UsageError(message, f"give an array by --npy {name}=FILE.npy")
    size = (shape[axes[0]], shape[axes[1]])
    made = [_prepared(Path(f), channels, size, how, say) for f in files]
    made = [_bytes(cells) if port.element == "uint8" else normalised(cells, how) for cells in made]
    stacked = np.stack(made)
    return stacked if axes == (1, 2) else stacked.transpose(0, 3, 1, 2)


def reader(
    name: str, port: Port, shape: tuple[int, ...], say: Say, how: Preprocessing | None = None
) -> Callable[[Path], np.ndarray]:
    """What reads one image as an input of that shape, of batch 1, in the type of the input."""
    dtype = dtype_of(port.element)

    def read(path: Path) -> np.ndarray:
        return read_images([str(path)], name, port, shape, say, how).astype(dtype)

    return read


def _prepared(path: Path, channels: int, size: tuple[int, int], how: Preprocessing | None, say: Say) -> np.ndarray:
    """A picture as (H, W, C) from 0 to 255: resized, by default its short side to 8/7 of the input, and cut."""
    check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large or unusual files; what cannot be read is an error below
            planes = _planes(path, channels, say)
            cells: np.ndarray = np.stack([np.asarray(_cut(plane, size, how), np.float32) for plane in planes], axis=-1)
    except (DataError, MemoryError):
        raise
    except OSError as e:
        if e.errno is not None:
            raise UsageError(f"{path} cannot be read: {e.strerror}") from None
        raise _unreadable(path, e) from None
    except Exception as e:  # a damaged file fails in as many ways as Pillow has readers
        raise _unreadable(path, e) from None
    return cells


def _bytes(cells: np.ndarray) -> np.ndarray:
    whole: np.ndarray = np.clip(np.rint(cells), 0, 255).astype(np.uint8)
    return whole


def normalised(cells: np.ndarray, how: Preprocessing | None) -> np.ndarray:
    """`(H, W, C)` from 0 to 255 as (x / 255 - mean) / std; a single channel has the averages of the three."""
    mean, std = (how.mean, how.std) if how is not None else (MEAN, STD)
    if cells.shape[-1] == 1 and len(mean) > 1:
        mean, std = ((GRAY_MEAN,), (GRAY_STD,)) if (mean, std) == (MEAN, STD) else (_average(mean), _average(std))
    normal: np.ndarray = (cells / 255 - np.array(mean, np.float32)) / np.array(std, np.float32)
    return normal


def _average(numbers: tuple[float, ...]) -> tuple[float]:
    return (sum(numbers) / len(numbers),)


def _unreadable(path: Path, error: Exception) -> DataError:
    why = str(error)[:200] or type(error).__name__
    return DataError("NS701", f"{path} is not an image that can be read: {why}", "leave it out, or save it as PNG")


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
        if picture.mode in ONLY:
            picture = picture.convert(ONLY[picture.mode])
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


def _cut(plane: Image.Image, size: tuple[int, int], how: Preprocessing | None) -> Image.Image:
    """The centre of a plane whose sides are resized first, by default so that the short one is 8/7 of what is cut."""
    height, width = size
    wide, high = _resized(plane, size, how)
    left, top = _middle(wide - width, how), _middle(high - height, how)
    across, down = plane.width / wide, plane.height / high
    if how is not None and not how.antialias and how.interpolation in ("bilinear", "bicubic"):
        matrix = (across, 0, left * across, 0, down, top * down)
        return plane.transform((width, height), Image.Transform.AFFINE, matrix, FILTERS[how.interpolation])
    if how is not None and wide * high <= WHOLE:
        kind = FILTERS[how.interpolation]
        return plane.resize((wide, high), kind).crop((left, top, left + width, top + height))
    # the whole resized picture is never made: a strip of one pixel by 65,000 would take gigabytes
    box = (left * across, top * down, (left + width) * across, (top + height) * down)
    return plane.resize((width, height), FILTERS[how.interpolation if how is not None else "bilinear"], box)


def _resized(plane: Image.Image, size: tuple[int, int], how: Preprocessing | None) -> tuple[int, int]:
    """Width and height before the cut; as torchvision has them, the long side of weights' presets is cut to whole."""
    height, width = size
    if how is None:
        scale = max(height * 8 / 7 / plane.height, width * 8 / 7 / plane.width)
        return max(width, round(plane.width * scale)), max(height, round(plane.height * scale))
    crop = how.crop or size
    larger = max(height / crop[0], width / crop[1])
    short, side = round((how.resize or min(crop)) * larger), min(plane.width, plane.height)
    wide, high = (short if d == side else int(short * d / side) for d in (plane.width, plane.height))
    if wide < width or high < height:  # a picture with other sides than what is cut out
        scale = max(width / plane.width, height / plane.height)
        wide, high = (max(s, round(d * scale)) for s, d in ((width, plane.width), (height, plane.height)))
    return wide, high


def _middle(left: int, how: Preprocessing | None) -> int:
    """Where the cut begins, of so many pixels that are left out; torchvision rounds a half to even."""
    return left // 2 if how is None else round(left / 2)
