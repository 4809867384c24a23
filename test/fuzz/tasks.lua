-- Steps of test/fuzz.lua: tasks, scopes, signals, and what tasks wait for. Each
-- is called as step(state, depth).

local kit = ...
local neap = require "neap"

local any, body, byte, enter, keep, seconds, yes = kit.any, kit.body, kit.byte,
  kit.enter, kit.keep, kit.seconds, kit.yes


-- what an awaitable is: a task, a future or an operation
local function awaitable (state)
  return any(state, any(state, { state.tasks, state.ops, state.futures }))
end


-- what may be done anywhere, also in a listener or a finalizer
local function poke (state)
  local what = byte(state, 8)
  if what == 1 then
    local scope = any(state, state.scopes)
    if scope then scope:cancel() end
  elseif what == 2 then
    local task = any(state, state.tasks)
    if task then task:cancel(yes(state) and "enough" or nil) end
  elseif what == 3 then
    any(state, state.controllers):abort()
  elseif what == 4 then
    any(state, state.events):set()
  elseif what == 5 then
    any(state, state.settlers)[byte(state, 2)]("poked")
  elseif what == 6 then
    local op = any(state, state.ops)
    if op then op:cancel() end
  elseif what == 7 then
    state.limiter:cancel()
  elseif what == 8 then
    local i = byte(state, 2)
    state.sizes[i] = byte(state, 4) - 1
    state.sems[i]:resize(state.sizes[i])
  end
end


local function hold (state, i, n, depth)
  state.held[i] = state.held[i] + n
  local _ <close> = enter(state, function ()
    state.held[i] = state.held[i] - n
  end)
  kit.block(state, depth + 1)
end


-- A number is on its way from before it is sent until nobody can get it.
local function new_item (state)
  state.last = state.last + 1
  state.items[state.last] = "on its way"
  return state.last
end


-- one that was not sent is not received; who is ended by force does not know
local function sent (state, item, ok)
  if not ok then
    if state.items[item] == "received" then
      kit.broken(state, "received, but not sent")
    end
    state.items[item] = nil
  elseif state.items[item] ~= "received" then
    state.items[item] = "sent"
  end
end


local function received (state, item)
  if item == nil then return end
  if not state.items[item] then
    kit.broken(state, "received, but never sent")
  elseif state.items[item] == "received" then
    kit.broken(state, "received twice")
  end
  state.items[item] = "received"
end


