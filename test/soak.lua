-- Virtual days of what servers do, a year of them in a minute or two: memory
-- must stay flat, and nothing may be left.
--
--   soak.lua [DAYS]     by default 365
--
-- Requests come day and night, are limited, retried, timed out and cancelled;
-- jobs run on tickers; consumers read from a channel; sessions open, idle for
-- hours, and end. All of it in one run of one scheduler: what a request leaves
-- behind would be there a million times.

local neap = require "neap"

local stats = require("neap.core").internal.stats

local HOUR, DAY = 3600, 86400


-- numbers that are the same everywhere
local state = 1
local function roll (n)
  state = (state * 1664525 + 1013904223) % 4294967296
  return state // 65536 % n + 1
end


local counts = setmetatable({}, { __index = function () return 0 end })
local function count (what) counts[what] = counts[what] + 1 end


local function serve (world, signal)
  local permit <close> = world.connections:permit()
  neap.timeout(function ()
    neap.retry(function ()
      neap.sleep(roll(20) / 10)
      if roll(10) == 1 then error("the upstream is down", 0) end
    end, { attempts = 3, delay = 0.5, jitter = "full", signal = signal })
    world.queue:send(roll(100))
  end, 3)
  permit:release()
  count "served"
end


-- one request after the other; some give up, some find all taken
local function requests (world, scope)
  while true do
    neap.sleep(roll(240))
    scope:spawn(function ()
      local controller = neap.abort_controller()
      local client = neap.async(function ()
        neap.sleep(roll(60) / 10)
        controller:abort("the client went away")
      end)
      local ok = neap.pcall(world.limiter, serve, world, controller.signal)
      if not ok then count "failed" end
      client:cancel()
      client:pawait()
    end)
  end
end


local function consumer (world)
  for batch in neap.chunk(world.queue, 10, { timeout = 30 }) do
    neap.pool(batch, 3, function (item)
      neap.sleep(item / 100)
    end)
    count "batches"
  end
end


local function session ()
  local event = neap.event()
  neap.spawn(function ()
    neap.sleep(roll(5) * HOUR)
    event:set()
  end)
  if not neap.move_on_after(3 * HOUR, event.wait, event) then
    count "idle sessions"
  end
end


local function sessions (scope)
  for _ in neap.ticker(HOUR / 4) do
    scope:spawn(neap.scope, session)
  end
end


local function jobs (world)
  local lookup = neap.throttle(function () neap.sleep(2) end, 60)
  local save = neap.debounce(function () count "saved" end, 20,
    { superseded = "share" })
  for tick in neap.ticker(600) do
    neap.all { lookup, save, function () neap.sleep(roll(9)) end }
    for _ in neap.stream(neap.ticker(1)):map(function (i) return i end)
      :take(tick % 5) do
      world.ticks = world.ticks + 1
    end
    neap.race { function () neap.sleep(1) end, function () neap.sleep(2) end }
  end
end


local function bytes ()
  for _ = 1, 4 do collectgarbage() end
  return collectgarbage "count" * 1024
end


local function soak (days, say)
  neap.clock "virtual"
  local start, first
  local world = {
    connections = neap.semaphore(5), queue = neap.channel(100), ticks = 0,
    limiter = neap.limiter { concurrency = 8, rate = 20, max_queue = 50 },
  }
  neap.run(function ()
    start = neap.now()
    neap.scope(function (scope)
      for _ = 1, 3 do scope:spawn(requests, world, scope) end
      for _ = 1, 2 do scope:spawn(consumer, world) end
      scope:spawn(sessions, scope)
      scope:spawn(jobs, world)
      for day = 1, days do
        neap.sleep(DAY)
        local left, now = stats(), bytes()
        say(day, now, left)
        -- the first days warm up: coroutines are kept to be used again
        if day == 2 then first = now end
        -- so many sessions and requests live at a time, at most
        assert(left.live < 200, "tasks pile up: " .. left.live)
        assert(left.ended == 0, "ended tasks are kept: " .. left.ended)
        assert(left.timers < 400, "timers pile up: " .. left.timers)
        assert(day < 2 or now < first + 64 * 1024,
          ("day %d: %d bytes more than on the second"):format(day, now -
            (first or 0)))
      end
      scope:cancel()
    end)
  end)
  assert(neap.now() >= start + days * DAY)
  assert(world.connections:available() == 5, "connections are missing")
  assert(world.limiter.running == 0 and world.limiter.waiting == 0)
  local left = stats()
  assert(left.live + left.ended + left.scopes + left.timers == 0)
  return counts
end


if arg and arg[0] and arg[0]:find "soak%.lua$" then
  local days = tonumber(arg[1]) or 365
  for what, n in pairs(soak(days, function (day, now, left)
    print(("day %3d: %7.1f KB, %4d tasks, %4d timers, %9d steps"):format(day,
      now / 1024, left.live, left.timers, left.steps))
  end)) do
    print(("%9d %s"):format(n, what))
  end
end

return soak
