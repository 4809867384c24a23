// Node: async functions and promises, and what npm has for the patterns.
//
//     node bench/programs/node.mjs WORKLOAD [quick]
//
// The same workloads as in bench/workloads.lua, by the same names, timed in
// the same way (processor time, nanoseconds for one operation); 'pool_p_map'
// and the like are those of a package, below build/bench.

import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";
import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";

const CALIBRATION = 1e7, TARGET = 1.5e8; // nanoseconds
const QUICK_SIZE = 10000;

const [name, mode] = process.argv.slice(2);
const quick = mode === "quick";
const modules = "build/bench/node_modules";
const packages = ["p-map", "p-limit", "p-queue", "async-sema"];


function description (pkg) {
  return JSON.parse(readFileSync(`${modules}/${pkg}/package.json`));
}


async function use (pkg) {
  const { exports, main } = description(pkg);
  const entry = exports?.default ?? exports?.["."]?.default ?? exports ?? main;
  const path = typeof entry === "string" ? entry : main ?? "index.js";
  return import(pathToFileURL(`${modules}/${pkg}/${path}`));
}


const tick = async () => {};
const sleep = (s) => new Promise((done) => setTimeout(done, s * 1000));


async function shared (n, tasks, fn) {
  const all = [];
  tasks = Math.min(tasks, n);
  for (let t = 0; t < tasks; t++) {
    all.push((async () => {
      for (let i = 0; i < n / tasks; i++) await fn();
    })());
  }
  await Promise.all(all);
}


function limited () {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("late")), 1e6);
  });
  return Promise.race([tick(), late]).finally(() => clearTimeout(timer));
}


class Semaphore {
  constructor (n) { this.free = n; this.line = []; this.first = 0; }

  acquire () {
    if (this.free > 0) { this.free--; return; }
    return new Promise((done) => this.line.push(done));
  }

  release () {
    if (this.first < this.line.length) this.line[this.first++]();
    else this.free++;
    if (this.first > 10000) { this.line.splice(0, this.first); this.first = 0; }
  }
}


async function onSemaphore (n, tasks, permits) {
  const sem = new Semaphore(permits);
  await shared(n, tasks, async () => {
    const wait = sem.acquire();
    if (wait) await wait;
    if (tasks > 1) await tick();
    sem.release();
  });
}


// connections over loopback, each as [near, far]
async function connected (n) {
  const server = net.createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const pairs = [];
  for (let i = 0; i < n; i++) {
    const near = net.connect(server.address().port, "127.0.0.1");
    const far = await new Promise((done) => server.once("connection", done));
    near.setNoDelay(true);
    far.setNoDelay(true);
    pairs.push([near, far]);
  }
  server.close();
  return pairs;
}


// what sends n messages of 64 bytes over them, there and back
async function echoed (n, connections) {
  const pairs = await connected(connections);
  const message = Buffer.alloc(64, "x"), each = Math.ceil(n / connections);
  return () => Promise.all(pairs.map(([near, far]) => new Promise((done) => {
    let left = each;
    far.on("data", (data) => far.write(data));
    near.on("data", () => {
      if (--left > 0) {
        near.write(message);
      } else {
        near.destroy();
        far.destroy();
        done();
      }
    });
    near.write(message);
  })));
}


async function pool (n, limit, fn) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < n) {
      const i = next++;
      results[i] = await fn(i);
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return results;
}


function* numbers (n) { for (let i = 1; i <= n; i++) yield i; }

const work = async (x) => { await tick(); return x; };


