"""Published weights, under `checkpoints`: which file fits which variant, what pictures it was made for, its labels."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from netspec.diagnostics.errors import Reporter, Span, did_you_mean
from netspec.expressions.identifiers import clipped
from netspec.files.checkpoints import SUFFIXES_HELP, is_readable
from netspec.syntax import values
from netspec.syntax.tree import Map, Plain, Scalar, Seq, Tree

IMAGENET = "imagenet"
"""The labels that are shipped."""
DIGITS = (8, 64)
"""The fewest digits of a sha256 that are accepted, as publishers put them into names of files, and all of them."""
MAX_URL = 2000
_URL = re.compile(r"https://[^\s/@#?]+/[^\s#]*[^\s#/]#sha256=([0-9a-f]*)\Z")
_HUB = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<file>[\w./-]+))?\Z", re.ASCII)
FILE_HELP = "hf:ORG/NAME for a repository of the Hugging Face hub, or https://HOST/FILE.pth#sha256=DIGITS"
PLACES = f"a file, `default` for what the spec names, torchvision or timm, {FILE_HELP}"
"""What weights may be given as."""


class HubFile(NamedTuple):
    """`hf:ORG/NAME[@REVISION][:FILE]`: a repository of the hub; without a revision its main one."""

    repo: str
    revision: str
    file: str
    """Empty for the usual names of weights."""


def hub_file(text: str) -> HubFile | None:
    """What a text names on the hub; None where it is none, or where a part of it would leave its folder."""
    found = _HUB.match(text)
    if found is None or any(part in ("", ".", "..") for part in re.split("[/@:]", text.removeprefix("hf:"))):
        return None
    return HubFile(found["repo"], found["revision"] or "", found["file"] or "")


def file_name(text: str) -> tuple[str, bool] | None:
    """The path of a file on the net, and whether it may be an index of shards; None for the usual names of the hub.

    By URL it may not: the index would have a sha256 and its shards none.
    """
    if (on_hub := hub_file(text)) is None:
        return text.partition("#")[0].partition("?")[0], False
    return (on_hub.file, True) if on_hub.file else None


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a picture becomes an input, as torchvision's presets do it: resized, cut, scaled to 0 to 1, normalised."""

    resize: int | None = None
    """Of the short side, in pixels; None: as large as what is cut out."""
    crop: tuple[int, int] | None = None
    """Height and width of what is cut out of the middle, in pixels; None: those of the input."""
    interpolation: str = "bilinear"
    antialias: bool = True
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Of each channel, on the scale from 0 to 1; ImageNet's."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def __str__(self) -> str:
        """What is done, in the order in which it is done."""
        resized = [f"resize {self.resize} ({self.interpolation})"] if self.resize is not None else []
        cut = ["crop " + "x".join(map(str, self.crop))] if self.crop is not None else []
        rough = [] if self.antialias else ["without antialias"]
        mean, std = (" ".join(f"{number:g}" for number in numbers) for numbers in (self.mean, self.std))
        return ", ".join([*resized, *rough, *cut, f"mean {mean}", f"std {std}"])


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """Weights that somebody published, for one variant."""

    source: str
    variant: str
    name: str
    file: str
    """`hf:ORG/NAME`, or a URL with the sha256 of the file."""
    span: Span
    preprocessing: Preprocessing | None
    labels: str | tuple[str, ...]
    """`imagenet`, or the names of the classes; empty where nothing is said."""
    params: Mapping[str, Plain]
    """The params with which they were trained, where the variant has others."""
    license: str

    @property
    def title(self) -> str:
        """What names them among those of a variant: `torchvision:IMAGENET1K_V1`."""
        return f"{self.source}:{self.name}"


def rules_tree(tree: Tree) -> Tree | None:
    """The list of rules of a source, which may stand next to its weights; None where it has none."""
    return tree.get("rules") if isinstance(tree, Map) else tree


@dataclass(frozen=True, slots=True, eq=False)
class _Shared:
    """What a source says of all its weights."""

    source: str
    preprocess: Tree | None
    labels: str | tuple[str, ...]
    params: frozenset[str]
    reporter: Reporter


