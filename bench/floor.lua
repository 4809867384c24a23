--- The workloads on the bare C core of floor.c.

local floor = require "floor"

local run, spawn, sleep = floor.run, floor.spawn, floor.sleep
local timeout = floor.timeout

local program = { version = "bare C core", counts = { bytes = 1000000 } }


local function nothing () end


local function yields ()
  sleep(0)
end


local function repeated (n, fn)
  for _ = 1, n do fn() end
end


--- Run `tasks` tasks that share `n` calls of `fn`.
local function shared (n, tasks, fn)
  return function ()
    run(function ()
      for _ = 1, tasks do spawn(function () repeated(n // tasks, fn) end) end
    end)
  end
end


function program.switch2 (n)
  return function ()
    run(function ()
      for _ = 1, 2 do
        spawn(function () for _ = 1, n // 2 do sleep(0) end end)
      end
    end)
  end
end
