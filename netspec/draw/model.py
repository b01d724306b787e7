"""A picture before it has a layout: boxes, frames around them, and arrows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Box:
    """One thing in the picture: a node, a layer with what follows it, or a folded scope."""

    path: str
    kind: str
    """input, weights, pool, norm, join, other, block or output."""
    lines: tuple[str, ...]
    tooltip: str
    doc: str = ""
    """Its text in the spec."""
    source: str = ""
    """File and line of the spec."""
    nodes: tuple[str, ...] = ()
    """The nodes it stands for; of a repeat, those of the first round."""
    rounds: tuple[tuple[str, ...], ...] = ()
    """The nodes of all rounds, round by round."""
    facts: tuple[str, ...] = ()
    """Numbers that were asked for."""
    heat: float | None = None
    """0 to 1, of the largest in the picture."""
    times: int = 1
    mark: str = ""
    """Beside another network: added, removed or changed."""
    ins: tuple[str, ...] = ()
    """Names of what enters a folded block, where it is more than one."""
    outs: tuple[str, ...] = ()
    """Names of what leaves it."""


@dataclass(eq=False, slots=True)
class Frame:
    """A scope that is open: its boxes and frames in the order of the spec."""

    path: str
    title: str
    kind: str
    tooltip: str = ""
    source: str = ""
    times: int = 1
    """Rounds that the frame stands for."""
    items: list[Box | Frame] = field(default_factory=list)

    def boxes(self) -> Iterator[Box]:
        """All boxes inside, however deep."""
        for item in self.items:
            if isinstance(item, Frame):
                yield from item.boxes()
            else:
                yield item

    def frames(self) -> Iterator[Frame]:
        """All frames inside, however deep, each before those in it."""
        for item in self.items:
            if isinstance(item, Frame):
                yield item
                yield from item.frames()


@dataclass(frozen=True, slots=True)
class Arrow:
    """A value on its way from one box to another."""

    source: str
    target: str
    label: str
    main: bool = True
    """Whether it leads to an output that inference has."""
    outof: str = ""
    """The name among `outs` of its source where it begins."""
    into: str = ""
    """The name among `ins` of its target where it ends."""


@dataclass(eq=False, slots=True)
class Picture:
    """Everything that is drawn."""

    title: str
    root: Frame
    arrows: list[Arrow]
    legend: str = ""
