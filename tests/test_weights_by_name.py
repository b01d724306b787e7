"""`--weights NAME`: downloads from a server on the loopback address, into the caches of their libraries, and errors."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hub_server import Hosted, Hub, serving
from safetensors.numpy import save

import netspec
from netspec.cli.main import run
from netspec.diagnostics.errors import DataError, MissingError, NetspecError, UsageError
from netspec.network import Network
from netspec.weights.published import download

SPEC = """\
netspec: 1
name: small
params: {act: {type: block, default: relu}}
variants: {small: {}, other: {act: relu6}, dense: {of: small, title: The same}}
input: [3, 8, 8]
body:
  - stem = conv: [64, 3]
  - act
  - flatten
  - fc = linear: 40
checkpoints:
  lab:
    labels: [cat, dog]
    weights:
      small:
        - {name: V2, file: "https://lab.org/models/small.safetensors#sha256=DIGITS", preprocess: {resize: 9, crop: 8}}
        - {name: hub, file: "hf:lab/small"}
        - {name: six, file: "hf:lab/small", params: {act: relu6}}
"""
ARRAYS = {
    key: np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for key, shape in {
        "stem.weight": (64, 3, 3, 3),
        "stem.bias": (64,),
        "fc.weight": (40, 64 * 36),
        "fc.bias": (40,),
    }.items()
}
DATA = save(ARRAYS)
DIGITS = hashlib.sha256(DATA).hexdigest()
URL = f"https://lab.org/models/small.safetensors#sha256={DIGITS[:8]}"
PATH = "/lab.org/models/small.safetensors"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server, whose files URLs and names of the hub lead to, and empty caches."""
    with serving() as made:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("NETSPEC_MIRROR", made.url)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        Path("small.yaml").write_text(SPEC.replace("DIGITS", DIGITS[:8]))
        yield made


