"""The commands of a developer; `tools/dev` finds a Python and runs this file. It needs the standard library only."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shlex
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
ENV = ROOT / ".venv"
BIN = ENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
CONSTRAINTS = TOOLS / "constraints.txt"
OLDEST = TOOLS / "oldest.txt"
OLDEST_ENV = ROOT / ".venv-oldest"
OLDEST_PYTHON = OLDEST_ENV / PYTHON.relative_to(ENV)
CONFORMANCE = (
    "onnx_ops",
    "onnx_opsets",
    "onnx_options",
    "torch_ops",
    "edge_values",
    "half_precision",
    "good_specs_run",
    "onnx_backend",
    "cli",
    "checkpoint_files",
)
"""What runs with the oldest dependencies: the numbers of both backends, and each library's part in a command."""
TORCH_CPU = "https://download.pytorch.org/whl/cpu"


def run(*command: str | Path, quiet: bool = False) -> int:
    """Runs a command in the root of the project; gives its exit status."""
    out = subprocess.DEVNULL if quiet else None
    return subprocess.run([str(part) for part in command], cwd=ROOT, stdout=out, stderr=out).returncode


def show(*command: str | Path) -> None:
    """Prints a command as a person would type it, runs it, and ends where it fails."""
    print("$", shlex.join([Path(command[0]).name, *map(str, command[1:])]), flush=True)
    if status := run(*command):
        sys.exit(status)


def pip(*args: str, quiet: bool = False, python: Path = PYTHON, constraints: Path = CONSTRAINTS) -> int:
    """Installs into an environment, at the versions that were tested."""
    fixed = ("install", "--quiet", "--disable-pip-version-check", "--constraint", str(constraints))
    return run(python, "-m", "pip", *fixed, *args, quiet=quiet)


def install_torch(python: Path = PYTHON, constraints: Path = CONSTRAINTS) -> int:
    """Installs PyTorch's CPU build: the plain wheel of Linux and Windows brings gigabytes of CUDA."""
    version = pins(constraints)["torch"].removeprefix("torch==")
    into: dict[str, Path] = {"python": python, "constraints": constraints}
    if sys.platform == "darwin":
        return pip(f"torch=={version}", **into)
    build = f"torch=={version}+cpu"
    # A mirror or a folder of wheels that pip already knows comes first; PyTorch's own index is the usual place.
    return pip(build, quiet=True, **into) and pip(build, "--extra-index-url", TORCH_CPU, **into)


