"""Graph -> PyTorch source: a class per block, names as in the spec, nothing of netspec imported."""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Collection, Sequence

from netspec import __version__
from netspec.analysis.features import features_of
from netspec.ir.graph import Graph, Node, Ref
from netspec.ir.scope_tree import Region, tree
from netspec.ir.selection import frozen_nodes, has_state
from netspec.ir.titles import titles
from netspec.passes.drop_heads import without_heads
from netspec_torch.classes import Body, Line, Member
from netspec_torch.forward import Forward
from netspec_torch.groups import Group, grouped
from netspec_torch.held import held, outermost
from netspec_torch.helpers import HELPERS
from netspec_torch.in_place import InPlace
from netspec_torch.lowering import row_of
from netspec_torch.merging import ADDED, itself
from netspec_torch.options import DEFAULTS, TorchOptions, WeightsFile
from netspec_torch.printer import call_of, render
from netspec_torch.quote import GLOBAL_NAMES
from netspec_torch.rows import Arg, Layer, Row, Shapes
from netspec_torch.same import computes


def source(graph: Graph, options: TorchOptions = DEFAULTS, weights: WeightsFile | None = None) -> str:
    """The standalone source of a graph; without `training` the auxiliary heads are left out.

    `weights` is the file of weights next to it, which its function `load` takes; without one there is none.
    """
    kept = graph if options.training else without_heads(graph)
    emitter = Emitter(kept, features=options.features)
    return emitter.source(__version__, weights, frozen_nodes(kept, options.freeze))


def class_name(block: str) -> str:
    """inverted_residual -> InvertedResidual"""
    name = "".join(part[:1].upper() + part[1:] for part in block.split("_") if part) or "Block"
    return f"Net{name}" if name[0].isdigit() or keyword.iskeyword(name) else name


def layers_below(graph: Graph) -> Counter[str]:
    """How many places of weights there are below each prefix."""
    places = {node.weights_at for node in graph.nodes.values() if node.result.weights or node.result.stats}
    return Counter(place[:i] for place in places for i, c in enumerate(place) if c == ".")


def _in_place(layer: Layer, over: bool) -> Layer:
    """The layer, which overwrites its operand or not."""
    return Layer(layer.cls, (*layer.args, Arg("inplace", True, False))) if over else layer


class Emitter:
    """Collects the classes of one graph, innermost first."""

    def __init__(self, graph: Graph, by_name: bool = False, features: bool = False) -> None:
        self.graph, self.by_name = graph, by_name
        self.features = features_of(graph) if features else {}
        """What the class of the network says of its outputs."""
        self.bodies: list[Body] = []
        """Of the instances of blocks, as they are written."""
        self.taken: set[str] = set()
        self.homes: dict[str, str | None] = {}
        self.layers = layers_below(graph)
        self.titles = titles(graph)
        self.in_place = InPlace(graph)
        self.helpers = dict(HELPERS)
        """What the source may need that PyTorch lacks, by name."""
        for node in graph.nodes.values():
            if node.op != "input":
                self.helpers |= row_of(node).helpers
        self.taken |= self.helpers.keys() - HELPERS.keys()
        self.main = self.unique(class_name(graph.name))
        """The class of the whole network, which is named before all others."""
        self.modules: dict[str, str] = {}
        """Where the layer of a node is, by the node's path."""
        self.written: dict[str, str] = {}
        """The region whose body was written for an instance, by where that is."""
        self.regions: dict[str, Region] = {}
        """Those of `written`, by path."""
        self.again: dict[str, str] = {}
        """Regions that call an instance which another has made, and where it is."""

    def source(self, version: str, weights: WeightsFile | None = None, frozen: Collection[str] = ()) -> str:
        """The whole file; its network holds the nodes of `frozen` in eval mode, and does not train their weights."""
        root = tree(self.graph)
        body = Writer(self, root).network()
        groups = grouped(self.bodies, self.taken)
        self.taken |= {name for group in groups for name in group.parameters}
        for group in groups:
            group.name = self.unique(class_name(group.full.region.scope.block))
        whole = Group([(body, itself(body), [body])], self.taken, self.main)
        whole.lift()
        whole.frozen, whole.features = self.frozen(frozen), self.features
        return render(self.graph, groups, whole, version, weights, self.helpers)

    def frozen(self, nodes: Collection[str]) -> list[str]:
        """The outermost modules in which training would change these nodes alone, in the order of the source."""
        layers, frozen = dict[str, None](), dict[str, None]()
        for path, node in self.graph.nodes.items():
            if has_state(node) and (place := self.place(path)) is not None:
                layers[place] = None
                frozen |= {place: None} if path in nodes else {}
        parts = held(layers, frozen)
        around = (place[:i] for place in frozen for i, c in enumerate(f"{place}.") if c == ".")
        return outermost(dict.fromkeys(path for path in around if path in parts))

    def place(self, path: str) -> str | None:
        """Where the layer of a node is in the network, once the source is written; None for an expression."""
        if path in self.modules:
            return self.modules[path]
        for end in (i for i, c in reversed([*enumerate(path)]) if c == "."):
            if (home := self.again.get(path[:end])) is not None and home in self.written:
                return self.place(self.written[home] + path[end:])
        return None

    def home(self, region: Region) -> str | None:
        """The prefix that all weights inside have in place of its path.

        None where they live in several places, or where others live there too, of a call that holds more of a block.
        """
        if region.path not in self.homes:
            found: str | None = region.scope.weights_at
            inner = set[str]()
            for node in region.nodes():
                if node.result.weights or node.result.stats:
                    inner.add(node.weights_at)
                    inside = region.relative(node.path)
                    if node.weights_at != (f"{found}.{inside}" if found else inside) and not self._loop(
                        node, region, found
                    ):
                        found = None
                        break
            whole = not found or len(inner) == self.layers[found]
            self.homes[region.path] = found if whole else None
        return self.homes[region.path]

    def same(self, region: Region) -> bool:
        """Whether a block computes what the class does that holds its weights, where another has written that."""
        other = self.regions.get(self.written.get(self.home(region) or "", ""))
        return other is None or computes(other, self.graph) == computes(region, self.graph)

    @staticmethod
    def _loop(node: Node, region: Region, home: str | None) -> bool:
        """Whether the weights are shared inside the region alone, by iterations of a loop in it."""
        return home is not None and (node.weights_at.startswith(home + ".") if home else True)

    def unique(self, name: str) -> str:
        """The name of a class that no other has, and nothing else in the file."""
        found, count = name, 1
        while found in self.taken or found in GLOBAL_NAMES:
            count += 1
            found = f"{name}_{count}" if name[-1].isdigit() else f"{name}{count}"
        self.taken.add(found)
        return found

    def instance(self, region: Region) -> Body:
        """The body of a block as an instance of its class."""
        self.written[self.home(region) or ""] = region.path
        self.regions[region.path] = region
        self.bodies.append(Writer(self, region).block())
        return self.bodies[-1]


