"use strict";
// What is visible of a network: a tree of frames and boxes, and arrows between them, as picture.py makes them.

// Every scope and box by path, the box that holds a node, and who reads what a node gives.
function indexed(network) {
  const parts = new Map(), other = new Map(), nodes = [], boxOf = new Map(), readers = new Map();
  (function walk(items, parent) {
    for (const [place, item] of items.entries()) {
      item.parent = parent;
      parts.set(item.path, item);
      for (const path of item.inner || []) other.set(path, item);
      if (item.repeat) item.repeat.members = items.slice(place).filter((one) => one.run && one.run[1] === item.path);
      if (item.items) {
        walk(item.items, item);
        item.all = item.items.flatMap((inner) => inner.all);
      } else {
        item.all = item.nodes;
        for (const node of item.nodes) { nodes[node.id] = node; boxOf.set(node.path, item); }
      }
    }
  })(network.items, null);
  const byPath = new Map(nodes.map((node) => [node.path, node]));
  for (const node of nodes) for (const [path] of node.reads) {
    if (!readers.has(path)) readers.set(path, []);
    readers.get(path).push(node.path);
  }
  for (const output of network.outputs) {
    const note = output.training ? ["training only" + (output.weight === null ? "" : ", loss x " + output.weight)] : [];
    const path = "output " + output.name;
    parts.set(path, { path, kind: "output", lines: [output.name, ...note], output, nodes: [], all: [], parent: null });
  }
  // A picture that was laid out as it is has boxes only.
  for (const box of network.boxes || []) parts.set(box.path, { ...box, kind: "other", nodes: [], all: [], parent: null });
  return { parts, other, nodes, byPath, boxOf, readers };
}

// Where every node stands; `state` has the scopes that are open and the repeats whose rounds are drawn each for itself.
class Places {
  constructor(network, index, state) {
    Object.assign(this, { network, index, state });
    [this.homes, this.rounds, this.within, this.twins] = [[], [], [], []];
    this.boxes = new Map();
    this.root = this.fill(network.items);
  }

  folds(item) { return item.run && !this.state.unrolled.has(item.run[1]); }

  fill(items) { return items.filter((item) => !(this.folds(item) && item.run[0] > 0)).map((item) => this.part(item)); }

  part(item) {
    const said = this.folds(item) ? item.repeat : item;
    let made;
    if (item.items && this.state.open.has(item.path)) {
      made = { item, title: said.title, items: this.fill(item.items), folded: this.folds(item) };
    } else {
      for (const node of item.all) {
        this.homes[node.id] = item.path;
        if (item.items) this.within[node.id] = item;
      }
      made = { item, kind: item.kind, lines: said.lines, ins: said.ins || [], outs: said.outs || [] };
      this.boxes.set(item.path, made);
    }
    if (this.folds(item)) this.repeat(item);
    return made;
  }

  // Puts the nodes of the later rounds where those of the first stand.
  repeat(first) {
    const { parts, byPath } = this.index;
    const known = new Map(first.all.map((node) => [node.id, this.rounds[node.id] || []]));
    for (const [round, member] of first.repeat.members.entries()) for (const node of member.all) {
      const twin = byPath.get(first.path + node.path.slice(member.path.length)).id;
      this.twins[node.id] = this.twins[twin] ?? twin;
      this.homes[node.id] = this.homes[twin];
      const scope = this.within[twin];
      if (scope) this.within[node.id] = parts.get(member.path + scope.path.slice(first.path.length));
      this.rounds[node.id] = [...known.get(twin), [first.path, round]];
    }
  }
}

const units = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
function short(number) {
  // Three digits; what lies between two becomes the even one, as Python rounds.
  const scale = 10 ** Math.max(0, String(number).length - 3), part = number / scale;
  const rounded = (part % 1 === 0.5 && Math.round(part) % 2 ? Math.round(part) - 1 : Math.round(part)) * scale;
  for (const [size, letter] of units) if (rounded >= size) return `${Number((rounded / size).toPrecision(3))}${letter}`;
  return String(rounded);
}
function range(values, unit) {
  const [low, high] = [short(Math.min(...values)), short(Math.max(...values))];
  return `${low}${low === high ? "" : ` to ${high}`}${unit}${values.length > 1 ? " each" : ""}`;
}

