--- Time one workload of one program and print one number.
--
--     lua5.4 bench/measure.lua neap switch2
--     lua5.4 bench/measure.lua neap tasks/1000
--     lua5.4 bench/measure.lua neap switch2 quick
--
-- `bench/programs/NAME.lua` returns the few functions that all workloads are
-- written in (bench/workloads.lua). A workload is called with a count,
-- prepares, and returns the loop that does so many operations; only this loop
-- is timed, and what is printed is nanoseconds for one operation. A workload
-- that measures memory returns the number of bytes instead. One with a size,
-- behind the stroke, is a loop over so many that is repeated.
--
-- Time is processor time (`os.clock`), user and system: what other programs
-- do at the same time disturbs it less, and what a loop only waits for does
-- not count. `quick` does everything once, to see that it runs: its figures
-- mean nothing.

local here = arg[0]:match "^(.-)[^/]*$"
package.path = here .. "?.lua;" .. package.path

local CALIBRATION, TARGET = 0.01, 0.15  -- seconds
local QUICK_SIZE = 10000

local program, name, quick = arg[1], arg[2], arg[3] == "quick"


local function nanoseconds (loop, n)
  collectgarbage()
  local start = os.clock()
  loop()
  return (os.clock() - start) / n * 1e9
end


--- A count for which the loop takes about the time aimed at.
local function calibrate (workload)
  local n = 4000
  while true do
    local seconds = nanoseconds(workload(n), n) * n * 1e-9
    if seconds >= CALIBRATION then
      return math.ceil(TARGET / seconds * n / 1000) * 1000
    end
    n = n * 4
  end
end


--- Nanoseconds for each of `size`, of a loop over them that is repeated until
-- it has taken the time aimed at.
local function repeated (loop, size)
  local total, times = 0, 0
  repeat
    total, times = total + nanoseconds(loop, size), times + 1
  until quick or total * size * 1e-9 >= TARGET
  return total / times
end


local loaded, api = pcall(dofile, here .. "programs/" .. program .. ".lua")
if not loaded then
  local missing = tostring(api):match("module '([^']+)' not found")
  if not missing then error(api, 0) end
  print("missing " .. missing)
  os.exit(true)
end
if name == "version" then
  print(api.version)
  os.exit(true)
end

local workloads, counts = require "workloads" (api)
local series, size = name:match "^(.*)/(%d+)$"
local workload = workloads[series or name]
local result = "-" -- it has no such thing
if workload and series then
  result = workload(math.tointeger(size))
  if type(result) == "function" then
    result = repeated(result, math.tointeger(size))
  end
elseif workload then
  local n = counts[name]
  if quick then n = math.min(n or 1000, QUICK_SIZE) end
  n = n or calibrate(workload)
  result = workload(n)
  if type(result) == "function" then result = nanoseconds(result, n) end
end
print(type(result) == "number" and ("%.1f"):format(result) or "-")
os.exit(true, false) -- a million tasks need not be taken down one by one
