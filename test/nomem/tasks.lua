-- Scenes for test/nomem.c: tasks, scopes, timeouts, and how they end.

local stage = ...
local counter, expect, is_memory = stage.counter, stage.expect, stage.is_memory
local play, scene = stage.play, stage.scene
local host = host -- luacheck: ignore 113


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
        local first = s:spawn(body, 1, "first")
        s:spawn(function () first:await() end) -- told of by neither
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


play("the manual clock", function (neap)
  neap.clock "manual"
  local log
  return function ()
    log = {}
    neap.spawn(function ()
      neap.sleep(1)
      log[#log + 1] = neap.now()
    end)
    neap.spawn(function ()
      neap.real_sleep(1)
      log[#log + 1] = neap.real_now()
      local event = neap.event()
      event:set()
      assert(event:is_set())
    end)
    neap.step()
    neap.advance(0, 1)
    neap.step()
    neap.advance(1)
    neap.step()
  end, function (ok, failed)
    assert(not ok or failed or #log == 2)
  end
end)
