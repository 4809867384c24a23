--- What one can do on the page of a trace: JavaScript for mouse and keyboard.
--
-- Part of neap.timeline.
--
-- @module neap.timeline.controls

return [==[
const $ = id => document.getElementById(id);
let trace, dirty = false;

function draw() {
  dirty = false;
  drawRows(trace, $("rows"));
  drawOverview(trace, $("overview"));
}

function redraw() {
  if (!dirty) requestAnimationFrame(draw);
  dirty = true;
}

function element(tag, text, className) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

// ---- where one looks

function look(t0, t1) {
  const least = Math.max(trace.length * 1e-7, 1e-8);
  const length = Math.min(Math.max(t1 - t0, least), trace.length * 1.5);
  const middle = (t0 + t1) / 2, margin = length * 0.5;
  view.t0 = Math.max(-margin, Math.min(middle - length / 2,
    trace.length + margin - length));
  view.t1 = view.t0 + length;
  redraw();
}

const lookAtAll = () => look(-trace.length * 0.01, trace.length * 1.08);

function zoom(factor, t) {
  if (t === undefined) t = (view.t0 + view.t1) / 2;
  look(t - (t - view.t0) * factor, t + (view.t1 - t) * factor);
}

function pan(part) {
  const d = (view.t1 - view.t0) * part;
  look(view.t0 + d, view.t1 + d);
}

function scrollTo(task) {
  for (let t = trace.tasks.get(task.parent); t; t = trace.tasks.get(t.parent)) {
    view.folded.delete(t.id);
  }
  layOut(trace);
  const y = task.row * rowHeight, seen = view.height - axisHeight;
  if (y < view.top || y > view.top + seen - rowHeight) {
    view.top = Math.max(0, y - seen / 2);
  }
}

// ---- a task's details

// a part of a task's life
function share(parent, label, colour, part, text) {
  const box = element("div", undefined, "share"), line = element("div");
  const key = element("i"), bar = element("div", undefined, "bar");
  const fill = element("i"), name = element("span", undefined, "key");
  key.style.background = fill.style.background = `var(--${colour})`;
  fill.style.width = `${100 * part}%`;
  name.append(key, label);
  line.append(name, element("span", text));
  bar.append(fill);
  box.append(line, bar);
  parent.append(box);
}

// what a task spent its time on, most of it first; what it ran for in real time
function totals(task) {
  const sums = new Map();
  const add = (name, kind, span, seconds) => {
    if (!sums.has(name)) {
      sums.set(name, { name, kind, length: 0, seconds: 0, times: 0 });
    }
    const sum = sums.get(name);
    sum.length += span.t1 - span.t0;
    sum.seconds += seconds;
    sum.times++;
  };
  for (const run of task.runs) {
    add("running", "run", run, run.end[0] - run.start[0]);
  }
  for (const wait of task.waits) {
    add(wait.name, kindOf(wait.name), wait, wait.t1 - wait.t0);
  }
  return [...sums.values()].sort((a, b) => b.length - a.length);
}

function taskLink(id) {
  const task = trace.tasks.get(id);
  const link = element("a", task ? `${task.label} #${id}` : "#" + id);
  if (task) link.onclick = () => { select(task); scrollTo(task); };
  return link;
}

function showDetails() {
  const task = view.selected, box = $("details");
  box.hidden = !task;
  box.replaceChildren();
  if (!task) return;
  const close = element("button", "×", "close");
  close.title = "close (Esc)";
  close.onclick = () => select(null);
  box.append(close, element("h2", task.label));
  box.append(element("div", task.outcome || "still alive at the end",
    task.outcome));
  if (task.error) box.append(element("div", task.error, "error"));
  const list = element("dl");
  const item = (name, value) => {
    list.append(element("dt", name), element("dd"));
    list.lastChild.append(value);
  };
  item("number", "#" + task.id);
  if (task.parent) item("parent", taskLink(task.parent));
  if (task.by && task.by !== task.parent) item("by", taskLink(task.by));
  if (task.children.length) item("children", task.children.length);
  item("begins", say(task.t0));
  item("ends", say(task.t1));
  item("lives", say(task.t1 - task.t0));
  box.append(list);
  const life = task.t1 - task.t0 || 1;
  for (const sum of totals(task)) {
    share(box, sum.name, sum.kind, sum.length / life,
      `${say(sum.seconds)} · ${sum.times}×`);
  }
}

function select(task) {
  view.selected = task;
  history.replaceState(null, "", task ? "#" + task.id : "#");
  showDetails();
  redraw();
}

// ---- what is under the mouse

function taskAt(y) {
  const row = Math.floor((y - axisHeight + view.top) / rowHeight);
  return y > axisHeight && view.rows[row] || null;
}

function showTip(task, x, y, clientX, clientY) {
  const tip = $("tip");
  const slack = (view.t1 - view.t0) / (view.width - view.gutter) * 3;
  const t = tOf(x), span = task && x > view.gutter ? spanAt(task, t, slack)
    : null;
  const lives = task && t > task.t0 - slack && t < task.t1 + slack;
  tip.hidden = !task || (x > view.gutter && !span && !lives);
  if (tip.hidden) return;
  tip.replaceChildren();
  const line = (text, className) => tip.append(element("div", text, className));
  const head = element("div");
  head.append(element("b", task.label), " #" + task.id + " ");
  if (task.outcome) head.append(element("span", task.outcome, task.outcome));
  tip.append(head);
  if (span && span.name) {
    line("waits for " + (span.on || span.name));
    line(`${say(span.t1 - span.t0)}, from ${say(span.t0)} to ${say(span.t1)}`
      + (span.cancelled ? ", cancelled" : ""));
    if (span.at) line("at " + span.at, "soft");
  } else if (span) {
    line("runs for " + say(span.end[0] - span.start[0])
      + (trace.clock === 1 ? " of real time" : ""));
    line("at " + say(span.t0), "soft");
  } else {
    line(`${say(task.t1 - task.t0)}, from ${say(task.t0)} to ${say(task.t1)}`);
  }
  if (task.error && !span) line(task.error, task.outcome);
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = Math.min(clientX + 14, innerWidth - width - 8) + "px";
  tip.style.top = (clientY + 18 + height > innerHeight
    ? clientY - height - 10 : clientY + 18) + "px";
}

function hover(event) {
  const box = $("rows").getBoundingClientRect();
  const x = event.clientX - box.left, y = event.clientY - box.top;
  const task = taskAt(y);
  if (task !== view.hovered) {
    view.hovered = task;
    redraw();
  }
  showTip(task, x, y, event.clientX, event.clientY);
}

function click(x, y) {
  const task = taskAt(y);
  const fold = task && task.children.length > 0
    && x < 24 + Math.min(task.depth, 10) * 13;
  if (!fold) return select(task);
  if (!view.folded.delete(task.id)) view.folded.add(task.id);
  layOut(trace);
  redraw();
}

// ---- mouse

function onRows(canvas) {
  let drag = null;
  canvas.onpointerdown = event => {
    drag = {
      x: event.clientX, y: event.clientY, t0: view.t0, t1: view.t1,
      top: view.top, moved: false,
    };
    canvas.setPointerCapture(event.pointerId);
  };
  canvas.onpointermove = event => {
    if (!drag) return hover(event);
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (!drag.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
    drag.moved = true;
    $("tip").hidden = true;
    canvas.classList.add("dragging");
    const d = dx * (drag.t1 - drag.t0) / (view.width - view.gutter);
    view.top = drag.top - dy;
    look(drag.t0 - d, drag.t1 - d);
  };
  canvas.onpointerup = event => {
    canvas.classList.remove("dragging");
    const box = canvas.getBoundingClientRect();
    if (drag && !drag.moved) {
      click(event.clientX - box.left, event.clientY - box.top);
    }
    drag = null;
  };
  canvas.onpointerleave = () => {
    $("tip").hidden = true;
    view.hovered = null;
    redraw();
  };
  canvas.ondblclick = event => {
    const box = canvas.getBoundingClientRect();
    const task = taskAt(event.clientY - box.top);
    const x = event.clientX - box.left;
    if (!task || (x < view.gutter && task.children.length > 0)) return;
    const span = x < view.gutter ? task : spanAt(task, tOf(x), 0) || task;
    const margin = (span.t1 - span.t0) * 0.1;
    look(span.t0 - margin, span.t1 + margin);
  };
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 20 : 1;
    const x = event.clientX - canvas.getBoundingClientRect().left;
    if (event.shiftKey || x < view.gutter) {
      view.top += (event.deltaY || event.deltaX) * unit;
      redraw();
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      pan(event.deltaX * unit / view.width);
    } else {
      zoom(Math.exp(event.deltaY * unit * 0.0016), tOf(x));
    }
  }, { passive: false });
}

function onOverview(canvas) {
  const move = event => {
    if (event.buttons === 0) return;
    const box = canvas.getBoundingClientRect();
    const t = (event.clientX - box.left - view.gutter)
      / (box.width - view.gutter) * trace.length;
    const half = (view.t1 - view.t0) / 2;
    look(t - half, t + half);
  };
  canvas.onpointerdown = event => {
    canvas.setPointerCapture(event.pointerId);
    move(event);
  };
  canvas.onpointermove = move;
}

// ---- keyboard, search, clocks

function search(text) {
  const words = text.toLowerCase();
  for (const task of trace.tasks.values()) {
    task.matches = words === "" || ("#" + task.id) === words
      || task.label.toLowerCase().includes(words)
      || task.outcome.includes(words)
      || task.error.toLowerCase().includes(words)
      || task.waits.some(wait =>
        (wait.on || wait.name).toLowerCase().includes(words));
  }
  redraw();
}

function nextMatch(back) {
  const found = [...view.rows].filter(task => task.matches);
  if (found.length === 0) return;
  const i = found.indexOf(view.selected) + (back ? -1 : 1);
  const task = found[(i + found.length) % found.length];
  select(task);
  scrollTo(task);
}

const keys = {
  w: () => zoom(0.7), "+": () => zoom(0.7), s: () => zoom(1.4),
  "-": () => zoom(1.4), a: () => pan(-0.2), ArrowLeft: () => pan(-0.2),
  d: () => pan(0.2), ArrowRight: () => pan(0.2), 0: lookAtAll,
  ArrowUp: () => { view.top -= rowHeight * 2; redraw(); },
  ArrowDown: () => { view.top += rowHeight * 2; redraw(); },
  PageUp: () => { view.top -= view.height * 0.8; redraw(); },
  PageDown: () => { view.top += view.height * 0.8; redraw(); },
  Escape: () => select(null), "/": () => $("search").focus(),
  n: () => nextMatch(false),
};

function onKeys() {
  $("search").oninput = event => search(event.target.value);
  $("search").onkeydown = event => {
    event.stopPropagation();
    if (event.key === "Enter") nextMatch(event.shiftKey);
    if (event.key === "Escape") {
      event.target.value = "";
      search("");
      event.target.blur();
    }
  };
  document.onkeydown = event => {
    const action = keys[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  };
  $("all").onclick = lookAtAll;
}

function useClock(clock) {
  choose(trace, clock);
  $("real").setAttribute("aria-pressed", clock === 0);
  $("virtual").setAttribute("aria-pressed", clock === 1);
  lookAtAll();
  showDetails();
}

function showLegend() {
  const used = new Set(["run"]);
  for (const task of trace.tasks.values()) {
    for (const wait of task.waits) used.add(kindOf(wait.name));
  }
  for (const [kind, name] of [["run", "running"], ...kinds]) {
    if (!used.has(kind)) continue;
    const key = element("span", undefined, "key"), chip = element("i");
    chip.style.background = `var(--${kind})`;
    if (kind !== "run") chip.style.opacity = 0.7;
    key.append(chip, name);
    key.onmouseenter = () => { view.kind = kind; redraw(); };
    key.onmouseleave = () => { view.kind = null; redraw(); };
    $("legend").append(key);
  }
  for (const outcome of Object.keys(marks)) {
    const key = element("span", undefined, "key");
    key.append(element("b", marks[outcome], outcome), outcome);
    $("legend").append(key);
  }
}

function showSummary() {
  let busy = 0, steps = 0, failed = 0;
  for (const task of trace.tasks.values()) {
    steps += task.runs.length;
    if (task.outcome === "failed") failed++;
    for (const run of task.runs) busy += run.end[0] - run.start[0];
  }
  const real = trace.ends[0][1] - trace.ends[0][0];
  const words = [`${trace.tasks.size} tasks`, `${steps} steps`];
  if (trace.hasClock) {
    words.push(`${say(trace.ends[1][1] - trace.ends[1][0])} in ${say(real)}`);
  } else {
    words.push(say(real));
    words.push(`busy ${(100 * busy / Math.max(real, 1e-9)).toFixed(1)} %`);
  }
  if (failed) words.push(`${failed} failed`);
  $("summary").textContent = words.join(" · ");
}

document.addEventListener("DOMContentLoaded", () => {
  const events = parse($("events").textContent);
  trace = readTrace(events);
  // a place is told by its file; the tip and the details have all of it
  for (const task of trace.tasks.values()) {
    task.label = task.name.replace(/^.*\/(?=[^/]+:\d+$)/, "");
  }
  layOut(trace);
  readColours();
  showLegend();
  showSummary();
  $("clocks").hidden = !trace.hasClock;
  $("real").onclick = () => useClock(0);
  $("virtual").onclick = () => useClock(1);
  onRows($("rows"));
  onOverview($("overview"));
  onKeys();
  useClock(trace.hasClock ? 1 : 0);
  drawRows(trace, $("rows")); // from here on it is known how large it is
  const chosen = trace.tasks.get(Number(location.hash.slice(1)));
  if (chosen) {
    select(chosen);
    scrollTo(chosen);
  }
  new ResizeObserver(draw).observe($("left"));
  matchMedia("(prefers-color-scheme: dark)").onchange = () => {
    readColours();
    redraw();
  };
});
]==]
