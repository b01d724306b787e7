"""A deeply supervised network: at inference it is Network in Network."""

from __future__ import annotations

from functools import partial

from reference.nin import cifar

NETS = {"dsn": partial(cifar, 10)}
