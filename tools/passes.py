"""Compares what shipped networks compute before and after each pass that changes them, at small inputs.

A pass that finds something at a network's own input alone is compared there.

`tools/dev passes` takes the default of each family, or the networks that are named; `--write` puts the table into
docs/passes.md. What a network gave stands in build/passes.jsonl as soon as it is measured, and is not measured again
until its specs, the passes, the ops or these tests are others, so that a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from resumed import kept, worked

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from shipped_networks import firsts, networks  # noqa: E402

PAGE = ROOT / "docs" / "passes.md"
KEPT = ROOT / "build" / "passes.jsonl"
BEGIN, END = "<!-- proved: begin -->", "<!-- proved: end -->"


class Row(TypedDict):
    """What the passes did to a network."""

    network: str
    key: str
    """Of all that it was measured with."""
    seconds: float
    size: str
    passes: dict[str, tuple[int, float]]
    """How often each pass found what it looks for, and the largest difference that it made."""
    wrong: str


def key() -> str:
    """A hash of the specs and of the code that makes, rewrites and compares networks."""
    found = hashlib.sha256()
    code = [
        p for name in ("netspec/passes", "netspec/ops", "netspec/ir", "backends") for p in (ROOT / name).rglob("*.py")
    ]
    tests = [ROOT / "tests" / f"{name}.py" for name in ("pass_harness", "test_passes_of_specs")]
    for path in [*sorted(code), *tests, *sorted((ROOT / "specs").rglob("*.yaml"))]:
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def measured(task: tuple[str, str]) -> Row:
    """Runs every pass on a network, in a process that may have done so before."""
    from test_passes_of_specs import hold_at_both_sizes, smaller

    name, at = task
    started = time.perf_counter()
    row: Row = {"network": name, "key": at, "seconds": 0, "size": "", "passes": {}, "wrong": ""}
    try:
        row["size"] = ", ".join("x".join(map(str, node.shape[1:])) for node in smaller(name).graph.inputs)
        row["passes"] = {p: (held.times, held.error) for p, held in hold_at_both_sizes(name).items()}
    except Exception as e:  # noqa: BLE001 - whatever it is, it is what the row says
        row["wrong"] = f"{type(e).__name__}: {e}"
    row["seconds"] = round(time.perf_counter() - started, 1)
    return row


def by_work(names: Sequence[str]) -> list[str]:
    """Networks with the least work first, by specs/measures.json; those that it lacks last."""
    known = json.loads((ROOT / "specs" / "measures.json").read_text(encoding="utf-8"))
    macs = {entry.partition(" ")[0]: numbers["macs"] or 0 for entry, numbers in known.items()}
    return sorted(names, key=lambda name: macs.get(name, float("inf")))


def rows(names: Sequence[str], jobs: int, seconds: float) -> Iterator[Row]:
    """What each network gave, now or before; none is waited for after so many seconds."""
    until = time.monotonic() + seconds
    at, before = key(), kept(KEPT)
    done = {name: before[name] for name in names if name in before and before[name]["key"] == at}
    done = {name: row for name, row in done.items() if not row["wrong"]}
    yield from done.values()
    tasks = [(name, at) for name in by_work([name for name in names if name not in done])]
    yield from worked(measured, tasks, jobs, until, KEPT)


def said(row: Row) -> str:
    """A row as a line."""
    passes = ", ".join(f"{name} {times} times {error:.0e}" for name, (times, error) in row["passes"].items())
    return f"{row['network']} ({row['size']}), {row['seconds']} s: {row['wrong'] or passes or 'no pass changes it'}"


def table(found: Sequence[Row]) -> str:
    """The figures by pass as Markdown."""
    from netspec.passes import PASSES

    lines = [
        "| pass | networks that it changes | places | largest difference | where |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name in (p.name for p in PASSES if p.keeps):
        places = {row["network"]: row["passes"][name] for row in found if name in row["passes"]}
        worst = max(places, key=lambda network: places[network][1], default=None)
        error = "-" if worst is None else f"{places[worst][1]:.0e}" if places[worst][1] else "0"
        where = f"`{worst}`" if worst is not None and places[worst][1] else "-"
        lines.append(f"| {name} | {len(places)} | {sum(times for times, _ in places.values())} | {error} | {where} |")
    return "\n".join(lines)


def main() -> int:
    """Reads the command line; gives 1 where a network computes something else."""
    parser = argparse.ArgumentParser(prog="tools/dev passes", description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="the default of each family otherwise")
    parser.add_argument("--all", action="store_true", help="every network of every family")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="how many processes")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop then; 0: what was measured before")
    parser.add_argument("--write", action="store_true", help="put the table into docs/passes.md")
    args = parser.parse_args()
    if unknown := set(args.networks) - set(networks()):
        parser.error(f"no network {sorted(unknown)[0]!r}")
    if args.write and args.networks:
        parser.error("--write needs a network of each family")
    found: list[Row] = []
    for row in rows(args.networks or (networks() if args.all else firsts()), args.jobs, args.seconds):
        found.append(row)
        print(said(row), flush=True)
    text = table(found)
    print(text)
    wrong = [row for row in found if row["wrong"]]
    if args.write and not wrong:
        page = PAGE.read_text(encoding="utf-8")
        head, rest = page.split(BEGIN)
        count = f"{len(found)} networks, {sum(bool(row['passes']) for row in found)} of which a pass changes:"
        PAGE.write_text(f"{head}{BEGIN}\n{count}\n\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    for row in wrong:
        print(f"wrong: {row['network']}: {row['wrong']}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
