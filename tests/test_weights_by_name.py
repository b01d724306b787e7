"""`--weights NAME`: downloads from a server on the loopback address, into the caches of their libraries, and errors."""

from __future__ import annotations

import errno
import re
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hub_server import Hosted, Hub
from published_harness import ARRAYS, DATA, DIGITS, PATH, URL, cached, loaded, small, small_hub

from netspec.cli.main import run
from netspec.diagnostics.errors import DataError, NetspecError, UsageError
from netspec.files.parts import lock
from netspec.weights.published import connect, download


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with small_hub(tmp_path, monkeypatch) as made:
        yield made


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
    threads = [threading.Thread(target=lambda: found.append(loaded(URL)), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert found == [True] * 3 and len(hub.asked) == 1


@pytest.mark.slow
def test_what_another_process_brought_is_compared(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def brought(_: int, patient: object) -> bool:
        return bool(
            (tmp_path / "torch" / "hub" / "checkpoints" / "small.safetensors").write_bytes(b"of another address")
        )

    monkeypatch.setattr("netspec.weights.published.download.wait_for_lock", brought)
    with pytest.raises(DataError, match="its sha256 is another"):
        small().arrays(weights=URL)


@pytest.mark.slow
def test_a_server_that_begins_anew_and_breaks_off_is_given_up(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the time before is no progress where an earlier connection had as much."""
    monkeypatch.setattr(download, "ATTEMPTS", 3)
    hub.files[PATH] = Hosted(DATA, cuts=[2000, 1000] * 50, ranges=False)
    with pytest.raises(UsageError, match="ended after 2,000 of"):
        small().arrays(weights=URL)
    assert len(hub.asked) == 3


@pytest.mark.slow
def test_a_server_that_gives_byte_by_byte_is_given_up(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CONNECTIONS", 4)
    monkeypatch.setattr("netspec.weights.published.download.time.sleep", lambda seconds: None)
    hub.files[PATH] = Hosted(DATA, cuts=[1] * 50)
    with pytest.raises(UsageError, match="ended after 4 of .* bytes"):
        small().arrays(weights=URL)


@pytest.mark.slow
def test_a_server_that_drips_is_given_up_and_others_see_what_came(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes long before the time-out of a connection; what other processes look at is the file's size."""
    for name, value in {"TIMEOUT": 1, "STILL": 1.5, "FLUSH": 0.2}.items():
        monkeypatch.setattr(download, name, value)
    hub.files[PATH] = Hosted(DATA[:300], drip=(1, 0.05), said=len(DATA))
    where, found, sizes = part(tmp_path), list[BaseException](), set[int]()

    def load() -> None:
        try:
            small().arrays(weights=URL)
        except BaseException as e:  # noqa: BLE001 - looked at below
            found.append(e)

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while thread.is_alive() and time.monotonic() < end:
        sizes.add(where.stat().st_size if where.exists() else 0)
        time.sleep(0.05)
    thread.join(0)
    assert not thread.is_alive(), "the download does not end"
    assert len(sizes - {0}) >= 3, sizes
    assert isinstance(found[0], UsageError) and re.search(r"the server gave \d+ bytes in \d s", str(found[0]))
    assert "goes on from there" in str(found[0]) and "NETSPEC_MIRROR" in str(found[0])
    assert len(hub.asked) == 1 and where.read_bytes() == DATA[: where.stat().st_size]
    hub.files[PATH] = Hosted(DATA)
    assert loaded(URL) and hub.ranges()[1].startswith("bytes=")


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, said",
    [
        ("drip", "the server's answer does not begin in 0.3 s"),
        ("flood", "the server's answer does not begin within 300,000 bytes"),
        ("chunks", r"the server gave 0 bytes in \d s"),
    ],
)
@pytest.mark.parametrize("redirected", [False, True])
def test_a_server_whose_answer_never_gets_to_the_file_is_given_up(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, said: str, redirected: bool
) -> None:
    """Each byte comes long before the time-out of a connection."""
    monkeypatch.setattr(connect, "BEGIN", 0.3)
    monkeypatch.setattr(connect, "HEAD", 300_000)
    monkeypatch.setattr(download, "STILL", 0.3)
    hub.files["/elsewhere" if redirected else PATH] = Hosted(DATA, slow_head=kind)
    if redirected:
        hub.redirects[PATH] = f"{hub.url}/elsewhere"
    started = time.monotonic()
    with pytest.raises(UsageError, match=said):
        small().arrays(weights=URL)
    assert time.monotonic() - started < 5 and cached(tmp_path) == []


@pytest.mark.slow
def test_a_slow_server_that_gives_enough_is_waited_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is what comes in each stretch of time, however long it all takes."""
    monkeypatch.setattr(download, "STILL", 0.2)
    monkeypatch.setattr(download, "LEAST", 1000)
    hub.files[PATH] = Hosted(DATA, drip=(25_000, 0.05))
    started = time.monotonic()
    assert loaded(URL) and time.monotonic() - started > 0.4 and len(hub.asked) == 1


def part(folder: Path) -> Path:
    """Where what comes is written."""
    found = folder / "torch" / "hub" / "checkpoints" / f"small.safetensors.{DIGITS[:8]}.netspec-part"
    found.parent.mkdir(parents=True)
    return found


@pytest.mark.slow
def test_another_process_that_stands_still_is_not_waited_for(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "STILL", 0.2)
    hub.files[PATH] = Hosted(DATA)
    with part(tmp_path).open("wb") as f:
        assert lock(f.fileno())
        with pytest.raises(UsageError, match="another process downloads .*small.safetensors, and got nothing for"):
            small().arrays(weights=URL)
        assert hub.asked == []
    assert loaded(URL)


@pytest.mark.slow
def test_a_folder_without_locks_is_none_to_wait_in(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """As some network file systems are."""

    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    hub.files[PATH] = Hosted(DATA)
    monkeypatch.setattr("fcntl.flock", refuse)
    assert loaded(URL)


@pytest.mark.slow
def test_what_another_process_gave_up_is_begun_anew(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It removes its file, which this one waited for: what is written there would be nobody's."""
    calls = []

    def removed(handle: int, patient: object) -> bool:
        calls.append(handle)
        if len(calls) == 1:
            (tmp_path / "torch" / "hub" / "checkpoints" / f"small.safetensors.{DIGITS[:8]}.netspec-part").unlink()
        return True

    monkeypatch.setattr(download, "wait_for_lock", removed)
    hub.files[PATH] = Hosted(DATA)
    assert loaded(URL) and len(calls) == 2 and cached(tmp_path) == ["small.safetensors"]


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
        ("https://lab.org/a.pth#sha256=1234567", "ends in '#sha256=1234567', which is no sha256", "8 to 64"),
        ("https://lab.org/a.pth#sha25=12345678", "ends in '#sha25=12345678', which is no sha256", "8 to 64"),
        ("https://lab.org/a.h5#sha256=12345678", "a.h5: checkpoints are .safetensors", ""),
        ("torchvison", "there is no file 'torchvison'", "did you mean 'torchvision'"),
        ("defalt", "there is no file 'defalt'", "did you mean 'default'"),
        ("http://lab.org/a.pth#sha256=12345678", "over http", "https://"),
        ("ftp://lab.org/a.pth", "ftp is neither a file nor https", "hf:ORG/NAME"),
        ("https://lab.org/#sha256=12345678", "does not name a file", ""),
        ("https://me:word@lab.org/a.pth#sha256=12345678", "does not name a file", ""),
        ("https://lab.org/a%1b[2J.pth#sha256=12345678", "has no name that a folder can hold", ""),
        (
            "https://lab.org/a.safetensors.index.json#sha256=12345678",
            "a.safetensors.index.json: checkpoints are",
            ".ckpt\n",
        ),
        ("hf:lab/small:tf_model.h5", "hf:lab/small:tf_model.h5: checkpoints are .safetensors", "index of shards"),
        ("hf:lab/small@main:onnx/model.onnx", "hf:lab/small@main:onnx/model.onnx: checkpoints are", ".npz"),
        ("hf:lab/small:pytorch_model", "hf:lab/small:pytorch_model: checkpoints are", ".pth"),
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
def test_nothing_is_said_to_be_kept_where_nothing_came(
    hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port of this machine at which nobody listens."""
    monkeypatch.delenv("NETSPEC_MIRROR", raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.pth#sha256=12345678"
        assert run(["compile", "small.yaml", "--to", "onnx", "--weights", url, "-o", "made"]) == 2
    error = capsys.readouterr().err
    assert "cannot be downloaded" in error and "nothing came" in error and "kept" not in error


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
