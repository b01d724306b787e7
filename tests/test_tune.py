"""`netspec tune` and the profiles that it writes: what is kept, what a profile changes, and which are refused."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
from docs_harness import run_page
from pass_harness import equal
from run_harness import Netspec

import netspec as api
from netspec.diagnostics.errors import SpecError, UsageError
from netspec.network import Network
from netspec.passes import CHOSEN
from netspec.passes.places import changed, places
from netspec.passes.profile import read_profile
from netspec.passes.runtimes import MEASURED, runtime_of
from netspec.running.tune import Search, compared
from netspec.syntax.profile_reader import VERSION, profile_schema

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "tune.md").read_text(encoding="utf-8")
SPEC = """\
netspec: 1
name: net
params: {width: 8}
input: [8, 12, 12]
body:
  - one = concat:
      a: [conv: [=width, 1], relu]
      b: [conv: [16, 1], relu]
  - norm = lrn: {size: 5, alpha: 0.5, k: 2}
  - two = concat:
      a: [conv: [4, 1]]
      b: [conv: [6, 1]]
      c: [conv: [8, 1]]
  - left = conv: [8, 1]
  - right = conv: [8, 1]
    from: two
  - mul:
    from: [left, right]
  - global_avg_pool
  - flatten
  - fc = linear: 10
