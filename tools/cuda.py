"""Runs a network of each shipped family on a CUDA device and compares it with the CPU; prints a table in Markdown.

It needs a GPU, a PyTorch that can use it, and the packages of netspec; `python tools/cuda.py > table.md` anywhere, or
`tools/dev cuda`. Weights and inputs are random, from one seed. float64 shows whether it is the same function; float32
(with TensorFloat-32 off) is how far rounding goes. It ends with exit code 1 where two disagree.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / part) for part in ("", "backends")]

import netspec
import numpy as np
import torch
from netspec.backend import get
from netspec.errors import MissingError
from netspec.library import shipped, variant_names
from netspec.network import Network
from netspec.samples import sample

BATCH, REPEAT, TOLERANCE = 8, 20, 1e-9
HEAD = """\
| network | float64, CUDA against CPU | float32 | ms a batch of {batch} on CUDA | trained a step, frozen kept |
| --- | ---: | ---: | ---: | --- |"""


def inputs_of(network: Network, batch: int) -> dict[str, np.ndarray]:
    """Random inputs of a network by name."""
    nodes = network.inference.inputs
    return sample({n.path: n.shape for n in nodes}, {n.path: n.attrs["sample"] for n in nodes}, batch, 0)


def gap(a: object, b: object) -> float:
    """max|a - b| / max|b| over all outputs."""
    pairs = [(a[k], b[k]) for k in a] if isinstance(a, dict) and isinstance(b, dict) else [(a, b)]
    arrays = [[np.asarray(torch.as_tensor(v).detach().cpu(), np.float64) for v in pair] for pair in pairs]
    return max(float(np.abs(x - y).max() / max(np.abs(y).max(), 1e-30)) for x, y in arrays)


def same_function(network: Network) -> float:
    """How far CUDA is from the CPU in float64."""
    given = [torch.from_numpy(v).double() for v in inputs_of(network, 2).values()]
    module = network.to_torch().double()
    with torch.inference_mode():
        expected = module(*given)
        return gap(module.cuda()(*[v.cuda() for v in given]), expected)


def run_twice(network: Network) -> tuple[float, float]:
    """How far `netspec run --device cuda` is from the CPU, and the median of its milliseconds."""
    backend, arrays, given = get("torch"), network.arrays(), inputs_of(network, BATCH)
    expected = backend.run(network.inference, arrays, given, "cpu").outputs
    result = backend.run(network.inference, arrays, given, "cuda", REPEAT)
    assert "torch" in result.provider and torch.cuda.get_device_name() in result.provider
    return gap(result.outputs, expected), statistics.median(result.latency_ms)


def trains(network: Network) -> bool:
    """Whether a step of training on the GPU moves what is trained and leaves what is frozen as it was."""
    keys = list(network.graph.tensors())
    step = keys[0].rpartition(".")[0]
    module = network.to_torch(training=True, freeze=[step]).cuda()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], 0.1)
    result = module(*[torch.from_numpy(v).cuda() for v in inputs_of(network, 2).values()])
    sum(v.square().mean() for v in (result.values() if isinstance(result, dict) else [result])).backward()
    optimizer.step()
    after = module.state_dict()
    held = all(torch.equal(before[k], after[k]) for k in before if k.startswith(f"{step}."))
    return held and any(not torch.equal(before[k], after[k]) for k in before)


def onnxruntime() -> str:
    """What onnxruntime does on this machine: how far it is from its CPU, or why it has no CUDA."""
    network = netspec.load("resnet18")
    given, arrays = inputs_of(network, 2), network.arrays()
    try:
        result = get("onnx").run(network.inference, arrays, given, "cuda", REPEAT)
    except MissingError as e:
        return f"onnxruntime: {e} (exit code {e.exit_code}; {e.help})"
    expected = get("onnx").run(network.inference, arrays, given, "cpu").outputs
    return f"onnxruntime on {result.provider}: {gap(result.outputs, expected):.0e} from its CPU on resnet18"


def main() -> int:
    """Prints the table; the exit code."""
    if not torch.cuda.is_available():
        print("there is no CUDA device, or this PyTorch cannot use it", file=sys.stderr)
        return 3
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}.\n")
    print(HEAD.format(batch=BATCH))
    wrong = 0
    for path in shipped():
        network = netspec.load(path, next(iter(variant_names(path)), None))
        if sum(int(np.prod(shape)) for shape, _, _ in network.inference.tensors().values()) > 100e6:
            network = netspec.load(path, list(variant_names(path))[-1])
        exact, (near, ms), trained = same_function(network), run_twice(network), trains(network)
        wrong += not (exact < TOLERANCE and trained)
        print(f"| `{network.name}` | {exact:.0e} | {near:.0e} | {ms:.2f} | {'yes' if trained else 'NO'} |", flush=True)
        torch.cuda.empty_cache()
    print(f"\n{onnxruntime()}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
