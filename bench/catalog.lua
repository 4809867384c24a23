--- What is measured, in which programs, and what of it is claimed.

local catalog = {}

-- neap first: it is what the others are compared with. 'title' is what tables
-- and plots call them.
catalog.programs = {
  { name = "neap", title = "neap" },
  { name = "floor", title = "bare C" },
  { name = "lua", title = "plain Lua" },
  { name = "cqueues", title = "cqueues" },
  { name = "luv", title = "luv" },
  { name = "copas", title = "copas" },
  { name = "node", title = "node" },
  { name = "asyncio", title = "asyncio" },
  { name = "go", title = "Go" },
}

-- what is measured, in which unit; the rivals of a pattern have other names
catalog.workloads = {
  { "switch2", "ns", "a switch between two tasks" },
  { "switch1000", "ns", "a switch between 1000 tasks" },
  { "spawn", "ns", "spawn and await an empty task" },
  { "spawn_yield", "ns", "the same with one switch inside" },
  { "timeout", "ns", "a switch under a timeout" },
  { "timeout1000", "ns", "the same in 1000 tasks" },
  { "semaphore", "ns", "acquire and release, free" },
  { "semaphore1000", "ns", "1000 tasks on 10 permits" },
  { "channel0", "ns", "an item through a channel, capacity 0" },
  { "channel1", "ns", "capacity 1" },
  { "channel128", "ns", "capacity 128" },
  { "pool", "ns", "an item of a pool of 100, with a switch" },
  { "pool0", "ns", "the same without" },
  { "pool_p_map", "ns", "the same by p-map" },
  { "pool_p_limit", "ns", "by p-limit" },
  { "pool_p_queue", "ns", "by p-queue" },
  { "limiter1000", "ns", "a call of a limiter, 1000 callers (async-sema)" },
  { "retry", "ns", "a retry that succeeds at once" },
  { "timeout0", "ns", "a timeout around nothing" },
  { "debounce", "ns", "a debounced call, wait 0" },
  { "throttle", "ns", "a throttled call, interval 0" },
  { "all1000", "ns", "a function of all, 1000 of them" },
  { "all_by_hand", "ns", "the same by spawning and awaiting" },
  { "abort10k", "ns", "a listener of an abort, 10 000 of them" },
  { "abort100k", "ns", "100 000 of them" },
  { "generator", "ns", "a value of a generator" },
  { "generator_await", "ns", "the same with an await" },
  { "chunk100", "ns", "an item in chunks of 100" },
  { "chunk_by_hand", "ns", "the same by hand" },
  { "pipeline", "ns", "an item through five stages" },
  { "frame100k", "ns", "a task's frame, 100 000 tasks" },
  { "idle_step", "ns", "a step, a million tasks asleep" },
  { "sleep100k", "ns", "100 000 sleeping tasks, from spawn to end" },
  { "cancel100k", "ns", "... that are cancelled" },
  { "pingpong", "ns", "64 bytes there and back, over loopback" },
  { "echo1000", "ns", "the same over 1000 connections at once" },
  { "poolmem10k", "bytes", "what a pool keeps of 10 000 items" },
  { "poolmem1m", "bytes", "of 1 000 000 items" },
  { "streammem10k", "bytes", "what a stream keeps of 10 000 items" },
  { "streammem10m", "bytes", "of 10 000 000 items" },
}

-- how cost grows: one workload for each size, named "tasks/1000" and so on
catalog.growth = {
  { "tasks", "ns", "a task among n: spawn, one switch, end" },
  { "timers", "ns", "a timer among n: spawn, sleep, wake, end" },
  { "waiters", "ns", "a waiter in a line of n: spawn, wait, wake, end" },
  { "memory", "bytes", "memory of a sleeping task among n" },
}
catalog.sizes = { 1000, 10000, 100000, 1000000 }

-- neap's figure is at most `limit` times that of `rival` in the same run;
-- without a rival, at most `limit`
catalog.claims = {
  { "switch2", 1.3, "floor" },
  { "switch1000", 1.3, "floor" },
  { "spawn", 1.3, "floor" },
  { "timeout", 1.4, "floor" },
  { "timeout1000", 1.4, "floor" },
  { "semaphore", 1.3, "floor" },
  { "semaphore1000", 1.3, "floor" },
  { "pool", 1.5, "floor" },
  { "cancel100k", 1.3, "floor" },
  { "memory/1000000", 1400 },
  { "poolmem1m", 1.2, "neap", "poolmem10k" },
  { "pool", 1, "node", "pool_p_map" },
  { "pool", 1, "node", "pool_p_limit" },
  { "pool", 1, "node", "pool_p_queue" },
  { "limiter1000", 1, "node" },
  { "retry", 2000 },
  { "timeout0", 2000 },
  { "debounce", 2000 },
  { "throttle", 2000 },
  { "all1000", 1.5, "neap", "all_by_hand" },
  { "abort100k", 1.5, "neap", "abort10k" },
  { "generator", 1.3, "lua" },
  { "generator_await", 1.3, "floor" },
  { "chunk100", 1.2, "neap", "chunk_by_hand" },
  { "pipeline", 1, "node" },
  { "frame100k", 1.3, "floor" },
  { "idle_step", 1000 },
  { "streammem10m", 1.2, "neap", "streammem10k" },
  { "pingpong", 1.15, "floor" },
  { "pingpong", 1, "copas" },
  { "echo1000", 1, "node" },
}


-- rivals that cannot take part, and why
catalog.left_out = {
  "copas: only in what is about sockets. That of Debian, 1.1.7, suspends for"
    .. " nothing else: it has neither sleep nor timers nor a way to yield. It"
    .. " uses select, and so takes no descriptor above 1023",
}


-- the growth workloads are workloads, too
for _, series in ipairs(catalog.growth) do
  for _, size in ipairs(catalog.sizes) do
    table.insert(catalog.workloads, {
      ("%s/%d"):format(series[1], size), series[2], series[3],
      series = series[1], size = size,
    })
  end
end

-- ... and neap is ahead of every other Lua program in everything
for _, w in ipairs(catalog.workloads) do
  for _, rival in ipairs(w[1] ~= "generator" and { "lua", "cqueues", "luv" }
      or {}) do
    table.insert(catalog.claims, { w[1], 1, rival, quiet = true })
  end
end

return catalog