// The lines of numbers and notes of a box, as numbers.py writes them, and what heats it.
function numbered(network, made, rounds) {
  const sums = (place) => rounds.map((nodes) => nodes.reduce((sum, node) => sum + node.numbers[place], 0));
  const field = (nodes) => nodes.every((node) => node.numbers[3])
    ? [0, 1].map((side) => Math.max(...nodes.map((node) => node.numbers[3][side]))) : null;
  const said = [], asked = new Set(network.show);
  let [params, macs, memory] = [0, 1, 2].map(sums);
  made.heat = { params, macs, memory }[network.heated]?.reduce((a, b) => a + b) ?? 0;
  if (network.heated === "rf") made.heat = Math.max(...(field(rounds.flat()) || [network.widest]));
  if (params.length > 1 && !params.slice(1).some(Boolean)) params = params.slice(0, 1);
  if (asked.has("params") && params.some(Boolean)) said.push(range(params, " parameters"));
  if (asked.has("macs") && macs.some(Boolean)) said.push(range(macs, " MACs"));
  if (asked.has("memory") && rounds[0][0].op !== "input") said.push(range(memory, "B of activations"));
  if (asked.has("rf")) {
    const size = field(rounds.at(-1));
    said.push(size ? `sees ${size[0]}\u00d7${size[1]}` : "sees everything");
  }
  if (asked.has("notes")) said.push(...made.item.notes);
  made.said = said;
}

// Arrows between boxes; those between the rounds of a repeat are what its count stands for.
class Arrows {
  constructor(places) {
    Object.assign(this, { places, network: places.network, parts: places.index.parts });
    this.found = new Map();
    this.inner = new Map();
    this.main = this.serving();
    for (const edge of this.network.edges) this.edge(...edge);
    const several = new Map();
    for (const { from, to } of this.found.values()) several.set(`${from}\n${to}`, (several.get(`${from}\n${to}`) || 0) + 1);
    for (const arrow of this.found.values()) {
      const pair = `${arrow.from}\n${arrow.to}`;
      arrow.label = this.label(arrow.label, arrow, several.get(pair) === 1 ? [...(this.inner.get(pair) || [])] : []);
    }
  }

  rounds(id) { return this.places.rounds[id] || []; }

  // The boxes of what leads to an output that inference has.
  serving() {
    const before = new Map(), serves = new Set();
    for (const [a, b] of this.network.edges) {
      if (!before.has(b)) before.set(b, []);
      before.get(b).push(a);
    }
    const queue = this.network.outputs.filter((o) => !o.training).map((o) => o.id);
    while (queue.length) {
      const id = queue.pop();
      if (serves.has(id)) continue;
      serves.add(id);
      queue.push(...(before.get(id) || []));
    }
    return new Set([...serves].map((id) => this.places.homes[id]));
  }

  // Between two rounds, inside a later one, or of what entered the first round and comes to a later one.
  mirrors(a, b, ref) {
    const others = new Map(this.rounds(b));
    return this.rounds(a).some(([run, i]) => others.has(run) && (others.get(run) !== i || i > 0))
      || this.rounds(b).some(([run, i]) => i > 0 && this.parts.get(run).repeat.enter.includes(ref));
  }

  // Inside one round of a repeat, and what one arrow stands for in all rounds: it may leave a repeat in there by its
  // last round, or enter one by its first.
  alike(a, b) {
    const [froms, intos] = [new Map(this.rounds(a)), new Map(this.rounds(b))];
    const last = (run) => this.parts.get(run).repeat.members.length - 1;
    return [...froms].every(([run, i]) => (intos.has(run) ? intos.get(run) === i : i === last(run)))
      && [...intos].every(([run, i]) => froms.has(run) || i === 0) && [...froms.keys()].some((run) => intos.has(run));
  }

  // The outermost repeat that an edge leaves, with the round.
  left(a, b) {
    const others = new Map(b === null ? [] : this.rounds(b));
    return this.rounds(a).filter(([run]) => !others.has(run)).slice(-1);
  }