def pins(path: Path) -> dict[str, str]:
    """The lines of a constraints file by the name and the condition of what they pin."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return {re.split("==|;", line)[0].lower(): line for line in lines}


def ensure_oldest() -> None:
    """Makes .venv-oldest, with the oldest allowed dependencies and the tools of constraints.txt."""
    inputs = (OLDEST.read_bytes(), CONSTRAINTS.read_bytes(), (ROOT / "pyproject.toml").read_bytes())
    key = hashlib.sha256(b"\0".join((*inputs, str(ROOT).encode()))).hexdigest()
    stamp = OLDEST_ENV / "netspec.stamp"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == key:
        return
    print(f"making the environment {OLDEST_ENV}", file=sys.stderr)
    venv.create(OLDEST_ENV, clear=True, with_pip=True)
    merged = OLDEST_ENV / "constraints.txt"
    merged.write_text("\n".join((pins(CONSTRAINTS) | pins(OLDEST)).values()) + "\n", encoding="utf-8")
    into: dict[str, Path] = {"python": OLDEST_PYTHON, "constraints": merged}
    tools = ("pytest", "pytest-xdist", "hypothesis", "packaging")
    if status := install_torch(**into) or pip("--editable", ".[run,draw]", *tools, **into):
        print("tools/dev: the environment could not be made; pip says why above", file=sys.stderr)
        sys.exit(status)
    stamp.write_text(key, encoding="utf-8")


def ensure(level: str) -> None:
    """Makes .venv, for running models (`run`) or for everything (`dev`); does nothing where that is up to date."""
    inputs = (CONSTRAINTS.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), Path(__file__).read_bytes())
    key = hashlib.sha256(b"\0".join((*inputs, str(ROOT).encode()))).hexdigest()
    stamps = {name: ENV / f"netspec-{name}.stamp" for name in ("run", "dev")}
    done = {name: path.exists() and path.read_text(encoding="utf-8") == key for name, path in stamps.items()}
    if done["dev"] or done[level]:
        return
    started = time.monotonic()
    print(f"making the environment {ENV} ({level}); the first time this downloads some hundred MB", file=sys.stderr)
    if run(PYTHON, "-c", "", quiet=True) if PYTHON.exists() else True:
        venv.create(ENV, clear=True, with_pip=True)
    steps = [lambda: pip("--editable", ".[run]" if level == "run" else ".[run,draw,hub,dev]")]
    if level == "dev":
        # torchvision and timm are what the tests compare with; their own requirements would bring a CUDA build.
        steps += [install_torch, lambda: pip("--no-deps", "torchvision", "timm")]
    for step in steps:
        if status := step():
            print("tools/dev: the environment could not be made; pip says why above", file=sys.stderr)
            sys.exit(status)
    stamps[level].write_text(key, encoding="utf-8")
    print(f"made in {time.monotonic() - started:.0f} s", file=sys.stderr)


def absolute(arg: str) -> str:
    """A path below the folder that the user is in, as one that holds in the root of the project; else the argument."""
    path, colons, test = arg.partition("::")
    return f"{Path(path).resolve()}{colons}{test}" if Path(path).exists() else arg


def tests(args: list[str], python: Path = PYTHON) -> int:
    """Runs the suite, on all cores up to 8."""
    workers = str(min(os.cpu_count() or 1, 8))
    # glibc gives every large array back to the system at once, and the next one is new pages: a third of the time of
    # a test that compares a large network. So it keeps up to 4 GiB; other C libraries do not read these.
    os.environ.setdefault("MALLOC_MMAP_MAX_", "0")
    os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**32))
    # Without compiled files each worker, and each of the processes that tests start, compiles all modules again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return run(python, "-m", "pytest", "-n", workers, "--dist", "worksteal", *map(absolute, args))


def oldest_tests(args: list[str]) -> int:
    """Runs the conformance tests, or those that are named, with the oldest allowed version of each dependency."""
    ensure_oldest()
    named = any(Path(arg.partition("::")[0]).exists() for arg in args)
    return tests([*args, *(() if named else (f"{ROOT}/tests/test_{name}.py" for name in CONFORMANCE))], OLDEST_PYTHON)


def demo() -> None:
    """Compiles GoogLeNet to ONNX and runs it in onnxruntime."""
    ensure("run")
    (ROOT / "build").mkdir(exist_ok=True)
    model = Path("build", "googlenet.onnx")
    show(BIN / "netspec", "compile", Path("specs", "googlenet.yaml"), "--to", "onnx", "-o", model)
    show(BIN / "netspec", "run", model)


def lint() -> int:
    """Runs the formatter, lint and types; all three, even if one fails."""
    form = run(PYTHON, "-m", "ruff", "format", "--check", ".")
    rules = run(PYTHON, "-m", "ruff", "check", ".")
    return run(PYTHON, "-m", "mypy") or rules or form


def check() -> int:
    """Runs the formatter, lint, types and the quick part of the suite; all of them, even if one fails."""
    wrong = lint()
    return tests([]) or wrong


OWN = {
    "setup": "make the environment for everything below",
    "demo": "compile GoogLeNet to ONNX and run it (needs neither torch nor a GPU)",
    "test": "run the tests; --slow for all of them, --oldest for the conformance tests with the oldest dependencies, "
    "other arguments go to pytest",
    "check": "the formatter, lint, types and the quick tests",
    "lint": "the formatter, lint and types",
}
"""What this file does by itself."""
SCRIPTS = {
    "compare": "compare what the working tree and a REVISION write, byte for byte: --quick, --expect FILE, --help",
    "fuzz": "check mutated specs: --seconds N, -j 2, --resume, --seed N",
    "cuda": "measure on a GPU in eight minutes, without a network by --wheels DIR; writes docs/benchmarks-cuda.md; "
    "--parts A,B, --device cpu --tiny for a rehearsal",
    "bench": "time netspec, its files and modules against those of PyTorch, --parts A,B; --against another REVISION, "
    "or with --memory measure what it takes; --write updates docs/benchmarks.md",
    "faults": "write every output while the disk fails and processes are killed: --faults N, --kills N, --seed N, "
    "-j 2; --write updates docs/reliability.md",
    "parity": "compare with every model of torchvision and timm, or those of the networks named; write docs/parity.md",
    "published": "write the table of published weights in docs/parity.md",
    "pays": "measure which passes pay in which runtime, --seconds N for each, --runtimes A,B; --write updates the "
    "table of -O2",
    "passes": "compare what a network of each family, --all of them, or those named compute after each pass that "
    "changes it; goes on where it was cut off; --write updates docs/passes.md",
    "forms": "take a network of each family, or those named, through torch.jit.script, torch.compile as one graph and "
    "torch.export, and compare; goes on where it was cut off; --write updates docs/pytorch.md",
    "plant": "plant a difference in every step of GoogLeNet, or of the networks named: does verify name it? "
    "--kinds for what may go wrong in each op; --write updates docs/verify.md",
    "interop": "compile a network of each family, or of those named, for the runtimes of a table, run it there "
    "and compare with PyTorch; write docs/interop.md; --ci for three runtimes on six networks",
    "keys": "compare the keys of a network of each family with tests/data/keys.txt; --write changes this file",
    "pictures": "draw the pictures of the docs again",
    "notebook": "run docs/notebook.ipynb and write what its cells show",
    "docs": "write the generated parts of the docs and the JSON Schema again",
}
"""What a file of its name next to this one does, which takes all arguments."""


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="tools/dev",
        description="Commands for developers of netspec; each makes the environment .venv that it needs.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_ in {**OWN, **SCRIPTS}.items():
        commands.add_parser(name, help=help_, add_help=name in OWN and name != "test")
    args, rest = parser.parse_known_args()
    if rest and args.command in OWN and args.command != "test":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if args.command == "demo":
        demo()
        return 0
    if args.command == "test" and "--oldest" in rest:
        return oldest_tests([arg for arg in rest if arg != "--oldest"])
    if args.command == "cuda":  # there may be no network to make an environment from
        own = any(arg.partition("=")[0] == "--wheels" for arg in rest) or not PYTHON.exists()
        command = [str(sys.executable if own else PYTHON), str(TOOLS / "cuda.py"), *rest]
        return subprocess.run(command).returncode  # where the user is, whose folders --wheels and -o name
    ensure("dev")
    if args.command == "test":
        return tests(rest)
    if args.command in ("check", "lint"):
        return {"check": check, "lint": lint}[args.command]()
    if args.command == "bench" and "--memory" in rest:
        return run(PYTHON, TOOLS / "memory.py", *(arg for arg in rest if arg != "--memory"))
    return run(PYTHON, TOOLS / f"{args.command}.py", *rest) if args.command in SCRIPTS else 0


if __name__ == "__main__":
    sys.exit(main())
