"use strict";
// What is visible of a network as DOT, as dot.py writes it for pictures: what things look like is written by Python, and
// here is what depends on all that is visible at once: the rows in which boxes stand.

const plain = (line) => line.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, " ");
const escaped = (line) => plain(line).replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/&/g, "&amp;");
const quote = (...lines) => `"${lines.map(escaped).join("\\n")}"`;
// Nothing keeps a backslash in a table from beginning one of Graphviz's own names.
const cell = (text) => plain(text).replace(/\\/g, "\u2216").replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// Short branches are padded below, so that Graphviz keeps branches in the order of the spec.
function padding(made) {
  const result = new Map(), height = new Map();
  const inside = (part) => (part.items ? part.items.flatMap(inside) : [part.item.path]);
  const deepest = (frame) => {
    const rows = new Map(inside(frame).map((path) => [path, 1]));
    for (const { from, to } of made.arrows)
      if (rows.has(from) && rows.has(to)) rows.set(to, Math.max(rows.get(to), rows.get(from) + 1));
    const last = [...rows.keys()].reduce((a, b) => (rows.get(b) >= rows.get(a) ? b : a));
    height.set(frame.item.path, rows.get(last));
    return last;
  };
  const walk = (parts) => {
    const frames = parts.filter((part) => part.items && part.items.length);
    const ends = frames.filter((frame) => frame.item.scope === "branch").map((frame) => [frame, deepest(frame)]);
    const most = Math.max(0, ...ends.map(([frame]) => height.get(frame.item.path)));
    for (const [frame, end] of ends) {
      const missing = most - height.get(frame.item.path);
      if (missing) result.set(frame.item.path, [end, missing]);
    }
    frames.forEach((frame) => walk(frame.items));
  };
  walk(made.root);
  return result;
}

// How many rows all arrows pass, and how many rows there are, as crossings.py counts them.
function rowsOf(made) {
  const rows = new Map([...made.visible.keys()].map((path) => [path, 0]));
  for (const { from, to } of made.arrows) rows.set(to, Math.max(rows.get(to), rows.get(from) + 1));
  return rows;
}
function lengths(made) {
  const rows = rowsOf(made);
  return [made.arrows.reduce((sum, { from, to }) => sum + rows.get(to) - rows.get(from), 0), Math.max(1, ...rows.values())];
}

// Of joins of two values, the arrow of the longer way: a residual block is a column, its shortcut at the side.
function straightest(made) {
  const rows = rowsOf(made), found = new Map();
  for (const arrow of made.arrows) found.set(arrow.to, [...(found.get(arrow.to) || []).slice(0, 2), arrow]);
  const pairs = [...found.values()].filter((arrows) => arrows.length === 2 && arrows[0].from !== arrows[1].from);
  return new Set(pairs.map(([a, b]) => (rows.get(b.from) > rows.get(a.from) ? b : a)));
}

// By its id in the layout, every box and frame.
function identified(parts, byId = new Map()) {
  for (const part of parts) {
    byId.set(part.items ? `scope ${part.item.path}` : part.item.path, part);
    identified(part.items || [], byId);
  }
  return byId;
}

function dot(made, network, rough) {
  const names = new Map(), padded = rough ? new Map() : padding(made);
  const most = Math.max(1, ...[...made.visible.values()].map((part) => part.value || 0));
  const lines = ["digraph {",
    `rankdir=TB; ranksep=${made.arrows.some((arrow) => arrow.label) ? 0.08 : 0.25}; nodesep=0.22; pad=0.1; bgcolor=transparent; ${
      rough ? "mclimit=0.1; nslimit=1; splines=line;" : "ordering=out;"} ${made.visible.size > network.many ? "nslimit=1;" : ""}`,
    `node [${network.node}]; edge [${network.edge}];`];
  const firstBox = (part) => (part.items ? part.items.map(firstBox).find(Boolean) : part);
  const box = (part) => {
    const [plain, border] = network.colors[part.kind], shades = network.shades;
    const shade = network.coloured && part.value !== undefined;
    const fill = shade ? shades[Math.min(Math.floor(part.value / most * shades.length), shades.length - 1)] : plain;
    if (!part.table) return `label=${quote(...part.lines, ...part.numbers)}, fillcolor="${fill}", color="${border}"${network.shapes[part.kind] || ""}`;
    const numbers = part.numbers.map((line) => `<BR/>${cell(line)}`).join("");
    return `label=<${part.table.replace("\u0001", fill).replace("\u0002", () => numbers)}>, shape=plain, style=""`;
  };
  const write = (parts, level) => {
    for (const part of parts) {
      const { path, scope } = part.item;
      if (!part.items) {
        names.set(path, `n${names.size}`);
        lines.push(`${names.get(path)} [${box(part)}, id=${quote(path)}];`);
        continue;
      }
      const branch = scope === "branch" && !part.once;
      lines.push(`subgraph cluster_${lines.length} { id=${quote(`scope ${path}`)}; label=""; margin=6; ${branch ? network.branch : network.frames[level % 2]};`);
      write(part.items, level + 1);
      // A title stands at the right of the first box: above it, arrows that enter would run through the title.
      const first = firstBox(part), title = `t${lines.length}`;
      if (first && !branch) {
        const text = part.title.split(/: | (?=\u00d7)/).map((line) => `${escaped(line)}\\l`).join("");
        lines.push(`${title} [id=${quote(`title ${path}`)}, ${network.titles}, label="${text}"];`);
        lines.push(`${names.get(first.item.path)} -> ${title} [style=invis, minlen=0];`);
      }
      const [end, missing] = padded.get(path) || ["", 0];
      let above = names.get(end);
      for (let row = 0; row < missing; row++) {
        const below = `${names.get(end)}_${row}`;
        lines.push(`${below} [style=invis, label="", width=0]; ${above} -> ${below} [style=invis, weight=8];`);
        above = below;
      }
      lines.push("}");
    }
  };
  write(made.root, 1);
  const tails = new Map([...padded.values()].map(([end, rows]) => [end, `${names.get(end)}_${rows - 1}`]));
  const port = (path, side, name) => {
    const index = name ? made.visible.get(path)[side].indexOf(name) : -1;
    return names.get(path) + (index < 0 ? "" : side === "ins" ? `:i${index}:n` : `:o${index}:s`);
  };
  const straight = straightest(made);
  for (const arrow of made.arrows) {
    const { from, to, label, main, outof, into } = arrow;
    const join = made.visible.get(to).kind === "join";
    if (tails.has(from) && join) lines.push(`${tails.get(from)} -> ${names.get(to)} [style=invis];`);
    const side = !main ? ", style=dashed" : join && !straight.has(arrow) ? "" : `, weight=${rough ? 8 : 200}`;
    lines.push(`${port(from, "outs", outof)} -> ${port(to, "ins", into)} [label=${label ? quote(" " + label) : '""'}${side}];`);
  }
  return [...lines, "}"].join("\n");
}
