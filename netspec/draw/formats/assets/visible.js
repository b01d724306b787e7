"use strict";
// What is visible of a network: a tree of frames and boxes, chosen among what Python wrote, and the arrows between them.
// Which edges are one arrow, and what it says, is worked out here again as arrows.py does: it depends on which scopes are
// expanded around both ends and on which repeats around them are drawn once, and there are too many such choices to write.

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
    const { path, lines } = output;
    parts.set(path, { path, kind: "output", lines, output, nodes: [], all: [], parent: null });
  }
  // A picture that was laid out as it is has boxes only.
  for (const box of network.boxes || []) parts.set(box.path, { ...box, kind: "other", nodes: [], all: [], parent: null });
  return { parts, other, nodes, byPath, boxOf, readers };
}

// Where every node stands; `state` has the scopes that are expanded and the repeats whose iterations are all drawn.
class Places {
  constructor(network, index, state) {
    Object.assign(this, { network, index, state });
    [this.boxOf, this.iterations, this.collapsedIn, this.representatives] = [[], [], [], []];
    this.boxes = new Map();
    this.root = this.fill(network.items, 0, 0);
  }

  once(item) { return item.run && !this.state.unrolled.has(item.run[1]); }

  // Around the items are `depth` repeats of which they are in the first iterations; `choice` has a bit for each that is
  // drawn once, by which Python wrote the numbers of a box.
  fill(items, choice, depth) {
    return items.filter((item) => !(this.once(item) && item.run[0] > 0)).map((item) => {
      const inner = item.run && item.run[0] === 0;
      return this.part(item, this.once(item) ? choice | (1 << depth) : choice, depth + Boolean(inner));
    });
  }

  part(item, choice, depth) {
    const once = this.once(item), said = once ? item.repeat : item;
    let made;
    if (item.items && this.state.expanded.has(item.path)) {
      made = { item, title: said.title, items: this.fill(item.items, choice, depth), once };
    } else {
      for (const node of item.all) {
        this.boxOf[node.id] = item.path;
        if (item.items) this.collapsedIn[node.id] = item;
      }
      const [numbers, value] = item.annotations?.[choice] || [[], 0];
      made = { item, kind: said.kind, lines: said.lines, table: said.table, ins: said.ins || [], outs: said.outs || [], numbers, value };
      this.boxes.set(item.path, made);
    }
    if (once) this.repeat(item);
    return made;
  }

  // Puts the nodes of the later iterations where those of the first stand.
  repeat(first) {
    const { parts, byPath } = this.index;
    const known = new Map(first.all.map((node) => [node.id, this.iterations[node.id] || []]));
    for (const [iteration, member] of first.repeat.members.entries()) for (const node of member.all) {
      const same = byPath.get(first.path + node.path.slice(member.path.length)).id;
      this.representatives[node.id] = this.representatives[same] ?? same;
      this.boxOf[node.id] = this.boxOf[same];
      const scope = this.collapsedIn[same];
      if (scope) this.collapsedIn[node.id] = parts.get(member.path + scope.path.slice(first.path.length));
      this.iterations[node.id] = [...known.get(same), [first.path, iteration]];
    }
  }
}

// Arrows between boxes; those between the iterations of a repeat are what its count stands for.
class Arrows {
  constructor(places) {
    Object.assign(this, { places, network: places.network, parts: places.index.parts });
    this.found = new Map();
    this.inner = new Map();
    // The boxes of what leads to an output that inference has.
    const training = new Set(this.network.training);
    this.main = new Set(places.boxOf.filter((_, id) => !training.has(id)));
    for (const edge of this.network.edges) this.edge(...edge);
    const several = new Map();
    for (const { from, to } of this.found.values()) several.set(`${from}\n${to}`, (several.get(`${from}\n${to}`) || 0) + 1);
    for (const arrow of this.found.values()) {
      const pair = `${arrow.from}\n${arrow.to}`;
      arrow.label = this.label(arrow.label, arrow, several.get(pair) === 1 ? [...(this.inner.get(pair) || [])] : []);
    }
  }

  iterations(id) { return this.places.iterations[id] || []; }

  // Between two iterations, inside a later one, or of what entered the first and comes to a later one.
  implied(a, b, ref) {
    const others = new Map(this.iterations(b));
    return this.iterations(a).some(([run, i]) => others.has(run) && (others.get(run) !== i || i > 0))
      || this.iterations(b).some(([run, i]) => i > 0 && this.parts.get(run).repeat.enter.includes(ref));
  }

