"""What the pickle of a checkpoint may hold: classes, protocols, scripts, shared and expanded tensors."""

from __future__ import annotations

import argparse
import os
import pickle
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile_checkpoints import small, state
from netspec_torch.outline import conversion

from netspec.backend import read_checkpoint
from netspec.diagnostics.errors import DataError
from netspec.network import Network
from netspec.weights.checkpoints.files import states_of
from netspec.weights.checkpoints.stored import Need


@pytest.fixture
def net(tmp_path: Path) -> Network:
    return small(tmp_path)


# Pickles
@pytest.mark.parametrize(
    "value, name",
    [
        ({"args": argparse.Namespace(lr=1), "model": {"a": torch.zeros(1)}}, "argparse.Namespace"),
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
        ({"best": np.float64(3), "a": torch.zeros(1)}, r"numpy\S+scalar"),
        ({"a": np.zeros(3)}, r"numpy\S+_reconstruct"),
        ({"path": Path("a"), "a": torch.zeros(1)}, r"pathlib\S*Path"),
    ],
)
@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
def test_a_class_in_a_pickle_is_named_and_how_to_save_again(
    net: Network, value: object, name: str, old: bool, tmp_path: Path
) -> None:
    torch.save(value, tmp_path / "w.pth", _use_new_zipfile_serialization=not old)
    with pytest.raises(DataError, match=f"holds the class {name}") as info:
        net.arrays(weights=tmp_path / "w.pth")
    assert "torch.save(model.state_dict()" in info.value.help
    before, trusting, line = info.value.help.partition("; if you trust the file, of which this runs the code:\n")
    assert "weights_only=False" not in before and ("weights_only=False" in line) == bool(trusting)


ODD = argparse.Namespace(lr=1)


CONVERTED: dict[str, tuple[object, str]] = {
    "model": ({"model": state(), "args": ODD}, "['model'], "),
    "after": ({"args": ODD, "epoch": 3, "net": {"state_dict": state()}}, "['net']['state_dict'], "),
    "optimizer": (
        {
            "args": ODD,
            "model": torch.nn.Linear(9, 9).state_dict(),
            "optimizer": {
                "state": {
                    i: {"step": torch.tensor(1.0), "exp_avg": torch.ones(9), "exp_avg_sq": torch.ones(9)}
                    for i in range(4)
                }
            },
        },
        "['model'], ",
    ),
    "average": (
        {"model": state(), "args": ODD, "ema": {"module": {**state(), "n": torch.tensor(3)}}},
        "{'model': d['model'], 'ema.module': d['ema']['module']}",
    ),
    "beside": ({**state(), "args": ODD}, "if torch.is_tensor(v)}, "),
    "inside": ({"model": {**state(), "a._extra_state": ODD}}, "if torch.is_tensor(v)}, "),
    "module": (torch.nn.Linear(2, 2), ".state_dict(), "),
    "module in it": ({"model": torch.nn.Sequential(torch.nn.Linear(2, 2)), "epoch": 3}, "['model'].state_dict()"),
    "parameters": ({"params": torch.nn.ParameterDict({"a": torch.ones(2)}).state_dict(), "args": ODD}, "['params']"),
}


def conversions(folder: Path, net: Network, protocol: int, old: bool) -> dict[str, str]:
    """The code that is printed for each."""
    found = {}
    for name, (value, expected) in CONVERTED.items():
        torch.save(value, folder / f"{name}.pth", pickle_protocol=protocol, _use_new_zipfile_serialization=not old)
        with pytest.raises(DataError) as info:
            net.arrays(weights=folder / f"{name}.pth")
        command, option, found[name] = shlex.split(info.value.help.splitlines()[-1])
        assert (command, option) == ("python", "-c") and expected in found[name], found[name]
    return found


@pytest.mark.parametrize("protocol", [pytest.param(n, marks=pytest.mark.slow) for n in (2, 4)])
def test_the_line_that_is_printed_for_a_trusted_file_takes_its_tensors_out(
    net: Network, protocol: int, tmp_path: Path
) -> None:
    codes = conversions(tmp_path, net, protocol, protocol == 2)
    lines = [
        f"{code}\nimport os; os.replace('weights.pth', {str(tmp_path / f'{name}.new')!r})"
        for name, code in codes.items()
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=tmp_path, check=True, timeout=300)
    for name in CONVERTED:
        os.replace(tmp_path / f"{name}.new", tmp_path / "new.pth")
        states = states_of(tmp_path / "new.pth", Need(), read_checkpoint)
        assert len(states) == 1 + (name == "average") and states[0].tensors, name
        if name in ("model", "beside", "inside", "average"):
            assert dict(states[0].tensors).keys() == state().keys(), name


