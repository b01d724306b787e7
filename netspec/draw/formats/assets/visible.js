"use strict";
// What is visible of a network: frames, boxes and arrows, chosen among all that Python wrote into the page.

// Every scope and box by path and by number, the box that holds a node, and who reads what a node gives.
function indexed(network) {
  const parts = new Map(), other = new Map(), boxOf = new Map(), readers = new Map();
  (function walk(items, parent) {
    for (const [place, item] of items.entries()) {
      item.parent = parent;
      parts.set(item.path, item);
      for (const path of item.inner || []) other.set(path, item);
      if (item.repeat) item.repeat.members = items.slice(place).filter((one) => one.run && one.run[1] === item.path);
      if (item.items) walk(item.items, item);
      item.all = item.items ? item.items.flatMap((inner) => inner.all) : item.nodes;
      for (const node of item.nodes || []) {
        boxOf.set(node.path, item);
        for (const [path] of node.reads) readers.set(path, [...(readers.get(path) || []), node.path]);
      }
    }
  })(network.items, null);
  for (const output of network.outputs)
    parts.set(output.path, { path: output.path, kind: "output", lines: output.lines, output, nodes: [], all: [], parent: null });
  // A picture that was laid out as it is has boxes only.
  for (const box of network.boxes || []) parts.set(box.path, { ...box, kind: "other", nodes: [], all: [], parent: null });
  return { parts, other, boxOf, readers, numbered: [...parts.values()] };
}

// `state` has the scopes that are expanded and the repeats of which every iteration is drawn.
function visible(network, { parts, numbered }, { expanded, unrolled }) {
  const boxes = new Map();
  const box = (item, said, [numbers, value] = [[]]) => {
    const made = { item, kind: said.kind, lines: said.lines, table: said.table, ins: said.ins || [], outs: said.outs || [], numbers, value };
    boxes.set(item.path, made);
    return made;
  };
  // Around the items are `depth` repeats of which they are in the first iterations; `choice` has a bit for each that is
  // drawn once, by which Python wrote the numbers of a box.
  const fill = (items, choice, depth) => items.flatMap((item) => {
    const [index, run] = item.run || [], once = item.run && !unrolled.has(run);
    if (once && index > 0) return [];
    const inner = once ? choice | (1 << depth) : choice, said = once ? item.repeat : item;
    if (!item.items || !expanded.has(item.path)) return [box(item, said, item.annotations?.[inner])];
    return [{ item, title: said.title, items: fill(item.items, inner, depth + (index === 0)), once }];
  });
  const root = fill(network.items, 0, 0);
  for (const { path } of network.outputs) root.push(box(parts.get(path), parts.get(path)));
  const arrows = [];
  for (const [source, target, label = "", training = 0, outof = "", into = "", once = [], apart = []] of network.arrows) {
    const [from, to] = [numbered[source].path, numbered[target].path], isUnrolled = (number) => unrolled.has(numbered[number].path);
    if (boxes.has(from) && boxes.has(to) && !once.some(isUnrolled) && apart.every(isUnrolled))
      arrows.push({ from, to, label, main: !training, outof, into });
  }
  return { root, visible: boxes, arrows };
}
