"use strict";
// What is visible of a network as DOT, as dot.py writes it for pictures.

const plain = (line) => line.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, " ");
const escaped = (line) => plain(line).replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/&/g, "&amp;");
const quote = (...lines) => `"${lines.map(escaped).join("\\n")}"`;
// Nothing keeps a backslash in a table from beginning one of Graphviz's own names.
const cell = (text) => plain(text).replace(/\\/g, "\u2216").replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// A box as a table: the names of what enters it above, of what leaves it below.
function ported({ ins, outs }, said, fill, border) {
  const width = (ins.length || 1) * (outs.length || 1);
  const row = (names, letter) => names.length ? `<TR>${names.map((name, i) =>
    `<TD PORT="${letter}${i}" COLSPAN="${width / names.length}"><FONT POINT-SIZE="10">${cell(name)}</FONT></TD>`).join("")}</TR>` : "";
  return `<TABLE BORDER="1" CELLBORDER="1" CELLSPACING="2" CELLPADDING="2" COLOR="${border}" BGCOLOR="${fill}">${row(ins, "i")}` +
    `<TR><TD COLSPAN="${width}" BORDER="0">${said.map(cell).join("<BR/>")}</TD></TR>${row(outs, "o")}</TABLE>`;
}

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

function dot(made, network, rough) {
  const ids = new Map(), byId = new Map(), padded = rough ? new Map() : padding(made);
  const most = Math.max(1, ...[...made.visible.values()].map((part) => part.heat || 0));
  const lines = ["digraph {",
    `rankdir=TB; ranksep=${made.arrows.some((arrow) => arrow.label) ? 0.08 : 0.25}; nodesep=0.22; pad=0.1; bgcolor=transparent; ${
      rough ? "mclimit=0.1; nslimit=1; splines=line;" : "ordering=out;"} ${made.visible.size > network.many ? "nslimit=1;" : ""}`,
    `node [shape=box, style="filled,rounded", fontname=${quote(network.font)}, fontsize=11, height=0.26, margin="0.1,0.025"];`,
    `edge [fontname=${quote(network.font)}, fontsize=10, fontcolor="#5f6368", color="#5f6368", arrowsize=0.6];`];
  const name = (part) => {
    const id = "part" + byId.size;
    byId.set(id, part);
    return id;
  };
  const firstBox = (part) => (part.items ? part.items.map(firstBox).find(Boolean) : part);
  const write = (parts, level) => {
    for (const part of parts) {
      const item = part.item, id = name(part);
      if (!part.items) {
        ids.set(item.path, id);
        const [fill, border] = network.colors[part.kind];
        const step = network.heated && part.heat !== undefined
          ? network.heat[Math.min(Math.floor(part.heat / most * network.heat.length), network.heat.length - 1)] : fill;
        const shape = part.kind === "join" ? ", shape=ellipse, style=filled"
          : part.kind === "block" ? ", style=filled, peripheries=2" : "";
        const said = [...part.lines, ...part.said];
        if (part.ins.length + part.outs.length)
          lines.push(`${id} [id=${id}, label=<${ported(part, said, step, border)}>, shape=plain, style=""];`);
        else lines.push(`${id} [id=${id}, label=${quote(...said)}, fillcolor="${step}", color="${border}"${shape}];`);
      } else {
        const branch = item.scope === "branch" && !part.folded;
        const look = branch ? "peripheries=0" : `peripheries=1; style="filled,rounded"; color="#bdc1c6"; fillcolor="${network.frames[level % 2]}"`;
        lines.push(`subgraph cluster_${id} { id=${id}; label=""; margin=6; ${look};`);
        write(part.items, level + 1);
        // A title stands at the right of the first box: above it, arrows that enter would run through the title.
        const first = firstBox(part);
        if (first && !branch) {
          const title = part.title.split(/: | (?=\u00d7)/).map((line) => escaped(line) + "\\l").join("");
          lines.push(`title_${id} [id=title_${id}, class=title, shape=plaintext, style="", margin="0.02,0", width=0, label="${title}"];`);
          lines.push(`${ids.get(first.item.path)} -> title_${id} [style=invis, minlen=0];`);
        }
        const [end, missing] = padded.get(item.path) || ["", 0];
        let above = ids.get(end);
        for (let row = 0; row < missing; row++) {
          const below = `${ids.get(end)}_${row}`;
          lines.push(`${below} [style=invis, label="", width=0]; ${above} -> ${below} [style=invis, weight=8];`);
          above = below;
        }
        lines.push("}");
      }
    }
  };
  write(made.root, 1);
  const tails = new Map([...padded.values()].map(([end, rows]) => [end, `${ids.get(end)}_${rows - 1}`]));
  const port = (path, side, name) => {
    const index = name ? made.visible.get(path)[side].indexOf(name) : -1;
    return ids.get(path) + (index < 0 ? "" : side === "ins" ? `:i${index}:n` : `:o${index}:s`);
  };
  const straight = straightest(made);
  for (const arrow of made.arrows) {
    const { from, to, label, main, outof, into } = arrow;
    const join = made.visible.get(to).kind === "join";
    if (tails.has(from) && join) lines.push(`${tails.get(from)} -> ${ids.get(to)} [style=invis];`);
    const side = !main ? ", style=dashed" : join && !straight.has(arrow) ? "" : `, weight=${rough ? 8 : 200}`;
    lines.push(`${port(from, "outs", outof)} -> ${port(to, "ins", into)} [label=${label ? quote(" " + label) : '""'}${side}];`);
  }
  return { text: [...lines, "}"].join("\n"), byId };
}
