-- A program made of bytes: each names what a task does next, or how. Tasks take
-- them as they run, so any bytes are a program; without bytes all come to
-- their end. test/fuzz.c lets libFuzzer look for bytes that break something,
-- spec/fuzz_spec.lua plays those in test/corpus/. What steps there are is in
-- test/fuzz/.
--
-- After every step the invariants of the core are checked (internal.check, in
-- debug builds) and those that can be seen from outside: permits are conserved
-- and nobody waits while there are enough, no more run in a limiter than may, a
-- channel holds no more than its capacity. In the end what was sent is what
-- was received or is left; whoever came in has gone out, once; nothing is left.

local neap = require "neap"

local kit = dofile "test/fuzz/kit.lua"

local internal = require("neap.core").internal
local broken, byte, judge = kit.broken, kit.byte, kit.judge
local check = internal.check or function () end

-- what a program may do in all: it must end, and soon
local STEPS, DEPTH = 400, 6

local capacities = { 0, 1, 3 }


local function new_state (bytes)
  local state = {
    bytes = bytes, at = 0, steps = 0, inside = 0,
    held = { 0, 0 }, running = 0, last = 0, items = {},
    tasks = {}, scopes = {}, ops = {}, generators = {}, streams = {},
    debounced = {},
  }
  state.sizes = { 1, 3 }
  state.sems = { neap.semaphore(1), neap.semaphore(3) }
  state.channels = {}
  for i, n in ipairs(capacities) do state.channels[i] = neap.channel(n) end
  state.events = { neap.event(), neap.event() }
  state.futures, state.settlers = {}, {}
  for i = 1, 2 do
    local future, resolve, reject = neap.future()
    state.futures[i], state.settlers[i] = future, { resolve, reject }
  end
  state.controllers = { neap.abort_controller(), neap.abort_controller() }
  state.limit = 2
  state.limiter = neap.limiter {
    concurrency = 2, rate = 3, max_queue = 5, spread = kit.yes(state),
  }
  return state
end


local function invariants (state)
  check()
  for i, sem in ipairs(state.sems) do
    local free = sem:available()
    if free > 0 and free + state.held[i] > state.sizes[i] then
      broken(state, "more permits than there are")
    elseif i == 1 and sem:waiting() > 0 and free > 0 then
      broken(state, "somebody waits for a permit that is free")
    end
  end
  for i, ch in ipairs(state.channels) do
    if #ch > capacities[i] then broken(state, "a channel is too full") end
  end
end


local steps = {}
for _, name in ipairs { "tasks", "patterns" } do
  local list = assert(loadfile("test/fuzz/" .. name .. ".lua"))(kit)
  table.move(list, 1, #list, #steps + 1, steps)
end


function kit.block (state, depth)
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
      if state.items[item] ~= "sent" then
        broken(state, "left, but " .. tostring(state.items[item]))
      end
      state.items[item] = "received"
      ok, item = ch:try_recv()
    end
    if #ch > 0 then broken(state, "items hide in channel " .. i) end
  end
  for item, what in pairs(state.items) do
    if what == "sent" then broken(state, "lost: " .. item) end
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


-- how a program is run: in the usual order, in another one, or by a host with
-- frames
local ways = {
  function (_, main)
    neap.clock "virtual"
    neap.run(main)
  end,
  function (state, main)
    neap.simulate(byte(state, 256), main)
  end,
  function (state, main)
    neap.clock "manual"
    state.hosted = true
    neap.spawn(main)
    for _ = 1, 200 do
      local delay = neap.step()
      if delay == nil then break end
      neap.advance(delay == math.huge and 1 or math.max(delay, 0.01))
    end
    internal.end_all()
    -- a generator that a host keeps waits for its next 'next'
    state.generators, state.streams, state.debounced = {}, {}, {}
    collectgarbage()
    neap.step()
    internal.end_all()
  end,
}


-- Play the program; raises if something is broken. Says how many steps it had.
local function play (bytes)
  neap.hooks { on_suppressed = function () end, on_unhandled = function () end }
  local state = new_state(bytes)
  local ok, err = pcall(kit.any(state, ways), state, function ()
    kit.block(state, 0)
  end)
  if not ok then judge(state, err) end
  if state.broken then error(state.broken, 0) end
  finally(state)
  state.over = true
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
  neap.hooks { on_suppressed = false, on_unhandled = false }
  return n
end


return play
