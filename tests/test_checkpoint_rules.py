"""What a checkpoint that does not fit is told: the rules to write for renamed tensors, the options for other classes.

What is printed is typed, and loads the right tensors.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import sampled
from parity import network
from test_checkpoints import CHECKPOINTS, model

import netspec
from netspec.cli.main import run
from netspec.diagnostics.errors import DataError, SpecError, UsageError

State = dict[str, torch.Tensor]
WORDS = ["alpha", "trunk", "body", "unit", "convolution", "norm", "op", "part", "mix", "kern", "cell", "w", "z_"]


def drawn_state(torchvision: Any, name: str) -> State:
    """A state of a library's model in which every tensor has values of its own."""
    with torch.device("meta"):
        theirs = model(torchvision, name)
    found = {}
    for number, (key, value) in enumerate(theirs.state_dict().items()):
        found[key] = torch.full(value.shape, number + 0.5) if value.is_floating_point() else torch.tensor(0)
    return found


def printed(error: DataError) -> list[str]:
    return re.findall(r"^ +(- \{from: .*\})$", str(error), re.MULTILINE)


def stems(rng: random.Random, keys: list[str]) -> Callable[[str], str]:
    """Another word, with the same numbers, for one to three of the words in the names."""
    words = sorted({re.sub(r"\d+", "", w) for k in keys for w in k.split(".")[:-1]} - {""})
    chosen = rng.sample(words, min(len(words), rng.randint(1, 3)))
    new = dict(zip(chosen, rng.sample(WORDS, len(chosen)), strict=True))
    return lambda word: (
        "".join(new.get(x, x) for x in re.split(r"(\d+)", word)) if re.sub(r"\d+", "", word) in new else word
    )


def upper(rng: random.Random, keys: list[str]) -> Callable[[str], str]:
    chosen = rng.sample(words_of(keys), min(3, len(words_of(keys))))
    return lambda word: word.upper() if word in chosen else word


def inserted(rng: random.Random, keys: list[str]) -> Callable[[str], str]:
    chosen = rng.choice(words_of(keys))
    return lambda word: f"{word}.inner" if word == chosen else word


def letters(rng: random.Random, keys: list[str]) -> Callable[[str], str]:
    return lambda word: re.sub(r"^(conv|bn|fc)(\d)$", lambda m: f"{m[1]}_{'zabcdefghi'[int(m[2])]}", word)


def words_of(keys: list[str]) -> list[str]:
    return sorted({w for k in keys for w in k.split(".")[:-1] if not w.isdigit()})


def renamed(state: State, change: Callable[[str], str]) -> dict[str, str]:
    """The new name of each key."""
    return {key: ".".join([*map(change, key.split(".")[:-1]), key.rpartition(".")[2]]) for key in state}


QUICK = "squeezenet_11"
SLOW = ["resnet18", "googlenet_torchvision", "mobilenet_v2", "efficientnet_b0", "alexnet_torchvision"]


