--- How the page of a trace is drawn: JavaScript, on two canvases.
--
-- Part of neap.timeline. Only what is visible is looked at, and spans that
-- share a pixel are drawn as one: what a frame costs depends on the window.
--
-- @module neap.timeline.view

return [==[
const rowHeight = 22, barHeight = 14, axisHeight = 26;
const font = "12px system-ui, -apple-system, 'Segoe UI', sans-serif";
const marks = { done: "✓", failed: "✕", cancelled: "⊘" };

const view = {
  t0: 0, t1: 1, top: 0, width: 0, height: 0, gutter: 240,
  rows: [], folded: new Set(), selected: null, hovered: null, kind: null,
  colours: {},
};

const xOf = t =>
  view.gutter + (t - view.t0) / (view.t1 - view.t0)
    * (view.width - view.gutter);
const tOf = x =>
  view.t0 + (x - view.gutter) / (view.width - view.gutter)
    * (view.t1 - view.t0);
const yOf = row => axisHeight + row * rowHeight - view.top;

function layOut(trace) {
  view.rows = [];
  const visit = (task, depth, seen) => {
    task.depth = depth;
    task.row = seen ? view.rows.length : -1;
    if (seen) view.rows.push(task);
    const open = seen && !view.folded.has(task.id);
    for (const child of task.children) visit(child, depth + 1, open);
  };
  for (const task of trace.roots) visit(task, 0, true);
}

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["back", "panel", "line", "faint", "text", "soft",
    "accent", "run", "life", "sleep", "io", "lock", "message", "task", "turn",
    "done", "failed", "cancelled", "wash"]) {
    view.colours[name] = style.getPropertyValue("--" + name).trim();
  }
}

// a canvas as large as its place, in pixels of CSS
function begin(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const c = canvas.getContext("2d");
  c.scale(scale, scale);
  c.font = font;
  c.textBaseline = "middle";
  return [c, width, height];
}

// a text that is cut where there is no more room
function write(c, text, x, y, room) {
  if (room < 12) return;
  if (c.measureText(text).width > room) {
    let low = 0, high = text.length;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (c.measureText(text.slice(0, middle) + "…").width <= room) {
        low = middle;
      } else high = middle - 1;
    }
    if (low === 0) return;
    text = text.slice(0, low) + "…";
  }
  c.fillText(text, x, y);
}

// 1, 2 or 5 times a power of ten, or what clocks have of minutes and hours
function niceStep(least) {
  if (least > 20 && least <= 43200) {
    return [30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200]
      .find(step => step >= least);
  }
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find(n => n * power >= least);
}

function drawAxis(c) {
  const step = niceStep((view.t1 - view.t0) * 110
    / Math.max(view.width - view.gutter, 1));
  c.fillStyle = view.colours.panel;
  c.fillRect(0, 0, view.width, axisHeight);
  c.fillStyle = view.colours.soft;
  c.textAlign = "left";
  c.fillText("tasks", 10, axisHeight / 2);
  for (let i = Math.ceil(view.t0 / step); i * step <= view.t1; i++) {
    const x = Math.round(xOf(i * step)) + 0.5;
    if (x < view.gutter) continue;
    c.strokeStyle = view.colours.faint;
    c.beginPath();
    c.moveTo(x, axisHeight);
    c.lineTo(x, view.height);
    c.stroke();
    c.fillText(i === 0 ? "0" : say(i * step), x + 4, axisHeight / 2);
    c.strokeStyle = view.colours.line;
    c.beginPath();
    c.moveTo(x, axisHeight - 6);
    c.lineTo(x, axisHeight);
    c.stroke();
  }
}

// Call 'f(x0, x1, span)' for the visible spans. Those that are closer than a
// pixel come as one, with the first of them.
function eachVisible(spans, least, f) {
  const perPixel = (view.t1 - view.t0) / (view.width - view.gutter);
  for (let i = firstAfter(spans, view.t0 - 2 * perPixel); i < spans.length;) {
    const span = spans[i];
    if (span.t0 > view.t1) return;
    let end = span.t1;
    for (i++; i < spans.length && spans[i].t0 - end < perPixel
        && spans[i].t1 - span.t0 < 2 * perPixel; i++) {
      end = spans[i].t1;
    }
    const x0 = Math.max(xOf(span.t0), view.gutter - 1);
    f(x0, Math.max(Math.min(xOf(end), view.width), x0 + least), span);
  }
}