@pytest.fixture
def repositories(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The same, as what HF_ENDPOINT and HF_HOME name, which huggingface_hub reads when it is imported."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = "{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{hub.url}/{template}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return hub


def small(variant: str | None = None, **params: object) -> Network:
    return netspec.load("small.yaml", variant, **params)


def loaded(weights: str) -> bool:
    """Whether the small network takes its weights from there."""
    found = small().arrays(weights=weights)
    return all(np.array_equal(found[key], value) for key, value in ARRAYS.items())


def cached(folder: Path) -> list[str]:
    """The files of torch.hub's cache."""
    return sorted(path.name for path in (folder / "torch").rglob("*") if path.is_file())


def test_weights_by_url_are_downloaded_once_into_the_cache_of_torch_hub(hub: Hub, tmp_path: Path) -> None:
    hub.files[PATH] = Hosted(DATA)
    for weights in (URL, "default", "lab", "lab:V2", URL.replace(DIGITS[:8], DIGITS)):
        assert loaded(weights)
    assert [(method, path) for method, path, _ in hub.asked] == [("GET", PATH)]
    kept = Path(torch.hub.get_dir()) / "checkpoints" / "small.safetensors"
    assert kept == tmp_path / "torch" / "hub" / "checkpoints" / "small.safetensors" and kept.read_bytes() == DATA


@pytest.mark.slow
def test_a_download_that_breaks_off_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    hub.files[PATH] = Hosted(DATA, cuts=[1000, 2000, 0, 3000])
    assert loaded(URL)
    assert hub.ranges() == ["", "bytes=1000-", "bytes=3000-", "bytes=3000-", "bytes=6000-"]
    assert cached(tmp_path) == ["small.safetensors"]


@pytest.mark.slow
def test_a_later_run_goes_on_with_what_an_earlier_one_left(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    hub.files[PATH] = Hosted(DATA, cuts=[5000])
    with pytest.raises(UsageError, match="ended after 5,000 of .* bytes") as error:
        small().arrays(weights=URL)
    assert "goes on from there" in str(error.value)
    assert cached(tmp_path) == [f"small.safetensors.{DIGITS[:8]}.netspec-part"]
    hub.asked.clear()
    assert loaded(URL) and hub.ranges() == ["bytes=5000-"]
    assert cached(tmp_path) == ["small.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize("left", [b"of another file", DATA[:-1] + b"x", DATA + b"more"])
def test_what_an_earlier_run_left_of_another_file_is_not_used(hub: Hub, tmp_path: Path, left: bytes) -> None:
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / f"small.safetensors.{DIGITS[:8]}.netspec-part").write_bytes(left)
    hub.files[PATH] = Hosted(DATA)
    assert loaded(URL) and hub.ranges()[-1] == ""


@pytest.mark.slow
def test_a_file_with_another_checksum_is_refused_and_not_kept(hub: Hub, tmp_path: Path) -> None:
    hub.files[PATH] = Hosted(DATA, damaged=True)
    with pytest.raises(DataError, match="has another sha256"):
        small().arrays(weights=URL)
    assert cached(tmp_path) == []
    hub.files[PATH] = Hosted(DATA)
    assert loaded(URL)
    kept = tmp_path / "torch" / "hub" / "checkpoints" / "small.safetensors"
    kept.write_bytes(DATA[:-1])
    with pytest.raises(DataError, match="is not the file of https://lab.org") as error:
        small().arrays(weights=URL)
    assert str(kept) in str(error.value) and kept.read_bytes() == DATA[:-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "made, kind, said",
    [
        (None, UsageError, "the server answers 404"),
        (Hosted(DATA, status=403), UsageError, "the server answers 403"),
        (Hosted(DATA, said=2**40), DataError, "has 1,048,576 MiB, and a checkpoint of this network at most 257"),
        (Hosted(b"<html>" * 50), DataError, "has another sha256"),
    ],
)
def test_what_is_not_the_file_is_an_error_that_leaves_nothing(
    hub: Hub, tmp_path: Path, made: Hosted | None, kind: type[NetspecError], said: str
) -> None:
    if made is not None:
        hub.files[PATH] = made
    with pytest.raises(kind, match=said):
        small().arrays(weights=URL)
    assert cached(tmp_path) == []


@pytest.mark.slow
def test_no_space_is_an_error_that_leaves_nothing(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files[PATH] = Hosted(DATA)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=9))
    with pytest.raises(UsageError, match="has no space for") as error:
        small().arrays(weights=URL)
    assert "TORCH_HOME" in str(error.value) and cached(tmp_path) == []
    monkeypatch.undo()


@pytest.mark.slow
def test_a_disk_that_is_full_in_the_middle_is_an_error_that_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.files[PATH] = Hosted(DATA)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(DATA) // 2, hard))
    try:
        with pytest.raises(UsageError, match="cannot be written"):
            small().arrays(weights=URL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert cached(tmp_path) == []


@pytest.mark.slow
def test_two_that_want_the_same_file_download_it_once(hub: Hub) -> None:
    hub.files[PATH] = Hosted(DATA)
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(loaded(URL))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert found == [True] * 3 and len(hub.asked) == 1


@pytest.mark.slow
def test_what_another_process_brought_is_compared(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def brought(_: int) -> bool:
        return bool(
            (tmp_path / "torch" / "hub" / "checkpoints" / "small.safetensors").write_bytes(b"of another address")
        )

    monkeypatch.setattr("netspec.weights.published.download.lock", brought)
    with pytest.raises(DataError, match="its sha256 is another"):
        small().arrays(weights=URL)


@pytest.mark.slow
def test_redirects_are_followed_but_not_to_http(hub: Hub, tmp_path: Path) -> None:
    hub.redirects[PATH] = f"{hub.url}/elsewhere"
    hub.files["/elsewhere"] = Hosted(DATA)
    assert loaded(URL)
    (tmp_path / "torch" / "hub" / "checkpoints" / "small.safetensors").unlink()
    hub.redirects[PATH] = "http://lab.org/elsewhere"
    with pytest.raises(UsageError, match="which is not https"):
        small().arrays(weights=URL)
    assert cached(tmp_path) == []


@pytest.mark.slow
def test_offline_reads_the_cache_alone(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files[PATH] = Hosted(DATA)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE forbids"):
        small().arrays(weights="default")
    assert hub.asked == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert loaded("default")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert loaded("default") and len(hub.asked) == 1


@pytest.mark.parametrize(
    "weights, message, help",
    [
        ("https://lab.org/a.pth", "has no sha256", "#sha256="),
        ("https://lab.org/a.pth#sha256=1234567", "has no sha256", "8 to 64"),
        ("http://lab.org/a.pth#sha256=12345678", "over http", "https://"),
        ("ftp://lab.org/a.pth", "ftp is neither a file nor https", "hf:ORG/NAME"),
        ("https://lab.org/#sha256=12345678", "does not name a file", ""),
        ("https://me:word@lab.org/a.pth#sha256=12345678", "does not name a file", ""),
        ("https://lab.org/a%1b[2J.pth#sha256=12345678", "has no name that a folder can hold", ""),
        ("hf:small", "is not hf:ORG/NAME", "REVISION"),
        ("hf:lab/../small", "is not hf:ORG/NAME", ""),
        ("hf:lab/small:../../x", "is not hf:ORG/NAME", ""),
        ("lab:V3", "lab has no weights 'V3' for 'small'", "known: V2, hub, six"),
        ("torchvision", "no weights of torchvision are published for 'small'", "it has lab:V2, lab:hub"),
        ("lab:six", "lab:six is for another network: this one has act=relu", "-s act=relu6"),
        ("missing.pth", "missing.pth cannot be read", ""),
    ],
)
@pytest.mark.quick(2)
@pytest.mark.slow
def test_what_names_no_weights_is_an_error_before_anything_is_downloaded(
    hub: Hub, weights: str, message: str, help: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for to in ("onnx", "torch"):
        assert run(["compile", "small.yaml", "--to", to, "--weights", weights, "-o", "made"]) == 2
        error = capsys.readouterr().err
        assert message in error and help in error
    assert hub.asked == [] and not Path("made").exists() and "word" not in error.replace("word@", "")


@pytest.mark.slow
def test_another_variant_is_named_where_this_one_has_no_weights(hub: Hub) -> None:
    with pytest.raises(UsageError, match="no weights are published for 'other'") as error:
        small("other").arrays(weights="default")
    assert "'small' has lab:V2" in str(error.value)
    hub.files[PATH] = Hosted(DATA)
    assert set(small("dense").arrays(weights="default")) == set(ARRAYS)  # it is of `small`, with the same params


@pytest.mark.slow
def test_a_mirror_is_https_or_this_machine(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSPEC_MIRROR", "http://mirror.org/files")
    with pytest.raises(UsageError, match="NETSPEC_MIRROR is http://mirror.org/files, which is not https"):
        small().arrays(weights=URL)


# The hub.


@pytest.mark.slow
def test_weights_of_a_repository_are_downloaded_once(repositories: Hub, tmp_path: Path) -> None:
    repositories.add("lab/small", "model.safetensors", DATA)
    assert loaded("hf:lab/small") and loaded("lab:hub") and loaded("hf:lab/small:model.safetensors")
    assert len([path for method, path, _ in repositories.asked if method == "GET" and "resolve" in path]) == 1
    assert len(list((tmp_path / "hf" / "models--lab--small" / "snapshots").rglob("model.safetensors"))) == 1


@pytest.mark.slow
def test_a_download_of_the_hub_that_breaks_off_goes_on(
    repositories: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    repositories.add("lab/small", "model.safetensors", DATA).cuts = [5000, 7000]
    assert loaded("hf:lab/small")
    assert len([r for r in repositories.ranges() if r]) == 2


@pytest.mark.slow
def test_shards_of_a_repository_and_other_names_of_files(repositories: Hub) -> None:
    import json

    halves = [{k: v for k, v in ARRAYS.items() if k.startswith(part)} for part in ("stem", "fc")]
    names = [f"model-{i + 1:05}-of-00002.safetensors" for i in range(2)]
    for name, half in zip(names, halves, strict=True):
        repositories.add("lab/shards", name, save(half))
    where = {key: name for name, half in zip(names, halves, strict=True) for key in half}
    index = json.dumps({"weight_map": where}).encode()
    repositories.add("lab/shards", "model.safetensors.index.json", index)
    assert loaded("hf:lab/shards")
    buffer = io.BytesIO()
    torch.save({key: torch.from_numpy(value) for key, value in ARRAYS.items()}, buffer)
    repositories.add("lab/pickle", "pytorch_model.bin", buffer.getvalue())
    assert loaded("hf:lab/pickle")
    index = json.dumps({"weight_map": dict.fromkeys(where, "../../x.safetensors")}).encode()
    repositories.add("lab/attack", "model.safetensors.index.json", index)
    with pytest.raises(DataError, match="which is not a file next to it"):
        small().arrays(weights="hf:lab/attack")


@pytest.mark.slow
def test_what_a_repository_does_not_have_is_an_error(repositories: Hub, tmp_path: Path) -> None:
    repositories.add("lab/small", "model.safetensors", DATA).damaged = True
    with pytest.raises(DataError, match="has another checksum than the hub says"):
        small().arrays(weights="hf:lab/small")
    assert not list((tmp_path / "hf").rglob("*.safetensors"))
    assert not [p for p in (tmp_path / "hf").rglob("blobs/*") if p.is_file()]
    repositories.add("lab/large", "model.safetensors", DATA).said = 2**40
    repositories.add("lab/empty", "README.md", b"nothing")
    for weights, kind, said in (
        ("hf:lab/large", DataError, "MiB, and a checkpoint of this network at most"),
        ("hf:lab/empty", UsageError, "has none of model.safetensors"),
        ("hf:lab/small:a.bin", UsageError, "has no file a.bin"),
        ("hf:lab/none", UsageError, "there is no such repository, or it is private"),
    ):
        with pytest.raises(kind, match=said):
            small().arrays(weights=weights)


@pytest.mark.slow
def test_the_hub_offline_reads_the_cache_alone(repositories: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    repositories.add("lab/small", "model.safetensors", DATA)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE forbids it"):
        small().arrays(weights="hf:lab/small")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert loaded("hf:lab/small")
    repositories.files.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert loaded("hf:lab/small")
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.org")
    with pytest.raises(UsageError, match="HF_ENDPOINT is http://hub.org, which is not https"):
        small().arrays(weights="hf:lab/small")


@pytest.mark.slow
def test_the_hub_by_its_variables_in_a_process_of_its_own(hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    hub.add("lab/small", "model.safetensors", DATA)
    line = [sys.executable, "-m", "netspec", "compile", "small.yaml", "--to", "onnx", "--weights", "hf:lab/small"]
    home = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run([*line, "-o", "made.onnx"], env=home, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "hf:lab/small: lab:hub, " in done.stderr and "%" not in done.stderr  # no bar where stderr is no terminal
    assert len(list((tmp_path / "home").rglob("*.safetensors"))) == 1 and Path("made.onnx").exists()


def test_without_its_library_the_hub_is_an_error_with_its_extra(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.delitem(sys.modules, "netspec.weights.published.hub", raising=False)
    with pytest.raises(MissingError) as error:
        small().arrays(weights="hf:lab/small")
    assert "netspec-compiler[hub]" in str(error.value) and hub.asked == []