@pytest.mark.parametrize("kind", [stems, upper, inserted, letters], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("variant", [QUICK, *(pytest.param(v, marks=pytest.mark.slow) for v in SLOW)])
def test_the_printed_rules_load_a_checkpoint_whose_words_are_others(
    torchvision: Any, variant: str, kind: Callable[[random.Random, list[str]], Callable[[str], str]], tmp_path: Path
) -> None:
    net, state = network(variant), drawn_state(torchvision, CHECKPOINTS[variant])
    path, rules = tmp_path / "w.pth", tmp_path / "rules.yaml"
    torch.save(state, path)
    right = net.arrays(weights=path)
    tried = 0
    for seed in sampled(range(4), 2, slow=4 if variant == QUICK else 2):
        names = renamed(state, kind(random.Random(seed), list(state)))
        if len(set(names.values())) < len(state) or all(a == b for a, b in names.items()):
            continue
        torch.save({names[key]: value for key, value in state.items()}, path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = net.arrays(weights=path)  # one word before all names is a prefix
        except DataError as e:
            assert e.code == "NS602" and "these rules load it" in str(e), str(e)
            rules.write_text("\n".join(printed(e)), encoding="utf-8")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = net.arrays(weights=path, rules=rules)
        tried += 1
        assert all(np.array_equal(found[key], right[key]) for key in right), rules.read_text()
    assert tried or kind is letters


def test_the_rule_of_one_renamed_layer(torchvision: Any, tmp_path: Path) -> None:
    state = drawn_state(torchvision, "torchvision:resnet34")
    state["layer3.5.convolution2.weight"] = state.pop("layer3.5.conv2.weight")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(DataError) as info:
        network("resnet34").arrays(weights=tmp_path / "w.pth")
    assert printed(info.value) == ['- {from: "layer3.5.convolution2.{t}", to: "layer3.5.residual.conv2.conv.{t}"}']


def test_rules_for_a_spec_without_any(tmp_path: Path) -> None:
    spec = tmp_path / "n.yaml"
    spec.write_text(
        """\
netspec: 1
name: n
input: [3, 16, 16]
body:
  - stem = conv: [8, 3]
  - bn = batch_norm
  - stage = relu
  - block = conv: [8, 3]
    repeat: 4
  - flatten
  - head = linear: 10
""",
        encoding="utf-8",
    )
    net = netspec.load(spec)
    arrays = net.arrays(seed=3)
    names = {
        "stem": "conv1",
        "bn": "norm1",
        "head": "classifier",
        **{f"block.{i}": f"features.{i + 4}" for i in range(4)},
    }
    foreign = {f"{names[k.rpartition('.')[0]]}.{k.rpartition('.')[2]}": v for k, v in arrays.items()}
    np.savez(tmp_path / "w.npz", **foreign)
    with pytest.raises(DataError) as info:
        net.arrays(weights=tmp_path / "w.npz")
    assert '- {from: "features.{a}.{t}", to: "block.{a - 4}.{t}"}' in printed(info.value)
    (tmp_path / "rules.yaml").write_text("\n".join(printed(info.value)), encoding="utf-8")
    found = net.arrays(weights=tmp_path / "w.npz", rules=tmp_path / "rules.yaml")
    assert all(np.array_equal(found[k], v) for k, v in arrays.items())
    text = spec.read_text(encoding="utf-8")  # and in the spec itself
    lines = "\n    ".join(printed(info.value))
    spec.write_text(f"{text}checkpoints:\n  elsewhere:\n    {lines}\n", encoding="utf-8")
    found = netspec.load(spec).arrays(weights=tmp_path / "w.npz")
    assert all(np.array_equal(found[k], v) for k, v in arrays.items())


def test_the_rules_that_leave_tensors_out(tmp_path: Path) -> None:
    net = netspec.load("lenet5")
    arrays = net.arrays(seed=3)
    more = {"aux.0.weight": np.ones(3), "aux.0.bias": np.ones(3), "scale": np.ones(1)}
    np.savez(tmp_path / "w.npz", **arrays, **more)
    with pytest.raises(DataError, match="these rules leave them out") as info:
        net.arrays(weights=tmp_path / "w.npz")
    assert printed(info.value) == ['- {from: "aux.0.{t}", to: null}', '- {from: "scale", to: null}']
    (tmp_path / "rules.yaml").write_text("\n".join(printed(info.value)), encoding="utf-8")
    found = net.arrays(weights=tmp_path / "w.npz", rules=tmp_path / "rules.yaml")
    assert all(np.array_equal(found[k], v) for k, v in arrays.items())


def test_the_option_that_draws_what_a_file_lacks(tmp_path: Path) -> None:
    """A backbone alone is told how to load it; a layer of which a part is there is not to be drawn anew."""
    net = netspec.load("lenet5")
    arrays = net.arrays(seed=3)
    np.savez(tmp_path / "w.npz", **{k: v for k, v in arrays.items() if k.split(".")[0] not in ("f6", "output")})
    with pytest.raises(DataError) as info:
        net.arrays(weights=tmp_path / "w.npz")
    assert info.value.help == "`--exclude f6 --exclude output` loads all else and draws f6 and output"
    found = net.arrays(weights=tmp_path / "w.npz", exclude=["f6", "output"])
    assert np.array_equal(found["c5.weight"], arrays["c5.weight"]) and found["f6.weight"].shape == (84, 120)
    np.savez(tmp_path / "w.npz", **{k: v for k, v in arrays.items() if k != "output.bias"})
    with pytest.raises(DataError) as info:
        net.arrays(weights=tmp_path / "w.npz")
    assert "--exclude" not in info.value.help


def test_a_common_prefix_is_named(tmp_path: Path) -> None:
    net = netspec.load("lenet5")
    arrays = {f"online.encoder.{k}": v for k, v in net.arrays(seed=3).items()}
    arrays.pop("online.encoder.c1.bias")
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(DataError, match=r"missing in the file \(1\):\n    c1.bias"):
        net.arrays(weights=tmp_path / "w.npz")
    np.savez(tmp_path / "w.npz", **{k.replace("encoder.", "encoder.q"): v for k, v in arrays.items()})
    with pytest.raises(DataError, match="all names in the file begin with 'online.encoder.'"):
        net.arrays(weights=tmp_path / "w.npz")


@pytest.mark.parametrize(
    "text, error, message",
    [
        ("", UsageError, "has no rules"),
        ("- {from: a, to: b", SpecError, "NS102"),
        ("- {from: a}", SpecError, "a rule is"),
        ("- {from: a, too: b}", SpecError, "rule"),
        ("- {from: a, to: b, reshap: true}", SpecError, "no key 'reshap'"),
        ("- {from: 'a{n}', to: 'b{m}'}", SpecError, "no placeholder 'm'"),
        ("word", SpecError, "a list"),
        ("one: {from: a, to: b}", SpecError, "a list"),
        ("- a", SpecError, "a rule is"),
        ("\xff", UsageError, "not UTF-8"),
    ],
)
def test_mistakes_in_a_file_of_rules(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    (tmp_path / "rules.yaml").write_bytes(text.encode("latin-1"))
    net = netspec.load("lenet5")
    np.savez(tmp_path / "w.npz", **net.arrays())
    with pytest.raises(error, match=message):
        net.arrays(weights=tmp_path / "w.npz", rules=tmp_path / "rules.yaml")


def test_files_of_rules_may_name_sources(tmp_path: Path) -> None:
    net = netspec.load("lenet5")
    arrays = net.arrays(seed=2)
    np.savez(
        tmp_path / "w.npz",
        **{f"b.{k}": v for k, v in arrays.items() if k[0] == "c"},
        **{f"a.{k}": v for k, v in arrays.items() if k[0] != "c"},
        **{"a.b.c.d": np.zeros(3)},
    )
    two = "two: [{from: a.b.c.d, to: null}, {from: 'a.{l}.{t}', to: '{l}.{t}'}, {from: 'b.{l}.{t}', to: '{l}.{t}'}]"
    for text in (f"one: [{{from: 'a.{{x}}', to: null}}]\n{two}", f"checkpoints:\n  {two}"):
        (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
        found = net.arrays(weights=tmp_path / "w.npz", rules=tmp_path / "rules.yaml")
        assert all(np.array_equal(found[k], v) for k, v in arrays.items())


# Other classes


def compiled(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netspec", "compile", *options, "--to", "onnx", "-o", "net.onnx"],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "variant, name, head",
    [
        pytest.param("resnet18", "torchvision:resnet18", "fc", marks=pytest.mark.slow),
        pytest.param("squeezenet_11", "torchvision:squeezenet1_1", "conv10.conv", marks=pytest.mark.slow),
        pytest.param("googlenet_torchvision", "torchvision:googlenet", "fc", marks=pytest.mark.slow),
    ],
)
def test_other_classes_are_named_and_the_printed_options_load_the_rest(
    torchvision: Any, variant: str, name: str, head: str, tmp_path: Path
) -> None:
    torch.save(drawn_state(torchvision, name), tmp_path / "w.pth")
    line = (variant, "-s", "classes=10", "--weights", "w.pth")
    refused = compiled(tmp_path, *line)
    assert refused.returncode == 1
    assert f"the classifier '{head}' has 1000 classes in the file and 10 in the network" in refused.stderr
    options = re.findall(r"`(-s \S+|--exclude [^`]+)`", refused.stderr)
    assert options == ["-s classes=1000", f"--exclude {head}"]
    assert "`-s classes=1000` in place of yours" in refused.stderr
    for option in options:
        others = line if option.startswith("--exclude") else (variant, "--weights", "w.pth")
        done = compiled(tmp_path, *others, *option.split())
        assert done.returncode == 0, done.stderr
        assert (f"drawn, not from the checkpoint: {head}" in done.stderr) == option.startswith("--exclude")


def test_other_classes_of_several_heads(torchvision: Any, tmp_path: Path) -> None:
    state = drawn_state(torchvision, "torchvision:googlenet")
    torch.save(state, tmp_path / "w.pth")
    net = network("googlenet_torchvision", classes=7)
    with pytest.raises(DataError, match="the classifiers 'aux1.aux_head.fc2' and 'aux2.aux_head.fc2' and 'fc'") as info:
        net.arrays(weights=tmp_path / "w.pth", training=True)
    heads = re.findall(r"--exclude (\S+?)`? ", info.value.help)
    assert heads == ["aux1.aux_head.fc2", "aux2.aux_head.fc2", "fc"]
    with pytest.warns(netspec.network.CheckpointWarning, match="not from the checkpoint: aux1.aux_head.fc2, aux2"):
        net.arrays(weights=tmp_path / "w.pth", training=True, exclude=heads)


def test_a_param_that_does_not_load_it_is_not_printed(tmp_path: Path) -> None:
    spec = tmp_path / "n.yaml"
    spec.write_text(
        "netspec: 1\nname: n\nparams: {classes: 4, width: 4}\ninput: [3, 4, 4]\n"
        "body:\n  - conv: [=width, 1]\n  - flatten\n  - fc = linear: =classes\n",
        encoding="utf-8",
    )
    np.savez(tmp_path / "w.npz", **netspec.load(spec, classes=9).arrays())
    with pytest.raises(DataError, match="'fc' has 9 classes in the file and 4") as info:
        netspec.load(spec).arrays(weights=tmp_path / "w.npz")
    assert "-s classes=9" in info.value.help and "width" not in info.value.help


@pytest.mark.parametrize(
    "head, settings",
    [
        ("head", {}),
        pytest.param("fc.1", {"classes": 5}, marks=pytest.mark.slow),
        pytest.param("a.classifier", {"classes": 5}, marks=pytest.mark.slow),
    ],
)
def test_a_renamed_classifier_of_other_classes(
    torchvision: Any, head: str, settings: dict[str, int], tmp_path: Path
) -> None:
    """The rule and the options that are printed load it; the rules that the spec has are not printed again."""
    state = drawn_state(torchvision, "torchvision:resnet18")
    for t, shape in (("weight", (10, 512)), ("bias", (10,))):
        del state[f"fc.{t}"]
        state[f"{head}.{t}"] = torch.full(shape, 7.0)
    torch.save(state, tmp_path / "w.pth")
    ours = settings.get("classes", 1000)
    with pytest.raises(DataError) as info:
        network("resnet18", **settings).arrays(weights=tmp_path / "w.pth")
    assert f"'{head}' looks like 'fc': the classifier 'fc' has 10 classes in the file and {ours} in" in str(info.value)
    assert printed(info.value) == [f'- {{from: "{head}.{{t}}", to: "fc.{{t}}"}}']
    yours = " in place of yours" if settings else ""
    assert info.value.help == (
        f"`-s classes=10 --rules FILE`{yours} makes the network with the checkpoint's; "
        "`--exclude fc` loads all else and draws fc"
    )
    (tmp_path / "rules.yaml").write_text("\n".join(printed(info.value)), encoding="utf-8")
    found = network("resnet18", classes=10).arrays(weights=tmp_path / "w.pth", rules=tmp_path / "rules.yaml")
    assert (found["fc.weight"] == 7).all()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = network("resnet18", **settings).arrays(weights=tmp_path / "w.pth", exclude=["fc"])
    assert [str(w.message) for w in said] == [
        f"left {head}.weight, {head}.bias: fc is excluded",
        "drawn, not from the checkpoint: fc",
    ]
    assert found["fc.weight"].shape == (ours, 512) and not (found["fc.weight"] == 7).any()


def test_classifiers_that_could_be_either_are_not_named(torchvision: Any, tmp_path: Path) -> None:
    """The auxiliary ones of GoogLeNet are alike: whose a renamed one is cannot be told by shapes."""
    state = drawn_state(torchvision, "torchvision:googlenet")
    for old, new in (("fc", "head"), ("aux1.fc2", "aux1.head"), ("aux2.fc2", "aux2.head")):
        del state[f"{old}.weight"], state[f"{old}.bias"]
        state |= {f"{new}.weight": torch.zeros(10, 1024), f"{new}.bias": torch.zeros(10)}
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(DataError) as info:
        network("googlenet_torchvision").arrays(weights=tmp_path / "w.pth", training=True)
    assert "looks like" not in str(info.value)


@pytest.mark.parametrize(
    "change, what",
    [
        ({"head.weight": (10, 512)}, "a tensor less"),
        ({"head.weight": (10, 512), "head.bias": (10,), "head.scale": (10,)}, "a tensor more"),
        ({"head.weight": (10, 512), "head.gain": (10,)}, "of another name"),
        ({"head.weight": (10, 512, 1, 1), "head.bias": (10,)}, "a convolution"),
        ({"head.weight": (10, 512), "head.bias": (10,), "fc.weight": (9, 512)}, "beside a part of the excluded one"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_an_excluded_layer_does_not_explain_is_unexpected(
    torchvision: Any, change: dict[str, tuple[int, ...]], what: str, tmp_path: Path
) -> None:
    state = drawn_state(torchvision, "torchvision:resnet18")
    del state["fc.weight"], state["fc.bias"]
    torch.save(state | {key: torch.zeros(shape) for key, shape in change.items()}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="unexpected in the file"):
        network("resnet18").arrays(weights=tmp_path / "w.pth", exclude=["fc"])


@pytest.mark.parametrize(
    "gone, more",
    [
        (["layer3.0.conv1.weight"], []),
        (["layer1.1.bn2.running_var"], []),
        (["conv1.weight"], ["extra.weight"]),
        (["fc.bias"], []),
        ([f"layer4.1.conv{n}.weight" for n in (1, 2)], ["a.weight", "b.gain"]),
    ],
)
def test_no_rules_are_made_up_for_what_the_specs_own_map(
    torchvision: Any, gone: list[str], more: list[str], tmp_path: Path
) -> None:
    state = drawn_state(torchvision, "torchvision:resnet18")
    for key in gone:
        del state[key]
    torch.save(state | {key: torch.zeros(3) for key in more}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=rf"by torchvision\)\n  missing in the file \({len(gone)}\)") as info:
        network("resnet18").arrays(weights=tmp_path / "w.pth")
    assert not printed(info.value)
    option = re.search(r"`--exclude (\S+)` loads all else", info.value.help)
    assert bool(option) == (gone == ["layer3.0.conv1.weight"])
    if option:
        with pytest.warns(netspec.network.CheckpointWarning, match=f"drawn, not from the checkpoint: {option[1]}$"):
            network("resnet18").arrays(weights=tmp_path / "w.pth", exclude=[option[1]])


# Layers


UNITS = """\
netspec: 1
name: units
use: [blocks/common]
input: [3, 16, 16]
blocks:
  unit:
    body:
      - add:
          residual: [conv1 = conv_bn_relu: [4, 3], conv2 = conv_bn: [4, 3]]
          shortcut: []
body:
  - conv1 = conv_bn_relu: [4, 3]
  - layer1 = unit: {}
    repeat: 2
  - layer2 = unit: {}
    repeat: 2
  - layer3 = unit: {}
    repeat: 2
  - layer4 = unit: {}
    repeat: 2
  - flatten
  - fc = linear: 5
"""


def test_patterns_of_layers(tmp_path: Path) -> None:
    (tmp_path / "units.yaml").write_text(UNITS, encoding="utf-8")
    net = netspec.load(tmp_path / "units.yaml")
    np.savez(tmp_path / "w.npz", **net.arrays(seed=9))
    other, own = net.arrays(seed=9), net.arrays()

    def taken(**options: Any) -> set[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            arrays = net.arrays(weights=tmp_path / "w.npz", **options)
        drawn = {k for k in own if not np.array_equal(own[k], other[k])}
        assert all(np.array_equal(arrays[k], own[k]) or np.array_equal(arrays[k], other[k]) for k in own)
        return {k for k in drawn if np.array_equal(arrays[k], other[k])}

    def convs(pattern: str) -> set[str]:
        return {k for k in own if re.match(pattern, k) and k.endswith(("conv.weight", "fc.weight"))}

    everything = convs("")
    assert taken() == everything and len(everything) == 18
    assert taken(layers=["layer1", "conv1"]) == convs("layer1|conv1")
    assert taken(layers=["layer*.0"]) == convs(r"layer\d\.0\.")
    assert taken(layers=["layer?.*.residual"]) == convs(r"layer\d\.\d\.residual")
    assert taken(exclude=["fc"]) == everything - convs("fc")
    assert taken(layers=["layer*"], exclude=["layer4", "layer*.1"]) == convs(r"layer[123]\.0")
    for pattern, help_ in (("layer5", "layer"), ("layer*.7", ""), ("fcc", "did you mean 'fc'?")):
        with pytest.raises(UsageError, match=f"no step '{re.escape(pattern)}' with weights") as info:
            taken(layers=[pattern])
        assert help_ in info.value.help
        with pytest.raises(UsageError):
            taken(exclude=[pattern])


def test_the_commands_options_are_those_of_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = netspec.load("lenet5")
    np.savez(tmp_path / "w.npz", **{f"a.{k}": v for k, v in net.arrays(seed=9).items()})
    (tmp_path / "r.yaml").write_text("- {from: 'a.{l}.{t}', to: '{l}.{t}'}\n", encoding="utf-8")
    done = compiled(
        tmp_path,
        "lenet5",
        "--weights",
        "w.npz",
        "--rules",
        "r.yaml",
        "--layers",
        "c*, f6",
        "--exclude",
        "c3",
        "--seed",
        "2",
    )
    assert done.returncode == 0, done.stderr
    from onnx import load, numpy_helper

    made = {t.name: numpy_helper.to_array(t) for t in load(tmp_path / "net.onnx").graph.initializer}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arrays = net.arrays(2, tmp_path / "w.npz", layers=["c*", "f6"], exclude=["c3"], rules=tmp_path / "r.yaml")
        net.to_onnx(
            tmp_path / "same.onnx",
            2,
            tmp_path / "w.npz",
            layers=["c*", "f6"],
            exclude=["c3"],
            rules=tmp_path / "r.yaml",
        )
    assert all(np.array_equal(made[k], v) for k, v in arrays.items())
    assert (tmp_path / "same.onnx").read_bytes() == (tmp_path / "net.onnx").read_bytes()
    for option in ("--layers", "--exclude", "--rules", "--checkpoint-key"):
        assert run(["compile", "lenet5", option, "c1", "--to", "onnx", "-o", str(tmp_path / "alone.onnx")]) == 2
        assert f"{option} goes with --weights" in capsys.readouterr().err