  // Inside one iteration of a repeat, and what one arrow stands for in all of them: it may leave a repeat in there by its
  // last iteration, or enter one by its first.
  alike(a, b) {
    const [froms, intos] = [new Map(this.iterations(a)), new Map(this.iterations(b))];
    const last = (run) => this.parts.get(run).repeat.members.length - 1;
    return [...froms].every(([run, i]) => (intos.has(run) ? intos.get(run) === i : i === last(run)))
      && [...intos].every(([run, i]) => froms.has(run) || i === 0) && [...froms.keys()].some((run) => intos.has(run));
  }

  // The outermost repeat that an edge leaves, with the iteration.
  left(a, b) {
    const others = new Map(b === null ? [] : this.iterations(b));
    return this.iterations(a).filter(([run]) => !others.has(run)).slice(-1);
  }

  // The names by which a value enters or leaves the collapsed scope around a node.
  ports(side, ref, id, shown) {
    const names = this.places.collapsedIn[id]?.[side] || {};
    return Object.keys(names).filter((name) => names[name] === ref && shown.includes(name));
  }

  edge(a, b, label, ref, operand, part) {
    const { boxOf, boxes, representatives } = this.places, [from, to] = [boxOf[a], boxOf[b]];
    if (from === to) return;
    const pair = `${from}\n${to}`;
    if (this.alike(a, b)) this.inner.set(pair, (this.inner.get(pair) || new Set()).add(label));
    if (this.implied(a, b, ref)) return;
    const left = this.left(a, b);
    const enters = !left.length && JSON.stringify(this.iterations(a)) !== JSON.stringify(this.iterations(b));
    const value = this.network.direct || enters ? "" : `${representatives[a] ?? a} ${part}`;
    const [outof = ""] = this.ports("leaves", ref, a, boxes.get(from).outs);
    const intos = this.ports("enters", ref, b, boxes.get(to).ins);
    for (const into of intos.length ? intos : [""]) {
      const key = JSON.stringify([from, to, value, this.network.unfold ? operand : 0, outof, into]);
      const known = this.found.get(key) || { values: new Map(), left: new Map() };
      known.values.set(ref, label);
      for (const [run, iteration] of left) known.left.set(`${run}\n${iteration}`, [run, iteration, label]);
      if (!this.found.has(key) || this.iterations(a).length)
        Object.assign(known, { from, to, label, main: this.main.has(from) && this.main.has(to), outof, into });
      this.found.set(key, known);
    }
  }

  // A shape; how often or of which iterations; inside a repeat that of the first iteration and the last.
  label(label, { values, left }, inner) {
    if (this.network.direct && values.size > 1 && !left.size)
      return new Set(values.values()).size === 1 ? `${values.size} \u00d7 ${label}` : `${values.size} values`;
    const places = [...left.values()], own = inner.length > 1 ? `${inner[0]} to ${inner.at(-1)}` : label;
    if (new Set(places.map(([run]) => run)).size !== 1) return left.size ? label : own;
    const { members } = this.parts.get(places[0][0]).repeat;
    const iterations = places.map(([, iteration]) => iteration).sort((a, b) => a - b);
    const shape = new Set(places.map(([, , shape]) => shape)).size === 1 ? label : "different shapes";
    if (iterations.length === 1 && iterations[0] === members.length - 1) return own;
    if (iterations.length === members.length) return `${iterations.length} \u00d7 ${shape}`.trimEnd();
    const names = iterations.map((iteration) => members[iteration].path.split(".").at(-1));
    const named = names.length < 3 ? names.join(" and ") : `${names.length} of ${members.length}`;
    return shape ? `${named}: ${shape}` : named;
  }
}

function visible(network, index, state) {
  const places = new Places(network, index, state), { boxes, root } = places;
  const arrows = new Arrows(places), found = [...arrows.found.values()];
  for (const { path, lines, id, ref, label, training } of network.outputs) {
    const from = places.boxOf[id], left = new Map(arrows.left(id, null).map(([run, iteration]) => [run, [run, iteration, label]]));
    const made = { item: index.parts.get(path), kind: "output", lines, numbers: [], ins: [], outs: [] };
    boxes.set(path, made);
    root.push(made);
    const [outof = ""] = arrows.ports("leaves", ref, id, boxes.get(from).outs);
    found.push({ from, to: path, label: arrows.label(label, { values: new Map(), left }, []), main: !training, outof, into: "" });
  }
  return { root, visible: boxes, arrows: found };
}
