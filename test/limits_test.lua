-- The programs of test/limits_test.c.

local neap = require "neap"
local host = host -- luacheck: ignore 113
local internal = require("neap.core").internal
local programs = {}


-- what every state can still do
function programs.goes_on ()
  if neap.clock() == "real" then neap.clock "virtual" end
  local sem, ch, sum = neap.semaphore(1), neap.channel(1), 0
  local r, w = host.pipe()
  neap.run(function ()
    neap.scope(function (s)
      for i = 1, 3 do
        s:spawn(function ()
          sem:with_permit(neap.sleep, 1)
          ch:send(i)
        end)
      end
      for _ = 1, 3 do sum = sum + ch:recv() end
    end)
    neap.async(function ()
      neap.sleep(1)
      host.put(w)
    end)
    neap.readable(r)
    assert(not neap.move_on_after(1, neap.sleep, 2))
  end)
  assert(sum == 6)
  host.close(r)
  host.close(w)
  local left = internal.stats()
  assert(left.live == 0 and left.timers == 0 and left.external == 0)
end


-- ------------------------------------------------------------------------
-- descriptors


-- libev then does without one; all that needs more raises
function programs.no_descriptors_for_a_loop ()
  local r, w = host.pipe()
  assert(host.no_descriptors(true))
  neap.run(function ()
    neap.sleep(0.001)
    neap.writable(w)
    assert(not neap.move_on_after(0.001, neap.readable, r))
    host.put(w)
    neap.readable(r)
  end)
  assert(host.no_descriptors(false))
  host.close(r)
  host.close(w)
end


function programs.no_descriptors_for_the_rest ()
  assert(host.no_descriptors(true))
  local ok, err = pcall(neap.fd)
  assert(not ok and err:find "Too many open files", err)
  ok, err = pcall(internal.interrupts)
  assert(not ok and err:find "Too many open files", err)
  assert(not host.poster())
  assert(host.no_descriptors(false))
  neap.fd()
  internal.interrupts()
  assert(host.poster())
end


-- ------------------------------------------------------------------------
-- depth


-- nest 'fn(body)' until Lua has had enough; the error of that is an ordinary
-- one, which unwinds everything. How deep it came.
local function nest (fn)
  local deepest, open = 0, 0
  local function go (depth)
    deepest = math.max(deepest, depth)
    open = open + 1
    local _ <close> = setmetatable({}, { __close = function ()
      open = open - 1
    end })
    fn(function () go(depth + 1) end)
  end
  local ok, err
  neap.run(function () ok, err = pcall(go, 1) end)
  assert(not ok and tostring(err):find "stack overflow", err)
  assert(open == 0)
  return deepest
end


function programs.scopes_in_scopes ()
  neap.clock "virtual"
  local sem = neap.semaphore(1000)
  assert(nest(neap.scope) >= 150)
  assert(nest(function (body) neap.timeout(body, 1) end) >= 150)
  assert(nest(function (body) neap.shield(body) end) >= 150)
  assert(nest(function (body) sem:with_permit(body) end) >= 150)
  assert(sem:available() == 1000)
  local reached = 0
  neap.run(function ()
    local function go (depth)
      neap.scope(function (s)
        s:spawn(neap.sleep, depth)
        if depth < 150 then go(depth + 1) end
        neap.sleep(1)
        reached = reached + 1
      end)
    end
    go(1)
  end)
  assert(reached == 150)
end


-- 'run' near the end of the C stack: it works or raises, and never breaks
function programs.run_deep_down ()
  neap.clock "virtual"
  local worked, failed = 0, 0
  local function go (depth)
    local ok = pcall(neap.run, function ()
      neap.spawn(neap.sleep, 1)
      neap.timeout(neap.sleep, 2, nil, 1)
      return neap.async(neap.sleep, 1):await()
    end)
    if ok then worked = worked + 1 else failed = failed + 1 end
    string.gsub("x", "x", function () go(depth + 1) end)
  end
  assert(not pcall(go, 1))
  assert(worked > 10 and failed > 0)
