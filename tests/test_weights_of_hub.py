"""`--weights hf:ORG/NAME`: repositories of a server on the loopback address that speaks the protocol of the hub."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hub_server import Hub
from published_harness import ARRAYS, DATA, loaded, small, small_hub
from safetensors.numpy import save

from netspec.diagnostics.errors import DataError, MissingError, UsageError
from netspec.weights.published import download


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with small_hub(tmp_path, monkeypatch) as made:
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
    index = json.dumps({"weight_map": dict.fromkeys(where, "model.msgpack")}).encode()
    repositories.add("lab/flax", "model.safetensors.index.json", index)
    repositories.add("lab/flax", "model.msgpack", DATA)
    with pytest.raises(DataError, match="the shard 'model.msgpack', which is no checkpoint"):
        small().arrays(weights="hf:lab/flax")
    assert not [path for _, path, _ in repositories.asked if path.endswith(".msgpack")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["drip", "body"])
def test_a_hub_that_drips_is_given_up(repositories: Hub, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Its headers, or its file, a byte now and then."""
    monkeypatch.setattr(download, "STILL", 0.4)
    made = repositories.add("lab/small", "model.safetensors", DATA)
    made.slow_head = kind if kind == "drip" else ""
    made.drip = (1, 0.02) if kind == "body" else None
    started = time.monotonic()
    with pytest.raises(UsageError, match=r"hf:lab/small:model.safetensors cannot .* bytes came in 0.4 s"):
        small().arrays(weights="hf:lab/small")
    assert time.monotonic() - started < 8


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
