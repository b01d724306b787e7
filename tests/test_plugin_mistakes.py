"""Mistakes in plug-ins: each is said of the plug-in by name, and hinders nobody who does not use it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from netspec import plugins
from netspec.cli.main import run
from netspec.ops.registry import ALIASES, OPS

pytestmark = pytest.mark.slow

BACKEND = """\
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from netspec.backend import Backend, Options, Result, Runs, Written, WritesText, option


@dataclass(frozen=True, kw_only=True)
class CsvOptions(Options):
    sep: str = option(",", "Between cells.")


class Csv(Backend[CsvOptions], Runs, WritesText[CsvOptions]):
    name = "csv"
    suffix = ".csv"
    summary = "the nodes as a table"
    options = CsvOptions
    holds_weights = False

    def text(self, graph, options):
        return options.sep.join(map(str, graph.nodes))

    def emit(self, graph, arrays, target, options):
        target.write_text(self.text(graph, options))
        return Written([target])

    def run(self, graph, arrays, inputs, device="cpu", repeat=1):
        return Result({}, device)


BACKEND = Csv()
"""


@dataclass(frozen=True)
class Said:
    """What a command line gave."""

    code: int
    out: str
    err: str


Netspec = Callable[..., Said]
Plant = Callable[[str, str, str], None]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    """Gives netspec a plug-in of one module, as an installed one: an entry point, and a file that is imported."""
    planted: dict[str, EntryPoint] = {}
    points = plugins._points
    cached = (plugins.load_ops, plugins.load_lowerings, plugins.backends)
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(
        plugins, "_points", lambda group: [*points(group), *(p for p in planted.values() if p.group == group)]
    )
    ops, aliases = dict(OPS), dict(ALIASES)

    def made(group: str, name: str, text: str) -> None:
        module = f"netspec_{name}_{group.rpartition('.')[2]}"
        (folder / f"{module}.py").write_text(text, encoding="utf-8")
        sys.modules.pop(module, None)
        planted[module] = EntryPoint(name, module + ":BACKEND" * (group == plugins.BACKENDS), group)
        for one in cached:
            one.cache_clear()

    yield made
    for module in planted:
        sys.modules.pop(module, None)
    for one in cached:
        one.cache_clear()
    for table, known in ((OPS, ops), (ALIASES, aliases)):
        table.clear()
        table.update(known)  # type: ignore[arg-type]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text("netspec: 1\nname: tiny\ninput: [3, 8, 8]\nbody: [conv: [4, 3], relu]\n")
    return tmp_path


@pytest.fixture
def netspec(capsys: pytest.CaptureFixture[str]) -> Netspec:
    """Runs a command line."""

    def said(*words: str) -> Said:
        code = run(list(words))
        return Said(code, *capsys.readouterr())

    return said


def replaced(old: str, new: str) -> str:
    assert BACKEND.count(old) == 1
    return BACKEND.replace(old, new)


@dataclass(frozen=True)
class Broken:
    """What is replaced in a backend that works, and what is said of it."""

    old: str
    new: str
    said: str


LOADED = {
    "no name": Broken('    name = "csv"\n', "", "it has no `name`"),
    "another name": Broken('name = "csv"', 'name = "cvs"', "its `name` is 'cvs', but its entry point 'csv'"),
    "no suffix": Broken('    suffix = ".csv"\n', "", "it has no `suffix`"),
    "no dot": Broken('".csv"', '"csv"', "its `suffix` is 'csv', which does not begin with a dot"),
    "no summary": Broken('    summary = "the nodes as a table"\n', "", "it has no `summary`"),
    "no text": Broken('"the nodes as a table"', "3", "its `summary` is 3, not a str"),
    "a text": Broken("weights = False", 'weights = "no"', "its `holds_weights` is 'no', not a bool"),
    "no options": Broken("    options = CsvOptions\n", "", "it has no `options`, a dataclass that inherits from"),
    "odd options": Broken("    options = CsvOptions\n", "    options = dict\n", "it has no `options`, a dataclass"),
    "no dataclass": Broken("@dataclass(frozen=True, kw_only=True)\n", "", "CsvOptions, lack their @dataclass"),
    "no default": Broken(' = option(",", "Between cells.")', "", "its option `sep` has no default"),
    "tuple": Broken('sep: str = option(","', "sep: tuple[int, int] = option((1, 2)", "--sep is tuple[int, int]"),
    "odd default": Broken('sep: str = option(","', "sep: int = option(','", "--sep is <class 'int'>, and ',' is none"),
    "no type": Broken("sep: str", "sep: Separator", "name 'Separator' is not defined"),
    "an option of all": Broken("sep: str", "seed: str", "every target has the option --seed"),
    "a parameter of all": Broken("sep: str", "output: str", "every target has the option --output"),
    "help": Broken("sep: str", "help: str", "every target has the option --help"),
    "a misspelt method": Broken("def emit(", "def emitt(", "it does not define `emit`, but `emitt`"),
    "a misspelt ability": Broken("def run(", "def runs(", "it does not define `run`, but `runs`"),
    "a text that is none": Broken("def text(", "def string(", "it does not define `text`"),
    "too few parameters": Broken(
        "arrays, target, options)", "target, options)", "called as emit(graph, arrays, target, options)"
    ),
    "no run of devices": Broken(
        ', device="cpu", repeat=1)', ")", "called as run(graph, arrays, inputs, device, repeat)"
    ),
    "a class": Broken("BACKEND = Csv()", "BACKEND = Csv", "it is a class, expected an object of it: Csv()"),
    "nothing": Broken("BACKEND = Csv()", "BACKEND = None", "it has no `name`"),
    "no object": Broken("BACKEND = Csv()", "BACKENDS = Csv()", "has no attribute 'BACKEND'"),
    "syntax": Broken("BACKEND = Csv()", "BACKEND = Csv(", "cannot be imported: SyntaxError"),
    "an error": Broken("BACKEND = Csv()", "BACKEND = Csvs()", "cannot be imported: NameError: name 'Csvs'"),
    "an end": Broken("BACKEND = Csv()", "raise SystemExit(9)", "cannot be imported: SystemExit: 9"),
    "no type of option": Broken("sep: str = option", "sep = option", "cannot be imported: TypeError"),
    "a library": Broken("BACKEND = Csv()", "import no_such_library", "needs no_such_library, which is not installed"),
}


def test_the_backend_works_without_a_mistake(plant: Plant, spec: Path, netspec: Netspec) -> None:
    """What the mistakes below are made in."""
    plant(plugins.BACKENDS, "csv", BACKEND)
    assert netspec("compile", "tiny.yaml", "--to", "csv", "--sep", ";", "-o", "-").out == "input;conv;relu\n"
    said = netspec("compile", "tiny.yaml", "--to", "csv")
    assert said.code == 0 and (spec / "tiny.csv").read_text() == "input,conv,relu"
    assert re.search(r"^ *csv +the nodes as a table +\.csv$", netspec("list", "backends").out, re.MULTILINE)


@pytest.mark.parametrize("mistake", LOADED.values(), ids=LOADED)
@pytest.mark.quick(8)
def test_a_mistake_in_a_backend_is_said_of_it(mistake: Broken, plant: Plant, spec: Path, netspec: Netspec) -> None:
    plant(plugins.BACKENDS, "csv", replaced(mistake.old, mistake.new))
    said = netspec("compile", "tiny.yaml", "--to", "csv")
    assert said.code == 3 and said.err.startswith("error: the backend 'csv'") and mistake.said in said.err, said.err
    assert not (spec / "tiny.csv").exists()
    listed = netspec("list", "backends")
    assert listed.code == 0 and re.search(r"^ *csv +not usable: ", listed.out, re.MULTILINE)
    rows = json.loads(netspec("list", "backends", "-f", "json").out)
    assert {row["name"] for row in rows} == {"csv", "onnx", "torch"}
    helped = netspec("compile", "--help")
    assert helped.code == 0 and "Options of --to onnx" in helped.out and "Options of --to csv" not in helped.out
    assert netspec("compile", "tiny.yaml", "--to", "json", "-o", "-").code == 0


ALSO = EntryPoint("csv", "also_csv:BACKEND", plugins.BACKENDS)


def test_two_packages_that_give_a_backend_are_both_refused(
    plant: Plant, spec: Path, netspec: Netspec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of them would be found last; others are not hindered."""
    plant(plugins.BACKENDS, "csv", BACKEND)
    given = plugins._points(plugins.BACKENDS)
    for found in ([*given, ALSO], [ALSO, *given]):
        monkeypatch.setattr(plugins, "_points", lambda group, found=found: [p for p in found if p.group == group])
        plugins.backends.cache_clear()
        said = netspec("compile", "tiny.yaml", "--to", "csv")
        assert said.code == 3 and said.err.startswith("error: the backend 'csv'"), said.err
        assert "also_csv:BACKEND" in said.err and "netspec_csv_backends:BACKEND" in said.err
        assert not (spec / "tiny.csv").exists()
        listed = netspec("list", "backends").out
        assert len(re.findall("^ *csv +not usable: ", listed, re.MULTILINE)) == 1
        assert listed.count("not usable") == 1
        assert netspec("compile", "--help").code == netspec("compile", "tiny.yaml", "--to", "torch").code == 0


