"""Graphviz in a process of its own: a fault in its C code ends that process, and neither this one nor a notebook's.

A request is a line of JSON on its stdin, an answer the number of bytes as a line and the bytes on its stdout.
"""

from __future__ import annotations

import json
import sys

import pygraphviz


def serve() -> None:
    """Answers requests until stdin ends."""
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        graph = pygraphviz.AGraph(string=request["dot"])
        made = graph.draw(format=request["kind"], prog="dot", args=request["args"])
        sys.stdout.buffer.write(b"%d\n" % len(made) + made)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve()
