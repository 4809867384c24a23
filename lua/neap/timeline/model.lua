--- What the page of a trace knows: JavaScript that reads the events.
--
-- Part of neap.timeline. Each time is a pair: on the system's clock, and on the
-- program's if that is another one; 'choose' says which one is drawn.
--
-- @module neap.timeline.model

return [==[
"use strict";

// A file of a program that was killed has no end: what is whole is shown.
function parse(text) {
  for (const end of [text.length, text.lastIndexOf(",\n")]) {
    for (const bracket of ["", "]"]) {
      try {
        return JSON.parse(text.slice(0, end) + bracket);
      } catch (_) { /* try what is left */ }
    }
  }
  return [];
}

function newTask(id) {
  return {
    id, name: "task " + id, parent: 0, by: 0, children: [], depth: 0, row: -1,
    born: null, died: null, runs: [], waits: [], outcome: "", error: "",
    matches: true,
  };
}

// events -> { tasks (a Map by id), roots, ends, hasClock }
function readTrace(events) {
  const tasks = new Map();
  const ends = [[Infinity, -Infinity], [Infinity, -Infinity]];
  let hasClock = false;
  const taskOf = id => {
    if (!tasks.has(id)) tasks.set(id, newTask(id));
    return tasks.get(id);
  };
  const time = (ts, now) => {
    const pair = [ts / 1e6, now === undefined ? null : now];
    pair.forEach((t, i) => {
      if (t === null) return;
      ends[i][0] = Math.min(ends[i][0], t);
      ends[i][1] = Math.max(ends[i][1], t);
    });
    if (pair[1] !== null) hasClock = true;
    return pair;
  };
  for (const e of events) {
    const args = e.args || {};
    if (e.ph === "M") {
      if (e.name === "thread_name") taskOf(e.tid).name = args.name;
      continue;
    }
    const task = taskOf(e.tid);
    if (e.ph === "B" && e.cat === "task") {
      task.born = time(e.ts, args.now);
      task.parent = args.parent || 0;
    } else if (e.ph === "B") {
      task.open = {
        start: time(e.ts, args.now), end: null, name: e.name, on: args.on,
        at: args.at, cancelled: false,
      };
      task.waits.push(task.open);
    } else if (e.ph === "E" && task.open) {
      task.open.end = time(e.ts, args.until);
      task.open.cancelled = !!args.cancelled;
      task.open = null;
    } else if (e.ph === "E") {
      task.died = time(e.ts, args.until);
      task.outcome = args.outcome || "";
      task.error = args.error || "";
    } else if (e.ph === "X") {
      task.runs.push({
        start: time(e.ts, args.now), end: time(e.ts + e.dur, args.now),
      });
    } else if (e.ph === "s") {
      taskOf(e.id).by = e.tid;
    }
  }
  const last = [ends[0][1], hasClock ? ends[1][1] : null];
  const first = [ends[0][0], hasClock ? ends[1][0] : null];
  const roots = [];
  for (const task of tasks.values()) {
    task.born = task.born || first;
    task.died = task.died || last;
    for (const wait of task.waits) wait.end = wait.end || last;
    const parent = tasks.get(task.parent);
    (parent ? parent.children : roots).push(task);
  }
  return { tasks, roots, ends, hasClock };
}

// numbers for drawing, on clock 0 (the system's) or 1 (the program's)
function choose(trace, clock) {
  const base = trace.ends[clock][0];
  const pick = pair => (pair[clock] === null ? 0 : pair[clock] - base);
  for (const task of trace.tasks.values()) {
    task.t0 = pick(task.born);
    task.t1 = pick(task.died);
    for (const list of [task.runs, task.waits]) {
      for (const span of list) {
        span.t0 = pick(span.start);
        span.t1 = pick(span.end);
      }
    }
  }
  trace.clock = clock;
  trace.length = trace.ends[clock][1] - base || 1e-6;
}

// the first of the spans, which are in order, that ends at or after 't'
function firstAfter(spans, t) {
  let low = 0, high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle].t1 < t) low = middle + 1; else high = middle;
  }
  return low;
}

// what a task did at 't', give or take 'slack': a step before a wait
function spanAt(task, t, slack) {
  for (const [list, near] of [[task.runs, slack], [task.waits, 0]]) {
    let best = null, distance = Infinity;
    for (let i = firstAfter(list, t - near); i < list.length; i++) {
      const span = list[i];
      if (span.t0 > t + near) break;
      const d = Math.max(span.t0 - t, t - span.t1, 0);
      if (d < distance) { best = span; distance = d; }
    }
    if (best) return best;
  }
  return null;
}

// seconds as people say them
function say(seconds) {
  const s = Math.abs(seconds);
  const fix = (x, unit) =>
    (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2))
      .replace(/\.0+$|(\.\d*[1-9])0+$/, "$1") + " " + unit;
  if (s === 0) return "0";
  if (s < 1e-6) return fix(s * 1e9, "ns");
  if (s < 1e-3) return fix(s * 1e6, "µs");
  if (s < 1) return fix(s * 1e3, "ms");
  if (s < 120) return fix(s, "s");
  if (s < 7200) return fix(s / 60, "min");
  if (s < 172800) return fix(s / 3600, "h");
  return fix(s / 86400, "d");
}

// what kinds of waiting have a colour of their own
const kinds = [
  ["sleep", "sleep", /^sleep|frame|settle/],
  ["io", "input, output", /descriptor|file|looked up/],
  ["lock", "semaphore, limiter", /semaphore|limiter/],
  ["message", "channel, event, future", /channel|event|future|abort/],
  ["task", "other tasks", /task|children|group/],
  ["turn", "its turn", /./],
];

const kindOf = (() => {
  const known = new Map();
  return name => {
    if (!known.has(name)) {
      known.set(name, kinds.find(kind => kind[2].test(name))[0]);
    }
    return known.get(name);
  };
})();
]==]
