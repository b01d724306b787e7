"""What a user chose to see, and a picture before it has a layout: boxes, frames around them, and arrows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from netspec.draw.numbers import Numbers

SHOWN = ("names", "shapes", "params", "macs", "rf", "activations", "notes")


@dataclass(frozen=True, slots=True)
class View:
    """Which scopes are expanded, what boxes say, and what colours them."""

    depth: int | None = None
    """Levels of scopes that are expanded; None is as many as fit a page."""
    collapse: tuple[str, ...] = ()
    """Scopes that stay collapsed: paths, blocks, patterns of paths."""
    expand: tuple[str, ...] = ()
    """Scopes that are expanded wherever they lie; one named by its path stands apart from its repeats."""
    show: frozenset[str] = frozenset(("names", "shapes"))
    heat: str | None = None
    """The number that boxes are coloured by: one of HEATS, or `numbers`."""
    unfold: bool = False
    """Every node and every repeat for itself."""
    direct: bool = False
    """Concatenations as arrows, from each value that one joins to each step that reads it."""
    numbers: Numbers | None = None
    """Those that boxes are coloured by where `heat` says so."""


@dataclass(frozen=True, slots=True)
class Box:
    """One thing in the picture: a node, a layer with what follows it, or a collapsed scope."""

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
    """The nodes it stands for; of a repeat, those of the first iteration."""
    iterations: tuple[tuple[str, ...], ...] = ()
    """The nodes of all iterations, one after the other."""
    facts: tuple[str, ...] = ()
    """Numbers that were asked for."""
    intensity: float | None = None
    """What it is coloured by, 0 to 1 of the largest in the picture."""
    times: int = 1
    mark: str = ""
    """Next to another network: added, removed or changed."""
    ins: tuple[str, ...] = ()
    """Names of what enters a collapsed block, where it is more than one."""
    outs: tuple[str, ...] = ()
    """Names of what leaves it."""


@dataclass(eq=False, slots=True)
class Frame:
    """An expanded scope: its boxes and frames in the order of the spec."""

    path: str
    title: str
    kind: str
    tooltip: str = ""
    source: str = ""
    times: int = 1
    """Iterations that the frame stands for."""
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
