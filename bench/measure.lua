--- Time one workload of one program and print one number.
--
--     lua5.4 bench/measure.lua bench/neap.lua switch2
--
-- A program (`neap.lua`, `cqueues.lua`, ...) returns a table: `version`, and
-- workloads by name. A workload is called with a count, prepares, and returns
-- the loop that does so many operations; only this loop is timed. One that
-- measures memory returns the number of bytes instead.
--
-- Time is processor time (`os.clock`), user and system: what other programs
-- do at the same time disturbs it less, and what a loop only waits for does
-- not count.

-- counts of workloads that need a certain size; all others find their own
local counts = {
  pool = 1000000, pool0 = 1000000,
  poolmem10k = 10000, poolmem1m = 1000000,
  sleep100k = 100000, bytes = 100000,
  cancel100k = 100000, cancel100k_each = 100000,
}

local CALIBRATION, TARGET = 0.01, 0.15  -- seconds

local path, name = arg[1], arg[2]


--- Resident memory of this process in bytes; nil where there is no /proc.
function _G.resident ()
  local file = io.open("/proc/self/status")
  local kb = file and file:read("a"):match("VmRSS:%s*(%d+) kB")
  if file then file:close() end
  return kb and tonumber(kb) * 1024
end


--- What a pool keeps alive when nearly all of `n` items are through.
-- `pool(items, fn)` must call `fn` for each of the items of an iterator;
-- neither the source nor the results of `fn` take any memory.
function _G.pool_memory (n, pool, yield)
  local i, live = 0, nil
  local function source ()
    i = i + 1
    return i <= n and i or nil
  end
  collectgarbage()
  local before = collectgarbage("count")
  pool(source, function (item)
    if item == n - 50 then
      collectgarbage()
      live = (collectgarbage("count") - before) * 1024
    end
    yield(0)
  end)
  return live
end


local function nanoseconds (loop, n)
  collectgarbage()
  local start = os.clock()
  loop()
  return (os.clock() - start) / n * 1e9
end


--- A count for which the loop takes about the time aimed at.
local function calibrate (workload)
  local n, ns = 1000, 0
  repeat
    n = n * 4
    ns = nanoseconds(workload(n), n)
  until n * ns * 1e-9 >= CALIBRATION
  return math.ceil(TARGET / (ns * 1e-9) / 1000) * 1000
end


local loaded, program = pcall(dofile, path)
if not loaded then
  local missing = tostring(program):match("module '([^']+)' not found")
  if not missing then error(program, 0) end
  print("missing " .. missing)
elseif name == "version" then
  print(program.version)
elseif not program[name] then
  print("-")
else
  local workload = program[name]
  local n = program.counts and program.counts[name] or counts[name]
    or calibrate(workload)
  local result = workload(n)
  if type(result) == "function" then result = nanoseconds(result, n) end
  print(result and ("%.1f"):format(result) or "-")
  os.exit(true, false)  -- a million tasks need not be taken down one by one
end
