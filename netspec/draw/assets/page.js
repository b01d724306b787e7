"use strict";
// Draws what is open of the network in #network, and opens, closes, finds and explains its parts.
(async () => {
  const network = JSON.parse(document.getElementById("network").textContent);
  const [view, details, found, search, status] =
    ["view", "details", "found", "search", "status"].map((id) => document.getElementById(id));
  const viz = await Viz.instance();
  const index = indexed(network), { parts } = index;
  const first = () => ({ open: new Set(network.open), unrolled: new Set() });
  let state = first(), drawn = new Map(), chosen = null, at = { x: 0, y: 0, k: 1 };

  // Graphviz knows the widths of Helvetica; where the reader's font is wider, its text is made smaller.
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `100px ${getComputedStyle(view).getPropertyValue("--picture-font")}`;
  const wider = Math.max(1, pen.measureText("0123456789").width / 556, pen.measureText("convolution").width / 500.3);

  // What few boxes are is laid out at once; many in a worker, so that the page stays alive and can be told to stop.
  const AT_ONCE = 300;
  const WORK = `
    const ready = Viz.instance();
    onmessage = ({ data }) => ready.then((viz) => postMessage({ svg: viz.renderString(data, { format: "svg" }) }))
      .catch((error) => postMessage({ wrong: String(error) }));`;
  let worker = null;
  function stop() {
    if (worker) worker.terminate();
    worker = null;
  }
  function layout(text, count, done) {
    if (count <= AT_ONCE) return done(viz.renderSVGElement(text));
    status.textContent = `Laying out ${count} boxes\u2026 Escape stops.`;
    const url = URL.createObjectURL(new Blob([document.getElementById("viz").textContent, WORK]));
    const mine = worker = new Worker(url);
    const failed = (why) => { stop(); status.textContent = `That could not be laid out: ${why}`; };
    mine.onerror = (event) => failed(event.message);
    mine.onmessage = ({ data }) => {
      if (data.wrong) return failed(data.wrong);
      stop();
      URL.revokeObjectURL(url);
      done(document.importNode(new DOMParser().parseFromString(data.svg, "image/svg+xml").documentElement, true));
    };
    mine.postMessage(text);
  }

  // Draws another state where it is not too large, then does what is to be done with it.
  function change(edit, then = () => {}) {
    stop();
    const next = { open: new Set(state.open), unrolled: new Set(state.unrolled) };
    edit(next);
    const made = network.dot
      ? { arrows: Array(network.arrows), visible: new Map([...parts].map(([path, item]) => [path, { item, lines: item.lines }])) }
      : visible(network, index, next);
    const count = made.visible.size;
    if (count > network.most) {
      status.textContent = `That would be ${count} boxes; more than ${network.most} are not laid out here.`;
      return false;
    }
    const { text, byId } = network.dot ? { text: network.dot, byId: made.visible } : dot(made, network);
    layout(text, count, (svg) => { state = next; show(svg, byId, made); then(); });
    return true;
  }

  function show(svg, byId, made) {
    for (const text of svg.querySelectorAll("text")) text.setAttribute("font-size", Number(text.getAttribute("font-size")) / wider);
    svg.querySelectorAll("title").forEach((title) => title.remove());
    svg.querySelectorAll(".node.title").forEach((title) => title.setAttribute("class", "title"));
    const elements = new Map([...svg.querySelectorAll("[id]")].map((element) => [element.id, element]));
    drawn = new Map();
    for (const [id, part] of byId) {
      const element = elements.get(id), title = elements.get("title_" + id);
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
    status.textContent = `${made.visible.size} boxes, ${made.arrows.length} arrows. Click or Enter: details. Double click or Space: ` +
      "open or close. Wheel, + and -: zoom. Drag, arrow keys: move. 0: fit. /: search.";
    place();
    if (chosen && drawn.has(chosen.path)) drawn.get(chosen.path).classList.add("chosen");
  }

  // Branches are not a level of their own: a figure of a block shows them.
  function unfold(open, item) {
    open.add(item.path);
    for (const inner of item.items) if (inner.scope === "branch") unfold(open, inner);
  }

  function toggle(item) {
    if (!item.items) return;
    const before = drawn.get(item.path)?.getBoundingClientRect();
    change(({ open }) => { if (!open.delete(item.path)) unfold(open, item); }, () => {
      const element = drawn.get(item.path);
      if (element && before) { // what is opened stays where it was
        const now = element.getBoundingClientRect();
        at.x += before.left + before.width / 2 - now.left - now.width / 2;
        at.y += before.top - now.top;
        place();
      }
      if (element) element.focus({ preventScroll: true });
      choose(item);
    });
  }

  function reveal(item) {
    const then = () => { choose(item); centre(item); };
    if (drawn.has(item.path)) return then();
    change(({ open, unrolled }) => {
      for (let above = item.parent; above; above = above.parent) open.add(above.path);
      for (let part = item; part; part = part.parent) if (part.run && part.run[0] > 0) unrolled.add(part.run[3]);
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
  const byPath = (path) => parts.get(path) || index.boxOf.get(path);
  const link = (path, after = "") => make("div", "", button(path, () => reveal(byPath(path)), "link"), after);

  function table(facts) {
    const rows = Object.entries(facts).filter(([, value]) => value && value !== "0" && value.length !== 0)
      .map(([name, value]) => make("tr", "", make("th", name), make("td", "", ...[value].flat())));
    return make("table", "", ...rows);
  }

  function lines([text, from, to], where) {
    const shown = network.texts[text].lines.slice(from - 1, Math.max(to, from))
      .map((line, i) => `${String(from + i).padStart(4)}  ${line}`);
    return [make("div", where), make("pre", shown.slice(0, 60).join("\n"))];
  }

  // What comes into a part from outside of it, and what reads it there; each leads there.
  const MOST_LINKS = 12;
  function neighbours(nodes) {
    const own = new Set(nodes.map((node) => node.path));
    const reads = new Map(nodes.flatMap((node) => node.reads).filter(([path]) => !own.has(path)));
    const readers = new Set(nodes.flatMap((node) => index.readers.get(node.path) || []).filter((path) => !own.has(path)));
    const few = (links) => links.length > MOST_LINKS ? [...links.slice(0, MOST_LINKS), `and ${links.length - MOST_LINKS} more`] : links;
    return { reads: few([...reads].map(([path, shape]) => link(path, ` ${shape}`))), "read by": few([...readers].map((path) => link(path))) };
  }

  function above(item) {
    const trail = [button(network.title, () => choose(null), "link")];
    for (let part = item.parent; part; part = part.parent) {
      const scope = part;
      trail.splice(1, 0, " \u203a ", button(scope.path.slice(scope.parent ? scope.parent.path.length + 1 : 0), () => reveal(scope), "link"));
    }
    return make("nav", "", ...trail);
  }

  function choose(item) {
    if (chosen && drawn.has(chosen.path)) drawn.get(chosen.path).classList.remove("chosen");
    chosen = item;
    details.parentElement.scrollTop = 0;
    remember(item);
    if (!item) return details.replaceChildren(make("h2", network.title), table(network.facts));
    if (drawn.has(item.path)) drawn.get(item.path).classList.add("chosen");
    details.replaceChildren(above(item), make("h2", item.path));
    if (item.text) details.append(make("p", item.text));
    if (item.output) details.append(table({ shape: item.output.shape, reads: [link(item.output.node)] }));
    if (item.items) {
      details.append(button(state.open.has(item.path) ? "Close" : "Open", () => toggle(item)));
      if (item.run) {
        const folded = !state.unrolled.has(item.run[3]);
        details.append(" ", button(folded ? `Draw all ${item.run[1]}` : `Fold ${item.run[1]} to one`, () => change(
          ({ unrolled }) => { if (!unrolled.delete(item.run[3])) unrolled.add(item.run[3]); },
          () => choose(parts.get(item.run[3])))));
      }
      if (item.doc) details.append(make("p", item.doc));
      details.append(table({ block: item.block, ...item.facts, ...neighbours(leaves(item).flatMap((leaf) => leaf.nodes)) }), table(item.args));
      if (item.at.length) details.append(...lines(item.at, item.where));
    }
    const layer = item.items && item.kind !== "block" ? leaves(item).flatMap((leaf) => leaf.nodes) : [];
    for (const node of item.nodes || layer) {
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
  function named() {
    let path = "";
    try { path = decodeURIComponent(location.hash.slice(1)); } catch { /* no part has such a name */ }
    return byPath(path);
  }
  window.addEventListener("hashchange", () => { if (named()) reveal(named()); });

  search.addEventListener("input", () => {
    const asked = search.value.trim().toLowerCase();
    const words = (item) => [item.path, item.block, ...item.lines, ...(item.nodes || []).flatMap((n) => [n.path, n.op])];
    // First what has this name, then whose name begins so, then what has it in its path, then anywhere.
    const rank = (item) => {
      const path = item.path.toLowerCase(), name = path.slice(path.lastIndexOf(".") + 1);
      return path === asked || name === asked ? 0 : path.startsWith(asked) || name.startsWith(asked) ? 1 : path.includes(asked) ? 2 : 3;
    };
    const hits = asked ? [...parts.values()].filter((item) => words(item).some((w) => w && w.toLowerCase().includes(asked))) : [];
    hits.sort((a, b) => rank(a) - rank(b));
    found.replaceChildren(...hits.slice(0, 40).map((item) => make("li", "", button(item.path, () => reveal(item)))));
    if (asked) status.textContent = hits.length > 40 ? `${hits.length} found, 40 listed` : `${hits.length} found`;
  });
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
    else if (event.key === "Escape") leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  const size = () => {
    const box = view.firstChild.viewBox.baseVal;
    return [box.width * 4 / 3, box.height * 4 / 3];
  };
  const place = () => { if (view.firstChild) view.firstChild.style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.k})`; };
  function fit() {
    if (!view.firstChild) return;
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
  press("fit", fit);
  press("first", () => change((next) => Object.assign(next, first()), fit));
  press("more", () => change(({ open }) => {
    const closed = [...drawn.keys()].map((path) => parts.get(path)).filter((item) => item && item.items && !open.has(item.path));
    const blocks = closed.filter((item) => item.kind === "block");
    for (const item of blocks.length ? blocks : closed) unfold(open, item);
  }));
  press("less", () => change(({ open }) => {
    const depth = (path) => path.split(".").length;
    const shown = [...open].filter((path) => drawn.has(path));
    const deepest = Math.max(0, ...shown.map(depth));
    for (const path of shown) if (depth(path) === deepest) open.delete(path);
  }));
  for (const id of network.dot ? ["more", "less", "first"] : []) document.getElementById(id).hidden = true;

  const target = named();
  choose(null);
  const ready = () => {
    fit();
    if (target) reveal(target);
    document.body.dataset.ready = "yes";
  };
  // What is too large to be laid out, or was stopped before anything was drawn, is shown closed.
  const closed = (why) => change(({ open }) => open.clear(), () => { ready(); status.textContent = `${why} Here all is closed.`; });
  function interrupt() {
    stop();
    status.textContent = "Stopped.";
    if (!view.firstChild) closed("Stopped.");
  }
  if (!change(() => {}, ready) && !closed(status.textContent)) throw new Error(status.textContent);
})().catch((error) => {
  document.getElementById("status").textContent = "This page could not be drawn: " + error.message;
  throw error;
});
