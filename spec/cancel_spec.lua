--- Every blocking call, cancelled at every step: nothing may be left over.
--
-- Each pattern is a function that does a piece of work by one blocking call and
-- returns a check of what must hold afterwards, however far it came. A step is
-- one look of the scheduler at the task: the pattern is run again and again,
-- and cancelled one step later each time, until it completes. To add a pattern,
-- add an entry to the table.

local neap = require "neap"
local socket = require "socket"
local support = require "spec.support"

local listeners = require("neap.core").internal.listeners


-- a source of items that must be closed once, if it was begun and not finished
local function source (n, seconds)
  local s = { i = 0, closed = 0, ended = false }
  s.items = setmetatable({}, {
    __call = function ()
      if seconds then neap.sleep(seconds) end
      if s.i >= n then
        s.ended = true
        return nil
      end
      s.i = s.i + 1
      return s.i
    end,
    __neap_close = function ()
      neap.shield(neap.sleep, 0)
      s.closed = s.closed + 1
    end,
  })
  function s.check ()
    assert.is_true(s.closed <= 1, "closed twice")
    assert.is_true(s.ended or s.i == 0 or s.closed == 1, "not closed")
    assert.is_false(s.ended and s.closed > 0, "closed after its end")
  end
  return s
end


-- counts what runs, also while it unwinds
local function gauge ()
  local g = { running = 0 }
  function g.work (...)
    g.running = g.running + 1
    local _ <close> = setmetatable({}, { __close = function ()
      neap.shield(neap.sleep, 0)
      g.running = g.running - 1
    end })
    neap.sleep(1)
    neap.sleep(0)
    return ...
  end
  function g.check () assert.equal(0, g.running, "something still runs") end
  return g
end


