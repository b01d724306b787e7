"use strict";
// Draws what is expanded of the network in #network, and expands, collapses, finds and explains its parts.
(async () => {
  const network = JSON.parse(document.getElementById("network").textContent);
  const [view, details, found, search, status] =
    ["view", "details", "found", "search", "status"].map((id) => document.getElementById(id));
  const viz = await Viz.instance();
  const index = indexed(network), { parts } = index;
  const first = () => ({ expanded: new Set(network.expanded), unrolled: new Set() });
  const isFirst = ({ expanded, unrolled }) => !unrolled.size && expanded.size === network.expanded.length && network.expanded.every((path) => expanded.has(path));
  const copy = ({ expanded, unrolled }) => ({ expanded: new Set(expanded), unrolled: new Set(unrolled) });
  // What is drawn, and what is on its way to be.
  let state = first(), goal = state, drawn = new Map(), chosen = null, at = { x: 0, y: 0, k: 1 };

  // Graphviz knows the widths of Helvetica; where the reader's font is wider, its text is made smaller.
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `100px ${getComputedStyle(view).getPropertyValue("--picture-font")}`;
  const wider = Math.max(1, pen.measureText("0123456789").width / 556, pen.measureText("convolution").width / 500.3);

  // What few boxes are is laid out at once; more in a worker, so that the page stays alive and can be told to stop.
  const AT_ONCE = 300, ROWS_AT_ONCE = 600;
  const WORK = `
    const ready = Viz.instance();
    onmessage = ({ data }) => ready.then((viz) => postMessage({ svg: viz.renderString(data, { format: "svg" }) }))
      .catch((error) => postMessage({ wrong: String(error) }));`;
  let worker = null, source = "", tried = false;
  function stop() {
    if (worker) { worker.terminate(); URL.revokeObjectURL(source); }
    worker = null;
    delete view.dataset.busy;
  }
  function failed(why) {
    stop();
    goal = state;
    status.textContent = `That could not be laid out: ${why}.`;
    if (!view.querySelector("svg") && !tried) { tried = true; collapsed(status.textContent); }
  }
  function layout(text, atOnce, done) {
    if (atOnce) {
      try { done(viz.renderSVGElement(text)); } catch (error) { failed(error.message); }
      return;
    }
    source = URL.createObjectURL(new Blob([document.getElementById("viz").textContent, WORK]));
    worker = new Worker(source);
    worker.onerror = (event) => failed(event.message);
    worker.onmessage = ({ data }) => {
      if (data.wrong) return failed(data.wrong);
      stop();
      done(document.importNode(new DOMParser().parseFromString(data.svg, "image/svg+xml").documentElement, true));
    };
    worker.postMessage(text);
  }

  // Draws another state where it is not too large, then does what is to be done with it.
  function change(edit, then = () => {}) {
    const next = copy(goal);
    edit(next);
    const made = network.dot
      ? { arrows: Array(network.count), visible: new Map([...parts].map(([path, item]) => [path, { item, lines: item.lines }])) }
      : visible(network, index, next);
    const byId = network.dot ? made.visible : identified(made.root);
    const count = made.visible.size, [passed, rows] = network.dot ? [0, 1] : lengths(made);
    const [tangled, tooLong] = network.tangled || [Infinity, Infinity], rough = passed > tangled * rows;
    if (count > network.most || (rough && passed > tooLong)) {
      status.textContent = `That would be ${count} boxes and ${made.arrows.length} arrows; so many are not laid out here.`;
      return false;
    }
    stop();
    goal = next;
    // What crosses in source order is laid out at first as the SVG is, in an order that Python looked for.
    const text = network.dot || (isFirst(next) && network.first) || dot(made, network, rough);
    const atOnce = count <= AT_ONCE && passed <= ROWS_AT_ONCE;
    if (!atOnce) {
      status.textContent = view.dataset.busy = `Laying out ${count} boxes\u2026 Escape stops.`;
      if (chosen) explain(chosen);
    }
    layout(text, atOnce, (svg) => {
      const before = view.querySelector("svg");
      state = next;
      show(svg, byId, made);
      if (!before) ready();
      then();
    });
    return true;
  }

  function show(svg, byId, made) {
    for (const text of svg.querySelectorAll("text")) text.setAttribute("font-size", Number(text.getAttribute("font-size")) / wider);
    svg.querySelectorAll("title").forEach((title) => title.remove());
    svg.querySelectorAll(".node.title").forEach((title) => title.setAttribute("class", "title"));
    const elements = new Map([...svg.querySelectorAll("[id]")].map((element) => [element.id, element]));
    drawn = new Map();
    for (const [id, part] of byId) {
      const element = elements.get(id), title = elements.get(`title ${part.item.path}`);
      if (!element) continue;
      drawn.set(part.item.path, element);
      element.setAttribute("tabindex", "0");
      element.setAttribute("role", "button");
      element.setAttribute("aria-label", part.title || part.lines.join(", "));
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
    status.textContent = `${made.visible.size} boxes, ${made.arrows.length} arrows. Click or Enter: details. ` +
      `${network.dot ? "" : "Double click or Space: expand or collapse. "}Wheel, + and -: zoom. Drag, arrow keys: move. 0: fit. /: search.`;
    place();
    if (chosen) mark(chosen);
  }

  // Branches are not a level of their own: a figure of a block shows them.
  function expand(expanded, item) {
    expanded.add(item.path);
    for (const inner of item.items) if (inner.scope === "branch") expand(expanded, inner);
  }

  function toggle(item) {
    if (!item.items) return;
    const before = drawn.get(item.path)?.getBoundingClientRect();
    change(({ expanded }) => { if (!expanded.delete(item.path)) expand(expanded, item); }, () => {
      const element = drawn.get(item.path);
      if (element && before) { // what is expanded stays where it was
        const now = element.getBoundingClientRect();
        at.x += before.left + before.width / 2 - now.left - now.width / 2;
        at.y += before.top - now.top;
        place();
      }
      if (element) element.focus({ preventScroll: true });
      choose(item);
    });
  }

  // Where repeats are drawn once only, the first iteration stands for the others.
  function standsFor(item) {
    for (let part = item; part && !network.unrolls; part = part.parent)
      if (part.run && part.run[0] > 0) return standsFor(parts.get(part.run[1] + item.path.slice(part.path.length)));
    return item;
  }

  function reveal(asked) {
    const item = standsFor(asked);
    const then = () => {
      choose(item);
      centre(item);
      if (document.activeElement === document.body) details.querySelector("h2").focus({ preventScroll: true });
    };
    if (drawn.has(item.path)) return then();
    change(({ expanded, unrolled }) => {
      for (let above = item.parent; above; above = above.parent) expand(expanded, above);
      for (let part = item; part; part = part.parent) if (part.run && part.run[0] > 0) unrolled.add(part.run[1]);
    }, then);
  }

  const make = (tag, text, ...children) => {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    element.append(...children);
    return element;
  };
  const button = (text, does, kind = "") => {
    const made = make("button", text);
    made.addEventListener("click", does);
    made.className = kind;
    return made;
  };
  const byPath = (path) => parts.get(path) || index.other.get(path) || index.boxOf.get(path);
  const link = (path, after = "") => make("div", "", button(path, () => reveal(byPath(path)), "link"), after);

  // Facts that are nothing are left out; arguments are not.
  function table(facts, all = false) {
    const rows = Object.entries(facts).filter(([, value]) => all || (value && value !== "0" && value.length !== 0))
      .map(([name, value]) => make("tr", "", make("th", name), make("td", "", ...[value].flat())));
    return make("table", "", ...rows);
  }

  function lines([text, from, to], where) {
    const shown = network.texts[text].slice(from - 1, Math.max(to, from))
      .map((line, i) => `${String(from + i).padStart(4)}  ${line}`);
    return [make("div", where), make("pre", shown.slice(0, 60).join("\n"))];
  }

  // What comes into a part from outside of it, and what reads it there; each leads there.
  const MOST_LINKS = 12;
  function neighbours(nodes) {
    const own = new Set(nodes.map((node) => node.path));
    const reads = new Map(nodes.flatMap((node) => node.reads).filter(([path]) => !own.has(path)).map((read) => [read[0] + read[1], read]));
    const readers = new Set(nodes.flatMap((node) => index.readers.get(node.path) || []).filter((path) => !own.has(path)));
    const few = (links) => links.length > MOST_LINKS ? [...links.slice(0, MOST_LINKS), `and ${links.length - MOST_LINKS} more`] : links;
    return { reads: few([...reads.values()].map(([path, out, shape]) => link(path, `${out} ${shape}`))), "read by": few([...readers].map((path) => link(path))) };
  }

  function above(item) {
    const trail = [button(network.title, () => choose(null), "link")];
    for (let part = item.parent; part; part = part.parent) {
      const scope = part;
      trail.splice(1, 0, " \u203a ", button(scope.path.slice(scope.parent ? scope.parent.path.length + 1 : 0), () => reveal(scope), "link"));
    }
    return make("nav", "", ...trail);
  }

  function mark(item) {
    view.querySelector(".chosen")?.classList.remove("chosen");
    if (item && drawn.has(item.path)) drawn.get(item.path).classList.add("chosen");
    explain(item);
  }
  function choose(item) {
    chosen = item;
    details.parentElement.scrollTop = 0;
    remember(item);
    mark(item);
  }

  function explain(item) {
    const title = (text) => Object.assign(make("h2", text), { tabIndex: -1 });
    if (!item) return details.replaceChildren(title(network.title), table(network.facts), table(network.args, true));
    details.replaceChildren(above(item), title(item.path));
    if (item.text) details.append(make("p", item.text));
    if (network.dot) details.append(...item.facts.map((fact) => make("p", fact)));
    if (item.output) details.append(table({ shape: item.output.shape, reads: [link(item.output.node)] }));
    if (item.items) {
      details.append(button(goal.expanded.has(item.path) ? "Collapse" : "Expand", () => toggle(item)));
      if (item.run && network.unrolls) {
        const first = parts.get(item.run[1]), count = first.repeat.members.length;
        details.append(" ", button(goal.unrolled.has(first.path) ? `Fold ${count} to one` : `Draw all ${count}`, () => change(
          ({ unrolled }) => { if (!unrolled.delete(first.path)) unrolled.add(first.path); }, () => choose(first))));
      }
      if (item.doc) details.append(make("p", item.doc));
      details.append(table({ block: item.block, ...item.facts, ...neighbours(item.all) }), table(item.args, true));
      if (item.at.length) details.append(...lines(item.at, item.where));
    }
    for (const node of item.items && item.kind === "block" ? [] : item.all) {
      details.append(...(node.path === item.path ? [] : [make("h2", node.path)]), ...(node.doc ? [make("p", node.doc)] : []));
      details.append(table({ ...node.facts, ...neighbours([node]) }));
      if (node.weights.length) details.append(make("pre", node.weights.join("\n")));
      if (node.at.length) details.append(...lines(node.at, node.where));
    }
  }

  // The part that is chosen stands in the address, so that a link can lead to it.
  function remember(item) {
    const hash = item ? `#${encodeURIComponent(item.path)}` : "";
    if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname + location.search);
  }
  function address() {
    try { return decodeURIComponent(location.hash.slice(1)); } catch { return location.hash.slice(1); }
  }
  function follow(path) {
    if (!path) return choose(null);
    if (byPath(path)) return reveal(byPath(path));
    choose(null);
    search.value = path.split(".").at(-1);
    find();
    status.textContent = `There is no part '${path}'; what is called alike is listed.`;
  }
  window.addEventListener("hashchange", () => follow(address()));

  // Every word is looked for in names, ops, blocks and what boxes say; x is the sign of windows too.
  const plain = (text) => text.toLowerCase().replaceAll("\u00d7", "x");
  const words = (item) => plain([item.path, item.block, item.title, ...item.lines, ...(item.nodes || []).flatMap((n) => [n.path, n.op, n.facts.shape])].join("\n"));
  function find() {
    const asked = plain(search.value).split(/\s+/).filter(Boolean);
    // First what has this name, then whose name begins so, then what has it in its path, then anywhere.
    const rank = (item) => {
      const path = plain(item.path), name = path.slice(path.lastIndexOf(".") + 1), [word] = asked;
      return path === word || name === word ? 0 : path.startsWith(word) || name.startsWith(word) ? 1 : path.includes(word) ? 2 : 3;
    };
    const hits = asked.length ? [...parts.values()].filter((item) => { const all = words(item); return asked.every((word) => all.includes(word)); }) : [];
    hits.sort((a, b) => rank(a) - rank(b));
    found.replaceChildren(...hits.slice(0, 40).map((item) => make("li", "", button(item.path, () => reveal(item)))));
    if (asked.length) status.textContent = hits.length > 40 ? `${hits.length} found, 40 listed` : `${hits.length} found`;
  }
  search.addEventListener("input", find);
  function leave() {
    search.value = "";
    found.replaceChildren();
    view.focus();
  }
  // Enter goes to the first that was found, the arrows through all of them.
  for (const place of [search, found]) place.addEventListener("keydown", (event) => {
    const all = [...found.querySelectorAll("button")], now = all.indexOf(document.activeElement);
    if (event.key === "Enter" && place === search) all[0]?.click();
    else if (event.key === "ArrowDown") all[Math.min(now + 1, all.length - 1)]?.focus();
    else if (event.key === "ArrowUp") (now > 0 ? all[now - 1] : search).focus();
    else if (event.key === "Escape") worker ? interrupt() : leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  const size = () => {
    const box = view.querySelector("svg").viewBox.baseVal;
    return [box.width * 4 / 3, box.height * 4 / 3];
  };
  function place() {
    const svg = view.querySelector("svg");
    if (svg) svg.style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.k})`;
  }
  function fit(least = 0) {
    if (!view.querySelector("svg")) return;
    const [w, h] = size();
    at.k = Math.min(view.clientWidth / w, Math.max(view.clientHeight / h, least), 1.5);
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
  view.addEventListener("click", () => { if (!moved) choose(null); });
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
    if (details.parentElement.contains(event.target) && event.key.startsWith("Arrow")) return;
    if (event.target === search || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (event.key === "/") { search.focus(); search.select(); }
    else if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === "0") fit();
    else if (event.key === "Escape" && worker) interrupt();
    else if (event.key === "Escape") choose(null);
    else if (steps[event.key]) { at.x += steps[event.key][0]; at.y += steps[event.key][1]; place(); }
    else return;
    event.preventDefault();
  });

  const press = (id, does) => document.getElementById(id).addEventListener("click", does);
  press("zoom-in", () => zoom(1.25));
  press("zoom-out", () => zoom(0.8));
  press("fit", () => fit());
  // At first text is not too small to be read, and the picture may be longer than the page.
  const READABLE = 0.6;
  press("first", () => change((next) => Object.assign(next, first()), () => fit(READABLE)));
  press("more", () => change(({ expanded }) => {
    const collapsed = [...drawn.keys()].map((path) => parts.get(path)).filter((item) => item && item.items && !expanded.has(item.path));
    const blocks = collapsed.filter((item) => item.kind === "block");
    for (const item of blocks.length ? blocks : collapsed) expand(expanded, item);
  }));
  press("less", () => change(({ expanded }) => {
    const level = (item) => (item ? level(item.parent) + (item.scope !== "branch") : 0);
    const frames = [...expanded].map((path) => parts.get(path)).filter((item) => drawn.has(item.path) && item.scope !== "branch");
    const deepest = Math.max(0, ...frames.map(level));
    const collapsing = frames.filter((item) => level(item) === deepest).map((item) => item.path);
    for (const path of [...expanded]) if (collapsing.some((outer) => path === outer || path.startsWith(`${outer}.`))) expanded.delete(path);
  }));
  for (const id of network.dot ? ["more", "less", "first"] : []) document.getElementById(id).hidden = true;

  const target = address();
  choose(null);
  function ready() {
    fit(READABLE);
    follow(target);
    document.body.dataset.ready = "yes";
  }
  // What is too large to be laid out, or was stopped before anything was drawn, is shown collapsed.
  const collapsed = (why) => change(({ expanded }) => expanded.clear(), () => { status.textContent = `${why} Here all is collapsed.`; });
  function interrupt() {
    stop();
    const some = goal.expanded.size > 0 && !network.dot;
    goal = view.querySelector("svg") ? state : goal;
    status.textContent = "Stopped.";
    if (chosen) explain(chosen);
    if (view.querySelector("svg")) return;
    if (some) return collapsed("Stopped.");
    details.replaceChildren(button("Lay it out after all", () => change(() => choose(null))));
  }
  if (!change(() => {}) && !collapsed(status.textContent)) throw new Error(status.textContent);
})().catch((error) => {
  document.getElementById("status").textContent = "This page could not be drawn: " + error.message;
  throw error;
});
