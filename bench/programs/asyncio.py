# Python's asyncio, as its users write it: tasks and TaskGroup, sleep(0),
# timeout, Semaphore, Queue, async generators.
#
#     python3 bench/programs/asyncio.py WORKLOAD [quick]
#
# The same workloads as in bench/workloads.lua, by the same names, timed in the
# same way (processor time, nanoseconds for one operation).

import sys

sys.path.pop(0)  # this folder: a file in it has the name of the module

import asyncio
import gc
import os
import platform
import time

CALIBRATION, TARGET = 0.01, 0.15  # seconds
QUICK_SIZE = 10000


async def tick():
    await asyncio.sleep(0)


async def nothing():
    pass


async def shared(n, tasks, fn):
    tasks = min(tasks, n)

    async def work():
        for _ in range(n // tasks):
            await fn()

    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(work())


async def spawned(n, fn):
    for _ in range(n):
        await asyncio.create_task(fn())


async def limited():
    async with asyncio.timeout(1000):
        await tick()


async def semaphore(n):
    sem = asyncio.Semaphore(1)

    async def work():
        async with sem:
            pass

    await shared(n, 1, work)


async def semaphore1000(n):
    sem = asyncio.Semaphore(10)

    async def work():
        async with sem:
            await tick()

    await shared(n, 1000, work)


async def queue(n, capacity):
    items = asyncio.Queue(capacity)

    async def send():
        for i in range(n):
            await items.put(i)

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        for _ in range(n):
            await items.get()


# workers that share an iterator: as many as may run, not as many as items
async def pool(n, limit, fn):
    results = [None] * n
    items = iter(range(n))

    async def work():
        for i in items:
            results[i] = await fn(i)

    async with asyncio.TaskGroup() as group:
        for _ in range(limit):
            group.create_task(work())
    return results


async def identity(x):
    return x


async def slow_identity(x):
    await tick()
    return x


async def all1000(n):
    for _ in range(n // 1000):
        await asyncio.gather(*[nothing() for _ in range(1000)])


def generator(n):
    yield from range(1, n + 1)


async def consume_plain(n):
    for _ in generator(n):
        pass


async def numbers(n):
    for i in range(1, n + 1):
        yield i


async def consume_awaited(n):
    async def awaited():
        for i in range(n):
            await tick()
            yield i

    async for _ in awaited():
        pass


async def pipeline(n):
    async def mapped(source, fn):
        async for x in source:
            yield fn(x)

    async def filtered(source, fn):
        async for x in source:
            if fn(x):
                yield x

    s = mapped(numbers(n), lambda x: x + 1)
    s = filtered(s, lambda x: x > 0)
    s = mapped(s, lambda x: x * 2)
    s = filtered(s, lambda x: x > 0)
    s = mapped(s, lambda x: x - 1)
    async for _ in s:
        pass


async def sleep100k(n):
    async with asyncio.TaskGroup() as group:
        for i in range(n):
            group.create_task(asyncio.sleep(0.1 + i % 1000 * 1e-4))


async def cancel100k(n):
    tasks = [asyncio.create_task(asyncio.sleep(1e6)) for _ in range(n)]
    await tick()
    await tick()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def tasks(n):
    async with asyncio.TaskGroup() as group:
        for _ in range(n):
            group.create_task(tick())


async def timers(n):
    async with asyncio.TaskGroup() as group:
        for i in range(n):
            group.create_task(asyncio.sleep(n * (2e-6 + i % 1000 * 1e-9)))


async def waiters(n):
    sem = asyncio.Semaphore(1)

    async def wait():
        async with sem:
            pass

    async with asyncio.TaskGroup() as group:
        await sem.acquire()
        for _ in range(n):
            group.create_task(wait())
        await tick()
        await tick()
        sem.release()


def resident():
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024


async def memory(n):
    before = resident()
    keep = [asyncio.create_task(asyncio.sleep(1e6)) for _ in range(n)]
    await tick()
    await tick()
    print(f"{(resident() - before) / len(keep):.1f}", flush=True)
    os._exit(0)  # nobody waits for them


def on(fn, *args):
    return lambda n: fn(n, *args)


workloads = {
    "switch2": on(shared, 2, tick),
    "switch1000": on(shared, 1000, tick),
    "spawn": on(spawned, nothing),
    "spawn_yield": on(spawned, tick),
    "timeout": on(shared, 1, limited),
    "timeout1000": on(shared, 1000, limited),
    "semaphore": semaphore,
    "semaphore1000": semaphore1000,
    "channel1": on(queue, 1),
    "channel128": on(queue, 128),
    "pool": on(pool, 100, slow_identity),
    "pool0": on(pool, 100, identity),
    "limiter1000": semaphore1000,
    "all1000": all1000,
    "generator": consume_plain,
    "generator_await": consume_awaited,
    "pipeline": pipeline,
    "frame100k": on(shared, 100000, tick),
    "sleep100k": sleep100k,
    "cancel100k": cancel100k,
}
growth = {"tasks": tasks, "timers": timers, "waiters": waiters,
          "memory": memory}
counts = {"pool": 1000000, "pool0": 1000000, "frame100k": 1000000,
          "sleep100k": 100000, "cancel100k": 100000}


def nanoseconds(fn, n):
    gc.collect()
    start = time.process_time()
    asyncio.run(fn(n))
    return (time.process_time() - start) / n * 1e9


def calibrate(fn):
    n = 4000
    while True:
        seconds = nanoseconds(fn, n) * n * 1e-9
        if seconds >= CALIBRATION:
            return max(1, round(TARGET / seconds * n / 1000)) * 1000
        n *= 4


def main(name, quick):
    series, _, size = name.partition("/")
    if name == "version":
        print("python", platform.python_version(), "asyncio")
    elif size and series in growth:
        n, total, times = int(size), 0, 0
        while not times or not quick and total * n * 1e-9 < TARGET:
            total += nanoseconds(growth[series], n)
            times += 1
        print(f"{total / times:.1f}")
    elif name in workloads:
        n = counts.get(name)
        if quick:
            n = min(n or 1000, QUICK_SIZE)
        n = n or calibrate(workloads[name])
        print(f"{nanoseconds(workloads[name], n):.1f}")
    else:
        print("-")


main(sys.argv[1], sys.argv[2:] == ["quick"])