function drawBars(c, task, y) {
  const colours = view.colours, bar = y + (rowHeight - barHeight) / 2;
  const x0 = Math.max(xOf(task.t0), view.gutter);
  const x1 = Math.min(xOf(task.t1), view.width);
  if (x1 >= view.gutter && x0 <= view.width) {
    c.fillStyle = colours.life;
    c.fillRect(x0, bar + barHeight / 2 - 1, Math.max(x1 - x0, 1), 2);
  }
  c.textAlign = "left";
  eachVisible(task.waits, 1, (a, b, wait) => {
    const kind = kindOf(wait.name), faded = view.kind && view.kind !== kind;
    const alpha = c.globalAlpha;
    c.globalAlpha = 1;
    c.fillStyle = task === view.selected || task === view.hovered
      ? colours.faint : colours.back; // no line behind the text
    c.fillRect(a, bar, b - a, barHeight);
    c.fillStyle = colours[kind];
    c.globalAlpha = alpha * (faded ? 0.06 : Number(colours.wash));
    c.fillRect(a, bar, b - a, barHeight);
    c.globalAlpha = alpha * (faded ? 0.2 : 0.9);
    c.fillRect(a, bar + barHeight - 2, b - a, 2);
    if (b - a > 40) {
      c.fillStyle = colours.text;
      const x = Math.max(a, view.gutter) + 5;
      write(c, wait.on || wait.name, x, bar + barHeight / 2, b - x - 4);
    }
    c.globalAlpha = alpha;
  });
  c.fillStyle = colours.run;
  const alpha = c.globalAlpha;
  if (view.kind && view.kind !== "run") c.globalAlpha = alpha * 0.15;
  eachVisible(task.runs, 1.6, (a, b) =>
    c.fillRect(a, bar - 1, b - a, barHeight + 2));
  c.globalAlpha = alpha;
  if (marks[task.outcome] && x1 >= view.gutter && xOf(task.t1) < view.width) {
    c.fillStyle = colours[task.outcome];
    c.font = "bold " + font;
    c.fillText(marks[task.outcome], x1 + 4, bar + barHeight / 2);
    c.font = font;
    if (task.error && task.outcome === "failed") {
      write(c, task.error, x1 + 18, bar + barHeight / 2,
        Math.min(view.width - x1 - 24, 260));
    }
  }
}

function drawLabel(c, task, y) {
  const middle = y + rowHeight / 2, x = 10 + Math.min(task.depth, 10) * 13;
  c.textAlign = "left";
  c.fillStyle = view.colours.soft;
  if (task.children.length > 0) {
    const folded = view.folded.has(task.id);
    c.beginPath();
    if (folded) {
      c.moveTo(x + 1, middle - 4);
      c.lineTo(x + 7, middle);
      c.lineTo(x + 1, middle + 4);
    } else {
      c.moveTo(x, middle - 3);
      c.lineTo(x + 8, middle - 3);
      c.lineTo(x + 4, middle + 3);
    }
    c.fill();
  }
  const id = "#" + task.id, width = c.measureText(id).width;
  c.fillText(id, view.gutter - 10 - width, middle);
  c.fillStyle = task.outcome === "failed" ? view.colours.failed
    : view.colours.text;
  write(c, task.label, x + 13, middle, view.gutter - x - width - 32);
}

// from the step that spawned a task down to its row
function drawArrow(c, from, task, strong) {
  const x = Math.round(xOf(task.t0)) + 0.5;
  if (x < view.gutter || x > view.width) return;
  const y0 = yOf(from.row) + rowHeight / 2, y1 = yOf(task.row) + rowHeight / 2;
  if (Math.max(y0, y1) < axisHeight || Math.min(y0, y1) > view.height) return;
  c.strokeStyle = c.fillStyle = strong ? view.colours.accent
    : view.colours.soft;
  c.globalAlpha = strong ? 1 : 0.45;
  c.lineWidth = strong ? 1.5 : 1;
  const tip = y1 > y0 ? y1 - barHeight / 2 : y1 + barHeight / 2;
  const back = y1 > y0 ? -4 : 4;
  c.beginPath();
  c.moveTo(x, y0);
  c.lineTo(x, tip);
  c.stroke();
  c.beginPath();
  c.moveTo(x, tip);
  c.lineTo(x - 3, tip + back);
  c.lineTo(x + 3, tip + back);
  c.fill();
  c.globalAlpha = c.lineWidth = 1;
}

function drawArrows(c, trace, from, to) {
  for (let i = from; i < to; i++) {
    const task = view.rows[i], by = trace.tasks.get(task.by);
    if (!by || by.row < 0) continue;
    const strong = task === view.selected || by === view.selected
      || task === view.hovered;
    if (to - from < 400 || strong) drawArrow(c, by, task, strong);
  }
}

