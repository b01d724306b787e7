"""Takes a network of each family through torch.jit.script, torch.compile as one graph, and torch.export.

`tools/dev forms` takes the default of each family at a small input, or the networks that are named, and compares what
each form gives with what the module gives, of another batch than it was made with; the training network with its heads
goes through script and compile too. `--write` puts the counts into docs/pytorch.md. What a network gave stands in
build/forms.jsonl as soon as it is known, and is not tried again until its source or what tries it is another, so that
a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from passes import by_work
from resumed import kept, worked

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from shipped_networks import firsts, networks  # noqa: E402

if TYPE_CHECKING:
    import torch
    from torch import nn

    from netspec.network import Network

PAGE = ROOT / "docs" / "pytorch.md"
KEPT = ROOT / "build" / "forms.jsonl"
BEGIN, END = "<!-- forms: written by tools/dev forms -->", "<!-- /forms -->"
FORMS = {
    "script": "`torch.jit.script`",
    "script, training": "`torch.jit.script`, in training with heads",
    "compile": "`torch.compile(fullgraph=True)`",
    "compile, training": "`torch.compile(fullgraph=True)`, in training with heads",
    "export": "`torch.export` with a free batch",
}
TOLERANCE = 1e-5
"""How far outputs may be apart, by the largest of them."""


class Row(TypedDict):
    """What became of a network."""

    network: str
    key: str
    """Of all that it was tried with."""
    seconds: float
    wrong: dict[str, str]
    """The forms that it does not take, with why."""


def key(name: str) -> str:
    """A hash of the source of a network and of what tries it."""
    import torch

    import netspec
    from netspec.backend import get

    text = get("torch").source(netspec.load(name).graph)
    parts = (text, *map(inspect.getsource, (images, tensors, compare, exported, forms)), torch.__version__)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def images(network: Network, batch: int) -> tuple[torch.Tensor, ...]:
    """So many of each input of a network, as it takes them."""
    import torch

    from netspec.weights.sample_inputs import sample

    kinds = {str(node.path): node.attrs.get("sample", "normal") for node in network.graph.inputs}
    drawn = sample({str(node.path): node.shape for node in network.graph.inputs}, kinds, batch, 7)
    return tuple(torch.from_numpy(value) for value in drawn.values())


def tensors(found: object) -> list[torch.Tensor]:
    """What a module gives, as a list."""
    import torch

    if isinstance(found, torch.Tensor):
        return [found]
    values = found.values() if isinstance(found, Mapping) else found
    assert isinstance(values, Sequence | type({}.values()))
    return [tensor for value in values for tensor in tensors(value)]


def compare(module: nn.Module, form: Callable[..., object], given: tuple[torch.Tensor, ...]) -> None:
    """Asserts that a form of a module gives what the module gives."""
    import torch

    with torch.no_grad():
        expected, found = tensors(module(*given)), tensors(form(*given))
    assert [e.shape for e in expected] == [f.shape for f in found]
    for e, f in zip(expected, found, strict=True):
        apart, most = (float(t.abs().double().max()) if t.numel() else 0.0 for t in (e - f, e))
        assert apart <= TOLERANCE * most, f"the outputs are {apart:.1e} apart, of {most:.1e}"


def exported(module: nn.Module, network: Network) -> Callable[..., object]:
    """The program of a module, in which the first axis of each input is free where the graph says so."""
    import torch

    batch = torch.export.Dim("batch", min=1, max=1024)
    free = [{0: batch} if not isinstance(node.shape[0], int) else {} for node in network.graph.inputs]
    given = images(network, 2)
    program = torch.export.export(module, given, dynamic_shapes=tuple(free))
    assert not any(free) or program.range_constraints, "the batch is not free"
    return program.module()


def forms(network: Network) -> Iterator[tuple[str, Callable[[], None]]]:
    """Each form by name, with what tries it."""
    import torch

    module, trained = network.to_torch(seed=1), network.to_torch(training=True, seed=1)

    def compiled(one: nn.Module) -> Callable[..., object]:
        torch._dynamo.reset()
        made: Callable[..., object] = torch.compile(one, backend="eager", fullgraph=True, dynamic=False)
        return made

    yield "script", lambda: compare(module, torch.jit.script(module), images(network, 3))
    yield "script, training", lambda: tensors(torch.jit.script(trained)(*images(network, 2)))[0].sum().backward()
    yield "compile", lambda: compare(module, compiled(module), images(network, 2))
    yield "compile, training", lambda: tensors(compiled(trained)(*images(network, 2)))[0].sum().backward()
    yield "export", lambda: compare(module, exported(module, network), images(network, 3))


def tried(name: str) -> Row:
    """Takes a network through each form, in a process that may have done so with others."""
    from test_passes_of_specs import smaller

    started = time.perf_counter()
    row: Row = {"network": name, "key": key(name), "seconds": 0, "wrong": {}}
    warnings.simplefilter("ignore")
    try:
        for form, attempt in forms(smaller(name)):
            try:
                attempt()
            except Exception as e:  # noqa: BLE001 - whatever it is, it is what the row says
                row["wrong"][form] = f"{type(e).__name__}: {str(e).strip()}"[:1500]
    except Exception as e:  # noqa: BLE001
        row["wrong"] = dict.fromkeys(FORMS, f"{type(e).__name__}: {e}")
    row["seconds"] = round(time.perf_counter() - started, 1)
    return row


def rows(names: Sequence[str], jobs: int, seconds: float) -> Iterator[Row]:
    """What each network gave, now or before; none is waited for after so many seconds."""
    until, before = time.monotonic() + seconds, kept(KEPT)
    done = {n: before[n] for n in names if n in before and not before[n]["wrong"] and before[n]["key"] == key(n)}
    yield from done.values()
    tasks = by_work([name for name in names if name not in done])
    yield from worked(tried, tasks, jobs, until, KEPT)


def table(found: Sequence[Row]) -> str:
    """How many networks go through each form, as Markdown, with those that do not."""
    lines = ["| form | families tried | go through | do not |", "| --- | ---: | ---: | --- |"]
    for form, title in FORMS.items():
        wrong = sorted(f"`{row['network']}`" for row in found if form in row["wrong"])
        lines.append(f"| {title} | {len(found)} | {len(found) - len(wrong)} | {', '.join(wrong) or '-'} |")
    return "\n".join(lines)


def main() -> int:
    """Reads the command line; gives 1 where a network does not go through a form."""
    parser = argparse.ArgumentParser(prog="tools/dev forms", description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="the default of each family otherwise")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="how many processes")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop then; 0: what was found before")
    parser.add_argument("--write", action="store_true", help="put the table into docs/pytorch.md")
    args = parser.parse_args()
    if unknown := set(args.networks) - set(networks()):
        parser.error(f"no network {sorted(unknown)[0]!r}")
    if args.write and args.networks:
        parser.error("--write needs a network of each family")
    names, found = args.networks or firsts(), []
    for row in rows(names, args.jobs, args.seconds):
        found.append(row)
        said = "; ".join(f"{form}: {why.splitlines()[0]}" for form, why in row["wrong"].items())
        print(f"{row['network']}, {row['seconds']} s: {said or 'goes through all forms'}", flush=True)
    text = table(found)
    print(text)
    if args.write:
        page = PAGE.read_text(encoding="utf-8")
        head, rest = page.split(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return int(any(row["wrong"] for row in found))


if __name__ == "__main__":
    sys.exit(main())
