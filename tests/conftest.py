"""What all tests share: the --slow option, the definition of agreement, and torchvision without its operators."""

from __future__ import annotations

import gc
import importlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from netspec.cli.main import run

# The workers of pytest-xdist share the cores; torch and numpy read this when they are first imported. The process that
# starts the workers must not set it: they inherit its environment.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    _workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _workers)))

_common = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=12, derandomize=True, **_common)
settings.register_profile("slow", max_examples=300, **_common)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too, and more hypothesis examples")
    parser.addoption(
        "--full-size",
        action="store_true",
        help="compare checkpoints at the sizes of their papers only, and sample nothing",
    )


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("slow" if config.getoption("--slow") else "quick")
    _options.update({name: config.getoption(f"--{name}") for name in _options})  # before any test module is imported


_options = {"slow": False, "full-size": False}
T = TypeVar("T")


def sampled(
    items: Iterable[T], count: int, kind: Callable[[T], object] = lambda item: None, slow: int | None = None
) -> list[T]:
    """So many items of each kind, the first and others evenly spread after it.

    With --slow so many as `slow` says, which is all by default; all with --full-size.
    """
    found = list(items)
    if _options["full-size"] or _options["slow"] and slow is None:
        return found
    count = slow if slow is not None and _options["slow"] else count
    kinds: dict[object, list[int]] = {}
    for i, item in enumerate(found):
        kinds.setdefault(kind(item), []).append(i)
    chosen = {group[i * len(group) // count] for group in kinds.values() for i in range(count)}
    return [found[i] for i in sorted(chosen)]


def how_many(quick: int, slow: int, full: int) -> int:
    """A number of trials: so many in the quick tests, with --slow and with --full-size."""
    return full if _options["full-size"] else slow if _options["slow"] else quick


def _beyond_quick(items: list[pytest.Item]) -> set[pytest.Item]:
    """The cases of parametrised tests beyond the number that the mark `quick` gives them, which are evenly spread."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("quick") and not item.get_closest_marker("slow"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    beyond: set[pytest.Item] = set()
    for found in cases.values():
        mark = found[0].get_closest_marker("quick")
        assert mark is not None
        beyond |= set(found) - set(sampled(found, mark.args[0]))
    return beyond


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = {"slow": not config.getoption("--slow"), "full": not config.getoption("--full-size")}
    beyond = _beyond_quick(items)
    left = [i for i in items if i in beyond or any(out and i.get_closest_marker(mark) for mark, out in missing.items())]
    if left:
        config.hook.pytest_deselected(items=left)
        gone = set(left)
        items[:] = [item for item in items if item not in gone]


def pytest_collection_finish() -> None:
    """Takes what is imported out of the collector's sight: torch and the tests are a million objects.

    Going through them again and again was a fifth of the time of the quick tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_sessionfinish() -> None:
    """What is left is not looked through again either: pytest collects five times before it ends."""
    gc.freeze()


def _arrays(outputs: Any) -> dict[str, np.ndarray]:
    """Outputs by name as float64 arrays; takes one array or tensor, a sequence or a mapping of them."""
    if isinstance(outputs, Mapping):
        named = outputs
    elif isinstance(outputs, Sequence):
        named = {str(i): value for i, value in enumerate(outputs)}
    else:
        named = {"0": outputs}
    return {name: np.asarray(v.detach() if hasattr(v, "detach") else v, np.float64) for name, v in named.items()}


def agreement(a: Any, b: Any, tol: float = 1e-5) -> None:
    """Asserts that outputs agree: max|a - b| <= tol max|a|, on outputs that are worth comparing.

    Worth comparing means 0.1 <= max|a| <= 1000, and that the images of a batch differ by more than 1% of it.
    """
    left, right = _arrays(a), _arrays(b)
    assert list(left) == list(right), f"outputs {list(left)} against {list(right)}"
    for name, value in left.items():
        other = right[name]
        assert value.shape == other.shape, f"{name}: shape {value.shape} against {other.shape}"
        assert np.isfinite(value).all() and np.isfinite(other).all(), f"{name}: not finite"
        size = float(np.abs(value).max())
        assert 0.1 <= size <= 1000, f"{name}: max|a| is {size:.3g}: agreement of such outputs proves nothing"
        if value.ndim and len(value) > 1:
            spread = float(np.abs(value[0] - value[1]).max())
            assert spread > 0.01 * size, f"{name}: two inputs differ by {spread:.3g} only: the output ignores its input"
        error = float(np.abs(value - other).max())
        assert error <= tol * size, f"{name}: max|a - b| is {error:.3g}, over {tol:g} of max|a| = {size:.3g}"


def import_torchvision() -> ModuleType:
    """Imports torchvision; where its compiled operators do not fit torch, they are declared without kernels.

    No model here uses them (nms and its like); torchvision refuses to be imported without their names.
    """
    import torch

    for _ in range(8):
        try:
            return importlib.import_module("torchvision")
        except RuntimeError as error:
            missing = re.search(r"operator torchvision::(\w+) does not exist", str(error))
            if not missing:
                raise
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(f"{missing[1]}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _libraries.append(library)  # a library that is collected takes its operators with it
    raise RuntimeError("torchvision misses more operators than are known here")


_libraries: list[Any] = []


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """The torchvision package."""
    return import_torchvision()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own that a test works in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def netspec(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line, in a folder of its own: the exit code, stdout and stderr."""

    def call(*args: str) -> tuple[int, str, str]:
        code = run([*args])
        printed = capsys.readouterr()
        assert "a bug of netspec" not in printed.err, printed.err
        return code, printed.out, printed.err

    return call


@pytest.fixture
def netspec_run(netspec: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    """`netspec run` with arguments, in a folder of its own: the exit code, stdout and stderr."""

    def call(*args: str) -> tuple[int, str, str]:
        once = () if "--images" in args or "--repeat" in args else ("--repeat", "1")
        code, out, err = netspec("run", *args, *once)
        assert code == 0 or err
        return code, out, err

    return call


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium without a network; `.ci/run` installs it."""
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("there is no Chromium; .ci/run installs it")
    with playwright.sync_playwright() as started:
        made = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield made.new_context(viewport={"width": 1280, "height": 900}, offline=True)
        made.close()


@pytest.fixture(scope="session")
def tab(browser: Any) -> tuple[Any, list[str]]:
    """A page, and what its console says wrong; a new one for each test would be a new process each time."""
    made = browser.new_page()
    wrong: list[str] = []
    made.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    return made, wrong


@pytest.fixture
def page(tab: tuple[Any, list[str]]) -> Iterator[Any]:
    """A page that fails the test where its console says anything wrong."""
    made, wrong = tab
    wrong.clear()
    yield made
    made.goto("about:blank")
    assert wrong == []
