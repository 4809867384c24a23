// Node: async functions and promises, and what npm has for the patterns.
//
//     node bench/programs/node.mjs WORKLOAD [FOLDER OF node_modules]
//
// The same workloads as in bench/workloads.lua, by the same names, timed in
// the same way (processor time, nanoseconds for one operation); 'pool_p_map'
// and the like are those of a package.

import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";

const [name, modules] = process.argv.slice(2);


async function use (pkg) {
  const dir = `${modules}/${pkg}`;
  const { exports, main } = JSON.parse(readFileSync(`${dir}/package.json`));
  const entry = exports?.default ?? exports?.["."]?.default ?? exports ?? main;
  const path = typeof entry === "string" ? entry : main ?? "index.js";
  return import(pathToFileURL(`${dir}/${path}`));
}


const tick = async () => {};
const sleep = (s) => new Promise((done) => setTimeout(done, s * 1000));


async function shared (n, tasks, fn) {
  const all = [];
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
  async sleep100k () {
    const all = [];
    for (let i = 0; i < 100000; i++) all.push(sleep(0.1 + i % 1000 * 1e-4));
    await Promise.all(all);
  },
};

const counts = { pool: 1e6, pool0: 1e6, pool_p_map: 1e5, pool_p_limit: 1e5,
  pool_p_queue: 2e4, sleep100k: 1e5 };


async function nanoseconds (fn, n) {
  const start = process.cpuUsage();
  await fn(n);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / n * 1000;
}


if (name === "version") {
  console.log(`node ${process.versions.node}`);
} else if (!workloads[name]) {
  console.log("-");
} else {
  const fn = workloads[name];
  let n = counts[name] ?? 1000, ns = 0;
  if (!counts[name]) {
    do {
      n *= 4;
      ns = await nanoseconds(fn, n);
    } while (n * ns < 1e7);
    n = Math.ceil(1.5e8 / ns / 1000) * 1000;
  }
  console.log((await nanoseconds(fn, n)).toFixed(1));
}