def test_no_package_takes_the_place_of_torch_unseen(plant: Plant, spec: Path, netspec: Netspec) -> None:
    plant(plugins.BACKENDS, "torch", replaced('name = "csv"', 'name = "torch"'))
    said = netspec("compile", "tiny.yaml", "--to", "torch")
    assert said.code == 3 and "netspec_torch:BACKEND" in said.err and "netspec_torch_backends:BACKEND" in said.err
    assert netspec("compile", "tiny.yaml", "--to", "onnx").code == 0


def test_no_package_takes_the_place_of_json(plant: Plant, spec: Path, netspec: Netspec) -> None:
    plant(plugins.BACKENDS, "json", replaced('name = "csv"', 'name = "json"'))
    said = netspec("compile", "tiny.yaml", "--to", "json", "-o", "-")
    assert said.code == 3 and "netspec itself" in said.err and "netspec_json_backends:BACKEND" in said.err
    assert re.search("^ *json +not usable: ", netspec("list", "backends").out, re.MULTILINE)
    assert netspec("compile", "tiny.yaml", "--to", "onnx").code == 0
    assert "--to onnx|torch|json " in netspec("compile", "--help").out


def test_a_backend_that_is_found_twice_is_one(
    plant: Plant, spec: Path, netspec: Netspec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its package is installed for editing and its folder stands on PYTHONPATH too."""
    plant(plugins.BACKENDS, "csv", BACKEND)
    points = plugins._points
    monkeypatch.setattr(plugins, "_points", lambda group: points(group) * 2)
    plugins.backends.cache_clear()
    assert netspec("compile", "tiny.yaml", "--to", "csv").code == 0
    assert "not usable" not in netspec("list", "backends").out


CALLED = {
    "an error in emit": Broken("return Written([target])", "return len(3)", "TypeError: object of type 'int'"),
    "an error below": Broken("return Written([target])", "return graph.shape(3)", "AttributeError"),
    "no file": Broken("        target.write_text(self.text(graph, options))\n", "", "did not write tiny.csv"),
    "nothing": Broken("return Written([target])", "return None", "gave NoneType from `emit`, which gives Written"),
    "a text": Broken("Written([target])", "Written([str(target)])", "gave str from `emit`, which gives"),
}


@pytest.mark.parametrize("mistake", CALLED.values(), ids=CALLED)
def test_an_error_of_a_backend_is_no_bug_of_netspec(
    mistake: Broken, plant: Plant, spec: Path, netspec: Netspec
) -> None:
    plant(plugins.BACKENDS, "csv", replaced(mistake.old, mistake.new))
    said = netspec("compile", "tiny.yaml", "--to", "csv")
    assert said.code == 4 and mistake.said in said.err and "netspec_csv_backends" in said.err, said.err
    assert "a bug of netspec:" not in said.err
    if "Error" in mistake.said:
        place = BACKEND[: BACKEND.index("return Written([target])")].count("\n") + 1
        assert f"at netspec_csv_backends.py:{place} in emit" in said.err and "report it to its authors" in said.err


def test_what_a_backend_runs_and_prints_is_looked_at(plant: Plant, spec: Path, netspec: Netspec) -> None:
    plant(plugins.BACKENDS, "csv", replaced("return Result({}, device)", "return {}"))
    said = netspec("run", "tiny.yaml", "--backend", "csv")
    assert said.code == 4 and "the backend 'csv' (netspec_csv_backends) gave dict from `run`" in said.err
    plant(plugins.BACKENDS, "csv", replaced("return options.sep.join(map(str, graph.nodes))", "return b''"))
    said = netspec("compile", "tiny.yaml", "--to", "csv", "-o", "-")
    assert said.code == 4 and "gave bytes from `text`, which gives str" in said.err


OP = """\
from netspec.ops.base import OpResult
from netspec.ops.moments import kept
from netspec.ops.receptive_field import own_cell
from netspec.ops.registry import Sample, op


@op(kind="other", receptive_field=own_cell, moments=kept, samples=[Sample()])
def glow(x, /):
    "Glows."
    return OpResult((x.shape,))
"""
OP_MISTAKES: Mapping[str, tuple[Broken, int]] = {
    "import": (
        Broken("registry import", "register import", "the ops of 'glow' (netspec_glow_ops) cannot be imported"),
        3,
    ),
    "syntax": (
        Broken("def glow(x, /):", "def glow(x, /)", "the ops of 'glow' (netspec_glow_ops) cannot be imported"),
        3,
    ),
    "fact": (Broken("moments=kept, ", "", "the op 'glow' does not state its moments"), 3),
    "facts": (Broken("moments=kept, samples", "moment=kept, sample", "does not state its moments, samples"), 3),
    "no fact": (Broken("moments=kept,", "moments=kept, tolerence=1,", "'tolerence', which is no fact of an op"), 3),
    "error": (Broken("x.shape,", "x.shapes,", "a bug of the plug-in netspec_glow_ops: AttributeError"), 4),
    "result": (Broken("OpResult((x.shape,))", "x.shape", "'glow' (netspec_glow_ops) gave tuple from its rule"), 4),
}


@pytest.mark.parametrize(("mistake", "code"), OP_MISTAKES.values(), ids=OP_MISTAKES)
def test_a_mistake_in_an_op(mistake: Broken, code: int, plant: Plant, spec: Path, netspec: Netspec) -> None:
    assert OP.count(mistake.old) == 1
    (spec / "tiny.yaml").write_text("netspec: 1\nname: tiny\ninput: [3, 8, 8]\nbody: [relu, glow]\n")
    plant(plugins.OPS, "glow", OP.replace(mistake.old, mistake.new))
    said = netspec("check", "tiny.yaml")
    assert said.code == code and mistake.said in said.err, said.err
    assert "a bug of netspec:" not in said.err
    (spec / "tiny.yaml").write_text("netspec: 1\nname: tiny\ninput: [3, 8, 8]\nbody: [relu]\n")
    assert netspec("check", "tiny.yaml").code == 0
    listed = netspec("list", "ops").out
    assert ("not usable: the ops of 'glow'" in listed) == (code == 3) and "relu" in listed


def test_a_broken_plugin_does_not_hide_the_ops_of_another(plant: Plant, spec: Path, netspec: Netspec) -> None:
    (spec / "tiny.yaml").write_text("netspec: 1\nname: tiny\ninput: [3, 8, 8]\nbody: [relu, glow]\n")
    plant(plugins.OPS, "broken", "1 / 0\n")
    plant(plugins.OPS, "glow", OP)
    assert netspec("check", "tiny.yaml").code == 0
    (spec / "tiny.yaml").write_text("netspec: 1\nname: tiny\ninput: [3, 8, 8]\nbody: [relu, glows]\n")
    for _ in range(2):
        said = netspec("check", "tiny.yaml")
        assert (
            said.code == 3 and "the ops of 'broken' (netspec_broken_ops) cannot be imported: ZeroDivision" in said.err
        )


ROWS = "from netspec_torch.rows import Row\nfrom netspec.backend import lowering\nlowering('{}', 'glow', {})\n"


@pytest.mark.parametrize(
    ("target", "row", "said", "code"),
    [
        ("torch", "[1]", "the row of 'glow' for 'torch' is a list, not a netspec_torch.rows.Row", 4),
        (
            "onnx",
            "[1]",
            "for 'onnx' is not a function of (node, shapes) that gives a list of netspec_onnx.nodes.N",
            4,
        ),
        ("onnx", "lambda node, shapes: 3", "gives a list of netspec_onnx.nodes.N", 4),
        ("onnx", "lambda node: []", "is not a function of (node, shapes) that", 4),
        ("onnx", "lambda node, shapes: node.attr", "a bug of the plug-in netspec_onnx_lowerings: AttributeError", 4),
        ("torch", "1 / 0", "the lowerings for 'torch' (netspec_torch_lowerings) cannot be imported", 3),
        ("torch", "Row(lambda node: None)", "`layer` of a Row is a function of (node, shapes)", 3),
        (
            "other",
            "1",
            "`netspec.lowerings`, under 'torch'; one of netspec has its row in netspec_torch/lowering.py",
            1,
        ),
    ],
)
def test_a_mistake_in_a_row(
    target: str,
    row: str,
    said: str,
    code: int,
    plant: Plant,
    spec: Path,
    netspec: Netspec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("netspec.backend._LOWERINGS", {})
    (spec / "tiny.yaml").write_text("netspec: 1\nname: tiny\ninput: [3, 8, 8]\nbody: [relu, glow]\n")
    plant(plugins.OPS, "glow", OP)
    plant(plugins.LOWERINGS, target, ROWS.format(target, row))
    to = target if target != "other" else "torch"
    done = netspec("compile", "tiny.yaml", "--to", to, "-o", f"tiny.{'py' if to == 'torch' else to}")
    assert done.code == code and said in done.err, done.err
    assert netspec("compile", "tiny.yaml", "--to", "json", "-o", "-").code == 0


@pytest.mark.parametrize(("name", "meant"), [("troch", "torch"), ("Torch", "torch"), ("onxn", "onnx")])
def test_rows_under_the_misspelt_name_of_a_backend(
    name: str, meant: str, plant: Plant, spec: Path, netspec: Netspec
) -> None:
    (spec / "tiny.yaml").write_text("netspec: 1\nname: tiny\ninput: [3, 8, 8]\nbody: [relu, glow]\n")
    plant(plugins.OPS, "glow", OP)
    plant(plugins.LOWERINGS, name, ROWS.format(name, 1))
    for target in ("torch", "onnx"):
        said = netspec("compile", "tiny.yaml", "--to", target)
        slip = f"`netspec.lowerings` has rows for '{name}', which is no backend: did you mean '{meant}'?"
        assert said.code == 1 and "NS601" in said.err and (slip in said.err) == (target == meant), said.err
