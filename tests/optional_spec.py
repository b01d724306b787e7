"""The spec on which tests/optional_harness.py calls every entry."""

SPEC = """\
netspec: 1
name: net
use: [blocks/common]
input: [3, 8, 8]
body:
  - stem = conv_bn_relu: [8, 3]
  - drop = dropout: 0.5
  - global_avg_pool
  - flatten
  - linear: 4
"""
