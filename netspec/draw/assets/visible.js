"use strict";
// What is visible of a network: a tree of frames and boxes, and arrows between them, as picture.py makes them.

// Every scope and box by path, boxes by number, the box that holds a node, and who reads what a node gives.
function indexed(network) {
  const parts = new Map(), boxes = [], boxOf = new Map(), nodes = new Map(), readers = new Map();
  (function walk(items, parent) {
    for (const item of items) {
      item.parent = parent;
      parts.set(item.path, item);
      if (item.items) walk(item.items, item);
      else {
        boxes[item.id] = item;
        for (const node of item.nodes) { boxOf.set(node.path, item); nodes.set(node.path, node); }
      }
    }
  })(network.items, null);
  for (const node of nodes.values()) for (const [path] of node.reads) {
    if (!readers.has(path)) readers.set(path, []);
    readers.get(path).push(node.path);
  }
  // A picture that was laid out as it is has boxes only.
  for (const box of network.boxes || []) parts.set(box.path, { ...box, id: box.path, kind: "other", nodes: [], at: [], parent: null });
  return { parts, boxes, boxOf, nodes, readers };
}

const leaves = (item) => (item.items ? item.items.flatMap(leaves) : [item]);

// `state` has the scopes that are open and the repeats whose rounds are drawn each for itself.
function visible(network, index, state) {
  const { parts, boxOf } = index;
  const folded = (item) => item.run && !state.unrolled.has(item.run[3]);
  const siblings = (item) => (item.parent ? item.parent.items : network.items).filter((s) => s.run && s.run[3] === item.run[3]);
  const homes = new Map(), rounds = new Map(), shown = new Map();
  const within = new Map(); // of a node in a closed scope, the scope, in the node's own round

  const fill = (items) => items.filter((item) => !(folded(item) && item.run[0] > 0)).map((item) => {
    let made;
    if (!item.items) {
      homes.set(item.id, item.path);
      shown.set(item.path, made = { item, lines: item.lines, said: item.said });
    } else if (state.open.has(item.path)) {
      made = { item, title: folded(item) ? item.run[2] : item.title, items: fill(item.items), folded: folded(item) };
    } else {
      for (const leaf of leaves(item)) { homes.set(leaf.id, item.path); within.set(leaf.id, item); }
      const lines = !folded(item) ? item.lines
        : item.kind !== "block" ? [...item.lines, item.run[4].trim()] : [item.run[2], ...item.lines.slice(1)];
      shown.set(item.path, made = { item, lines, said: folded(item) ? item.run[5] : item.said });
    }
    if (folded(item)) for (const sibling of siblings(item)) for (const leaf of leaves(sibling)) {
      const twin = boxOf.get(item.path + leaf.nodes[0].path.slice(sibling.path.length));
      homes.set(leaf.id, homes.get(twin.id));
      const scope = within.get(twin.id);
      if (scope) within.set(leaf.id, parts.get(sibling.path + scope.path.slice(item.path.length)));
      rounds.set(leaf.id, [...(rounds.get(leaf.id) || []), [item.path, sibling.run[0]]]);
    }
    return made;
  });

  // What heats a box: the sum of all nodes that it stands for; of receptive fields the largest.
  function heated() {
    const heats = new Map(), join = network.heated === "rf" ? Math.max : (a, b) => a + b;
    for (const box of index.boxes) heats.set(homes.get(box.id), join(heats.get(homes.get(box.id)) || 0, box.heat));
    for (const [path, part] of shown) part.heat = heats.get(path);
  }

  // What an arrow says: a shape; of a repeat that is not left by its last round alone, the rounds as well.
  function rounded(label, left) {
    if (new Set(left.map(([run]) => run)).size !== 1) return label;
    const first = parts.get(left[0][0]), count = first.run[1];
    const indices = left.map(([, i]) => i).sort((a, b) => a - b);
    const shape = new Set(left.map(([, , said]) => said)).size === 1 ? label : "different shapes";
    if (indices.length === 1 && indices[0] === count - 1) return label;
    if (indices.length === count) return `${count} \u00d7 ${shape}`.trimEnd();
    const names = indices.map((i) => siblings(first)[i].path.split(".").at(-1));
    const named = names.length < 3 ? names.join(" and ") : `${names.length} of ${count}`;
    return shape ? `${named}: ${shape}` : named;
  }

  const root = fill(network.items);
  if (network.heated) heated();
  const serves = new Set(), before = new Map();
  for (const [a, b] of network.edges) before.set(b, [...(before.get(b) || []), a]);
  const queue = network.outputs.filter((o) => !o.training).map((o) => o.box);
  while (queue.length) {
    const id = queue.pop();
    if (!serves.has(id)) { serves.add(id); queue.push(...(before.get(id) || [])); }
  }
  const main = new Set([...serves].map((id) => homes.get(id)));
  // The names by which a value enters or leaves the closed block around a node; a nameless one where it has none.
  const named = (side, id, ref, home) => {
    const [scope, box] = [within.get(id), shown.get(home).item];
    const names = scope && box[side] ? Object.keys(scope[side]).filter((name) => scope[side][name] === ref && name in box[side]) : [];
    return names.length ? names : [""];
  };
  const arrows = new Map();
  for (const [a, b, label, ref] of network.edges) {
    const [from, to] = [homes.get(a), homes.get(b)];
    const others = new Map(rounds.get(b) || []);
    if (from === to || (rounds.get(a) || []).some(([run, i]) => others.has(run) && (others.get(run) !== i || i > 0))) continue;
    // What entered the first round of a repeat comes to a later one too: the count stands for it.
    if ((rounds.get(b) || []).some(([run, i]) => i > 0 && parts.get(run).enter.includes(ref))) continue;
    const crosses = JSON.stringify(rounds.get(a)) !== JSON.stringify(rounds.get(b));
    for (const into of named("ins", b, ref, to)) {
      const outof = named("outs", a, ref, from)[0], key = JSON.stringify([from, to, crosses ? "" : ref, outof, into]);
      const left = arrows.has(key) ? arrows.get(key).left : new Map();
      // The outermost repeat that the edge leaves, with the round.
      const place = (rounds.get(a) || []).filter(([run]) => !others.has(run)).at(-1);
      if (place) left.set(place.join("\n"), [...place, label]);
      if (!arrows.has(key) || rounds.has(a))
        arrows.set(key, { from, to, label, main: main.has(from) && main.has(to), outof, into, left });
    }
  }
  for (const arrow of arrows.values()) arrow.label = rounded(arrow.label, [...arrow.left.values()]);
  for (const output of network.outputs) {
    const note = output.training ? ["training only" + (output.weight === null ? "" : ", loss x " + output.weight)] : [];
    const path = "output " + output.name;
    const item = { path, kind: "output", lines: [output.name, ...note], output, parent: null };
    shown.set(path, { item, lines: item.lines });
    root.push(shown.get(path));
    const from = homes.get(output.box), outof = named("outs", output.box, output.ref, from)[0];
    const place = (rounds.get(output.box) || []).at(-1);
    const label = rounded(output.label, place ? [[...place, output.label]] : []);
    arrows.set(path, { from, to: path, label, main: !output.training, outof, into: "" });
  }
  return { root, visible: shown, arrows: [...arrows.values()] };
}
