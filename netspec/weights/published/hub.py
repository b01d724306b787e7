"""Weights in a repository of the Hugging Face hub, into its cache, by its own library."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import tqdm

from netspec.diagnostics.errors import DataError, NetspecError, UsageError
from netspec.files.checkpoints import INDEX
from netspec.syntax.published import HubFile
from netspec.weights.checkpoints.files import shards_of
from netspec.weights.checkpoints.stored import Need
from netspec.weights.published.connect import is_safe
from netspec.weights.published.download import CHUNK, check_size, check_space
from netspec.weights.published.patience import in_time
from netspec.weights.published.progress import Bar

USUAL = ("model.safetensors", f"model.safetensors{INDEX}", "pytorch_model.bin", f"pytorch_model.bin{INDEX}")
"""The names of weights in a repository, in the order in which they are looked for."""
CACHE = "HF_HOME"
_SHA256, _GIT = re.compile(r"[0-9a-f]{64}\Z"), re.compile(r"[0-9a-f]{40}\Z")
_CAUSES: Mapping[str, tuple[str, str]] = {
    "GatedRepoError": ("its owner lets in those alone who asked for it", "ask on its page, then `hf auth login`"),
    "RepositoryNotFoundError": ("there is no such repository, or it is private", "hf:ORG/NAME; `hf auth login`"),
    "RevisionNotFoundError": ("it has no such revision", "hf:ORG/NAME@REVISION"),
    "OfflineModeIsEnabled": (
        "HF_HUB_OFFLINE forbids it, and the cache does not have it",
        f"unset it, or fill the cache where the network is: {CACHE} is its place",
    ),
}
"""What errors of the library mean, by the names of their classes."""
Fetch: TypeAlias = Callable[[str], Path]


def fetch(asked: HubFile, need: Need, most: int, bar: Bar) -> Path:
    """The file of a repository: out of the cache, or downloaded; raises UsageError, DataError.

    What is in the cache is not asked for again, so that no network is needed where a run had it before.
    """
    if not is_safe(constants.ENDPOINT):
        raise UsageError(f"HF_ENDPOINT is {constants.ENDPOINT[:200]}, which is not https", "https://HOST")
    revision = asked.revision or None

    def one(name: str) -> Path:
        found = try_to_load_from_cache(asked.repo, name, revision=revision)
        with _said(asked, name):
            if not isinstance(found, str):
                folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=asked.repo, repo_type="model")
                bars = {} if bar.visible else {"tqdm_class": _Silent}
                get = partial(hf_hub_download, asked.repo, name, revision=revision, library_name="netspec", **bars)
                in_time(lambda: _check(asked, name, most), folder)
                found = in_time(get, folder)
        return _verified(Path(found), asked, name)

    path = one(asked.file) if asked.file else _first(asked, one)
    if path.name.endswith(INDEX):
        for shard in shards_of(path, need):
            one(f"{(asked.file or path.name).rpartition('/')[0]}/{shard}".lstrip("/"))
    return path


def _first(asked: HubFile, one: Fetch) -> Path:
    """The first of the usual files that the repository has; raises UsageError where it has none."""
    revision = asked.revision or None
    cached = [n for n in USUAL if isinstance(try_to_load_from_cache(asked.repo, n, revision=revision), str)]
    for name in cached or USUAL:
        try:
            return one(name)
        except _Absent:
            continue
    raise UsageError(f"hf:{asked.repo} has none of {', '.join(USUAL)}", f"hf:{asked.repo}:FILE names another file")


class _Absent(UsageError):
    """The repository has no such file."""


@contextmanager
def _said(asked: HubFile, name: str) -> Iterator[None]:
    """Errors of the library and of the network, in our words."""
    what = f"hf:{asked.repo}:{name}"
    try:
        yield
    except NetspecError:
        raise
    except Exception as e:  # noqa: BLE001 - of the library, of the one that it reads the network with, of the disk
        kinds = [kind.__name__ for kind in type(e).__mro__]
        if "EntryNotFoundError" in kinds and "LocalEntryNotFoundError" not in kinds:
            raise _Absent(
                f"hf:{asked.repo} has no file {name}", "look at its page for the names of its files"
            ) from None
        causes = [cause for kind, cause in _CAUSES.items() if kind in (*kinds, *_below(e))]
        if causes:
            raise UsageError(f"{what} cannot be downloaded: {causes[0][0]}", causes[0][1]) from None
        why = " ".join(str(e).split())[:300] or type(e).__name__
        raise UsageError(
            f"{what} cannot be downloaded: {why}", f"what came is kept where it can be; {CACHE} is where the cache is"
        ) from None


def _below(error: BaseException) -> Iterator[str]:
    """The names of the errors that led to one, which may lead to each other."""
    seen: set[int] = set()
    while (error := error.__cause__ or error.__context__) is not None and id(error) not in seen:  # type: ignore[assignment]
        seen.add(id(error))
        yield from (kind.__name__ for kind in type(error).__mro__)


def _check(asked: HubFile, name: str, most: int) -> None:
    """Raises DataError, UsageError for a file that is too large for the network or the disk."""
    if constants.HF_HUB_OFFLINE:
        return
    found = get_hf_file_metadata(hf_hub_url(asked.repo, name, revision=asked.revision or None))
    if found.size is not None:
        check_size(f"hf:{asked.repo}:{name}", found.size, most)
        folder = Path(constants.HF_HUB_CACHE)
        folder.mkdir(parents=True, exist_ok=True)
        check_space(folder, found.size, CACHE)


def _verified(path: Path, asked: HubFile, name: str) -> Path:
    """A file of the cache, whose name there is its sha256, or that of git; raises DataError and removes another."""
    blob = path.resolve()
    if _SHA256.match(blob.name):
        digest = hashlib.sha256()
    elif _GIT.match(blob.name):
        digest = hashlib.sha1(f"blob {blob.stat().st_size}\0".encode(), usedforsecurity=False)
    else:  # a cache without links, as on Windows, does not say it
        return path
    with blob.open("rb") as f:
        while chunk := f.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != blob.name:
        path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
        message = f"hf:{asked.repo}:{name} has another checksum than the hub says of it"
        raise DataError("NS602", message, "it was changed on its way or on the disk: it is removed, try again")
    return path


class _Silent(tqdm):  # type: ignore[misc]
    """The library's own bar, which shows nothing."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **{**options, "disable": True})