const workloads = {
  pingpong: { prepare: (n) => echoed(n, 1) },
  echo1000: { prepare: (n) => echoed(n, 1000) },
  switch2: (n) => shared(n, 2, tick),
  switch1000: (n) => shared(n, 1000, tick),
  async spawn (n) { for (let i = 0; i < n; i++) await (async () => {})(); },
  async spawn_yield (n) {
    for (let i = 0; i < n; i++) await (async () => { await tick(); })();
  },
  timeout: (n) => shared(n, 1, limited),
  timeout1000: (n) => shared(n, 1000, limited),
  semaphore: (n) => onSemaphore(n, 1, 1),
  semaphore1000: (n) => onSemaphore(n, 1000, 10),
  pool: (n) => pool(n, 100, work),
  pool0: (n) => pool(n, 100, async (x) => x),
  async pool_p_map (n) {
    const { default: pMap } = await use("p-map");
    await pMap(numbers(n), work, { concurrency: 100 });
  },
  async pool_p_limit (n) {
    const { default: pLimit } = await use("p-limit");
    const limit = pLimit(100);
    await Promise.all([...numbers(n)].map((x) => limit(work, x)));
  },
  async pool_p_queue (n) {
    const { default: PQueue } = await use("p-queue");
    const queue = new PQueue({ concurrency: 100 });
    await queue.addAll([...numbers(n)].map((x) => () => work(x)));
  },
  async limiter1000 (n) {
    const { Sema } = await use("async-sema");
    const sema = new Sema(10);
    await shared(n, 1000, async () => {
      await sema.acquire();
      try { await tick(); } finally { sema.release(); }
    });
  },
  async all1000 (n) {
    const fn = async () => {};
    for (let i = 0; i < n; i += 1000) {
      await Promise.all(Array.from({ length: 1000 }, fn));
    }
  },
  async generator (n) { for (const _ of numbers(n)); },
  async generator_await (n) {
    async function* awaited () {
      for (let i = 1; i <= n; i++) { await tick(); yield i; }
    }
    for await (const _ of awaited());
  },
  async pipeline (n) {
    async function* source () { for (let i = 1; i <= n; i++) yield i; }
    async function* map (from, fn) { for await (const x of from) yield fn(x); }
    async function* filter (from, fn) {
      for await (const x of from) if (fn(x)) yield x;
    }
    let s = map(source(), (x) => x + 1);
    s = filter(s, (x) => x > 0);
    s = map(s, (x) => x * 2);
    s = filter(s, (x) => x > 0);
    s = map(s, (x) => x - 1);
    let sum = 0;
    for await (const x of s) sum += x;
    return sum;
  },
  async sleep100k (n) {
    const all = [];
    for (let i = 0; i < n; i++) all.push(sleep(0.1 + i % 1000 * 1e-4));
    await Promise.all(all);
  },
  frame100k: (n) => shared(n, 100000, tick),
  async cancel100k (n) {
    const controllers = [], all = [];
    for (let i = 0; i < n; i++) {
      const controller = new AbortController();
      controllers.push(controller);
      all.push(delay(1e6, undefined, { signal: controller.signal }));
    }
    const settled = Promise.allSettled(all);
    await tick();
    await tick();
    for (const controller of controllers) controller.abort();
    await settled;
  },
};


// how cost grows with the number of those that are alive at once
const growth = {
  tasks: (n) => shared(n, n, tick),
  async timers (n) {
    const all = [];
    for (let i = 0; i < n; i++) all.push(sleep(n * (2e-6 + i % 1000 * 1e-9)));
    await Promise.all(all);
  },
  async waiters (n) {
    const { Sema } = await use("async-sema");
    const sema = new Sema(1, { capacity: n });
    await sema.acquire();
    const all = shared(n, n, async () => {
      await sema.acquire();
      sema.release();
    });
    await tick();
    await tick();
    sema.release();
    await all;
  },
  async memory (n) {
    const all = [];
    globalThis.gc?.();
    const before = process.memoryUsage.rss();
    for (let i = 0; i < n; i++) all.push((async () => { await sleep(1e6); })());
    await tick();
    await tick();
    console.log(((process.memoryUsage.rss() - before) / n).toFixed(1));
    process.exit(); // nobody waits for them
  },
};

const counts = { pool: 1e6, pool0: 1e6, pool_p_map: 1e5, pool_p_limit: 1e5,
  pool_p_queue: 2e4, frame100k: 1e6, sleep100k: 1e5, cancel100k: 1e5 };


// of a function, or of what `fn.prepare` returns
async function nanoseconds (fn, n) {
  const loop = fn.prepare ? await fn.prepare(n) : () => fn(n);
  const start = process.cpuUsage();
  await loop();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / n * 1000;
}


// a count for which it takes about the time aimed at
async function calibrate (fn) {
  let n = 1000, ns;
  do {
    n *= 4;
    ns = await nanoseconds(fn, n);
  } while (n * ns < CALIBRATION);
  return Math.ceil(TARGET / ns / 1000) * 1000;
}


const [series, size] = name.split("/");
if (name === "version") {
  const versions = packages.map((pkg) => {
    try {
      return `, ${pkg} ${description(pkg).version}`;
    } catch {
      return "";
    }
  });
  console.log(`node ${process.versions.node}${versions.join("")}`);
} else if (size && growth[series]) {
  let total = 0, times = 0;
  do {
    total += await nanoseconds(growth[series], +size);
    times++;
  } while (!quick && total * size < TARGET);
  console.log((total / times).toFixed(1));
} else if (workloads[name]) {
  const fn = workloads[name];
  let n = counts[name];
  if (quick) n = Math.min(n ?? 1000, QUICK_SIZE);
  n ??= await calibrate(fn);
  console.log((await nanoseconds(fn, n)).toFixed(1));
} else {
  console.log("-");
}
