"""What `--weights` says: a file, a place on the net, or the name of published weights that the spec knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit

from netspec.diagnostics.errors import UsageError, did_you_mean, nearest
from netspec.elaborate.compiled import Compiled
from netspec.elaborate.document import values_of
from netspec.expressions.identifiers import clipped
from netspec.files.checkpoints import check_name
from netspec.syntax.published import DIGITS, FILE_HELP, MAX_URL, PLACES, Preprocessing, Published, file_name, hub_file

DEFAULT = "default"
"""The name of the first weights of a variant."""
SOURCES = ("torchvision", "timm")
"""Publishers whose names are never those of files."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_NAMED = re.compile(r"(\w+)(?::([\w.-]+))?\Z", re.ASCII)
_SHA = re.compile(rf"sha256=([0-9a-fA-F]{{{DIGITS[0]},{DIGITS[1]}}})\Z")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Meant:
    """The weights that are meant: `file` here, or `remote` on the net, and what is published of them."""

    text: str
    file: Path | None = None
    remote: str = ""
    published: Published | None = None

    @property
    def preprocessing(self) -> Preprocessing | None:
        """How pictures are made for them; None where nobody says it."""
        return self.published.preprocessing if self.published is not None else None

    @property
    def labels(self) -> str | tuple[str, ...]:
        """`imagenet`, or the names of their classes; empty where nobody says them."""
        return self.published.labels if self.published is not None else ""

    @property
    def title(self) -> str:
        """What they are called in messages: the name that the spec has for them, or what was given."""
        return self.published.title if self.published is not None else self.text


def meant(text: str, network: Compiled) -> Meant:
    """The weights that a text means for a network; raises UsageError."""
    if text.startswith("hf:"):
        if hub_file(text) is None:
            raise UsageError(f"'{clipped(text)}' is not hf:ORG/NAME", "hf:ORG/NAME@REVISION:FILE says more")
        _check_suffix(text)
        return Meant(text, remote=text, published=_of_file(text, network))
    if scheme := _SCHEME.match(text):
        _check_url(text, scheme[1].lower())
        _check_suffix(text)
        return Meant(text, remote=text, published=_of_file(text, network))
    if not text:
        raise UsageError("--weights is '', which names no file", PLACES)
    named = _NAMED.match(text)
    known = {DEFAULT, *SOURCES, *(weights.source for weights in network.document.published)}
    if named is not None and named[1] not in known and not Path(text).exists():
        if (near := nearest(named[1], sorted(known))) is not None:
            raise UsageError(f"there is no file '{clipped(text)}'", f"did you mean '{near}'?")
    if named is None or named[1] not in known or Path(text).exists():
        return Meant(text, Path(text))
    found = _chosen(named[1], named[2] or "", network)
    _check_params(found, network)
    _check_suffix(found.file)
    return Meant(text, remote=found.file, published=found)


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine itself."""
    return host in _LOOPBACK


def _check_suffix(remote: str) -> None:
    """Raises UsageError, before it is downloaded, for a file on the net that is no checkpoint by its suffix."""
    if (named := file_name(remote)) is not None:
        name, sharded = named
        check_name(name, remote if sharded else "", sharded)


def _check_url(text: str, scheme: str) -> None:
    """Raises UsageError for a URL that is not to be read."""
    try:
        parts = urlsplit(text)
        host, path = parts.hostname, parts.path
    except ValueError as e:
        raise UsageError(f"'{clipped(text)}' is not a URL: {e}", FILE_HELP) from None
    shown = clipped(text)
    if scheme not in ("http", "https"):
        raise UsageError(f"'{shown}' is not read: {scheme} is neither a file nor https", FILE_HELP)
    if scheme == "http" and not is_loopback(host):
        raise UsageError(f"'{shown}' is read over http, which anybody on the way can change", "https://")
    if not host or not path.rpartition("/")[2] or len(text) > MAX_URL or parts.username is not None:
        raise UsageError(f"'{shown}' does not name a file on a host", FILE_HELP)
    if not _SHA.match(parts.fragment):
        few, all_ = DIGITS
        end = f"ends in '#{clipped(parts.fragment)}', which is no sha256" if parts.fragment else "has no sha256"
        raise UsageError(
            f"'{shown}' {end}, so that nobody would see another file in its place",
            f"behind the URL: #sha256= and {few} to {all_} of its hexadecimal digits, as the publisher prints them",
        )


def _of_file(text: str, network: Compiled) -> Published | None:
    """The published weights of the network that are this file; None where the spec knows none."""
    if network.is_block:
        return None
    plain = text.partition("#")[0]
    found = network.document.published_for(network.variant)
    return next((weights for weights in found if weights.file.partition("#")[0] == plain), None)


def _chosen(source: str, name: str, network: Compiled) -> Published:
    """The first of the variant's weights with this source and name; raises UsageError."""
    if network.is_block:
        raise UsageError("weights are published for networks, not for blocks", "name a network, or a file")
    own = network.document.published_for(network.variant)
    if source == DEFAULT and name:
        raise UsageError(f"'{DEFAULT}:{clipped(name)}' names no weights", f"{DEFAULT}, or SOURCE:NAME")
    of_source = [weights for weights in own if source in (DEFAULT, weights.source)]
    if not of_source:
        raise UsageError(
            f"no weights{'' if source == DEFAULT else f' of {source}'} are published for '{network.name}'",
            _instead(own, network),
        )
    found = next((weights for weights in of_source if name in ("", weights.name)), None)
    if found is None:
        names = [weights.name for weights in of_source]
        help_ = did_you_mean(name, names)
        message = f"{source} has no weights '{clipped(name)}' for '{network.name}'"
        raise UsageError(message, help_ or f"it has {', '.join(names)}")
    return found


def _instead(own: Sequence[Published], network: Compiled) -> str:
    """What there is in place of weights that are not: of this variant from elsewhere, or of others of its spec."""
    if own:
        return f"it has {', '.join(weights.title for weights in own)}"
    first: dict[str, Published] = {}
    for weights in network.document.published:
        first.setdefault(weights.variant, weights)
    near = get_close_matches(network.name, first, n=3, cutoff=0.0)
    said = ", ".join(f"'{variant}' has {first[variant].title}" for variant in near)
    return said or "its spec names none under `checkpoints`; --weights FILE reads those of a file"


def _check_params(found: Published, network: Compiled) -> None:
    """Raises UsageError where the network has other params than the weights were trained with."""
    if not found.params:
        return
    own = values_of(network.document, network.variant, network.settings)
    theirs = values_of(network.document, network.variant, {**network.settings, **found.params})
    other = {name: value for name, value in found.params.items() if str(own[name]) != str(theirs[name])}
    if other:
        asked = " ".join(f"-s {name}={value}" for name, value in other.items())
        said = ", ".join(f"{name}={own[name]}" for name in other)
        raise UsageError(f"{found.title} is for another network: this one has {said}", asked)
