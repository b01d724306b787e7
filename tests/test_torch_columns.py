"""What finds a column by hash finds what comparing it with every other does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from netspec_torch.columns import ABSENT, Index, Known, Makers, keys, same

COLUMNS = st.lists(st.lists(st.sampled_from([ABSENT, 1, 2, True, (1, 1)]), min_size=3, max_size=3), max_size=8)
COLUMN = st.lists(st.sampled_from([ABSENT, 1, 2, True, (1, 1)]), min_size=3, max_size=3)


@given(COLUMNS, COLUMNS, COLUMN)
def test_columns_that_hold_the_same_where_one_has_anything(
    before: list[list[object]], later: list[list[object]], looked: list[object]
) -> None:
    """Also of those that were added after something was looked for."""
    index, makers = Index(), Makers[str]()
    for columns in (before, later):
        start = len(before) if columns is later else 0
        for order, column in enumerate(columns, start):
            index.add(order, keys(column), f"c{order}")
            makers.add(order, keys(column), f"c{order}")
        added = [*before, *(later if columns is later else [])]
        found = [
            f"c{i}"
            for i, c in enumerate(added)
            if all(v is ABSENT or same(v, k) for v, k in zip(looked, c, strict=True))
        ]
        assert index.find(keys(looked)) == (found[0] if found else "")
        held = [
            f"c{i}"
            for i, c in enumerate(added)
            if all(k is ABSENT or same(v, k) for v, k in zip(looked, c, strict=True))
        ]
        assert makers.find(keys(looked)) == (held[0] if held else None)


def test_half_of_an_odd_kernel_is_written_so() -> None:
    known = Known()
    known.called(3, [3, 5, ABSENT, 7], "kernel")
    known.called(1, [2, 4, 4, 6], "groups")
    assert known.halves.find(keys([1, 2, ABSENT, 3])) == "kernel // 2"
    assert known.halves.find(keys([1, 2, 0, 3])) == ""  # of a layer that is not there nothing is known
    assert known.halves.find(keys([1, 2, 2, 3])) == ""  # and those of even numbers pad otherwise