local patterns = {
  sleep = function ()
    neap.sleep(1)
    neap.sleep(0)
    neap.sleep_until(5)
    neap.checkpoint()
  end,

  await = function (after)
    local g = gauge()
    after(g.check)
    local t = neap.async(g.work)
    t:await()
    t:pawait()
  end,

  scope = function (after)
    local g = gauge()
    after(g.check)
    neap.scope(function (s)
      for _ = 1, 3 do s:spawn(g.work) end
      g.work()
    end)
  end,

  timeout = function (after)
    local g = gauge()
    after(g.check)
    pcall(neap.timeout, g.work, 0.5)
    neap.timeout(g.work, 10)
    neap.move_on_after(0.5, g.work)
  end,

  shield = function (after)
    local g = gauge()
    after(g.check)
    neap.shield(g.work)
    neap.sleep(1)
  end,

  semaphore = function (after)
    local sem = neap.semaphore(3)
    after(function () assert.equal(3, sem:available()) end)
    neap.scope(function (s)
      for i = 1, 4 do
        s:spawn(function ()
          local permit <close> = sem:permit(i % 3 + 1)
          neap.sleep(1)
          permit:release()
        end)
        s:spawn(sem.with_permit, sem, neap.sleep, 1)
      end
    end)
  end,

  channel = function (after)
    local ch, sent, got = neap.channel(1), 0, 0
    after(function ()
      while ch:try_recv() do got = got + 1 end
      assert.equal(sent, got, "an item was lost")
    end)
    neap.scope(function (s)
      s:spawn(function ()
        for i = 1, 4 do
          ch:send(i)
          sent = sent + 1
        end
      end)
      for _ = 1, 4 do
        ch:recv()
        got = got + 1
        neap.sleep(0)
      end
    end)
  end,

  event = function ()
    local ev = neap.event()
    neap.spawn(function ()
      neap.sleep(1)
      ev:set()
    end)
    ev:wait()
  end,

  future = function ()
    local future, resolve = neap.future()
    neap.spawn(function ()
      neap.sleep(1)
      resolve(1)
    end)
    future:await()
    future:pawait()
  end,

  pool = function (after)
    local s, g = source(6), gauge()
    after(s.check)
    after(g.check)
    neap.pool(s.items, 2, g.work, { on_progress = function ()
      neap.sleep(0)
    end })
  end,

  ["pool over a slow source"] = function (after)
    local s, g = source(4, 1), gauge()
    after(s.check)
    after(g.check)
    neap.pool(s.items, 3, g.work, { item_timeout = 5 })
  end,

  ["pool that is stopped"] = function (after)
    local s, g = source(9), gauge()
    after(s.check)
    after(g.check)
    neap.pool(s.items, 3, function (i)
      g.work()
      return i == 4 and neap.STOP or i
    end)
  end,

  ["pool that fails"] = function (after)
    local s, g = source(9), gauge()
    after(s.check)
    after(g.check)
    pcall(neap.pool, s.items, 3, function (i)
      g.work()
      if i == 4 then error "fails" end
    end)
  end,

  ["pool in a pool"] = function (after)
    local g = gauge()
    after(g.check)
    neap.pool({ 1, 2 }, 2, function ()
      neap.pool({ 1, 2, 3 }, 2, g.work)
    end)
  end,

  batched = function (after)
    local s, g = source(5), gauge()
    after(s.check)
    after(g.check)
    neap.batched(s.items, 2, g.work)
  end,

  limiter = function (after)
    local limiter, g = neap.limiter { concurrency = 2, rate = 3 }, gauge()
    after(g.check)
    after(function ()
      assert.equal(0, limiter.running)
      assert.equal(0, limiter.waiting)
    end)
    neap.scope(function (s)
      for _ = 1, 5 do s:spawn(limiter, g.work) end
      limiter:idle()
    end)
  end,

  parallel = function (after)
    local s, g = source(4, 1), gauge()
    after(s.check)
    after(g.check)
    neap.parallel(s.items, g.work)
  end,

  sequential = function (after)
    local s, g = source(3), gauge()
    after(s.check)
    after(g.check)
    neap.sequential(s.items, g.work)
  end,

  ["all, race, any"] = function (after)
    local g = gauge()
    after(g.check)
    neap.hooks { on_suppressed = function () end } -- it hears of the "x"
    neap.all { g.work, g.work, neap.async(g.work) }
    neap.race { g.work, function () neap.sleep(0.5) end }
    neap.any { g.work, function () error "x" end, g.work }
    neap.all_settled { g.work, function () error "x" end }
  end,

  with_signal = function (after)
    local controller, g = neap.abort_controller(), gauge()
    after(g.check)
    after(function () assert.equal(0, listeners(controller.signal)) end)
    neap.with_signal(controller.signal, g.work)
    neap.pool({ 1, 2 }, 1, g.work, { signal = controller.signal })
    neap.scope({ signal = controller.signal, timeout = 10 }, g.work)
  end,

  ["signal:wait"] = function (after)
    local controller = neap.abort_controller()
    after(function () assert.equal(0, listeners(controller.signal)) end)
    neap.spawn(function ()
      neap.sleep(1)
      controller:abort()
    end)
    pcall(controller.signal.wait, controller.signal)
  end,

  retry = function (after)
    local g = gauge()
    after(g.check)
    neap.retry(function (attempt)
      g.work()
      if attempt < 3 then error "again" end
    end, { delay = 1, attempt_timeout = 5, max_elapsed = 100,
      on_retry = function () neap.sleep(0) end })
  end,

  cancellable = function (after)
    local g = gauge()
    after(g.check)
    local op = neap.cancellable(g.work)
    op:await()
  end,

  debounce = function (after)
    local g = gauge()
    after(g.check)
    local d = neap.debounce(g.work, 1, { superseded = "share", leading = true })
    neap.scope(function (s)
      for _ = 1, 3 do s:spawn(d) end
    end)
  end,

  throttle = function (after)
    local g = gauge()
    after(g.check)
    local t = neap.throttle(g.work, 1)
    neap.scope(function (s)
      for _ = 1, 3 do s:spawn(t) end
    end)
  end,

  generator = function (after)
    local g, open = gauge(), 0
    after(g.check)
    after(function () assert.equal(0, open) end)
    local gen = neap.generator(function (yield)
      open = open + 1
      local _ <close> = setmetatable({}, { __close = function ()
        neap.shield(neap.sleep, 0)
        open = open - 1
      end })
      for i = 1, 3 do
        g.work()
        yield(i)
      end
    end)
    for i in gen() do
      neap.sleep(0)
      if i == 2 then break end
    end
    for _ in gen() do end
  end,

  ["coroutine"] = function (after)
    local g = gauge()
    after(g.check)
    local f = neap.coroutine.wrap(function ()
      for i = 1, 3 do
        g.work()
        neap.coroutine.yield(i)
      end
    end)
    for _ = 1, 3 do f() end
  end,

  stream = function (after)
    local s, g = source(6, 1), gauge()
    after(s.check)
    after(g.check)
    neap.stream(s.items):filter(function (i) return i % 2 == 0 end)
      :map(g.work):take(2):each(g.work)
  end,

  ["map"] = function (after)
    local s, g = source(6, 0.5), gauge()
    after(s.check)
    after(g.check)
    for i in neap.map(s.items, g.work, { concurrency = 2, buffer = 3 }) do
      g.work(i)
    end
  end,

  ["map out of order, left early"] = function (after)
    local s, g = source(9), gauge()
    after(s.check)
    after(g.check)
    for i in neap.map(s.items, g.work,
                      { concurrency = 3, ordered = false }) do
      if i == 4 then break end
    end
  end,

  ["map that fails"] = function (after)
    local s, g = source(9), gauge()
    after(s.check)
    after(g.check)
    pcall(neap.collect, neap.map(s.items, function (i)
      g.work()
      if i == 3 then error "fails" end
      return i
    end, { concurrency = 2 }))
  end,

  ["chunk and buffer"] = function (after)
    local s, t, g = source(7, 0.5), source(5, 0.5), gauge()
    after(s.check)
    after(t.check)
    after(g.check)
    for chunk in neap.chunk(s.items, 3, { timeout = 1.2 }) do
      g.work(chunk)
    end
    neap.buffer(t.items, 2):chunk(2):each(g.work)
  end,

  ["a channel as items"] = function (after)
    local ch, got, taken = neap.channel(9), 0, 0
    for i = 1, 9 do ch:try_send(i) end
    ch:close()
    after(function ()
      while ch:try_recv() do got = got + 1 end
      assert.equal(9, got + taken, "an item was lost")
    end)
    local chunks = neap.chunk(ch, 2)
    after(function ()
      neap.run(function ()
        for chunk in chunks do taken = taken + #chunk end
      end)
    end)
    while true do
      local chunk = chunks()
      if chunk == nil then break end
      taken = taken + #chunk
      neap.sleep(0)
    end
  end,

  readable = function (after)
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local a = assert(socket.connect("127.0.0.1", port))
    local b = assert(server:accept())
    after(function ()
      server:close()
      a:close()
      b:close()
    end)
    neap.move_on_after(1, neap.readable, a)
    neap.writable(a)
    b:send "x"
    neap.readable(a)
  end,
}