class Writer:
    """Writes one body: the members of a class and the lines of its forward."""

    def __init__(self, emitter: Emitter, region: Region) -> None:
        self.emitter, self.graph, self.region = emitter, emitter.graph, region
        self.body = Body(region)
        self.home = emitter.home(region) or ""
        self.members: dict[str, Member] = {}
        self.forward = Forward(self.graph, region, emitter.titles, emitter.by_name)

    def block(self) -> Body:
        """The body of a block's class."""
        inputs = list(self.region.inputs)
        names = ["x"] if len(inputs) == 1 else [f"x{i}" for i in range(len(inputs))]
        self.body.parameters = tuple(names)
        self.forward.bind(inputs, names)
        if len(inputs) == 1:
            shape = self.graph.shape(inputs[0])
            self.body.in_channels = int(shape[1]) if len(shape) > 1 else None
        self.items(self.region.items)
        self.forward.write(self.region.outputs)
        self.body.steps = self.forward.numbered(inputs)
        self.body.results = tuple(self.forward.numbers[ref] for ref in self.region.outputs)
        return self._done(", ".join(self.forward.names[r] for r in self.region.outputs))

    def network(self) -> Body:
        """The body of the network's class; heads run in training alone."""
        inputs = [Ref(n.path) for n in self.graph.inputs]
        names = ["x"] if len(inputs) == 1 else [self.forward.fresh(r.node) for r in inputs]
        self.body.parameters = tuple(names)
        self.forward.bind(inputs, names)
        final = [(name, o.ref) for name, o in self.graph.outputs.items() if not o.training_only]
        heads = [(name, o.ref) for name, o in self.graph.outputs.items() if o.training_only]
        needed = self._needed([ref for _, ref in final])
        self.items([i for i in self.region.items if self._paths(i) & needed])
        if heads and len(final) == 1:
            self.body.returns = "torch.Tensor | dict[str, torch.Tensor]"
        mark = len(self.forward.steps)
        self.items([i for i in self.region.items if not self._paths(i) & needed])
        self.forward.write([ref for _, ref in (*final, *heads)], mark if heads else None, final)
        return self._done(self.forward.filled([*final, *heads]))

    def _needed(self, refs: Sequence[Ref]) -> set[str]:
        return self.graph.above(r.node for r in refs)

    @staticmethod
    def _paths(item: Region | Node) -> set[str]:
        return {item.path} if isinstance(item, Node) else {n.path for n in item.nodes()}

    def _done(self, result: str) -> Body:
        self.body.members = list(self.members.values())
        self.body.lines = [*self.forward.lines, Line(f"return {result}")]
        return self.body

    # Statements

    def items(self, items: Sequence[Region | Node]) -> None:
        """Writes nodes and regions in order."""
        for item in items:
            if isinstance(item, Node):
                if item.op != "input":
                    self.node(item)
            elif not item.outputs:
                self.items(item.items)
            elif item.scope.kind == "block" and self._inside(item) and self.emitter.same(item):
                self.instance(item)
            elif (chain := self.chain(item)) is not None:
                self.members[chain.name] = chain
                layers = [path for path, member in chain.paths(self.region.path) if member.body is None]
                self.emitter.modules |= dict(zip(layers, layers, strict=True))  # a chain is where its steps are
                self.forward.steps.append((list(item.outputs), list(item.inputs), f"{call_of(chain.name)}({{0}})"))
            else:
                self.items(item.items)

    def _inside(self, region: Region) -> bool:
        """Whether the weights of a block lie in the class that is being written."""
        home = self.emitter.home(region)
        return home is not None and (not self.home or home.startswith(self.home + "."))

    def instance(self, region: Region) -> None:
        """A block: a member, called."""
        name = self.relative(self.emitter.home(region) or "")
        if not self.registered(name):
            self.members[name] = Member(name, body=self.emitter.instance(region))
        else:
            self.emitter.again[region.path] = self.emitter.home(region) or ""
        arguments = ", ".join(f"{{{i}}}" for i in range(len(region.inputs)))
        self.forward.steps.append((list(region.outputs), list(region.inputs), f"{call_of(name)}({arguments})"))

    def registered(self, name: str) -> bool:
        """Whether a member of that name is there, or inside one that is."""
        return any(name == m or name.startswith(m + ".") for m in self.members)

    def relative(self, path: str) -> str:
        """A prefix of weights below this class."""
        return path[len(self.home) + 1 :] if self.home else path

    def node(self, node: Node) -> None:
        """One op by its row: a layer that is a member, or an expression."""
        row, shapes = self._row(node)
        layer = row.layer(node, shapes) if row.layer is not None else None
        over = self.emitter.in_place.allowed(node, self.region) if row.in_place or node.op == "add" else False
        made = [Ref(node.path, i) for i in range(len(node.shapes))]
        weighted = bool(node.result.weights or node.result.stats)
        short = row.call is not None and not weighted
        if layer is None or (short and (layer.args == () or row.layer_in_chains_alone)):
            assert row.call is not None
            text = row.call(node, shapes)
            if over:
                text = f"{text[:-1]}, inplace=True)" if row.in_place else text if text != "{0} + {1}" else ADDED
            self.forward.steps.append((made, list(node.inputs), text))
            return
        name = self.relative(node.weights_at) if weighted else self.region.relative(node.path)
        if not self.registered(name):
            self.members[name] = Member(name, layer.cls, _in_place(layer, over).args)
        self.emitter.modules[node.path] = f"{self.home}.{name}" if self.home else name
        before = row.before(node, shapes) if row.before is not None else "{0}"
        text = f"{call_of(name)}({before})"
        if row.after is not None:
            text = row.after(node, shapes).replace("{0}", text)
        self.forward.steps.append((made, list(node.inputs), text))

    def _row(self, node: Node) -> tuple[Row, Shapes]:
        return row_of(node), [self.graph.shape(r) for r in node.inputs]

    def chain(self, region: Region) -> Member | None:
        """A scope in which each item takes what the one before gave, as nn.Sequential; None where it is not a chain."""
        if len(region.inputs) != 1 or len(region.outputs) != 1 or self.emitter.home(region) != region.path:
            return None
        if not self._inside(region) or self.home != self.region.path:
            return None
        items: list[Member] = []
        now = region.inputs[0]
        for item in region.items:
            if isinstance(item, Node):
                row, shapes = self._row(item)
                layer = row.layer(item, shapes) if row.layer is not None else None
                if (
                    layer is None
                    or item.inputs != (now,)
                    or (row.after is not None and row.after(item, shapes) != "{0}")
                    or (row.before is not None and row.before(item, shapes) != "{0}")
                    or item.weights_at != item.path
                ):
                    return None
                over = row.in_place and self.emitter.in_place.allowed(item, region)
                items.append(Member(region.relative(item.path), layer.cls, _in_place(layer, over).args))
                now = Ref(item.path)
            else:
                if item.inputs != (now,) or len(item.outputs) != 1 or self.emitter.home(item) != item.path:
                    return None
                inner = None if item.scope.kind == "block" else self.chain(item)
                if item.scope.kind != "block" and inner is None:
                    return None
                items.append(inner or Member(region.relative(item.path), body=self.emitter.instance(item)))
                items[-1].name = region.relative(item.path)
                now = item.outputs[0]
        if now != region.outputs[0] or any("." in m.name for m in items):
            return None
        return Member(self.region.relative(region.path), items=items)