def test_no_line_has_words_of_a_file_that_a_shell_would_read(net: Network, tmp_path: Path) -> None:
    for key in ("a'b", 'a"; rm x; "', "$(touch x)", "`x`", "a\nb", "k" * 100, "\u202e"):
        torch.save({key: state(), "args": ODD}, tmp_path / "w.pth")
        with pytest.raises(DataError) as info:
            net.arrays(weights=tmp_path / "w.pth")
        assert key not in info.value.help and "weights_only" not in info.value.help
    torch.save({"model": state(), "args": ODD}, tmp_path / "it's $HOME.pth")
    with pytest.raises(DataError) as info:
        net.arrays(weights=tmp_path / "it's $HOME.pth")
    assert "torch.load('FILE', " in info.value.help and "HOME" not in info.value.help


def test_no_instructions_of_a_pickle_break_its_outline(tmp_path: Path) -> None:
    """Whatever they are, there is a line or none, after as many steps as there are instructions."""
    rng = np.random.default_rng(0)
    whole = pickle.dumps({"model": {"a": 1, "b": [2, (3, 4)]}, "args": ODD}, 2)
    for _ in range(200):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 6)):
            data[at] = rng.choice([*b"(}])tuseab02.NRQqhrjX", rng.integers(256)])
        conversion(tmp_path, bytes(data), 10_000)
    assert conversion(tmp_path, b"(" * 10_000 + b"}" * 10_000 + b"(t" * 10_000 + b".", 10**6) == ""
    loop = b"}q\0X\1\0\0\0ah\0s."
    assert conversion(tmp_path, loop, 100) == ""


def test_pickles_of_other_protocols_and_scripts(net: Network, tmp_path: Path) -> None:
    state = {k: torch.from_numpy(v) for k, v in net.arrays(seed=1).items()}
    for protocol in (2, 3, 4, 5):
        torch.save(state, tmp_path / "w.pth", pickle_protocol=protocol)
        try:
            found = net.arrays(weights=tmp_path / "w.pth")
        except DataError as e:
            assert protocol > 3 and "torch.save(model.state_dict()" in e.help, protocol
        else:
            assert all(np.array_equal(found[k], state[k].numpy()) for k in state)
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "s.pt"))  # type: ignore[no-untyped-call]
    with pytest.raises(DataError, match="a scripted model"):
        net.arrays(weights=tmp_path / "s.pt")
    with (tmp_path / "p.pkl").open("wb") as f:
        pickle.dump({"a": 1}, f, 2)
    with pytest.raises(DataError):
        net.arrays(weights=tmp_path / "p.pkl")


def test_what_is_shared_expanded_or_of_other_types(net: Network, tmp_path: Path) -> None:
    """Views, expanded and transposed tensors, parameters, and both byte orders."""
    arrays = net.arrays(seed=1)
    state = {k: torch.from_numpy(v) for k, v in arrays.items()}
    state["bn.weight"] = torch.ones(1).expand(8)
    state["fc.weight"] = torch.from_numpy(arrays["fc.weight"].T.copy()).T
    state["c.bias"] = torch.nn.Parameter(torch.cat([torch.zeros(3), state["c.bias"]])[3:])
    for old in (False, True):
        torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=not old)
        found = net.arrays(weights=tmp_path / "w.pth")
        assert all(np.array_equal(found[k], state[k].detach().numpy()) for k in state)
    np.savez(tmp_path / "w.npz", **{k: np.asfortranarray(v.astype(">f8")) for k, v in arrays.items()})
    found = net.arrays(weights=tmp_path / "w.npz")
    assert all(np.array_equal(found[k], v) and found[k].dtype == np.float32 for k, v in arrays.items())


def test_a_pth_of_the_other_byte_order_is_refused(net: Network, tmp_path: Path) -> None:
    """PyTorch does not swap the bytes of a file that it maps."""
    torch.save({k: torch.from_numpy(v) for k, v in net.arrays(seed=1).items()}, tmp_path / "w.pth")
    other = "little" if sys.byteorder == "big" else "big"
    with zipfile.ZipFile(tmp_path / "w.pth") as old, zipfile.ZipFile(tmp_path / "v.pth", "w") as new:
        for part in old.infolist():
            new.writestr(part.filename, other if part.filename.endswith("byteorder") else old.read(part))
    with pytest.raises(DataError, match="the other order of bytes"):
        net.arrays(weights=tmp_path / "v.pth")