for _, ordered in ipairs { true, false } do
  patterns["flat_map, ordered = " .. tostring(ordered)] = function (after)
    local s, g = source(3), gauge()
    after(s.check)
    after(g.check)
    for i in neap.flat_map(s.items, function ()
      local inner = source(2, 0.5)
      after(inner.check)
      return inner.items
    end, { concurrency = 2, ordered = ordered }) do
      g.work(i)
    end
  end
end


for _, name in ipairs { "merge", "zip", "concat" } do
  patterns[name] = function (after)
    local a, b, g = source(3, 0.5), source(2, 1), gauge()
    after(a.check)
    after(b.check)
    after(g.check)
    for _ in neap[name](a.items, b.items) do g.work() end
  end
end


for _, name in ipairs { "timeout", "debounce", "throttle" } do
  patterns["stream:" .. name] = function (after)
    local s, g = source(4, 0.5), gauge()
    after(s.check)
    after(g.check)
    local stream = neap.stream(s.items)
    for _ in stream[name](stream, 0.7) do g.work() end
  end
end


-- run the pattern and cancel it when it has been looked at `steps` times; did
-- it complete?
local function attempt (pattern, steps)
  local checks, completed = {}, false
  local function after (check) checks[#checks + 1] = check end
  support.run(function ()
    local t = neap.async(function ()
      local check = pattern(after)
      if check then after(check) end
      completed = true
    end)
    local left = steps
    while left > 0 and not completed do
      left = left - 1
      -- time passes only when nobody is ready: so a step is a round
      neap.sleep(left % 7 == 0 and 0.25 or 0)
    end
    t:cancel()
    local ok, err = t:pawait()
    if not ok and not neap.is_abort(err) then error(err, 0) end
  end)
  for _, check in ipairs(checks) do check() end
  return completed
end


describe("cancelled at every step", function ()

  local names = {}
  for name in pairs(patterns) do names[#names + 1] = name end
  table.sort(names)

  for _, name in ipairs(names) do
    it("SEM-12 " .. name .. " leaves nothing behind", function ()
      local steps = 0
      while not attempt(patterns[name], steps) do
        steps = steps + 1
        assert.is_true(steps < 300, "it never completes")
      end
      assert.is_true(steps > 0, "it completed before it could be cancelled")
    end)
  end

end)
