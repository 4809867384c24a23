-- A program made of bytes: each names what a task does next, or how. Tasks take
-- them as they run, so any bytes are a program; without bytes all come to
-- their end. test/fuzz.c lets libFuzzer look for bytes that break something,
-- spec/fuzz_spec.lua plays those in test/corpus/.
--
-- After every step the invariants of the core are checked (internal.check, in
-- debug builds) and those that can be seen from outside: permits are conserved
-- and nobody waits while there are enough, no more run in a limiter than may, a
-- channel holds no more than its capacity. In the end what was sent is what
-- was received or is left; whoever came in has gone out, once; nothing is left.

local neap = require "neap"

local internal = require("neap.core").internal
local check = internal.check or function () end

-- what a program may do in all: it must end, and soon
local STEPS, DEPTH = 400, 6


-- raised to no avail if the program catches it: 'play' knows it, too
local function broken (state, what)
  state.broken = state.broken or debug.traceback(what, 2)
  error(state.broken, 0)
end


-- Errors are what programs are made of, but no accidents.
local function judge (state, err)
  local text = tostring(err)
  if text:find "attempt to" or text:find "check: not" or text:find "overflow"
    or text:find "memory" then
    broken(state, text)
  end
end


local function new_state (bytes)
  local state = {
    bytes = bytes, at = 0, steps = 0, inside = 0, entered = 0,
    held = { 0, 0 }, running = 0, last = 0,
    sent = {}, received = {}, tasks = {}, scopes = {}, generators = {},
  }
  state.sems = { neap.semaphore(1), neap.semaphore(3) }
  state.sizes = { 1, 3 }
  state.channels = { neap.channel(), neap.channel(1), neap.channel(3) }
  state.events = { neap.event(), neap.event() }
  state.futures = {}
  for i = 1, 2 do state.futures[i] = { neap.future() } end
  state.controllers = { neap.abort_controller(), neap.abort_controller() }
  state.limiter = neap.limiter { concurrency = 2, rate = 3, max_queue = 5 }
  return state
end


-- the next byte as a number from 1 to n; without bytes 1
local function byte (state, n)
  state.at = state.at + 1
  return (state.bytes:byte(state.at) or 0) % n + 1
end


local function any (state, list)
  return #list > 0 and list[byte(state, #list)] or nil
end


local times = { 0, 1, 1, 2, 3, 0.5, 10 }