end


-- a task whose child has a child ...
function programs.deep_families ()
  neap.clock "virtual"
  local depth, closed = 1000, 0
  local function go (n)
    local _ <close> = setmetatable({}, { __close = function ()
      closed = closed + 1
    end })
    if n == 0 then neap.sleep(10) end
    neap.spawn(go, n - 1):await()
  end
  neap.run(function ()
    assert(not neap.move_on_after(5, go, depth))
    assert(closed == depth + 1)
    -- the text of so deep a tree is cut off
    local family = neap.async(go, depth)
    neap.sleep(1)
    assert(#neap.dump() > 100 and #neap.tasks() == 1)
    family:cancel()
    family:pawait()
  end)
  assert(closed == 2 * (depth + 1))
end


-- coroutines in coroutines, of which the innermost waits
function programs.deep_coroutines ()
  neap.clock "virtual"
  local wrap, yield = neap.coroutine.wrap, neap.coroutine.yield
  local function go (n)
    if n == 0 then neap.sleep(1) yield "leaf" return end
    for v in wrap(go), n - 1 do yield(v) end
  end
  neap.run(function ()
    local n = 0
    for v in wrap(go), 1000 do
      assert(v == "leaf")
      n = n + 1
    end
    assert(n == 1)
    assert(not neap.move_on_after(0.5, wrap(go), 1000))
  end)
end


-- ------------------------------------------------------------------------
-- finalizers


-- have 'fn' called by a finalizer in the middle of whatever allocates next
local function in_the_next_allocation (fn)
  collectgarbage()
  collectgarbage "stop"
  setmetatable({}, { __gc = fn })
  collectgarbage("incremental", 200, 1000, 40) -- a step is a whole cycle
  collectgarbage "restart"
end


-- what a function has checked before it allocates need not hold after it
function programs.in_the_middle ()
  neap.clock "virtual"
  local sem, n = neap.semaphore(1), 0
  local function count () n = n + 1 end
  neap.run(function ()
    sem:acquire()

    -- cancelled: it does not wait
    neap.scope(function (s)
      in_the_next_allocation(function () s:cancel() count() end)
      sem:permit()
    end)

    -- the same by what it calls
    neap.scope(function (s)
      host.suspend(function () s:cancel() count() end)
    end)
    neap.scope(function (s)
      neap.readable { getfd = function () s:cancel() count() return 0 end }
    end)

    -- closed: it does not wait either
    local other = neap.semaphore(0)
    other:resize(1)
    other:resize(0)
    in_the_next_allocation(function () other:close "closed" count() end)
    local ok, err = pcall(other.permit, other)
    assert(not ok and err == "closed")

    -- the ring of a channel is made larger, and is made so by two at once
    local ch, sent = neap.channel(40), 0
    while sent < 16 do
      sent = sent + 1
      ch:send(sent)
    end
    local receiver = neap.async(function ()
      for i = 1, 40 do assert(ch:recv() == i) end
      assert(ch:recv() == "late")
    end)
    in_the_next_allocation(function ()
      while ch:try_send(sent + 1) do sent = sent + 1 end
      count()
    end)
    ch:send "late"
    receiver:await()

    -- aborted: no scope hears it any more
    for _, fn in ipairs {
      function (signal) neap.scope({ signal = signal }, neap.sleep) end,
      function (signal)
        neap.pool({ 1 }, 1, neap.sleep, { signal = signal })
      end,
    } do
      local controller = neap.abort_controller()
      in_the_next_allocation(function () controller:abort "x" count() end)
      assert(not pcall(fn, controller.signal))
      assert(internal.listeners(controller.signal) == 0)
    end

    -- a future is settled once
    local future, resolve = neap.future()
    in_the_next_allocation(function () resolve "first" count() end)
    resolve(1, 2, 3)
    assert(future:await() == "first")

    -- an event is set
    local event = neap.event()
    in_the_next_allocation(function () event:set() count() end)
    neap.spawn(event.wait, event):await()
  end)

  -- a run in the middle of another's beginning, and of a spawn
  in_the_next_allocation(function () neap.run(neap.sleep, 1) count() end)
  neap.run(neap.sleep, 1)
  in_the_next_allocation(function () neap.run(neap.sleep, 1) count() end)
  neap.spawn(neap.sleep, 1)
  neap.run(neap.sleep, 2)
  assert(n == 11, n)
  collectgarbage("incremental", 200, 100, 13)
end


-- A program all of whose parts are meddled with by finalizers, which run at
-- every few allocations, and so in the middle of its calls. It may fail as it
-- likes; nothing may be lost.
function programs.finalizers ()
  neap.clock "virtual"
  neap.hooks { on_suppressed = function () end, on_unhandled = function () end }
  local state = seed * 7919 -- luacheck: ignore 113
  local function random (n)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % n + 1
  end

  -- what both sides use
  local sem, ch, event = neap.semaphore(2), neap.channel(40), neap.event()
  local hand = neap.channel()
  local controller, scope, task = neap.abort_controller(), nil, nil
  local future, resolve, reject = neap.future()
  local r, w = host.pipe()
  local limiter = neap.limiter { concurrency = 2, rate = 5 }
  local debounced = neap.debounce(neap.sleep, 1)
  local function pause (v)
    neap.sleep(1)
    return v
  end
  local function numbers (n)
    return neap.stream(neap.generator(function (yield)
      for i = 1, n do yield(pause(i)) end
    end)())
  end
  local shared = numbers(9)
  local sent, received, inside, dropped = 0, 0, 0, 0
  local storming = true

  local meddle = {
    function () if sem:try_acquire() then sem:release() end end,
    function () if sem:try_acquire(2) then sem:release(2) end end,
    function () sem:resize(random(3)) end,
    function () if ch:try_send(1) then sent = sent + 1 end end,
    function () if ch:try_recv() then received = received + 1 end end,
    function () if hand:try_send(1) then sent = sent + 1 end end,
    function () if hand:try_recv() then received = received + 1 end end,
    function () event:set() end,
    function () event:clear() end,
    function () if random(200) == 1 then controller:abort "meddled" end end,
    function () controller.signal:on_abort(function () end)() end,
    function () neap.abort_signal.any { controller.signal } end,
    function () neap.abort_signal.timeout(random(5)) end,
    function () if random(500) == 1 then scope:cancel() end end,
    function () scope.deadline = neap.now() + 20 + random(20) end,
    function () scope:spawn(neap.sleep, 1) end,
    function () if random(20) == 1 then task:cancel "meddled" end end,
    function () task.name = "meddled" end,
    function () return task:traceback() .. task:status() end,
    function () resolve(1, 2, 3) end,
    function () if random(9) == 1 then reject "meddled" end end,
    function ()
      if random(20) == 1 then future, resolve, reject = neap.future() end
    end,
    function () neap.spawn(neap.sleep, random(3)) end,
    function () neap.async(error, "meddled") end,
    function () internal.background(neap.sleep, 1) end,
    function () return neap.dump() end,
    function () return #neap.tasks() end,
    function () neap.fd() end,
    function () if random(50) == 1 then neap.forget(r) end end,
    function () neap.error("Name", "message", { more = 1 }) end,
    function ()
      dropped = dropped + 1 -- not without end, for each costs memory to close
      if dropped > 50 then return end
      neap.generator(function (yield) yield(1) end)()()
    end,
    function () neap.coroutine.wrap(function () return 1 end)() end,
    function () neap.channel(random(40)):try_send(1) end,
    function () limiter:resize(random(3)) end,
    function () if random(50) == 1 then limiter:cancel() end end,
    function () if random(50) == 1 then shared:close() end end,
    function ()
      if random(50) > 1 then return end
      shared = numbers(9):map(pause, { concurrency = 2 })
    end,
    function () if random(50) == 1 then debounced:cancel() end end,
    function () neap.sleep(1) end,
    function () neap.run(neap.sleep, 1) end,
    function () neap.step() end,
  }
  local mt = {}
  function mt.__gc ()
    if not storming then return end
    pcall(meddle[random(#meddle)])
    setmetatable({}, mt)
  end

  -- what the program does
  local parts = {
    function ()
      sem:with_permit(function ()
        inside = inside + 1
        local ok = pcall(neap.sleep, 1)
        inside = inside - 1
        assert(ok)
      end)
    end,
    function ()
      local _ <close> = sem:permit(random(2))
      neap.sleep(1)
    end,
    function ()
      for _ = 1, 50 do
        ch:send(1)
        sent = sent + 1
      end
    end,
    function ()
      for _ = 1, 50 do
        ch:recv()
        received = received + 1
      end
    end,
    function ()
      for _ = 1, 10 do
        hand:send(1)
        sent = sent + 1
      end
    end,
    function ()
      for _ = 1, 10 do
        hand:recv()
        received = received + 1
      end
    end,
    function () event:wait() end,
    function () future:await() end,
    function () neap.with_signal(controller.signal, neap.sleep, 5) end,
    function () controller.signal:wait() end,
    function () neap.timeout(neap.sleep, 3, "late", 5) end,
    function () neap.readable(r) end,
    function () neap.writable(w) end,
    function ()
      neap.pool({ 1, 2, 3, 4, 5 }, 2, neap.sleep, { stop_on_error = false })
    end,
    function ()
      for _ in neap.generator(function (yield)
        for i = 1, 5 do
          neap.sleep(1)
          yield(i)
        end
      end)() do neap.checkpoint() end
    end,
    function () neap.retry(function () neap.sleep(1) error "again" end) end,
    function () return neap.async(function () return 1, 2, 3 end):await() end,
    function () neap.scope(function (s) s:async(error, "child") end) end,
    function () limiter(neap.sleep, 1) end,
    function () limiter(limiter, neap.sleep, 1) end,
    function () limiter:idle() end,
    function () for _ in shared do neap.sleep(1) end end,
    function ()
      for _ in neap.merge(numbers(3), numbers(3):buffer(2)) do neap.now() end
    end,
    function ()
      numbers(4):flat_map(function (v) return numbers(v) end, {
        concurrency = 2,
      }):take(5):chunk(2, { timeout = 2 }):each(neap.now)
    end,
    function () neap.zip(numbers(3), { 1, 2, 3 }):collect() end,
    function () debounced(1) end,
    function () neap.race { pause, function () neap.sleep(2) end } end,
  }

  for _ = 1, 50 do setmetatable({}, mt) end
  collectgarbage("incremental", 50, 1000, 1)
  collectgarbage()
  for _ = 1, 2 do
    pcall(neap.run, function ()
      -- a limit of their own, for some wait for what may never come
      neap.move_on_after(100, neap.scope, function (s)
        scope = s
        for _ = 1, 30 do
          task = s:async(pcall, parts[random(#parts)])
          if random(4) == 1 then neap.checkpoint() end
        end
      end)
    end)
    pcall(neap.step)
  end
  storming = false
  collectgarbage("incremental", 200, 100, 13)
  collectgarbage()
  while neap.step() do neap.run(neap.sleep, 1) end

  -- nothing was lost
  sem:resize(3)
  assert(sem:available() == 3 and sem:waiting() == 0 and inside == 0)
  assert(limiter.running == 0 and limiter.waiting == 0)
  for _, c in ipairs { ch, hand } do
    while c:try_recv() do received = received + 1 end
  end
  assert(sent == received, sent - received)
  host.close(r)
  host.close(w)
  scope, task, controller, future, shared = nil, nil, nil, nil, nil
  collectgarbage()
  collectgarbage()
end


return programs
