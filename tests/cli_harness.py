"""A small spec, for commands that are called in its folder."""

from __future__ import annotations

TINY = """\
netspec: 1
name: tiny
params: {classes: 10}
variants: {tiny: {}, wide: {classes: 20}}
input: [3, 32, 32]
body:
  - conv: [8, 3]
  - relu
  - global_avg_pool
  - flatten
  - linear: =classes
"""
