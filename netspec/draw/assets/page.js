"use strict";
// Draws what is open of the network in #network, and opens, closes, finds and explains its parts.
(async () => {
  const network = JSON.parse(document.getElementById("network").textContent);
  const view = document.getElementById("view"), details = document.getElementById("details");
  const found = document.getElementById("found"), search = document.getElementById("search");
  const status = document.getElementById("status");
  const viz = await Viz.instance();

  // Every scope and box by path, and the box that holds a node.
  const parts = new Map(), boxOf = new Map(), boxes = [];
  (function index(items, parent) {
    for (const item of items) {
      item.parent = parent;
      parts.set(item.path, item);
      if (item.items) index(item.items, item);
      else {
        boxes[item.id] = item;
        for (const node of item.nodes) boxOf.set(node.path, item);
      }
    }
  })(network.items, null);

  // A picture that was laid out as it is has boxes only.
  for (const box of network.boxes || []) parts.set(box.path, { ...box, id: box.path, kind: "other", nodes: [], at: [] });

  let open = new Set(network.open), unrolled = new Set();
  let drawn = new Map(), chosen = null, at = { x: 0, y: 0, k: 1 };

  // Branches are not a level of their own: a figure of a block shows them.
  function unfold(item) {
    open.add(item.path);
    for (const inner of item.items) if (inner.scope === "branch") unfold(inner);
  }

  // Graphviz knows the widths of Helvetica; where the reader's font is wider, its text is made smaller.
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `100px ${getComputedStyle(view).getPropertyValue("--picture-font")}`;
  const wider = Math.max(1, pen.measureText("0123456789").width / 556, pen.measureText("convolution").width / 500.3);

  const leaves = (item) => (item.items ? item.items.flatMap(leaves) : [item]);
  const folded = (item) => item.run && !unrolled.has(item.run[3]);
  const hidden = (item) => folded(item) && item.run[0] > 0;

  // What an arrow says: a shape; of a repeat that is not left by its last round alone, the rounds as well.
  function rounded(label, left) {
    if (new Set(left.map(([run]) => run)).size !== 1) return label;
    const first = parts.get(left[0][0]), count = first.run[1];
    const indices = left.map(([, index]) => index).sort((a, b) => a - b);
    const shape = new Set(left.map(([, , shape]) => shape)).size === 1 ? label : "different shapes";
    if (indices.length === 1 && indices[0] === count - 1) return label;
    if (indices.length === count) return `${count} \u00d7 ${shape}`.trimEnd();
    const rounds = (first.parent ? first.parent.items : network.items).filter((item) => item.run && item.run[3] === first.path);
    const names = indices.map((index) => rounds[index].path.split(".").at(-1));
    const named = names.length < 3 ? names.join(" and ") : `${names.length} of ${count}`;
    return shape ? `${named}: ${shape}` : named;
  }

  // What is visible: a tree of frames and boxes, and arrows between them.
  function picture() {
    if (network.dot) return { root: [], arrows: Array(network.arrows), visible: new Map([...parts].map(([path, item]) => [path, { item, lines: item.lines }])) };
    const homes = new Map(), rounds = new Map(), visible = new Map();
    const within = new Map(); // of a node in a closed scope, the scope, in the node's own round
    const fill = (items) => items.filter((item) => !hidden(item)).map((item) => {
      let made;
      if (!item.items) {
        homes.set(item.id, item.path);
        visible.set(item.path, made = { item, lines: item.lines, said: item.said });
      } else if (open.has(item.path)) {
        made = { item, title: folded(item) ? item.run[2] : item.title, items: fill(item.items) };
      } else {
        for (const leaf of leaves(item)) { homes.set(leaf.id, item.path); within.set(leaf.id, item); }
        const lines = !folded(item) ? item.lines
          : item.kind !== "block" ? [...item.lines, item.run[4].trim()] : [item.run[2], ...item.lines.slice(1)];
        visible.set(item.path, made = { item, lines, said: folded(item) ? item.run[5] : item.said });
      }
      if (folded(item)) {
        const siblings = (item.parent ? item.parent.items : network.items).filter((s) => s.run && s.run[3] === item.path);
        for (const sibling of siblings) for (const leaf of leaves(sibling)) {
          const twin = boxOf.get(item.path + leaf.nodes[0].path.slice(sibling.path.length));
          homes.set(leaf.id, homes.get(twin.id));
          const scope = within.get(twin.id);
          if (scope) within.set(leaf.id, parts.get(sibling.path + scope.path.slice(item.path.length)));
          rounds.set(leaf.id, [...(rounds.get(leaf.id) || []), [item.path, sibling.run[0]]]);
        }
      }
      return made;
    });
    const root = fill(network.items);
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
      const [scope, box] = [within.get(id), visible.get(home).item];
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
      const item = { path, kind: "output", lines: [output.name, ...note], output };
      visible.set(path, { item, lines: item.lines });
      root.push(visible.get(path));
      const from = homes.get(output.box), outof = named("outs", output.box, output.ref, from)[0];
      const place = (rounds.get(output.box) || []).at(-1);
      const label = rounded(output.label, place ? [[...place, output.label]] : []);
      arrows.set(path, { from, to: path, label, main: !output.training, outof, into: "" });
    }
    return { root, visible, arrows: [...arrows.values()] };
  }

  function show() {
    const made = picture();
    if (made.visible.size > network.most) return made.visible.size;
    const { text, byId } = network.dot ? { text: network.dot, byId: made.visible } : dot(made, network, folded);
    const svg = viz.renderSVGElement(text);
    for (const text of svg.querySelectorAll("text")) text.setAttribute("font-size", Number(text.getAttribute("font-size")) / wider);
    svg.querySelectorAll("title").forEach((title) => title.remove());
    svg.querySelectorAll(".node.title").forEach((title) => title.setAttribute("class", "title"));
    drawn = new Map();
    for (const [id, part] of byId) {
      const element = svg.getElementById(id);
      if (!element) continue;
      drawn.set(part.item.path, element);
      element.setAttribute("tabindex", "0");
      element.setAttribute("role", "button");
      element.setAttribute("aria-label", part.title || part.lines.join(", "));
      const title = svg.getElementById("title_" + id);
      for (const face of title ? [element, title] : [element]) {
        face.addEventListener("dblclick", (event) => { event.stopPropagation(); toggle(part.item); });
        face.addEventListener("click", (event) => { event.stopPropagation(); if (!moved) choose(part.item); });
      }
      element.addEventListener("keydown", (event) => {
        if (event.key === "Enter") choose(part.item);
        else if (event.key === " ") toggle(part.item);
        else return;
        event.preventDefault();
        event.stopPropagation();
      });
    }
    view.replaceChildren(svg);
    status.textContent = `${made.visible.size} boxes, ${made.arrows.length} arrows. Click or Enter: details. Double click or Space: ` +
      "open or close. Wheel, + and -: zoom. Drag, arrow keys: move. 0: fit. /: search.";
    place();
    if (chosen && drawn.has(chosen.path)) drawn.get(chosen.path).classList.add("chosen");
    return 0;
  }

  // Draws another state, or keeps the one that was where it would be too large.
  function change(edit) {
    const kept = [open, unrolled];
    [open, unrolled] = [new Set(open), new Set(unrolled)];
    edit();
    const count = show();
    if (!count) return true;
    [open, unrolled] = kept;
    status.textContent = `That would be ${count} boxes; more than ${network.most} are not laid out here.`;
    return false;
  }

  function toggle(item) {
    if (!item.items) return;
    const before = drawn.get(item.path)?.getBoundingClientRect();
    change(() => { if (!open.delete(item.path)) unfold(item); });
    const element = drawn.get(item.path);
    if (element && before) { // what is opened stays where it was
      const now = element.getBoundingClientRect();
      at.x += before.left + before.width / 2 - now.left - now.width / 2;
      at.y += before.top - now.top;
      place();
    }
    if (element) element.focus({ preventScroll: true });
    choose(item);
  }

  function reveal(item) {
    const done = change(() => {
      for (let above = item.parent; above; above = above.parent) open.add(above.path);
      for (let part = item; part; part = part.parent) if (part.run && part.run[0] > 0) unrolled.add(part.run[3]);
    });
    if (done) { choose(item); centre(item); }
  }

  const make = (tag, text, ...children) => {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    element.append(...children);
    return element;
  };

  function table(facts) {
    const rows = Object.entries(facts).filter(([, value]) => value && value !== "0")
      .map(([name, value]) => make("tr", "", make("th", name), make("td", value)));
    return make("table", "", ...rows);
  }

  function lines([text, first, last], where) {
    const shown = network.texts[text].lines.slice(first - 1, Math.max(last, first))
      .map((line, i) => `${String(first + i).padStart(4)}  ${line}`);
    return [make("div", where), make("pre", shown.slice(0, 60).join("\n"))];
  }

  function choose(item) {
    if (chosen && drawn.has(chosen.path)) drawn.get(chosen.path).classList.remove("chosen");
    chosen = item;
    if (drawn.has(item.path)) drawn.get(item.path).classList.add("chosen");
    details.replaceChildren(make("h2", item.path));
    if (item.text) details.append(make("p", item.text));
    if (item.output) details.append(table({ shape: item.output.shape }));
    if (item.items) {
      const button = make("button", open.has(item.path) ? "Close" : "Open");
      button.addEventListener("click", () => toggle(item));
      details.append(button);
      if (item.run) {
        const rounds = make("button", folded(item) ? `Draw all ${item.run[1]}` : `Fold ${item.run[1]} to one`);
        rounds.addEventListener("click", () => {
          change(() => { if (!unrolled.delete(item.run[3])) unrolled.add(item.run[3]); });
          choose(parts.get(item.run[3]));
        });
        details.append(" ", rounds);
      }
      if (item.doc) details.append(make("p", item.doc));
      details.append(table({ block: item.block, ...item.facts }), table(item.args));
      if (item.at.length) details.append(...lines(item.at, item.where));
    }
    const layer = item.items && item.kind !== "block" ? leaves(item).flatMap((leaf) => leaf.nodes) : [];
    for (const node of item.nodes || layer) {
      details.append(make("h2", node.path), ...(node.doc ? [make("p", node.doc)] : []), table(node.facts));
      if (node.weights.length) details.append(make("pre", node.weights.join("\n")));
      if (node.at.length) details.append(...lines(node.at, node.where));
    }
  }

  search.addEventListener("input", () => {
    const asked = search.value.trim().toLowerCase();
    const words = (item) => [item.path, item.block, ...item.lines, ...(item.nodes || []).flatMap((n) => [n.path, n.op])];
    const hits = asked ? [...parts.values()].filter((item) => words(item).some((w) => w && w.toLowerCase().includes(asked))) : [];
    found.replaceChildren(...hits.slice(0, 40).map((item) => {
      const button = make("button", item.path);
      button.addEventListener("click", () => reveal(item));
      return make("li", "", button);
    }));
    if (asked) status.textContent = hits.length > 40 ? `${hits.length} found, 40 listed` : `${hits.length} found`;
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && found.querySelector("button")) found.querySelector("button").click();
  });

  const size = () => {
    const svg = view.querySelector("svg");
    return [svg.viewBox.baseVal.width * 4 / 3, svg.viewBox.baseVal.height * 4 / 3];
  };
  const place = () => { view.querySelector("svg").style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.k})`; };
  function fit() {
    const [w, h] = size();
    at.k = Math.min(view.clientWidth / w, Math.max(view.clientHeight / h, 0.6), 1.5);
    [at.x, at.y] = [(view.clientWidth - w * at.k) / 2, Math.max((view.clientHeight - h * at.k) / 2, 0)];
    place();
  }
  function zoom(by, x = view.clientWidth / 2, y = view.clientHeight / 2) {
    const k = Math.min(Math.max(at.k * by, 0.02), 20);
    at = { x: x - (x - at.x) * k / at.k, y: y - (y - at.y) * k / at.k, k };
    place();
  }
  function centre(item) {
    const element = drawn.get(item.path);
    if (!element) return;
    const box = element.getBoundingClientRect(), frame = view.getBoundingClientRect();
    at.x += frame.left + frame.width / 2 - box.left - box.width / 2;
    at.y += frame.top + frame.height / 2 - box.top - box.height / 2;
    place();
  }

  let moved = false, drag = null;
  view.addEventListener("pointerdown", (event) => { drag = [event.clientX, event.clientY]; moved = false; });
  window.addEventListener("pointerup", () => { drag = null; });
  window.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [dx, dy] = [event.clientX - drag[0], event.clientY - drag[1]];
    if (!moved && Math.hypot(dx, dy) < 4) return;
    moved = true;
    at.x += dx;
    at.y += dy;
    drag = [event.clientX, event.clientY];
    place();
  });
  view.addEventListener("wheel", (event) => {
    event.preventDefault();
    const frame = view.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 400), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });
  window.addEventListener("keydown", (event) => {
    if (event.target === search || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (event.key === "/") search.focus();
    else if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === "0") fit();
    else if (steps[event.key]) { at.x += steps[event.key][0]; at.y += steps[event.key][1]; place(); }
    else return;
    event.preventDefault();
  });

  const button = (id, does) => document.getElementById(id).addEventListener("click", does);
  button("zoom-in", () => zoom(1.25));
  button("zoom-out", () => zoom(0.8));
  button("fit", fit);
  button("first", () => { change(() => { open = new Set(network.open); unrolled = new Set(); }); fit(); });
  button("more", () => change(() => {
    const closed = [...drawn.keys()].map((path) => parts.get(path)).filter((item) => item && item.items && !open.has(item.path));
    const blocks = closed.filter((item) => item.kind === "block");
    for (const item of blocks.length ? blocks : closed) unfold(item);
  }));
  button("less", () => change(() => {
    const depth = (path) => path.split(".").length;
    const shown = [...open].filter((path) => drawn.has(path));
    const deepest = Math.max(0, ...shown.map(depth));
    for (const path of shown) if (depth(path) === deepest) open.delete(path);
  }));

  for (const id of network.dot ? ["more", "less", "first"] : []) document.getElementById(id).hidden = true;
  details.append(make("h2", network.title), table(network.facts));
  const count = show();
  if (count) open = new Set();
  if (count && show()) throw new Error(`it has ${count} boxes; ${network.most} at most are laid out here`);
  fit();
  document.body.dataset.ready = "yes";
})().catch((error) => {
  document.getElementById("status").textContent = "This page could not be drawn: " + error.message;
  throw error;
});