local function seconds (state) return times[byte(state, #times)] end


local function invariants (state)
  check()
  for i, sem in ipairs(state.sems) do
    local free = sem:available()
    if free + state.held[i] > state.sizes[i] then
      broken(state, "more permits than there are")
    elseif i == 1 and sem:waiting() > 0 and free > 0 then
      broken(state, "somebody waits for a permit that is free")
    end
  end
  for i, ch in ipairs(state.channels) do
    if #ch > ({ 0, 1, 3 })[i] then broken(state, "a channel is too full") end
  end
  if state.running > 2 then broken(state, "too many run in the limiter") end
end


-- Counts who is inside of something; 'leave' is called when it is left.
local function enter (state, leave)
  local left = false
  state.inside = state.inside + 1
  state.entered = state.entered + 1
  return setmetatable({}, { __close = function (_, err)
    if left then broken(state, "closed twice") end
    left = true
    state.inside = state.inside - 1
    if err ~= nil then judge(state, err) end
    if leave then leave() end
  end })
end


local block -- (state, depth)


-- a function that goes on with the program
local function body (state, depth)
  return function (...)
    local _ <close> = enter(state)
    block(state, depth + 1)
    return ...
  end
end


local function hold (state, i, n, depth)
  state.held[i] = state.held[i] + n
  local _ <close> = enter(state, function ()
    state.held[i] = state.held[i] - n
  end)
  block(state, depth + 1)
end


-- a source of a few items that takes its time
local function source (state)
  local n, pause, i = byte(state, 5) - 1, seconds(state), 0
  return function ()
    if i == n then return nil end
    i = i + 1
    neap.sleep(pause)
    return i
  end
end


local function work (state, depth)
  local inner, pause = byte(state, 4) == 4, seconds(state)
  return function (item)
    local _ <close> = enter(state)
    neap.sleep(pause)
    if inner then block(state, depth + 2) end
    if item == 4 then error("the fourth item", 0) end
    return item
  end
end


local function add_task (state, task)
  state.tasks[#state.tasks + 1] = task
end


-- Each is called as step(state, depth); the order is that of the bytes, so new
-- ones come last.
local steps = {
  function (state) neap.sleep(seconds(state)) end,
  function () neap.checkpoint() end,
  function () neap.settled() end,

  -- tasks
  function (state, depth) add_task(state, neap.spawn(body(state, depth))) end,
  function (state, depth) add_task(state, neap.async(body(state, depth))) end,
  function (state, depth)
    local scope = any(state, state.scopes)
    if scope then add_task(state, scope:spawn(body(state, depth))) end
  end,
  function (state)
    local task = any(state, state.tasks)
    if task then task:await() end
  end,
  function (state)
    local task = any(state, state.tasks)
    if task then task:pawait() end
  end,
  function (state)
    local task = any(state, state.tasks)
    if task then task:cancel(byte(state, 2) == 2 and "enough" or nil) end
  end,

  -- scopes
  function (state, depth)
    local options = { timeout = byte(state, 2) == 2 and seconds(state) or nil }
    neap.scope(options, function (scope)
      state.scopes[#state.scopes + 1] = scope
      return body(state, depth)()
    end)
  end,
  function (state)
    local scope = any(state, state.scopes)
    if scope then scope:cancel() end
  end,
  function (state)
    local scope = any(state, state.scopes)
    if scope then scope.deadline = neap.now() + seconds(state) end
  end,
  function (state, depth) neap.shield(body(state, depth)) end,
  function (state, depth) neap.timeout(body(state, depth), seconds(state)) end,
  function (state, depth)
    neap.move_on_after(seconds(state), body(state, depth))
  end,
  function (state, depth)
    local ok, err = pcall(body(state, depth))
    if not ok then judge(state, err) end
  end,
  function (state, depth) neap.pcall(body(state, depth)) end,
  function (state, depth)
    local late = body(state, depth)
    local _ <close> = enter(state, function () neap.shield(late) end)
    block(state, depth + 1)
  end,
  function () error("planned", 0) end,

  -- abort
  function (state, depth)
    local signal = any(state, state.controllers).signal
    neap.with_signal(signal, body(state, depth))
  end,
  function (state) any(state, state.controllers):abort() end,
  function (state) any(state, state.controllers).signal:wait() end,
  function (state)
    local remove = any(state, state.controllers).signal:on_abort(function ()
      state.heard = true
    end)
    if byte(state, 2) == 2 then remove() end
  end,

  -- semaphores
  function (state, depth)
    local i = byte(state, 2)
    local n = i == 1 and 1 or byte(state, 3)
    state.sems[i]:acquire(n)
    local _ <close> = enter(state, function () state.sems[i]:release(n) end)
    hold(state, i, n, depth)
  end,
  function (state, depth)
    local i = byte(state, 2)
    state.sems[i]:with_permit(hold, state, i, 1, depth)
  end,
  function (state, depth)
    local i = byte(state, 2)
    local permit <close> = state.sems[i]:permit()
    hold(state, i, 1, depth)
    if byte(state, 2) == 2 then permit:release() end
  end,
  function (state, depth)
    local i = byte(state, 2)
    if state.sems[i]:try_acquire() then
      local _ <close> = enter(state, function () state.sems[i]:release() end)
      hold(state, i, 1, depth)
    end
  end,

  -- channels
  function (state)
    local ch = any(state, state.channels)
    state.last = state.last + 1
    local item = state.last
    ch:send(item)
    state.sent[item] = true
  end,
  function (state)
    local ch = any(state, state.channels)
    state.last = state.last + 1
    if ch.closed then return end
    if ch:try_send(state.last) then state.sent[state.last] = true end
  end,
  function (state)
    local item = any(state, state.channels):recv()
    if item == nil then return end
    if state.received[item] then broken(state, "received twice") end
    state.received[item] = true
  end,
  function (state)
    local ok, item = any(state, state.channels):try_recv()
    if not ok then return end
    if state.received[item] then broken(state, "received twice") end
    state.received[item] = true
  end,
  function (state)
    any(state, state.channels):close(byte(state, 2) == 2 and "over" or nil)
  end,

  -- events, futures
  function (state) any(state, state.events):wait() end,
  function (state) any(state, state.events):set() end,
  function (state) any(state, state.events):clear() end,
  function (state) any(state, state.futures)[1]:await() end,
  function (state) any(state, state.futures)[2](1) end,
  function (state) any(state, state.futures)[3]("rejected") end,

  -- generators
  function (state, depth)
    local n = byte(state, 4)
    local gen = neap.generator(function (yield)
      local _ <close> = enter(state)
      for i = 1, n do
        block(state, depth + 2)
        yield(i)
      end
    end)()
    state.generators[#state.generators + 1] = gen
  end,
  function (state)
    local gen = any(state, state.generators)
    if gen then gen:next() end
  end,
  function (state)
    local gen = any(state, state.generators)
    if gen then gen:close() end
  end,
  function (state, depth)
    local n = byte(state, 4)
    for i in neap.generator(function (yield)
      local _ <close> = enter(state)
      for i = 1, 3 do
        neap.sleep(i - 1)
        yield(i)
      end
    end)() do
      block(state, depth + 1)
      if i == n then break end
    end
  end,
  function (state, depth)
    local co = neap.coroutine.wrap(function (...)
      pcall(body(state, depth), ...)
      neap.coroutine.yield(1)
      return 2
    end)
    co()
    if byte(state, 2) == 2 then co() end
  end,

  -- patterns
  function (state, depth)
    neap.pool(source(state), byte(state, 3), work(state, depth), {
      stop_on_error = byte(state, 2) == 2,
    })
  end,
  function (state, depth)
    local left = byte(state, 4)
    for _ in neap.map(source(state), work(state, depth), {
      concurrency = byte(state, 3), ordered = byte(state, 2) == 2,
    }) do
      left = left - 1
      if left == 0 then break end
    end
  end,
  function (state, depth)
    local call = any(state, { neap.all, neap.race, neap.any, neap.all_settled })
    call { body(state, depth), body(state, depth), work(state, depth) }
  end,
  function (state, depth)
    local inner = work(state, depth)
    state.limiter(function (...)
      state.running = state.running + 1
      local _ <close> = enter(state, function ()
        state.running = state.running - 1
      end)
      invariants(state)
      return inner(...)
    end, 1)
  end,
  function (state) state.limiter:cancel() end,
  function (state, depth)
    neap.retry(body(state, depth), { attempts = 2, delay = seconds(state) })
  end,
  function (state)
    neap.collect(neap.merge(source(state), neap.stream(source(state))))
  end,
  function (state)
    local left = byte(state, 3)
    local items = neap.stream(source(state)):buffer(byte(state, 3))
    for _ in items:chunk(2, { timeout = seconds(state) }) do
      left = left - 1
      if left == 0 then break end
    end
  end,
  function (state, depth)
    state.debounced = state.debounced or
      neap.debounce(work(state, depth), 1, { superseded = "share" })
    state.debounced(1)
  end,
  function (state, depth)
    state.throttled = state.throttled or neap.throttle(work(state, depth), 2)
    state.throttled(1)
  end,
}


function block (state, depth)
  for _ = 1, byte(state, depth == 0 and 16 or 5) - 1 do
    if state.at >= #state.bytes or state.steps >= STEPS then return end
    state.steps = state.steps + 1
    local step = steps[byte(state, #steps)]
    if depth == 0 then
      local ok, err = pcall(step, state, depth)
      if not ok then judge(state, err) end
    elseif depth < DEPTH then
      step(state, depth)
    end
    invariants(state)
  end
end


-- what only the end can tell
local function finally (state)
  check()
  for i, ch in ipairs(state.channels) do
    local ok, item = ch:try_recv()
    while ok do
      if state.received[item] then broken(state, "left, but received") end
      state.received[item] = true
      ok, item = ch:try_recv()
    end
    if #ch > 0 then broken(state, "items hide in channel " .. i) end
  end
  for item in pairs(state.received) do
    if not state.sent[item] then
      broken(state, "received, but never sent: " .. item)
    end
  end
  for item in pairs(state.sent) do
    if not state.received[item] then broken(state, "lost: " .. item) end
  end
  for i, sem in ipairs(state.sems) do
    if state.held[i] ~= 0 or sem:available() ~= state.sizes[i] then
      broken(state, "permits are missing")
    end
  end
  if state.inside ~= 0 then broken(state, "somebody was not left") end
  for _, task in ipairs(state.tasks) do
    if not task:status():match "^[dfc]" then broken(state, "a task lives") end
  end
  if state.limiter.running + state.limiter.waiting > 0 then
    broken(state, "the limiter is not empty")
  end
end


local function left ()
  local stats = internal.stats()
  for _, what in ipairs { "live", "ended", "scopes", "timers", "external" } do
    if stats[what] ~= 0 then return stats[what] .. " " .. what end
  end
end


-- Play the program; raises if something is broken. Says how many steps it had.
local function play (bytes)
  neap.clock "virtual"
  neap.hooks { on_suppressed = function () end, on_unhandled = function () end }
  local state = new_state(bytes)
  local ok, err = pcall(neap.run, function () block(state, 0) end)
  if not ok then judge(state, err) end
  if state.broken then error(state.broken, 0) end
  finally(state)
  neap.hooks { on_suppressed = false, on_unhandled = false }
  local n = state.steps
  state = nil
  check()
  local what = left()
  if what then -- a signal that was dropped may still have its alarm
    collectgarbage()
    collectgarbage()
    what = left()
    if what then error(what .. " left", 0) end
  end
  return n
end


return play