"""


@pytest.fixture
def netspec(netspec: Netspec) -> Netspec:
    """The command line, in a folder with the spec: the exit code, stdout and stderr."""
    Path("net.yaml").write_text(SPEC, encoding="utf-8")
    return netspec


def profile(of: Network, passes: Sequence[Mapping[str, object]], **more: object) -> str:
    """The text of a profile of a network."""
    known = {"netspec_profile": 1, "network": of.name, "graph": of.digest, "target": "onnxruntime"}
    return json.dumps({**known, "passes": passes, **more}, indent=1)


SOME = [{"name": "merge_siblings", "at": ["two"]}, {"name": "lrn_as_conv"}]


def test_a_profile_changes_exactly_what_it_names(netspec: Netspec) -> None:
    network = api.load("net.yaml")
    Path("p.json").write_text(profile(network, SOME), encoding="utf-8")
    exact, tuned = network.optimised(1), network.optimised(2, "onnxruntime", read_profile("p.json"))
    assert changed(exact.inference, tuned.inference) == ["norm", "two.a.conv", "two.b.conv", "two.c.conv"]
    equal(network.unfolded, tuned.module, "onnx", 2e-5)
    code, _, err = netspec("compile", "net.yaml", "--to", "onnx", "-O2", "--profile", "p.json", "-o", "a.onnx")
    model = onnx.load("a.onnx")
    said = {p.key: p.value for p in model.metadata_props}["netspec.profile"]
    assert code == 0 and f"note: -O2 as measured in {said}" in err
    assert said == "p.json: merge_siblings@two, lrn_as_conv"
    nodes = [node.op_type for node in model.graph.node]
    assert nodes.count("LRN") == 0 and nodes.count("Split") == 1


@pytest.mark.slow
def test_tables_and_pictures_have_the_steps_that_a_profile_leaves(netspec: Netspec) -> None:
    network = api.load("net.yaml")
    Path("p.json").write_text(profile(network, SOME), encoding="utf-8")
    left = {*network.optimised(2, "onnxruntime", "p.json").inference.nodes}
    asked = ["net.yaml", "-O2", "--profile", "p.json"]
    code, out, err = netspec("summary", *asked, "-f", "csv")
    assert code == 0 and "as measured in p.json" in err
    assert left <= {row["path"] for row in csv.DictReader(out.splitlines())}


@pytest.mark.slow
def test_what_is_as_shipped_in_a_difference_is_not_rewritten(netspec: Netspec) -> None:
    Path("p.json").write_text(profile(api.load("net.yaml"), SOME), encoding="utf-8")
    asked = ["draw", "--diff", "net.yaml", "net.yaml", "--inference", "-f", "mermaid", "-o", "-"]
    tuned = netspec(*asked, "-O2", "--profile", "p.json")[1]
    named = netspec(*asked, "--pass", "lrn_as_conv", "--pass", "merge_siblings@two")[1]
    assert tuned == named != netspec(*asked)[1]


@pytest.mark.parametrize("backend", ["onnx", "torch"])
@pytest.mark.slow
def test_outputs_are_those_without_it(backend: str, netspec: Netspec) -> None:
    network = api.load("net.yaml")
    runtime = runtime_of(backend)
    Path("p.json").write_text(profile(network, SOME, target=runtime), encoding="utf-8")
    for args in (["run", "net.yaml", "--backend", backend], ["verify", "net.yaml", backend]):
        code, _, err = netspec(*args, "-O2", "--profile", "p.json")
        assert code == 0 and "as measured in p.json" in err, err
    network.to_onnx("a.onnx", level=0)
    session = api.Session("a.onnx")
    x = np.random.default_rng(0).standard_normal((2, 8, 12, 12), np.float32)
    tuned = api.Session(network.optimised(2, runtime, read_profile("p.json")))
    np.testing.assert_allclose(tuned.run(x)["output"], session.run(x)["output"], atol=1e-5)


def refused(passes: Sequence[Mapping[str, object]] = SOME, **more: object) -> str:
    return profile(api.load("net.yaml"), passes, **more)


REFUSED = [
    (lambda: refused([{"name": "lrn_as_con"}]), "NS202", "did you mean 'lrn_as_conv'?"),
    (lambda: refused([{"name": "add_softmax"}]), "NS202", "known: merge_branches"),
    (lambda: refused([{"name": "fold_batch_norm"}]), "NS202", "that a profile may name"),
    (lambda: refused([{"name": "merge_siblings", "at": ["tow"]}]), "NS203", "did you mean 'two'?"),
    (lambda: refused([{"name": "merge_siblings", "at": ["norm"]}]), "NS605", "finds nothing at 'norm'"),
    (lambda: refused([{"name": "merge_siblings", "at": ["two", "two"]}]), "NS605", "it is there twice"),
    (lambda: refused([{"name": "hard_swish_as_mul"}]), "NS605", "finds nothing in the network"),
    (lambda: refused([{"name": "lrn_as_conv"}] * 2), "NS103", "is there twice"),
    (lambda: refused([{"name": "lrn_as_conv", "where": []}]), "NS111", "there is no key 'where'"),
    (lambda: refused([{"name": "lrn_as_conv", "at": []}]), "NS110", "a list of steps or scopes"),
    (lambda: refused([{"name": "lrn_as_conv", "at": [3]}]), "NS110", "expected a name, got the number 3"),
    (lambda: refused([{"at": ["two"]}]), "NS112", "'name' is missing"),
    (lambda: refused(netspec_profile=2), "NS110", "expects 1, the version of profiles, got the number 2"),
    (lambda: refused(graph="0" * 64), "NS605", "another state of 'net'"),
    (lambda: refused(graph="0" * 64, network="other"), "NS605", "of another network, 'other'"),
    (lambda: refused(target="torch"), "NS605", "a profile for torch, not for onnxruntime"),
    (lambda: refused(target="tensorflow"), "NS110", "one of onnxruntime, torch"),
    (lambda: refused(surprise=1), "NS111", "surprise"),
    (lambda: refused()[:-2], "NS102", ""),
    (lambda: refused().replace('"target"', '"network"'), "NS103", "duplicate"),
    (lambda: "[1, 2]", "NS110", "a profile is a mapping"),
    (lambda: "", "NS110", "a profile is a mapping"),
    (lambda: "[" * 100 + "]" * 100, "NS105", "nested"),
    (lambda: " " * (4 * 2**20 + 1), "NS105", "larger than 4 MiB"),
    (lambda: refused() + "\x1b[2J", "NS101", "U+001B"),
]


@pytest.mark.parametrize(("text", "code", "said"), REFUSED)
@pytest.mark.quick(2)
def test_a_profile_that_does_not_fit_is_refused_at_its_line(text, code: str, said: str, netspec: Netspec) -> None:
    Path("p.json").write_text(text(), encoding="utf-8")
    status, out, err = netspec("compile", "net.yaml", "--to", "onnx", "-O2", "--profile", "p.json")
    assert status == 1 and not out and said in err
    assert re.search(rf"^p\.json:\d+:\d+: error\[{code}\]", err, re.MULTILINE), err
    assert sorted(path.name for path in Path().iterdir()) == ["net.yaml", "p.json"]


def test_a_pass_at_a_step_where_it_finds_nothing_says_so(netspec: Netspec) -> None:
    for at, said in (("norm", False), ("one.a", True)):
        code, _, err = netspec("compile", "net.yaml", "--to", "json", "-o", "n.json", "--pass", f"lrn_as_conv@{at}")
        assert code == 0 and (f"note: --pass lrn_as_conv@{at} changes nothing" in err) == said


@pytest.mark.slow
def test_another_network_is_another_hash(netspec: Netspec) -> None:
    def digest(text: str = SPEC, **params: object) -> str:
        Path("net.yaml").write_text(text, encoding="utf-8")
        return api.load("net.yaml", **params).digest  # type: ignore[arg-type]

    first = digest()
    same = [digest("# a comment\n" + SPEC), digest(SPEC.replace("name: net", "name: net\ntitle: T\nexpect: {}"))]
    others = [
        digest(width=9),
        digest(input=[8, 14, 14]),
        digest(SPEC.replace("norm =", "n =")),
        digest(SPEC.replace("k: 2", "k: 3")),
        digest(SPEC.replace("from: two", "from: two\n    share: left")),
    ]
    assert set(same) == {first} and len({first, *others}) == 6
    assert digest() == first != api.load("net.yaml").after(["fold_batch_norm"]).digest


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["compile", "net.yaml", "--to", "onnx", "--profile", "p.json"], "--profile goes with -O2"),
        (["compile", "net.yaml", "--to", "onnx", "-O1", "--profile", "p.json"], "not with -O1"),
        (["compile", "net.yaml", "--to", "onnx", "-O2", "--profile", "absent.json"], "there is no file absent.json"),
        (["compile", "net.yaml", "--to", "torch", "--no-weights", "--channels-last"], "--channels-last is how load()"),
        (["tune", "net.yaml", "--target", "onnxrunteim"], "did you mean 'onnxruntime'?"),
        (["tune", "net.yaml", "--target", "onnx", "-O2"], "leave out -O"),
        (["tune", "net.yaml", "--target", "onnx", "--seconds", "nan"], "'nan' is not a number"),
        (["summary", "net.yaml", "--profile", "p.json"], "--profile goes with -O2"),
        (["draw", "net.yaml", "-O1", "--profile", "p.json"], "not with -O1"),
        (["tune", "net.yaml", "--target", "onnx", "--try", "lrn"], "there is no pass 'lrn' to try"),
        (["tune", "net.yaml", "--target", "onnx", "-o", "-"], "'-' is stdout, and this goes to a file"),
        (["tune", "net.yaml", "--target", "onnx", "-o", "net.yaml"], "the suffix of a spec"),
        (["summary", "p.json"], "`-O2 --profile p.json` takes one"),
    ],
)
@pytest.mark.quick(1)
def test_what_cannot_be_asked_for_is_said(args: list[str], said: str, netspec: Netspec) -> None:
    Path("p.json").write_text(refused(), encoding="utf-8")
    status, out, err = netspec(*args)
    assert status == 2 and said in err and not out, err
    assert not {path.suffix for path in Path().iterdir()} & {".onnx", ".py", ".pth"}


@pytest.mark.slow
def test_the_schema_takes_and_refuses_what_the_reader_does(netspec: Netspec) -> None:
    schema = jsonschema.Draft7Validator(json.loads(netspec("schema", "--profile")[1]))
    assert schema.schema == json.loads(json.dumps(profile_schema(MEASURED)))
    for text, code, _ in REFUSED:
        try:
            data = json.loads(text(), object_pairs_hook=_once)
        except ValueError:
            continue
        structural = code in ("NS110", "NS111", "NS112") or not isinstance(data, dict)
        assert structural != schema.is_valid(data), (text(), code)
    assert schema.is_valid(json.loads(refused(measured={"batch": 1}))) and VERSION == 1


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A mapping; what JSON's own reader would keep the last of is no mapping."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError
    return dict(pairs)


class Fake:
    """What takes a given time, and now and then much longer, as another program would make it."""

    def __init__(self, ms: float) -> None:
        self.ms, self.count = ms, itertools.count()
        self.provider = "fake"

    def run(self, inputs: object) -> dict[str, np.ndarray]:
        return {"output": np.ones(3, np.float32)}

    def time(self, inputs: object, warmup: int, repeat: int) -> list[float]:
        return [self.ms * (3 if next(self.count) % 7 == 0 else 1 + next(self.count) % 3 / 200) for _ in range(repeat)]


def test_what_is_faster_is_told_from_noise() -> None:
    end = float("inf")
    faster, same, slower = (compared((Fake(10), Fake(10), Fake(ms)), {}, end) for ms in (7, 10, 13))
    assert faster.faster and faster.value == pytest.approx(0.7, abs=0.02)
    assert not same.faster and not same.slower and same.noise < 0.02
    assert slower.slower and slower.value == pytest.approx(1.3, abs=0.02)
    assert compared((Fake(10), Fake(10), Fake(7)), {}, 0).rounds == 5


GAINS = {"merge_siblings": {"one": 2.0, "two": -1.5, "left": -1.0}, "lrn_as_conv": {"norm": -2.0}}
"""The milliseconds that each place adds."""


@pytest.mark.parametrize(
    ("sign", "expected"),
    [(1, {"merge_siblings": ["two", "left", "right"], "lrn_as_conv": [""]}), (-1, {"merge_siblings": ["one"]})],
)
@pytest.mark.quick(1)
def test_the_places_that_pay_are_found(sign: int, expected: dict[str, list[str]], netspec: Netspec) -> None:
    """Everywhere the pass costs nothing or gains too little to be told: by halves of its places it is found."""

    def prepare(passes: Sequence[str]) -> Fake:
        spent = 10.0
        for name, _, at in (text.partition("@") for text in passes):
            gains = GAINS.get(name, {})
            spent += sign * (gains.get(at, 0.0) if at else sum(gains.values()))
        return Fake(spent)

    found = Search(api.load("net.yaml"), prepare, {}, 60, lambda text: None).run()
    kept = {name: [path for place in at for path in place or ("",)] for name, at in found.chosen.items()}
    assert kept == expected
    assert found.whole is not None and found.whole.faster
    assert {t.why for t in found.trials} <= {"faster", "slower", "within the noise"}


@pytest.mark.slow
def test_a_pass_that_changes_the_outputs_is_not_kept(netspec: Netspec) -> None:
    class Wrong(Fake):
        def run(self, inputs: object) -> dict[str, np.ndarray]:
            return {"output": np.full(3, 1 + 1e-3, np.float32)}

    def prepare(passes: Sequence[str]) -> Fake:
        return Wrong(1) if any(text.partition("@")[0] in CHOSEN for text in passes) else Fake(10)

    found = Search(api.load("net.yaml"), prepare, {}, 60, lambda text: None).run()
    assert not found.chosen and all("outputs differ by 1.0e-03" in t.why for t in found.trials)


@pytest.mark.slow
def test_places_are_the_parts_that_a_pass_changes_alone() -> None:
    network = api.load("googlenet").optimised(1)
    modules = ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]  # Szegedy et al. 2015, table 1
    assert places(CHOSEN["merge_siblings"], network.module) == [(name,) for name in modules]
    assert places(CHOSEN["lrn_as_conv"], network.module) == [("norm1",), ("norm2",)]
    assert places(CHOSEN["pool_first"], network.module) == []
    squeezenet = api.load("squeezenet").optimised(
        1
    )  # the paper's Figure 2: eight fire modules, each of which joins two
    joins = [(f"fire{i}.concat",) for i in range(2, 10)]
    assert places(CHOSEN["concat_as_sum"], squeezenet.module) == joins


@pytest.mark.parametrize(
    "name", ["densenet121", "inception_v3", "mobilenet_v3_large", "repvgg_a0", "resnet50", "squeezenet", "alexnet"]
)
@pytest.mark.slow
def test_all_places_together_are_the_whole(name: str) -> None:
    module = api.load(name).optimised(1).module
    for p in CHOSEN.values():
        found = places(p, module)
        if found:
            each = p.at(path for place in found for path in place)(module)
            assert each.graph.nodes == p(module).graph.nodes
            assert all(p.at(place)(module) is not module for place in found)


@pytest.mark.slow
def test_tune_writes_a_profile_that_compiles(netspec: Netspec) -> None:
    code, out, err = netspec("tune", "net.yaml", "--target", "onnxruntime", "--seconds", "0.5", "-f", "json")
    rows = json.loads(out)
    assert code == 0 and "net.onnxruntime.tune.json" in err
    assert {"merge_siblings", "lrn_as_conv"} <= {row["pass"] for row in rows}
    found = json.loads(Path("net.onnxruntime.tune.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, profile_schema(MEASURED))
    trials = found["measured"]["trials"]
    assert [{key: trial.get(key) for key in row} for row, trial in zip(rows, trials, strict=True)] == rows
    asked = ["-O2", "--profile", "net.onnxruntime.tune.json"]
    assert netspec("compile", "net.yaml", "--to", "onnx", *asked)[0] == 0
    assert netspec("compile", "net.yaml", "--to", "onnx", "--dynamic", *asked, "-o", "d.onnx")[0] == 0
    code, _, err = netspec("compile", "net.yaml", "--to", "onnx", "-s", "width=9", *asked)
    assert code == 1 and "another state of 'net'" in err


@pytest.mark.slow
def test_a_profile_that_is_replaced_is_said(netspec: Netspec) -> None:
    asked = ["tune", "net.yaml", "--target", "onnxruntime", "--try", "winograd", "--seconds", "0.1"]
    first, second = (netspec(*asked) for _ in range(2))
    assert first[0] == second[0] == 0 and "winograd changes nothing in this network" in first[1]
    assert [" in place of the profile that was there" in said[2] for said in (first, second)] == [False, True]


@pytest.mark.slow
def test_a_network_without_candidates_has_an_empty_profile(netspec: Netspec) -> None:
    Path("plain.yaml").write_text("netspec: 1\nname: plain\ninput: [3, 8, 8]\nbody: [conv: [4, 3]]\n", encoding="utf-8")
    code, out, _ = netspec("tune", "plain.yaml", "--target", "torch:channels_last", "-o", "plain.json")
    assert code == 0 and "no pass of which a measurement decides changes this network" in out
    assert json.loads(Path("plain.json").read_text(encoding="utf-8"))["passes"] == []
    assert (
        netspec("compile", "plain.yaml", "--to", "torch", "--channels-last", "-O2", "--profile", "plain.json")[0] == 0
    )


@pytest.mark.slow
def test_an_interrupt_leaves_the_profile_of_before(netspec: Netspec, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: object) -> None:
        raise KeyboardInterrupt

    Path("net.onnxruntime.tune.json").write_text("before", encoding="utf-8")
    monkeypatch.setattr(Search, "run", stop)
    assert netspec("tune", "net.yaml", "--target", "onnxruntime")[0] == 130
    assert Path("net.onnxruntime.tune.json").read_text(encoding="utf-8") == "before"
    assert sorted(path.name for path in Path().iterdir()) == ["net.onnxruntime.tune.json", "net.yaml"]


@pytest.mark.slow
def test_channels_last_is_how_the_file_loads(netspec: Netspec) -> None:
    torch = pytest.importorskip("torch")
    assert netspec("compile", "net.yaml", "--to", "torch", "--channels-last", "-o", "made.py")[0] == 0
    made: dict[str, object] = {"__file__": str(Path("made.py").resolve()), "__name__": "made"}
    exec(compile(Path("made.py").read_text(encoding="utf-8"), "made.py", "exec"), made)
    module = made["load"]()  # type: ignore[operator]
    convs = [m for m in module.modules() if isinstance(m, torch.nn.Conv2d)]
    assert convs and all(m.weight.is_contiguous(memory_format=torch.channels_last) for m in convs)


@pytest.mark.slow
def test_the_page_shows_what_the_commands_print(netspec: Netspec) -> None:
    assert run_page(PAGE, netspec) == 4
    shown = re.search(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None
    Path("shown.json").write_text(shown[1], encoding="utf-8")
    network = api.load("two.yaml")
    assert json.loads(shown[1])["graph"] == network.digest
    network.optimised(2, "onnxruntime", read_profile("shown.json"))
    with pytest.raises(UsageError, match="goes with level=2"):
        network.optimised(1, "onnxruntime", read_profile("shown.json"))
    with pytest.raises(SpecError, match="another network"):
        api.load("googlenet").to_onnx("g.onnx", profile="shown.json")