return {
  function (state) neap.sleep(seconds(state)) end,
  function (state) neap.sleep_until(neap.now() + seconds(state) - 1) end,
  function (state) neap.real_sleep(seconds(state)) end,
  function () neap.checkpoint() end,
  function () neap.settled() end,
  function (state) if state.hosted then neap.frame() end end,
  function (state) poke(state) end,

  -- the collector
  function () collectgarbage() end,
  function () collectgarbage "step" end,
  function (state)
    setmetatable({}, { __gc = function ()
      if not state.over then poke(state) end
    end })
  end,
  function (state)
    state.scopes, state.generators, state.streams = {}, {}, {}
  end,

  -- looking at things
  function (state)
    local task = any(state, state.tasks)
    neap.dump()
    neap.tasks()
    neap.cancelled()
    if task then
      task:status()
      task:traceback()
      task:waiting_on()
      task.name = "t"
    end
  end,

  -- tasks
  function (state, depth)
    keep(state, state.tasks, neap.spawn(body(state, depth)))
  end,
  function (state, depth)
    keep(state, state.tasks, neap.async(body(state, depth)))
  end,
  function (state, depth)
    local scope = any(state, state.scopes)
    if not scope then return end
    local start = yes(state) and scope.spawn or scope.async
    keep(state, state.tasks, start(scope, body(state, depth)))
  end,
  function (state)
    local thing = awaitable(state)
    if thing then thing:await() end
  end,
  function (state)
    local task = any(state, yes(state) and state.tasks or state.futures)
    if task then task:pawait() end
  end,
  function (state)
    local task = any(state, state.tasks)
    if task then task:cancel(yes(state) and "enough" or nil) end
  end,

  -- scopes
  function (state, depth)
    local options = { timeout = yes(state) and seconds(state) or nil }
    neap.scope(options, function (scope)
      keep(state, state.scopes, scope)
      return body(state, depth)()
    end)
  end,
  function (state)
    local scope = any(state, state.scopes)
    if scope then scope:cancel(yes(state) and "enough" or nil) end
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
  function (state)
    local thing = awaitable(state)
    if not thing then return end
    if yes(state) then neap.timeout(thing, seconds(state)) end
    neap.move_on_after(seconds(state), thing)
  end,
  function (state, depth)
    local ok, err = pcall(body(state, depth))
    if not ok then kit.judge(state, err) end
  end,
  function (state, depth) neap.pcall(body(state, depth)) end,
  function (state, depth)
    local late, shielded = body(state, depth), yes(state)
    local _ <close> = enter(state, function ()
      if shielded then neap.shield(late) else late() end
    end)
    kit.block(state, depth + 1)
  end,
  function () error("planned", 0) end,

  -- signals
  function (state, depth)
    local signal = any(state, state.controllers).signal
    if yes(state) then
      signal = neap.abort_signal.any {
        signal, neap.abort_signal.timeout(seconds(state)),
      }
    end
    neap.with_signal(signal, body(state, depth))
  end,
  function (state, depth)
    neap.scope({ signal = any(state, state.controllers).signal },
      body(state, depth))
  end,
  function (state) any(state, state.controllers):abort() end,
  function (state)
    state.controllers[byte(state, 2)] = neap.abort_controller()
  end,
  function (state) any(state, state.controllers).signal:wait() end,
  function (state)
    local remove = any(state, state.controllers).signal:on_abort(function ()
      poke(state)
      if yes(state) then error("planned", 0) end
    end)
    if yes(state) then remove() end
  end,

  -- operations
  function (state, depth)
    local inner, hears = body(state, depth), yes(state)
    keep(state, state.ops, neap.cancellable(function (signal)
      if hears then pcall(signal.wait, signal) end
      return inner()
    end))
  end,
  function (state)
    local op = any(state, state.ops)
    if op then op:cancel(yes(state) and "enough" or nil) end
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
    if yes(state) then permit:release() end
  end,
  function (state, depth)
    local i = byte(state, 2)
    if state.sems[i]:try_acquire() then
      local _ <close> = enter(state, function () state.sems[i]:release() end)
      hold(state, i, 1, depth)
    end
  end,
  function (state)
    local i = byte(state, 2)
    if byte(state, 4) == 4 then state.sems[i]:close("shut") end
  end,

  -- channels
  function (state)
    local ch, item = any(state, state.channels), new_item(state)
    local ok, err = pcall(ch.send, ch, item)
    sent(state, item, ok)
    if not ok then error(err, 0) end
  end,
  function (state)
    local ch, item = any(state, state.channels), new_item(state)
    sent(state, item, not ch.closed and ch:try_send(item))
  end,
  function (state) received(state, any(state, state.channels):recv()) end,
  function (state)
    local ok, item = any(state, state.channels):try_recv()
    if ok then received(state, item) end
  end,
  function (state, depth)
    local left = byte(state, 3)
    for item in any(state, state.channels) do
      received(state, item)
      kit.block(state, depth + 1)
      left = left - 1
      if left == 0 then break end
    end
  end,
  function (state)
    any(state, state.channels):close(yes(state) and "over" or nil)
  end,

  -- events, futures
  function (state) any(state, state.events):wait() end,
  function (state) any(state, state.events):set() end,
  function (state) any(state, state.events):clear() end,
  function (state) any(state, state.settlers)[1](1, nil) end,
  function (state) any(state, state.settlers)[2]("rejected") end,
  function (state)
    local i = byte(state, 2)
    local future, resolve, reject = neap.future()
    state.futures[i], state.settlers[i] = future, { resolve, reject }
  end,
}