def read_published(
    tree: Tree | None, variants: Collection[str], params: Collection[str], refused: set[Tree], reporter: Reporter
) -> tuple[Published, ...]:
    """The weights of all sources in the order of the file; what is wrong goes to the reporter."""
    found, names = list[Published](), frozenset(variants)
    for source, said in values.entries(tree):
        if not isinstance(said, Map) or said in refused:
            continue
        preprocess, labels = (
            part if part is not None and _accepted(part, refused) else None
            for part in (said.get("preprocess"), said.get("labels"))
        )
        shared = _Shared(source.text, preprocess, _labels(labels, reporter), frozenset(params), reporter)
        _preprocessing(None, preprocess, reporter)
        for variant, listed in values.entries(said.get("weights")):
            if variant.text not in names:
                message = f"there is no variant '{clipped(variant.text)}'"
                reporter.error("NS202", message, variant.span, did_you_mean(variant.text, names))
            good = [item for item in values.items(listed) if isinstance(item, Map) and _accepted(item, refused)]
            found += [_published(variant.text, item, shared) for item in good]
    for one, other in pairwise(sorted(found, key=lambda p: (p.variant, p.source, p.name))):
        if (one.variant, one.title) == (other.variant, other.title):
            reporter.error("NS204", f"'{clipped(other.title)}' is given twice for '{other.variant}'", other.span)
    return tuple(found)


def _accepted(tree: Tree, refused: set[Tree]) -> bool:
    """Whether nothing in a part of the tree is refused."""
    if tree in refused:
        return False
    if isinstance(tree, Map):
        return all(key not in refused and _accepted(value, refused) for key, value in tree.entries)
    return all(_accepted(item, refused) for item in values.items(tree))


def _published(variant: str, item: Map, shared: _Shared) -> Published:
    file, reporter = item.get("file"), shared.reporter
    assert isinstance(file, Scalar)
    if why := why_no_file(file.text):
        reporter.error("NS307", f"'file' {why}", file.span, FILE_HELP)
    elif (named := file_name(file.text)) is not None and not is_readable(*named):
        reporter.error("NS307", "'file' is no checkpoint by its suffix", file.span, SUFFIXES_HELP)
    for key, _ in values.entries(item.get("params")):
        if key.text not in shared.params:
            help_ = did_you_mean(key.text, shared.params)
            reporter.error("NS202", f"there is no param '{clipped(key.text)}'", key.span, help_)
    return Published(
        shared.source,
        variant,
        values.text(item.get("name")),
        file.text,
        item.span,
        _preprocessing(item.get("preprocess"), shared.preprocess, reporter),
        _labels(item.get("labels"), reporter) or shared.labels,
        {key.text: values.plain(value) for key, value in values.entries(item.get("params"))},
        values.text(item.get("license")),
    )


def _labels(tree: Tree | None, reporter: Reporter) -> str | tuple[str, ...]:
    """`imagenet`, or the names in a list; empty where nothing is said."""
    if isinstance(tree, Scalar) and tree.text != IMAGENET:
        reporter.error("NS307", f"there are no labels '{clipped(tree.text)}'", tree.span, "imagenet, or a list")
    return tuple(values.text(label) for label in tree.items) if isinstance(tree, Seq) else values.text(tree)


def why_no_file(text: str) -> str:
    """What keeps a text from naming a file on the net, for after its name; empty where nothing does."""
    if text.startswith("hf:"):
        return "" if hub_file(text) is not None else "is not hf:ORG/NAME"
    found = _URL.match(text)
    if found is None or len(text) > MAX_URL:
        if text.startswith("http://"):
            return "is read over http, which anybody on the way can change"
        missing = text.startswith("https://") and "#sha256=" not in text
        return "has no sha256" if missing else "is not hf:ORG/NAME, nor https://HOST/FILE#sha256=DIGITS"
    few, all_ = DIGITS
    return "" if few <= len(found[1]) <= all_ else f"has {len(found[1])} digits of its sha256: {few} to {all_} are due"


def _preprocessing(own: Tree | None, shared: Tree | None, reporter: Reporter) -> Preprocessing | None:
    """That of the source, with what these weights say otherwise."""
    found = {key.text: value for key, value in (*values.entries(shared), *values.entries(own))}
    if not found:
        return None
    plain = {key: values.plain(value) for key, value in found.items()}
    crop, resize = plain.get("crop"), plain.get("resize")
    size = (crop, crop) if isinstance(crop, int) else tuple(crop) if isinstance(crop, list) else None
    if size is not None and isinstance(resize, int) and min(size) > resize:  # type: ignore[type-var, operator]
        message = f"{max(size)} pixels cannot be cut out of {resize}"  # type: ignore[type-var]
        reporter.error("NS307", message, found["crop"].span, "`resize` is of the short side, before the cut")
    mean, std = (plain.get(key) for key in ("mean", "std"))
    if isinstance(mean, list) and isinstance(std, list) and len(mean) != len(std):
        message = f"'mean' is of {len(mean)} channels and 'std' of {len(std)}"
        reporter.error("NS307", message, found["std"].span, "a number for each channel")
    numbers = {key: tuple(value) for key, value in (("mean", mean), ("std", std)) if isinstance(value, list)}
    rest = {key: plain[key] for key in ("resize", "interpolation", "antialias") if key in plain}
    return Preprocessing(crop=size, **rest, **numbers)  # type: ignore[arg-type]