function drawRows(trace, canvas) {
  const [c, width, height] = begin(canvas);
  view.width = width;
  view.height = height;
  view.gutter = Math.min(260, width / 3);
  const room = Math.max(view.rows.length * rowHeight + axisHeight + 30
    - height, 0);
  view.top = Math.max(0, Math.min(view.top, room));
  drawAxis(c);
  const from = Math.floor(view.top / rowHeight);
  const to = Math.min(view.rows.length,
    Math.ceil((view.top + height - axisHeight) / rowHeight));
  c.save();
  c.beginPath();
  c.rect(0, axisHeight, width, height - axisHeight);
  c.clip();
  for (let i = from; i < to; i++) {
    const task = view.rows[i], y = yOf(i);
    if (task === view.selected || task === view.hovered) {
      c.fillStyle = view.colours.faint;
      c.fillRect(0, y, width, rowHeight);
    }
    if (task === view.selected) {
      c.fillStyle = view.colours.accent;
      c.fillRect(0, y, 3, rowHeight);
    }
    c.globalAlpha = task.matches ? 1 : 0.18;
    drawLabel(c, task, y);
    c.save();
    c.beginPath();
    c.rect(view.gutter, y, width - view.gutter, rowHeight);
    c.clip();
    drawBars(c, task, y);
    c.restore();
    c.globalAlpha = 1;
  }
  c.beginPath();
  c.rect(view.gutter, axisHeight, width - view.gutter, height);
  c.clip();
  drawArrows(c, trace, from, to);
  c.restore();
  c.strokeStyle = view.colours.line;
  c.beginPath();
  c.moveTo(0, axisHeight - 0.5);
  c.lineTo(width, axisHeight - 0.5);
  c.moveTo(view.gutter - 0.5, 0);
  c.lineTo(view.gutter - 0.5, height);
  c.stroke();
  if (room > 0) { // how far down it is
    const seen = height - axisHeight, all = room + seen;
    c.fillStyle = view.colours.soft;
    c.globalAlpha = 0.5;
    c.fillRect(width - 5, axisHeight + view.top / all * seen, 4,
      Math.max(seen / all * seen, 16));
    c.globalAlpha = 1;
  }
}

// how busy the program was, over the whole time: what part of it tasks ran, or
// on a clock that stands still meanwhile, how many steps they made
function histogram(trace, n) {
  const bins = new Float64Array(n), scale = n / trace.length;
  const at = t => Math.max(0, Math.min(n - 1, Math.floor(t * scale)));
  for (const task of trace.tasks.values()) {
    for (const run of task.runs) {
      if (trace.clock === 1) {
        bins[at(run.t0)]++;
        continue;
      }
      for (let i = at(run.t0); i <= at(run.t1); i++) {
        bins[i] += (Math.min(run.t1 * scale, i + 1)
          - Math.max(run.t0 * scale, i));
      }
    }
  }
  const most = trace.clock === 1 ? Math.max(...bins, 1) : 1;
  return bins.map(x => Math.min(x / most, 1));
}

function drawOverview(trace, canvas) {
  const [c, width, height] = begin(canvas);
  const left = view.gutter, room = width - left, base = height - 4;
  const n = Math.max(1, Math.floor(room / 2));
  if (!trace.busy || trace.busy.length !== n || trace.busyOn !== trace.clock) {
    trace.busy = histogram(trace, n);
    trace.busyOn = trace.clock;
  }
  c.fillStyle = view.colours.soft;
  c.fillText(trace.clock === 1 ? "steps" : "busy", 10, height / 2);
  c.fillStyle = view.colours.run;
  trace.busy.forEach((x, i) => {
    if (x === 0) return;
    const h = Math.max(x * (height - 10), 1);
    c.fillRect(left + i * room / n, base - h, room / n, h);
  });
  c.strokeStyle = view.colours.line;
  c.beginPath();
  c.moveTo(left - 0.5, 0);
  c.lineTo(left - 0.5, height);
  c.stroke();
  const x0 = left + Math.max(view.t0 / trace.length, 0) * room;
  const x1 = left + Math.min(view.t1 / trace.length, 1) * room;
  c.fillStyle = view.colours.back;
  c.globalAlpha = 0.7;
  c.fillRect(left, 0, x0 - left, height);
  c.fillRect(x1, 0, width - x1, height);
  c.globalAlpha = 1;
  if (x1 - x0 < room - 1) {
    c.strokeStyle = view.colours.accent;
    c.strokeRect(x0 + 0.5, 0.5, Math.max(x1 - x0 - 1, 2), height - 1);
  }
}
]==]
