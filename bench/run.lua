--- All workloads in all programs: a table of medians, and what of it holds.
--
--     lua5.4 bench/run.lua [--rounds N] [WORKLOAD ...]
--
-- Each measurement is a process of its own, and the programs take turns, so
-- that what disturbs the machine disturbs them all. Figures move by tens of
-- percent from run to run; ratios within one run are worth more.

local here = arg[0]:match "^(.-)[^/]*$"
local LUA = arg[-1] or "lua5.4"

local rounds, chosen = 5, {}

local programs = { "neap", "floor", "lua", "cqueues", "luv", "node" }

-- what is measured, in which unit; the rivals of a pattern have other names
local workloads = {
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
  { "generator", "ns", "a value of a generator (coroutine.wrap)" },
  { "generator_await", "ns", "the same with an await" },
  { "chunk100", "ns", "an item in chunks of 100" },
  { "chunk_by_hand", "ns", "the same by hand" },
  { "pipeline", "ns", "an item through five stages" },
  { "frame100k", "ns", "a task's frame, 100 000 tasks" },
  { "idle_step", "ns", "a step, a million tasks asleep" },
  { "sleep100k", "ns", "100 000 sleeping tasks, from spawn to end" },
  { "cancel100k", "ns", "... that are cancelled" },
  { "bytes", "bytes", "memory of a sleeping task" },
  { "poolmem10k", "bytes", "what a pool keeps of 10 000 items" },
  { "poolmem1m", "bytes", "of 1 000 000 items" },
  { "streammem10k", "bytes", "what a stream keeps of 10 000 items" },
  { "streammem10m", "bytes", "of 10 000 000 items" },
}

-- neap's figure is at most `limit` times that of `rival` in the same run;
-- without a rival, at most `limit`
local claims = {
  { "switch2", 1.3, "floor" },
  { "switch1000", 1.3, "floor" },
  { "spawn", 1.3, "floor" },
  { "timeout", 1.4, "floor" },
  { "timeout1000", 1.4, "floor" },
  { "semaphore", 1.3, "floor" },
  { "semaphore1000", 1.3, "floor" },
  { "pool", 1.5, "floor" },
  { "cancel100k", 1.3, "floor" },
  { "bytes", 1400 },
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
}
-- ... and is ahead of every other Lua program in everything
for _, w in ipairs(workloads) do
  for _, rival in ipairs(w[1] ~= "generator" and { "lua", "cqueues", "luv" }
      or {}) do
    claims[#claims + 1] = { w[1], 1, rival, quiet = true }
  end
end


local function fail (message)
  io.stderr:write("bench: ", message, "\n")
  os.exit(2)
end


local known, units = {}, {}
for _, w in ipairs(workloads) do known[w[1]], units[w[1]] = true, w[2] end
do
  local i = 1
  while arg[i] do
    if arg[i] == "--rounds" then
      rounds = math.tointeger(tonumber(arg[i + 1]))
      if not rounds or rounds < 1 then fail "--rounds needs a number >= 1" end
      i = i + 1
    elseif known[arg[i]] then
      chosen[arg[i]] = true
    else
      local names = {}
      for _, w in ipairs(workloads) do names[#names + 1] = w[1] end
      fail(("there is no workload '%s'; there are %s"):format(arg[i],
        table.concat(names, " ")))
    end
    i = i + 1
  end
end


local function command (program, workload)
  if program == "node" then
    return ("node %sprograms/node.mjs %s build/bench/node_modules"):format(here,
      workload)
  end
  return ("%s %smeasure.lua %s %s"):format(LUA, here, program, workload)
end


-- the last line that it prints, or nil
local function output (program, workload)
  local pipe <close> = io.popen(command(program, workload) .. " 2>&1")
  local last
  for line in pipe:lines() do last = line end
  return last
end


local function median (list)
  table.sort(list)
  local n = #list
  return n > 0 and (list[(n + 1) // 2] + list[n // 2 + 1]) / 2 or nil
end


-- who is there?
local present = {}
for _, program in ipairs(programs) do
  local version = output(program, "version")
  if version == nil or version:find "^missing" or version:find "not found" then
    print(("%-8s is not here"):format(program))
  else
    print(("%-8s %s"):format(program, version))
    present[#present + 1] = program
  end
end
print()

local samples = {} -- samples[workload][program] = list
for _, w in ipairs(workloads) do
  samples[w[1]] = {}
  for _, program in ipairs(present) do samples[w[1]][program] = {} end
end

for round = 1, rounds do
  io.stderr:write(("round %d of %d\n"):format(round, rounds))
  for _, w in ipairs(workloads) do
    if next(chosen) == nil or chosen[w[1]] then
      for _, program in ipairs(present) do
        local number = tonumber(output(program, w[1]))
        local list = samples[w[1]][program]
        if number then list[#list + 1] = number end
      end
    end
  end
end

local result = {}
for name, by_program in pairs(samples) do
  result[name] = {}
  for program, list in pairs(by_program) do
    result[name][program] = median(list)
  end
end


-- ------------------------------------------------------------------------
-- The report


local function row (cells) print("| " .. table.concat(cells, " | ") .. " |") end


local rule = { "---" }
for _ in ipairs(present) do rule[#rule + 1] = "---:" end
row { "", table.unpack(present) }
row(rule)
for _, w in ipairs(workloads) do
  local cells, any = { ("%s: %s (%s)"):format(w[1], w[3], w[2]) }, false
  for _, program in ipairs(present) do
    local number = result[w[1]][program]
    any = any or number ~= nil
    cells[#cells + 1] = number and ("%.0f"):format(number) or "-"
  end
  if any then row(cells) end
end
print()

local held, tested = 0, 0
for _, claim in ipairs(claims) do
  local name, limit, rival, other = table.unpack(claim, 1, 4)
  local mine = result[name].neap
  local theirs = rival and result[other or name][rival] or 1
  if mine and (not rival or result[other or name][rival]) then
    local ratio = mine / theirs
    local holds = ratio <= limit
    tested = tested + 1
    if holds then held = held + 1 end
    if not (holds and claim.quiet) then
      print(("%s %-14s %.2f%s, at most %g was claimed"):format(
        holds and "holds  " or "MISSED ", name, ratio,
        rival and (" x %s%s"):format(rival, other and " " .. other or "")
          or (" " .. units[name]), limit))
    end
  end
end
print(("%d of %d claims hold in this run"):format(held, tested))
