--- Time one workload of one program and print one number.
--
--     lua5.4 bench/measure.lua neap switch2
--
-- `bench/programs/NAME.lua` returns the few functions that all workloads are
-- written in (bench/workloads.lua). A workload is called with a count,
-- prepares, and returns the loop that does so many operations; only this loop
-- is timed, and what is printed is nanoseconds for one operation. A workload
-- that measures memory returns the number of bytes instead.
--
-- Time is processor time (`os.clock`), user and system: what other programs
-- do at the same time disturbs it less, and what a loop only waits for does
-- not count.

local here = arg[0]:match "^(.-)[^/]*$"
package.path = here .. "?.lua;" .. package.path

local CALIBRATION, TARGET = 0.01, 0.15  -- seconds

local program, name = arg[1], arg[2]


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
local workload = workloads[name]
if workload == nil then
  print "-" -- it has no such thing
else
  local n = counts[name] or calibrate(workload)
  local result = workload(n)
  if type(result) == "function" then result = nanoseconds(result, n) end
  print(result and ("%.1f"):format(result) or "-")
end
os.exit(true, false) -- a million tasks need not be taken down one by one
