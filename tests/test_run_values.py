"""Values on their way through `netspec run`: types are kept, classes are ranked, everything else is summarised."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from run_harness import CASES, IMAGE, Netspec, identity, model

pytestmark = pytest.mark.usefixtures("folder")

# Values keep their type.

PLAIN = [
    "float32",
    "float64",
    "float16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
]
HARD = {
    "int64": [2**53 + 1, -(2**63), 3],
    "uint64": [2**64 - 1, 2**63 + 1, 0],
    "float64": [np.pi, 1e300, -1e-300],
    "int32": [2**31 - 1, -(2**24) - 1, 0],
    "uint32": [2**32 - 1, 2**24 + 1, 0],
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.quick(4)
def test_values_keep_their_type_from_the_file_to_the_model_and_back(netspec_run: Netspec, name: str) -> None:
    path = identity(helper.np_dtype_to_tensor_dtype(np.dtype(name)))
    value = np.array([HARD.get(name, [1, 0, 1])], name)
    for given in (value, np.asfortranarray(value), value.astype(value.dtype.newbyteorder(">"))):
        np.save("a.npy", given)
        code, out, _ = netspec_run(path, "--npy", "a.npy", "--save", "o.npz")
        found = np.load("o.npz")["y"]
        assert code == 0 and found.dtype == value.dtype and np.array_equal(found, value)
        assert f"input x: 1x3 {name}" in out and f"output y: 1x3 {name}" in out
    assert netspec_run(path)[0] == 0  # drawn in this type


def test_strings_go_in_and_come_out(netspec_run: Netspec) -> None:
    path = identity(TensorProto.STRING)
    words = np.array([["red", "grün", "a\x1b[31m"]])
    np.save("a.npy", words)
    code, out, _ = netspec_run(path, "--npy", "a.npy", "--save", "o.npz")
    assert code == 0 and "output y: 1x3 string\n  first 'red', 'grün'" in out and "\x1b" not in out
    assert np.array_equal(np.load("o.npz")["y"], words)
    np.save("b.npy", np.char.encode(words, "utf-8"))
    assert netspec_run(path, "--npy", "b.npy", "--save", "o.npz")[0] == 0
    assert np.array_equal(np.load("o.npz")["y"], words)
    np.save("n.npy", np.zeros((1, 3)))
    assert "is float64, the model expects string" in netspec_run(path, "--npy", "n.npy")[2]
    assert "is string, the model expects float32" in netspec_run(identity(), "--npy", "a.npy")[2]


@pytest.mark.parametrize(
    "kind, dtype",
    [
        ("BFLOAT16", ml_dtypes.bfloat16),
        ("FLOAT8E4M3FN", ml_dtypes.float8_e4m3fn),
        ("FLOAT8E5M2", ml_dtypes.float8_e5m2),
    ],
)
def test_types_that_numpy_lacks(netspec_run: Netspec, kind: str, dtype: Any) -> None:
    path = identity(getattr(TensorProto, kind))
    value = np.array([[1.5, -2, 0.25]], dtype)
    np.save("a.npy", value.view(f"V{value.dtype.itemsize}"))  # as numpy writes bfloat16: bytes without a name
    np.save("b.npy", value.astype(np.float64))
    for name in ("a.npy", "b.npy"):
        code, out, err = netspec_run(path, "--npy", name, "--save", "o.npz", "--no-softmax")
        assert code == 0 and "top 3: 0 (1.5), 2 (0.25), 1 (-2)" in out
        assert np.array_equal(np.load("o.npz")["y"], [[1.5, -2, 0.25]]) and "saved as float32, exactly" in err
    assert netspec_run(path)[0] == 0


@pytest.mark.parametrize(
    "kind, given, said",
    [
        ("FLOAT", np.array([2**24 + 1, 0, 0]), "is int64, the model expects float32, which cannot hold 16777217"),
        ("INT64", np.array([0.5, 0, 0]), "is float64, the model expects int64, which cannot hold 0.5"),
        ("INT64", np.array([np.nan, 0, 0]), "cannot hold nan"),
        ("INT8", np.array([0, 200, 0]), "cannot hold 200"),
        ("UINT64", np.array([0, -1, 0]), "cannot hold -1"),
        ("INT64", np.array([2**63, 0, 0], np.uint64), "cannot hold 9223372036854775808"),
        ("DOUBLE", np.array([2**63 - 1, 0, 0]), "cannot hold 9223372036854775807"),
        ("BOOL", np.array([0, 255, 1]), "cannot hold 255"),
        ("FLOAT16", np.array([0, 70000.0, 0]), "holds 70000, which float16"),
        ("FLOAT", np.array([0, 1e39, 0]), "holds 1e+39, which float32"),
        ("FLOAT", np.array([0, 1j, 0]), "is complex128"),
        ("FLOAT", np.zeros(3, "V4"), "is void32, the model expects float32"),
        ("FLOAT", np.zeros(3, "M8[s]"), "no numbers"),
        ("FLOAT", np.zeros(3, [("a", "f4")]), "no numbers"),
    ],
)
def test_values_that_would_change_are_errors(netspec_run: Netspec, kind: str, given: np.ndarray, said: str) -> None:
    np.save("a.npy", given)
    code, _, err = netspec_run(identity(getattr(TensorProto, kind), [3]), "--npy", "a.npy")
    assert code == 1 and "error[NS701]" in err and said in err


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_a_spec_takes_float32_and_says_what_is_rounded(netspec_run: Netspec, backend: str) -> None:
    spec = [str(CASES / "two_inputs.yaml"), "--backend", backend, "--save", "o.npz"]
    np.save("right.npy", np.zeros((1, 1, 4, 4), np.uint8))
    for given, said in (
        (np.full((1, 1, 4, 4), 0.1), "left (left.npy) is float64, the model expects float32: rounded"),
        (np.full((1, 1, 4, 4), 7), ""),
    ):
        np.save("left.npy", given)
        code, _, err = netspec_run(*spec, "--npy", "left.npy", "--npy", "right.npy")
        assert code == 0 and said in err and bool(said) == ("note:" in err)
        assert np.array_equal(np.load("o.npz")["output"], given.astype(np.float32))
    np.save("left.npy", np.full((1, 1, 4, 4), 2**24 + 1))
    code, _, err = netspec_run(*spec, "--npy", "left.npy")
    assert code == 1 and "cannot hold 16777217" in err


# Rankings, summaries, containers.


def logits(values: Any) -> list[str]:
    """Arguments that give these values as the result."""
    array = np.asarray(values)
    np.save("a.npy", array)
    return [identity(helper.np_dtype_to_tensor_dtype(array.dtype), array.shape), "--npy", "a.npy"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "values, args, said",
    [
        (np.float32([[1, 3, 2]]), [], "top 3 by softmax: 1 (0.6652), 2 (0.2447), 0 (0.09003)"),
        (np.float16([[1, 3, 2]]), [], "top 3 by softmax: 1 (0.6652), 2 (0.2447), 0 (0.09003)"),
        (np.float64([[1000, 3000, 2000]]), [], "top 3 by softmax: 1 (1), 2 (0), 0 (0)"),
        (np.float32([[1, 3, 2]]), ["--no-softmax"], "top 3: 1 (3), 2 (2), 0 (1)"),
        (np.float32([[0.1, 0.7, 0.2]]), [], "top 3: 1 (0.7), 2 (0.2), 0 (0.1)"),  # these are probabilities
        (np.float32([[0.1, 0.7, 0.2]]), ["--softmax"], "top 3 by softmax: 1 (0.4640), 2 (0.2814), 0 (0.2546)"),
        (np.float32([[0.1, 0.7, 0.2], [1, 3, 2]]), [], "[0] top 3 by softmax: 1 (0.464), "),
        (np.float32([[0.9, 0.7, 0.2]]), [], "top 3: 0 (0.9), 1 (0.7), 2 (0.2)"),  # as of sigmoids
        (np.int8([[-128, 127, 0]]), [], "top 3: 1 (127), 2 (0), 0 (-128)"),
        (np.float32([[[[1]], [[3]]]]), [], "top 2 by softmax: 1 (0.8808), 0 (0.1192)"),
        (np.float32([[np.nan, 3, np.inf]]), [], "top 3: 2 (inf), 1 (3), 0 (nan)"),
        (np.int64([[3, 1, 2]]), [], "min 1, max 3, mean 2; first 3, 1, 2"),
        (np.uint64([[2**64 - 1, 1]]), [], "min 1, max 18446744073709551615, mean 9.223e+18"),
        (np.float32([[3]]), [], "  3\n"),
        (np.float32([1, 2]), [], "min 1, max 2, mean 1.5; first 1, 2"),
        (np.float32([[[1, np.nan]]]), [], "min 1, max 1, mean 1; first 1, nan; 1 not finite"),
        (np.zeros((2, 0), np.float32), [], "  empty\n"),
        (np.float32([[1, 2]] * 7), [], "... 3 more"),
    ],
)
def test_only_vectors_of_classes_are_ranked(
    netspec_run: Netspec, values: np.ndarray, args: list[str], said: str
) -> None:
    code, out, err = netspec_run(*logits(values), *args)
    assert code == 0 and said.replace("0.4640", "0.464") in out
    odd = values.dtype.kind == "f" and not np.isfinite(values).all()
    assert ("warning: the outputs hold infinite values or NaN" in err) == odd


def test_rows_that_are_no_batch_are_not_ranked(netspec_run: Netspec) -> None:
    """The boxes of a detector: four numbers each, and more of them than images."""
    path = model(
        "m.onnx", "Reshape", {"x": (TensorProto.FLOAT, ["n", 8]), "to": (TensorProto.INT64, [2])}, TensorProto.FLOAT
    )
    np.save("to.npy", np.array([2, 4]))
    code, out, _ = netspec_run(path, "--npy", "to=to.npy")
    assert code == 0 and "output y: 2x4 float32\n  min " in out and "top" not in out


def test_a_network_whose_input_has_no_batch_has_classes_too(netspec_run: Netspec) -> None:
    path = model(
        "m.onnx",
        "GatherElements",
        {"x": (TensorProto.FLOAT, [3, 2]), "at": (TensorProto.INT64, [1, 2])},
        TensorProto.FLOAT,
    )
    np.save("x.npy", np.float32([[1, 2], [5, 4], [3, 0]]))
    np.save("at.npy", np.array([[1, 1]]))
    code, out, _ = netspec_run(path, "--npy", "x.npy", "--npy", "at.npy")
    assert code == 0 and "output y: 1x2 float32\n  top 2 by softmax: 0 (0.7311), 1 (0.2689)\n" in out


def container(kind: str) -> tuple[str, Any, str]:
    """A model of a container type, what stands in input_0.pb, and what is printed."""
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n"])
    parts = [np.float32([1, 2]), np.float32([3])]
    types = {"seq": helper.make_sequence_type_proto(tensor), "optional": helper.make_optional_type_proto(tensor)}
    types["none"] = types["optional"]
    info, out = (helper.make_value_info(name, types[kind]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [info], [out])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    Path("m.onnx").write_bytes(made.SerializeToString())
    proto, said = {
        "seq": (numpy_helper.from_list(parts), "output y: a sequence of 2\n  [0] 2 float32\n    min 1, max 2"),
        "optional": (numpy_helper.from_optional(parts[0]), "output y: 2 float32\n  min 1, max 2, mean 1.5"),
        "none": (numpy_helper.from_optional(None, dtype=onnx.OptionalProto.TENSOR), "output y: nothing (an empty"),
    }[kind]
    return "m.onnx", proto, said


@pytest.mark.parametrize("kind", ["seq", "optional", "none"])
def test_sequences_and_optionals(netspec_run: Netspec, kind: str) -> None:
    path, proto, said = container(kind)
    Path("input_0.pb").write_bytes(proto.SerializeToString())
    code, out, _ = netspec_run(path, "--pb", ".", "--save", "o.npz")
    assert code == 0 and said in out
    with np.load("o.npz") as found:
        assert {k: v.tolist() for k, v in found.items()} == {
            "seq": {"y[0]": [1, 2], "y[1]": [3]},
            "optional": {"y": [1, 2]},
            "none": {},
        }[kind]
    assert netspec_run(path)[0] == 0  # drawn
    np.save("a.npy", np.float32([1, 2]))
    code, _, err = netspec_run(path, "--npy", "a.npy")
    assert (code, "is one tensor, the model expects seq(tensor(float))" in err) == (
        (1, True) if kind == "seq" else (0, False)
    )


@pytest.mark.parametrize("labels, said", [("ints", "0: 0.25, 7: 0.75"), ("strings", "'cat': 0.25, 'dog': 0.75")])
def test_maps_as_a_classifier_of_scikit_learn_gives_them(netspec_run: Netspec, labels: str, said: str) -> None:
    attrs: dict[str, Any] = (
        {"classlabels_int64s": [0, 7]} if labels == "ints" else {"classlabels_strings": ["cat", "dog"]}
    )
    node = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", **attrs)
    key = TensorProto.INT64 if labels == "ints" else TensorProto.STRING
    value = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    kind = helper.make_sequence_type_proto(onnx.TypeProto(map_type=onnx.TypeProto.Map(key_type=key, value_type=value)))
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_value_info("y", kind)],
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 1)], ir_version=10
    )
    Path("m.onnx").write_bytes(made.SerializeToString())
    np.save("a.npy", np.float32([[0.25, 0.75]] * 6))
    code, out, _ = netspec_run("m.onnx", "--npy", "a.npy", "--save", "o.npz")
    assert code == 0 and f"output y: a sequence of 6\n  [0] a map of 2\n    {said}\n" in out and "... 2 more" in out
    found = np.load("o.npz")
    assert found["y[5].values"].tolist() == [0.25, 0.75]
    assert found["y[5].keys"].tolist() == ([0, 7] if labels == "ints" else ["cat", "dog"])


def test_a_name_that_numpy_uses_itself_is_saved_under_its_name(netspec_run: Netspec) -> None:
    float_ = TensorProto.FLOAT
    names = ["file", "/a/b.c:0", "allow_pickle"]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x=1"], [n]) for n in names],
        "g",
        [helper.make_tensor_value_info("x=1", float_, [2])],
        [helper.make_tensor_value_info(n, float_, [2]) for n in names],
    )
    Path("m.onnx").write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    )
    np.save("a.npy", np.float32([1, 2]))
    Path("o.npz").write_text("old")
    assert netspec_run("m.onnx", "--npy", "x=1=a.npy", "--save", "o.npz")[0] == 0
    assert {k: v.tolist() for k, v in np.load("o.npz").items()} == {n: [1, 2] for n in names}


def test_a_failed_run_leaves_what_was_saved_before(netspec_run: Netspec) -> None:
    Path("o.npz").write_text("old")
    path = model(
        "m.onnx", "MatMul", {"a": (TensorProto.FLOAT, [2, 3]), "b": (TensorProto.FLOAT, ["n", 3])}, TensorProto.FLOAT
    )
    code, _, err = netspec_run(path, "--save", "o.npz")
    assert code == 1 and "NS703" in err and Path("o.npz").read_text() == "old"
    assert sorted(p.name for p in Path().iterdir()) == ["m.onnx", "o.npz"]


def header(text: str) -> bytes:
    """A .npy file that ends with its header."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY\x01\x00",
        b"no array",
        b"PK\x03\x04",
        b"\x80\x04K\x01.",
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,)}\n"),
        header("{'descr': '|V0', 'fortran_order': False, 'shape': (99999999999,)}\n"),
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (1\n"),
        header("(" * 5000),
    ],
)
@pytest.mark.quick(4)
def test_files_that_are_no_arrays_and_no_protos(netspec_run: Netspec, data: bytes) -> None:
    Path("a.npy").write_bytes(data)
    Path("input_0.pb").write_bytes(data or b"\xff")
    for args in (["--npy", "a.npy"], ["--pb", "."], ["--image", "a.npy"]):
        path = identity(shape=IMAGE)
        code, out, err = netspec_run(path, *args)
        assert code == 1 and "error[NS701]" in err and not out, args


def test_a_proto_that_reads_another_file_is_refused(netspec_run: Netspec) -> None:
    Path("secret").write_bytes(bytes(12))
    proto = TensorProto(dims=[1, 3], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    proto.external_data.add(key="location", value="secret")
    Path("input_0.pb").write_bytes(proto.SerializeToString())
    code, _, err = netspec_run(identity(), "--pb", ".")
    assert code == 1 and "its data stands in another file" in err
    Path("input_7.pb").write_bytes(b"")
    assert "the model has 1" in netspec_run(identity(), "--pb", ".")[2]


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: np.save(path, np.array([{1: 2}], object)), "it holds objects of Python\n   help: .* of numbers"),
        (lambda path: path.write_text("text"), "it is none\n   help: numpy.save writes one"),
    ],
)
def test_what_numpy_wrote_is_not_said_to_be_none(
    write: Callable[[Path], object], said: str, netspec_run: Netspec
) -> None:
    write(Path("a.npy"))
    path = model("m.onnx", "Relu", {"x": (TensorProto.FLOAT, [2])}, TensorProto.FLOAT)
    code, _, err = netspec_run(path, "--npy", "a.npy")
    assert code == 1 and re.search(f"not a .npy file that can be read: {said}", err), err
