"""What a checkpoint that does not fit is told: the rules to write for renamed tensors, the options for other classes.

What is printed is typed, and loads the right tensors."""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_harness import State, drawn_state, printed
from conftest import sampled
from parity import network
from test_checkpoints import CHECKPOINTS

import netspec
from netspec.diagnostics.errors import DataError, SpecError, UsageError

pytestmark = pytest.mark.slow

WORDS = ["alpha", "trunk", "body", "unit", "convolution", "norm", "op", "part", "mix", "kern", "cell", "w", "z_"]


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


SLOW = ["resnet18", "mobilenet_v2"]


@pytest.mark.parametrize("kind", [stems, upper, inserted, letters], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("variant", [QUICK, *(pytest.param(v, marks=pytest.mark.slow) for v in SLOW)])
@pytest.mark.quick(1)
def test_the_printed_rules_load_a_checkpoint_whose_words_are_others(
    torchvision: Any, variant: str, kind: Callable[[random.Random, list[str]], Callable[[str], str]], tmp_path: Path
) -> None:
    net, state = network(variant), drawn_state(torchvision, CHECKPOINTS[variant])
    path, rules = tmp_path / "w.pth", tmp_path / "rules.yaml"
    torch.save(state, path)
    right = net.arrays(weights=path)
    tried = 0
    for seed in sampled(range(4), 2, slow=4 if variant == QUICK else 1):
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
    assert info.value.help == '`exclude=["f6", "output"]` loads all else and draws f6 and output'
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
