"""How PyTorch source has the two ops: by what PyTorch lacks, which is written into the files that use it."""

from __future__ import annotations

from netspec_torch.rows import Arg, Layer, Row

from netspec.backend import lowering

HARD_MISH = '''\
def hard_mish(x):
    """x * min(max(x + 2, 0), 2) / 2"""
    return x * (x + 2).clamp(0, 2) / 2
'''
GEM_POOL = '''\
class GeMPool(nn.Module):
    """The generalised mean of each channel, with a learned exponent."""

    def __init__(self, eps=1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.full([1], 3.0))

    def forward(self, x):
        return x.clamp(min=self.eps).pow(self.weight).mean([2, 3], keepdim=True).pow(1 / self.weight)
'''

lowering("torch", "hard_mish", Row(call=lambda node, shapes: "hard_mish({0})", helpers={"hard_mish": HARD_MISH}))
lowering(
    "torch",
    "gem_pool",
    Row(lambda node, shapes: Layer("GeMPool", (Arg("eps", node.attrs["eps"], 1e-6),)), helpers={"GeMPool": GEM_POOL}),
)