  enters(ref, id, box) {
    const scope = this.places.within[id], names = scope ? Object.keys(scope.enters) : [];
    const found = names.filter((name) => scope.enters[name] === ref && box.ins.includes(name));
    return found.length ? found : [""];
  }

  leaves(ref, id, box) {
    const scope = this.places.within[id], names = scope ? Object.keys(scope.leaves) : [];
    return names.find((name) => scope.leaves[name] === ref && box.outs.includes(name)) || "";
  }

  edge(a, b, label, ref, operand, part) {
    const { homes, boxes, twins } = this.places, [from, to] = [homes[a], homes[b]];
    if (from === to) return;
    const crosses = JSON.stringify(this.rounds(a)) !== JSON.stringify(this.rounds(b)), pair = `${from}\n${to}`;
    if (this.alike(a, b)) this.inner.set(pair, (this.inner.get(pair) || new Set()).add(label));
    if (this.mirrors(a, b, ref)) return;
    const left = this.left(a, b), outof = this.leaves(ref, a, boxes.get(from));
    const value = this.network.direct || (crosses && !left.length) ? "" : `${twins[a] ?? a} ${part}`;
    for (const into of this.enters(ref, b, boxes.get(to))) {
      const key = JSON.stringify([from, to, value, this.network.unfold ? operand : 0, outof, into]);
      const known = this.found.get(key) || { values: new Map(), left: new Map() };
      known.values.set(ref, label);
      for (const [run, round] of left) known.left.set(`${run}\n${round}`, [run, round, label]);
      if (!this.found.has(key) || this.rounds(a).length)
        Object.assign(known, { from, to, label, main: this.main.has(from) && this.main.has(to), outof, into });
      this.found.set(key, known);
    }
  }

  // A shape; how often or of which rounds; inside a repeat that of the first round and the last.
  label(label, { values, left }, inner) {
    if (this.network.direct && values.size > 1 && !left.size)
      return new Set(values.values()).size === 1 ? `${values.size} \u00d7 ${label}` : `${values.size} values`;
    const places = [...left.values()], own = inner.length > 1 ? `${inner[0]} to ${inner.at(-1)}` : label;
    if (new Set(places.map(([run]) => run)).size !== 1) return left.size ? label : own;
    const { members } = this.parts.get(places[0][0]).repeat;
    const rounds = places.map(([, round]) => round).sort((a, b) => a - b);
    const shape = new Set(places.map(([, , said]) => said)).size === 1 ? label : "different shapes";
    if (rounds.length === 1 && rounds[0] === members.length - 1) return own;
    if (rounds.length === members.length) return `${rounds.length} \u00d7 ${shape}`.trimEnd();
    const names = rounds.map((round) => members[round].path.split(".").at(-1));
    const named = names.length < 3 ? names.join(" and ") : `${names.length} of ${members.length}`;
    return shape ? `${named}: ${shape}` : named;
  }
}

function visible(network, index, state) {
  const places = new Places(network, index, state), { boxes, root } = places;
  const stands = new Map([...boxes.keys()].map((path) => [path, new Map()]));
  for (const node of index.nodes) {
    const rounds = stands.get(places.homes[node.id]), key = JSON.stringify(places.rounds[node.id] || []);
    if (!rounds.has(key)) rounds.set(key, []);
    rounds.get(key).push(node);
  }
  for (const [path, rounds] of stands) numbered(network, boxes.get(path), [...rounds.values()]);
  const arrows = new Arrows(places), found = [...arrows.found.values()];
  for (const output of network.outputs) {
    const item = index.parts.get("output " + output.name), from = places.homes[output.id];
    const made = { item, kind: "output", lines: item.lines, said: [], ins: [], outs: [] };
    boxes.set(item.path, made);
    root.push(made);
    const left = new Map(arrows.left(output.id, null).map(([run, round]) => [run, [run, round, output.label]]));
    found.push({ from, to: item.path, label: arrows.label(output.label, { values: new Map(), left }, []), main: !output.training,
      outof: arrows.leaves(output.ref, output.id, boxes.get(from)), into: "" });
  }
  return { root, visible: boxes, arrows: found };
}
