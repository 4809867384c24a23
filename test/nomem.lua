-- The scenes that test/nomem.c plays: together they use every room of the core
-- and every pattern. A scene makes, while there is memory, what it is to play
-- with, and returns 'run', during which allocations fail, and 'check', called
-- when there is memory again, whatever became of 'run': with true if it came to
-- its end, and whether anything failed.

-- luacheck: ignore 512 (loops that are left in the first round)
local host = host -- luacheck: ignore 113
local scenes = {}


local function scene (name, make)
  scenes[#scenes + 1] = { name = name, make = make }
end


-- a scene with the core, on the virtual clock, and perhaps with a file of
-- patterns
local function play (name, make, file)
  scene(name, function ()
    local neap = require "neap.core"
    neap.clock "virtual"
    return make(neap, file and require(file))
  end)
end


-- is it, or does it go back to, a lack of memory? (What Lua says when it cannot
-- make a stack longer is "stack overflow".)
local function is_memory (err)
  if type(err) ~= "table" then
    err = tostring(err)
    return err:find("not enough memory", 1, true) ~= nil
      or err:find("stack overflow", 1, true) ~= nil
  end
  if is_memory(rawget(err, "reason")) or is_memory(rawget(err, "message")) then
    return true
  end
  for _, e in pairs(rawget(err, "errors") or {}) do
    if is_memory(e) then return true end
  end
  return false
end


-- raise if the error is another one than the expected
local function expect (err, pattern)
  if is_memory(err) or tostring(err):find(pattern) then return end
  error("'" .. pattern .. "' expected, got " .. tostring(err))
end


-- counts those who have come in and not gone out
local Counter = {}
Counter.__index = Counter

local Guard = {
  __close = function (guard)
    guard.counter.inside = guard.counter.inside - 1
  end,
}

local function counter ()
  return setmetatable({ inside = 0 }, Counter)
end

function Counter:enter ()
  local guard = setmetatable({ counter = self }, Guard)
  self.inside = self.inside + 1
  return guard
end


-- a program that shows that the state is whole
local function another_program (neap)
  local sem, ch = neap.semaphore(1), neap.channel(1)
  local order = {}
  local result = neap.run(function ()
    neap.scope(function (s)
      for i = 1, 3 do
        s:spawn(function ()
          sem:with_permit(neap.sleep, 1)
          ch:send(i)
        end)
      end
      for i = 1, 3 do order[i] = ch:recv() end
    end)
    assert(not neap.move_on_after(1, neap.sleep, 2))
    return neap.async(function () return "whole" end):await()
  end)
  assert(result == "whole")
  assert(table.concat(order) == "123")
end


-- after each play of a scene
function scenes.finish (check, ok, err, failed)
  if not ok and not (failed and is_memory(err)) then error(err, 0) end
  local neap = require "neap.core"
  if neap.clock() == "real" then neap.clock "virtual" end
  another_program(neap)
  check(ok, failed)
  collectgarbage()
  collectgarbage()
  another_program(neap)
end


-- What the finalizers call: all functions with whatever is at hand, but for
-- those that change what a scene relies on.
local function everything (neap)
  local left_out = {
    async = true, clock = true, hooks = true, run = true, spawn = true,
    step = true,
  }
  local calls = {}
  local function add (fn, ...)
    local arguments = table.pack(...)
    calls[#calls + 1] = function ()
      return fn(table.unpack(arguments, 1, arguments.n))
    end
  end
  local function nothing () return nil end
  for name, fn in pairs(neap) do
    if type(fn) == "function" and not left_out[name] then
      add(fn)
      add(fn, nothing)
      add(fn, 1, nothing)
      add(fn, {}, 1, nothing)
    end
  end
  for _, fn in pairs(neap.coroutine) do
    add(fn, nothing)
    add(fn, coroutine.create(nothing))
  end
  local sem, ch = neap.semaphore(1), neap.channel(1)
  local event, future = neap.event(), neap.future()
  for _, method in ipairs { "acquire", "try_acquire", "release", "permit" } do
    add(sem[method], sem)
  end
  for _, method in ipairs { "send", "try_send", "recv", "try_recv" } do
    add(ch[method], ch, 1)
  end
  for _, method in ipairs { "wait", "set", "clear" } do
    add(event[method], event)
  end
  add(future.await, future)
  local controller = neap.abort_controller()
  add(function ()
    neap.abort_signal.any {
      controller.signal, neap.abort_signal.timeout(math.huge),
    }:on_abort(nothing)
  end)
  add(controller.abort, controller)
  add(function () neap.current():cancelled() end)
  add(function () return tostring(neap.current()) end)
  return calls
end


local storming

-- Let it rain finalizers, in most functions that allocate, beginning with that
-- number, or (nil) no more.
function scenes.storm (first)
  storming = first ~= nil
  if not storming then
    collectgarbage("incremental", 200, 100, 13)
    return
  end
  local calls, n = everything(require "neap.core"), first
  local mt = {}
  function mt.__gc ()
    if not storming then return end
    n = n % #calls + 1
    pcall(calls[n])
    setmetatable({}, mt)
  end
  for _ = 1, 100 do setmetatable({}, mt) end
  collectgarbage("incremental", 50, 1000, 1)
  collectgarbage() -- the next cycle then begins at once
end


scene("opening", function ()
  return function () require "neap.core" end, function () end
end)


play("tasks", function (neap)
  local bodies, ended = counter(), false
  local function body (...)
    local _ <close> = bodies:enter()
    neap.sleep(1)
    neap.checkpoint()
    return ...
  end
  return function ()
    neap.run(function ()
      local one = neap.spawn(body, 1)
      local many = neap.async(body, 1, 2, 3)
      local fails = neap.async(function ()
        local _ <close> = bodies:enter()
        neap.sleep(2)
        error "expected"
      end)
      local cancelled = neap.async(body)
      one.name = "one"
      assert(tostring(one):find "one")
      assert(neap.current():status() == "running")
      local unborn = neap.async(error, "never")
      unborn:cancel()
      local waits = neap.async(function () return many:await() end)
      neap.sleep_until(0.5)
      assert(one:waiting_on():find "sleep")
      assert(one:traceback():find "traceback")
      cancelled:cancel "reason"
      assert(one:await() == 1)
      assert(select("#", many:await()) == 3)
      assert(select("#", waits:await()) == 3)
      local ok, err = fails:pawait()
      assert(not ok)
      expect(err, "expected")
      if not is_memory(err) then neap.traceback(err) end
      assert(not cancelled:pawait())
      assert(not unborn:pawait())
      ended = true
    end)
  end, function (ok)
    assert(bodies.inside == 0)
    assert(not ok or ended)
  end
end)


play("host tasks", function (neap)
  local bodies, told = counter(), 0
  neap.hooks { on_unhandled = function () told = told + 1 end }
  local function body (seconds, err)
    local _ <close> = bodies:enter()
    neap.sleep(seconds)
    if err then error(err) end
  end
  return function ()
    for i = 1, 3 do
      neap.spawn(body, i, i == 2 and "expected")
      neap.async(body, i, i == 2 and "expected")
    end
    neap.spawn(function () for _ = 1, 3 do neap.frame() end end)
    neap.spawn(neap.settled)
    while neap.step() do neap.now() end
  end, function (ok, failed)
    while neap.step() do neap.now() end
    assert(bodies.inside == 0)
    assert(not ok or failed or told == 2, told)
  end
end)


play("scopes", function (neap)
  local bodies, suppressed = counter(), 0
  neap.hooks { on_suppressed = function () suppressed = suppressed + 1 end }
  local function body (seconds, err)
    local _ <close> = bodies:enter()
    neap.sleep(seconds)
    if err then error(err, 0) end
  end
  return function ()
    neap.run(function ()
      local ok, err = pcall(neap.scope, function (s)
        s:spawn(body, 1, "first")
        s:spawn(function ()
          local _ <close> = setmetatable({}, { __close = function (_, err)
            if neap.is_abort(err) then error "second" end
          end })
          body(2)
        end)
        s:async(body, 3)
        body(4)
      end)
      assert(not ok)
      expect(err, "first")
      local scope
      neap.scope({ name = "quiet", timeout = 9 }, function (s)
        scope = s
        s.deadline = s.deadline + 1
        s:spawn(body, math.huge)
        s:spawn(neap.scope, function () body(math.huge) end)
        neap.sleep(1)
        s:cancel "enough"
      end)
      assert(scope.cancelled and #scope.suppressed == 0)
      ok, err = pcall(neap.scope, { timeout = 1 }, function ()
        neap.shield(function ()
          body(2)
          neap.timeout(body, 3, nil, 1)
        end)
        neap.sleep(1)
      end)
      assert(not ok)
      expect(err, "Timeout")
    end)
  end, function (ok, failed)
    assert(bodies.inside == 0)
    assert(not ok or failed or suppressed == 1)
  end
end)


play("timeouts", function (neap)
  local bodies = counter()
  local function body (seconds)
    local _ <close> = bodies:enter()
    neap.sleep(seconds)
    return seconds, "done"
  end
  return function ()
    neap.run(function ()
      assert(select("#", neap.timeout(body, 2, "late", 1)) == 2)
      local ok, err = pcall(neap.timeout, body, 1, "late", 2)
      assert(not ok)
      expect(err, "late")
      ok, err = pcall(neap.timeout, body, 1, { "own" }, 2)
      assert(not ok and (err[1] == "own" or is_memory(err)))
      local task = neap.async(body, 5)
      ok, err = pcall(neap.timeout, task, 1)
      assert(not ok)
      expect(err, "Timeout")
      assert(neap.move_on_after(9, function () return task:await() end))
      assert(not neap.move_on_after(1, function ()
        for _ = 1, 3 do neap.spawn(body, 2) end
        neap.move_on_after(3, body, 2)
      end))
      assert(not neap.pcall(error, "any"))
    end)
  end, function () assert(bodies.inside == 0) end
end)


play("semaphores", function (neap)
  local sem, closed = neap.semaphore(2), neap.semaphore(1)
  local users, peak = counter(), 0
  local function use (seconds)
    local _ <close> = users:enter()
    peak = math.max(peak, users.inside)
    neap.sleep(seconds)
  end
  return function ()
    neap.run(function ()
      closed:acquire()
      local waits = neap.async(closed.acquire, closed)
      neap.scope(function (s)
        for i = 1, 3 do
          s:spawn(function ()
            sem:acquire()
            local ok, err = pcall(use, i)
            sem:release()
            if not ok then error(err, 0) end
          end)
        end
        local gone = s:async(function ()
          sem:acquire(2)
          sem:release(2)
        end)
        s:spawn(sem.with_permit, sem, use, 1)
        s:spawn(function ()
          local permit <close> = sem:permit(2)
          use(1)
          permit:release()
        end)
        neap.sleep(0.5)
        sem:resize(1)
        gone:cancel()
        neap.sleep(2)
        sem:resize(2)
        if sem:try_acquire() then sem:release() end
      end)
      closed:close()
      local ok, err = waits:pawait()
      assert(not ok)
      expect(err, "the semaphore is closed")
    end)
  end, function ()
    sem:resize(2)
    assert(sem:available() == 2 and sem:waiting() == 0, sem:available())
    assert(closed:waiting() == 0 and closed:available() <= 1)
    assert(users.inside == 0 and peak <= 2)
    neap.run(function () sem:acquire(2) sem:release(2) end)
  end
end)


play("channels", function (neap)
  local hand, buffered = neap.channel(), neap.channel(40)
  local sent, got = 0, 0
  local function send (ch, v)
    ch:send(v)
    sent = sent + v
  end
  local function receive (ch)
    for v in ch do got = got + v end
  end
  return function ()
    neap.run(function ()
      for _, ch in ipairs { hand, buffered } do
        neap.scope(function (s)
          local receiver = s:async(receive, ch)
          neap.scope(function (senders)
            for i = 1, 3 do
              senders:spawn(function ()
                for k = 1, 20 do send(ch, i * k) end
              end)
            end
          end)
          ch:close()
          receiver:await()
        end)
      end
      local full = neap.channel(1)
      assert(full:try_send(1))
      local sender = neap.async(full.send, full, "lost")
      neap.checkpoint()
      full:close "reason"
      local ok, err = sender:pawait()
      assert(not ok)
      expect(err, "the channel is closed")
      assert(full:try_recv())
      ok, err = pcall(full.recv, full)
      assert(not ok)
      expect(err, "reason")
    end)
  end, function (ok)
    -- what was sent is received or still there
    for _, ch in ipairs { hand, buffered } do
      local more, v = ch:try_recv()
      while more do
        got = got + v
        more, v = ch:try_recv()
      end
    end
    assert(sent == got, sent - got)
    assert(not ok or got == 2 * 6 * 210)
  end
end)


play("events and futures", function (neap)
  local event, passed = neap.event(), 0
  local future, resolve = neap.future()
  return function ()
    neap.run(function ()
      local bad, _, reject = neap.future()
      local waiters = {}
      for i = 1, 3 do
        waiters[i] = neap.async(function ()
          event:wait()
          passed = passed + 1
          assert(select("#", future:await()) == 3)
          local ok, err = bad:pawait()
          assert(not ok)
          expect(err, "bad")
        end)
      end
      neap.sleep(1)
      event:set()
      event:clear()
      neap.sleep(1)
      resolve(1, 2, 3)
      assert(future:is_done())
      neap.timeout(future, 1)
      neap.sleep(1)
      reject(neap.error("Bad", "bad", { more = 1 }))
      for i = 1, 3 do waiters[i]:await() end
      waiters = neap.future()
      assert(not pcall(neap.timeout, waiters, 1))
    end)
  end, function (ok)
    if not future:is_done() then resolve(1, 2, 3) end
    neap.run(function () assert(select("#", future:await()) == 3) end)
    assert(not ok or passed == 3)
  end
end)


play("pools", function (neap)
  local bodies, done = counter(), 0
  local source = neap.channel(9)
  local function work (item, index)
    local _ <close> = bodies:enter()
    neap.sleep(item)
    if item == 5 then error "five" end
    if item == 6 then return neap.SKIP end
    if item == 7 then return neap.STOP end
    return index
  end
  local function numbers (n)
    local i = 0
    return function ()
      i = i + 1
      neap.sleep(0.5)
      return i <= n and i or nil
    end
  end
  local controller = neap.abort_controller()
  return function ()
    neap.run(function ()
      assert(neap.pool({ 3, 2, 6, 1 }, 2, work).n == 3)
      assert(neap.pool({ a = 1, b = 2, c = 6 }, 2, work).a ~= nil)
      assert(neap.pool(numbers(4), math.huge, work).n == 4)
      assert(neap.pool({ 1, 7, 8, 8 }, 3, work).n == 1)
      for i = 1, 3 do source:send(i) end
      source:close()
      assert(neap.pool(source, 2, work, {
        on_progress = function (n) done = n end,
        signal = controller.signal,
      }).n == 3)
      local ok, err = pcall(neap.pool, { 9, 5, 9 }, 2, work)
      assert(not ok)
      expect(err, "five")
      ok, err = pcall(neap.pool, { 5, 1, 9, 5 }, 2, work, {
        stop_on_error = false, item_timeout = 8,
      })
      assert(not ok)
      expect(err, "3 of 4 items failed")
      neap.spawn(function ()
        neap.sleep(0.7)
        controller:abort()
      end)
      assert(not pcall(neap.pool, numbers(9), 3, work, {
        signal = controller.signal,
      }))
    end)
  end, function (ok)
    assert(bodies.inside == 0)
    assert(not ok or done == 3)
  end
end)


play("aborts", function (neap)
  local controller = neap.abort_controller()
  local signal = controller.signal
  local any = neap.abort_signal.any { signal, neap.abort_signal.timeout(50) }
  local heard, added, bodies = 0, 0, counter()
  neap.hooks { on_suppressed = function (err) expect(err, "listener") end }
  local function listen (s)
    local remove = s:on_abort(function () heard = heard + 1 end)
    added = added + 1
    return remove
  end
  return function ()
    neap.run(function ()
      listen(signal)
      listen(any)
      any:on_abort(function () error "listener" end)
      listen(neap.abort_signal.any { any, signal })
      local remove = listen(any)
      remove()
      added = added - 1
      local waits = neap.async(any.wait, any)
      local cancelled = neap.async(neap.with_signal, any, function ()
        local _ <close> = bodies:enter()
        neap.sleep(math.huge)
      end)
      local alarm = neap.abort_signal.timeout(2)
      assert(not pcall(neap.scope, { signal = alarm }, function ()
        local _ <close> = bodies:enter()
        neap.sleep(math.huge)
      end))
      neap.abort_signal.timeout(9):on_abort(function () end)
      controller:abort "reason"
      assert(signal.aborted and any.aborted)
      expect(waits:await(), "reason")
      local ok, err = cancelled:pawait()
      assert(not ok)
      expect(err, "reason")
      assert(not pcall(any.throw_if_aborted, any))
      assert(neap.abort_signal.any { signal, alarm }.aborted)
      assert(neap.abort_signal.abort { "any" }.aborted)
    end)
  end, function ()
    controller:abort "reason"
    assert(signal.aborted and any.aborted and signal.reason == any.reason)
    assert(bodies.inside == 0)
    local listeners = neap.internal.listeners
    assert(listeners(signal) == 0 and listeners(any) == 0)
    any = nil -- it holds an alarm, and somebody may listen to the other
    neap.run(neap.sleep, 60)
  end
end)


play("coroutines", function (neap)
  local co, bodies = neap.coroutine, counter()
  local function walk (depth)
    local _ <close> = bodies:enter()
    if depth == 0 then
      neap.sleep(1)
      co.yield "leaf"
      return
    end
    for v in co.wrap(walk), depth - 1 do co.yield(v) end
  end
  return function ()
    neap.run(function ()
      local n = 0
      for _ in co.wrap(function () walk(0) walk(0) end) do n = n + 1 end
      assert(n == 2)
      local outer = co.create(function ()
        local inner = co.create(walk)
        assert(co.resume(inner, 0))
        co.yield(1)
        assert(co.close(inner))
      end)
      assert(co.resume(outer))
      assert(co.close(outer) == true)
      local failing = co.wrap(function ()
        local _ <close> = bodies:enter()
        neap.sleep(1)
        error "expected"
      end)
      local ok, err = pcall(failing)
      assert(not ok)
      expect(err, "expected")
      local closing = co.create(function ()
        local _ <close> = setmetatable({}, { __close = function ()
          neap.sleep(1)
        end })
        co.yield()
      end)
      co.resume(closing)
      assert(co.close(closing))
      assert(not pcall(co.wrap(function ()
        neap.timeout(co.yield, 1)
      end)))
      neap.move_on_after(1, co.wrap(function ()
        local _ <close> = bodies:enter()
        neap.sleep(math.huge)
      end))
    end)
  end, function ()
    collectgarbage()
  end
end)


play("generators", function (neap)
  local bodies = counter()
  local pages = neap.generator(function (yield, n)
    local _ <close> = bodies:enter()
    for i = 1, n do
      neap.sleep(1)
      yield(i, "more")
    end
    if n == 3 then error "expected" end
  end)
  local nested = neap.generator(function (yield, n)
    local _ <close> = bodies:enter()
    for i in pages(n) do
      if i % 2 == 1 then yield(i) else coroutine.yield(i) end
    end
  end)
  local function pull (gen) return (gen:next()) end
  return function ()
    neap.run(function ()
      local n = 0
      for i in nested(4) do n = n + i end
      assert(n == 10)
      for i in nested(9) do
        if i > 1 then break end
      end
      local ok, err = pcall(function () for _ in pages(3) do n = n + 1 end end)
      assert(not ok)
      expect(err, "expected")
      neap.move_on_after(1.5, function ()
        for _ in nested(9) do n = n + 1 end
      end)
      local shared = pages(4)
      local tasks = {}
      for i = 1, 3 do tasks[i] = neap.async(pull, shared) end
      for i = 1, 3 do assert(tasks[i]:await() == i) end
      shared:close()
      assert(pages(1)() == 1) -- dropped
      collectgarbage()
      nested(2):next()
    end)
    for i in neap.generator(function (yield) yield(1) yield(2) end)() do
      if i > 1 then break end
    end
  end, function ()
    collectgarbage()
    neap.run(neap.sleep, 1)
    assert(bodies.inside == 0)
  end
end)


play("streams", function (neap, file)
  local sources, closed = 0, 0
  local Source = { __neap_close = function () closed = closed + 1 end }
  function Source.__call (source)
    source.n = source.n + 1
    neap.sleep(1)
    return source.n <= source.last and source.n or nil
  end
  local function source (last)
    local s = setmetatable({ n = 0, last = last }, Source)
    sources = sources + 1
    return s
  end
  local function double (v)
    neap.sleep(1)
    return 2 * v
  end
  local function odd (v) return v % 2 == 1 end
  return function ()
    neap.run(function ()
      local stream = neap.stream(source(5)):filter(odd):map(double)
      assert(file.collect(stream).n == 3)
      assert(file.collect(neap.take(source(9), 2)).n == 2)
      for i in neap.skip(source(9), 1) do
        if i > 2 then break end
      end
      assert(file.reduce({ 1, 2, 3 }, math.max) == 3)
      assert(file.collect({ a = 1, b = 2 }).a == 1)
      local ok, err = pcall(file.each, source(3), function () error "each" end)
      assert(not ok)
      expect(err, "each")
      neap.move_on_after(1.5, file.each, source(9), double)
      local n = 0
      for k in file.iter(pairs { a = 1, b = 2 }) do n = n + #k end
      assert(n == 2)
      local shared = neap.stream(source(9)):take_while(function (v)
        return v < 4
      end)
      local tasks = {}
      for i = 1, 4 do tasks[i] = neap.async(shared.next, shared) end
      for i = 1, 3 do assert(tasks[i]:await() == i) end
      assert(tasks[4]:await() == nil)
    end)
  end, function (ok, failed)
    -- what has ended by itself is not closed
    assert(not ok or failed or closed == 5, closed)
    assert(closed <= sources)
  end
end, "neap.stream")


play("hosts", function (neap)
  local bodies, tickets, posted = counter(), {}, 0
  _G.posted = function () posted = posted + 1 end
  local undone = host.undone()
  neap.hooks { on_unhandled = function () end }
  local function waiting (name)
    local _ <close> = bodies:enter()
    return host.suspend(function (ticket) tickets[name] = ticket end)
  end
  local function step (n) for _ = 1, n do neap.step() end end
  return function ()
    host.spawn(function () assert(select("#", waiting "several") == 3) end)
    host.spawn(function () assert(waiting "one" == 1) end)
    host.spawn(function ()
      local ok, err = pcall(waiting, "failed")
      assert(not ok)
      expect(err, "expected")
    end)
    neap.spawn(waiting, "cancelled"):cancel()
    local cancelled = neap.spawn(waiting, "cancelled")
    step(2)
    if not (tickets.several and tickets.one and tickets.failed) then
      error "not enough memory to wait"
    end
    assert(host.resume(tickets.several, 1, 2, 3))
    assert(host.resume(tickets.one, 1))
    assert(not host.resume(tickets.one, 2))
    assert(host.fail(tickets.failed, "expected"))
    cancelled:cancel()
    host.post()
    step(3)
  end, function (ok, failed)
    -- who still waits is told to go
    for _, ticket in pairs(tickets) do host.fail(ticket, "the end") end
    while neap.step() do neap.now() end
    assert(bodies.inside == 0)
    assert(not ok or failed or posted == 1)
    assert(host.undone() == undone, host.undone())
  end
end)


play("generators left open", function (neap)
  local bodies, told = counter(), 0
  neap.hooks {
    on_suppressed = function () told = told + 1 end,
    on_unhandled = function () told = told + 1 end,
  }
  local gen = neap.generator(function (yield, n, last)
    local _ <close> = bodies:enter()
    local _ <close> = setmetatable({}, { __close = function ()
      if neap.current() then neap.shield(neap.sleep, 1) end
    end })
    for i = 1, n do
      neap.sleep(1)
      yield(i, "value")
    end
    if last then last() end
  end)
  local quick = neap.generator(function (yield, n)
    local _ <close> = bodies:enter()
    for i = 1, n do yield(i) end
  end)
  local nest
  nest = neap.generator(function (yield, depth, emit)
    local _ <close> = bodies:enter()
    if depth == 0 then return (emit or yield)("bottom") end
    for v in nest(depth - 1, emit) do yield(v) end
  end)
  local kept
  return function ()
    for v in quick(3) do assert(v <= 3) end
    for _ in nest(20) do break end
    for _ in nest(20, coroutine.yield) do break end
    neap.run(function ()
      local n = 0
      for i, text in gen(2) do
        assert(text == "value")
        n = n + i
      end
      assert(n == 3)
      for _ in gen(9) do break end
      local ok, err = pcall(function ()
        for _ in gen(9) do error "expected" end
      end)
      assert(not ok)
      expect(err, "expected")
      ok, err = pcall(function ()
        for _ in gen(0, function () error "expected" end) do neap.now() end
      end)
      assert(not ok)
      expect(err, "expected")
      assert(not neap.move_on_after(2, function ()
        for _ in gen(9) do neap.now() end
      end))
      for _ in nest(20) do break end
      assert(nest(20)() == "bottom")
      local shared = gen(9)
      neap.scope(function (s)
        for _ = 1, 3 do s:spawn(shared) end
        s:spawn(shared.close, shared)
        s:spawn(shared):cancel()
      end)
      local escapes = neap.generator(function ()
        neap.scope(function (s)
          s:spawn(neap.sleep, 9)
          coroutine.yield(1)
        end)
      end)
      ok, err = pcall(escapes())
      assert(not ok)
      expect(err, "scope or timeout")
      gen(9)() -- dropped
      collectgarbage()
      neap.sleep(3)
      kept = gen(9)
      kept()
    end)
  end, function (ok)
    collectgarbage()
    collectgarbage()
    neap.run(neap.checkpoint)
    assert(bodies.inside == 0, bodies.inside)
    assert(not ok or kept() == nil)
    kept = nil
  end
end)


play("deadlocks", function (neap)
  local bodies = counter()
  return function ()
    local function stuck (body)
      local ok, err = pcall(neap.run, function ()
        local _ <close> = bodies:enter()
        neap.spawn(function ()
          local _ <close> = bodies:enter()
          body(neap.event())
        end)
        neap.event():wait()
      end)
      assert(not ok)
      expect(err, "wait for what cannot happen")
    end
    stuck(function (event) event:wait() end)
    stuck(function (event) neap.shield(event.wait, event) end)
    stuck(function () neap.channel():send(1) end)
    stuck(function () neap.coroutine.wrap(neap.sleep)(math.huge) end)
    neap.run(function ()
      neap.spawn(neap.sleep, 1)
      neap.checkpoint()
      assert(neap.dump():find "sleep")
      assert(#neap.tasks() == 1)
    end)
  end, function () assert(bodies.inside == 0) end
end)


play("descriptors", function (neap)
  local r, w = host.pair()
  local other_r, other_w = host.pair()
  return function ()
    neap.run(function ()
      neap.scope(function (s)
        s:spawn(neap.readable, r)
        s:spawn(function ()
          neap.writable(w)
          neap.sleep(1)
          host.put(w)
        end)
        s:async(function ()
          local ok, err = pcall(neap.readable, other_r)
          assert(not ok)
          expect(err, "closed")
        end)
        assert(neap.dump():find "readable" or true)
        assert(neap.fd() >= 0)
        neap.sleep(2)
        neap.forget(other_r)
      end)
      neap.move_on_after(1, neap.readable, other_r)
      neap.internal.interrupts()
    end)
    assert(not pcall(neap.run, function ()
      host.interrupt()
      neap.readable(other_r)
    end))
  end, function ()
    neap.run(neap.writable, w)
    for _, fd in ipairs { r, w, other_r, other_w } do
      neap.forget(fd)
      host.close(fd)
    end
  end
end)


-- the heap of deadlines grows, at the 17th, 33rd and 65th, whoever needs it
play("growth", function (neap)
  local bodies, alarms = counter(), {}
  local ch = neap.channel(math.huge)
  return function ()
    neap.run(function ()
      local function nest (n)
        if n > 0 then return neap.scope(function () nest(n - 1) end) end
        neap.sleep(1)
      end
      for i = 1, 14 do alarms[i] = neap.abort_signal.timeout(i) end
      assert(not alarms[1].aborted)
      for i = 1, 18 do
        neap.spawn(function ()
          local _ <close> = bodies:enter()
          neap.sleep(i)
          ch:send(i)
        end)
      end
      neap.spawn(nest, 30)
      neap.sleep(20)
    end)
  end, function (ok, failed)
    alarms = nil
    neap.run(neap.sleep, 20)
    assert(bodies.inside == 0)
    assert(not ok or failed or #ch == 18)
  end
end)


-- Only constructors can fail for memory: what waits, wakes, cancels and hands
-- over, the second time that a task does it, allocates nothing.
play("frugality", function (neap)
  local sem, event, ch = neap.semaphore(1), neap.event(), neap.channel()
  local signal = neap.abort_signal.timeout(math.huge)
  local future, resolve = neap.future()
  local requests, needed = host.requests, nil

  local function round ()
    neap.sleep(1)
    neap.sleep_until(0)
    neap.checkpoint()
    sem:acquire()
    neap.sleep(1)
    sem:release()
    sem:with_permit(neap.sleep, 1)
    sem:resize(2)
    sem:resize(1)
    event:set()
    event:wait()
    event:clear()
    neap.timeout(neap.sleep, 5, nil, 1)
    neap.move_on_after(5, neap.sleep, 1)
    neap.with_signal(signal, neap.sleep, 1)
    neap.shield(neap.sleep, 1)
    neap.cancelled()
    neap.now()
  end

  local function sender () for i = 1, 3 do ch:send(i) end end
  local function receiver () for _ = 1, 3 do ch:recv() end end

  return function ()
    neap.run(function ()
      local go = neap.event()
      local tasks = {}
      for i, body in ipairs { round, round, sender, receiver } do
        tasks[i] = neap.async(function ()
          for _ = 1, 2 do
            go:wait()
            body()
          end
        end)
      end
      local victim = neap.async(neap.sleep, math.huge)
      local waits = neap.async(future.await, future)
      neap.sleep(1)
      go:set()
      go:clear()
      neap.sleep(100)
      collectgarbage "stop"
      local before = requests()
      go:set()
      neap.sleep(100)
      victim:cancel()
      resolve(1)
      needed = requests() - before
      collectgarbage "restart"
      waits:await()
      for i = 1, 4 do tasks[i]:await() end
      victim:pawait()
    end)
  end, function (ok, failed)
    collectgarbage "restart"
    assert(not ok or failed or needed == 0, needed)
    assert(sem:available() == 1 and sem:waiting() == 0)
  end
end)


play("retry", function (neap, retry)
  local calls = 0
  return function ()
    neap.run(function ()
      assert(retry.retry(function (attempt)
        calls = calls + 1
        neap.sleep(1)
        if attempt < 3 then error "again" end
        return attempt
      end, {
        attempts = 5, delay = 1, jitter = "full", max_elapsed = 60,
        attempt_timeout = 5, on_retry = function () neap.sleep(1) end,
        signal = neap.abort_signal.timeout(90),
      }) >= 3)
      local ok, err = pcall(retry.retry, function ()
        error(retry.permanent "for good")
      end)
      assert(not ok)
      expect(err, "for good")
    end)
  end, function (ok, failed) assert(not ok or failed or calls == 3) end
end, "neap.retry")


play("cancellable", function (neap, cancellable)
  local bodies = counter()
  return function ()
    neap.run(function ()
      local function body (signal, seconds)
        local _ <close> = bodies:enter()
        neap.sleep(seconds)
        signal:throw_if_aborted()
        return seconds
      end
      local op = cancellable.cancellable(body, 2)
      local other = cancellable.cancellable(body, 5)
      assert(op:await() == 2)
      other:cancel "reason"
      assert(other:await().cancelled)
      op:cancel()
    end)
  end, function () assert(bodies.inside == 0) end
end, "neap.cancellable")


play("debounce", function (neap, file)
  local bodies = counter()
  return function ()
    neap.run(function ()
      local d = file.debounce(function (v)
        local _ <close> = bodies:enter()
        neap.sleep(1)
        return v
      end, 2, { superseded = "share", max_wait = 9 })
      local first = neap.async(d, 1)
      local second = neap.async(d, 2)
      neap.sleep(1)
      assert(d(3) == 3 and first:await() == 3)
      second:await()
      local gone = neap.async(d, 4)
      neap.sleep(1)
      gone:cancel()
      local flushed = neap.async(d, 5)
      neap.sleep(1)
      local result = d:flush()
      assert(flushed:await() == 5 and result == 5)
      assert(not d:pending())
      local dropped = neap.async(d, 6)
      neap.checkpoint()
      d:cancel "reason"
      assert(not dropped:pawait())
      gone:pawait()
    end)
  end, function () assert(bodies.inside == 0) end
end, "neap.debounce")


play("throttle", function (neap, file)
  local bodies = counter()
  return function ()
    neap.run(function ()
      local t = file.throttle(function (v)
        local _ <close> = bodies:enter()
        neap.sleep(1)
        return v
      end, 3)
      assert(t(1) == 1)
      local shared = neap.async(t, 2)
      neap.sleep(1)
      assert(t(3) == 3 and shared:await() == 3)
      neap.sleep(9)
    end)
  end, function () assert(bodies.inside == 0) end
end, "neap.throttle")


return scenes
