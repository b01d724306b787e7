"""The configuration tables that papers print: in go graphs; out come tables of stages, blocks or layers.

`units` cuts a graph into layers and blocks, `series` has the layers of each in series and in parallel, `stages`
collects them to rows, `notation` writes cells, and `by_stage` and `by_row` make tables.
"""
