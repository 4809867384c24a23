-- Scenes for test/nomem.c: patterns in Lua.

local stage = ...
local counter, expect = stage.counter, stage.expect
local play = stage.play


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


play("all, race, any", function (neap, collective)
  local bodies = counter()
  local function after (seconds, ok, value)
    return function ()
      local _ <close> = bodies:enter()
      neap.sleep(seconds)
      if not ok then error(value, 0) end
      return value
    end
  end
  return function ()
    neap.run(function ()
      local results = collective.all { after(1, true, "a"),
        neap.async(after(2, true, "b")), after(1, true, "c") }
      assert(results.n == 3 and results[2] == "b")
      assert(collective.race { after(9, true), after(1, true, "won") }
        == "won")
      assert(collective.any { after(1, false, "x"), after(2, true, "won") }
        == "won")
      local settled = collective.all_settled { a = after(1, false, "x"),
        b = after(1, true, "y") }
      expect(settled.a.reason, "x")
      local ok, err = pcall(collective.any, { after(1, false, "x") })
      assert(not ok)
      expect(err, "AggregateError")
    end)
  end, function () assert(bodies.inside == 0) end
end, "neap.collective")


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
      local controller = neap.abort_controller()
      t = file.throttle(function (v)
        local _ <close> = bodies:enter()
        neap.sleep(v)
        return v
      end, 5, { trailing = false, signal = controller.signal })
      local first = neap.async(t, 3)
      neap.sleep(1)
      assert(t(3) == 3 and first:await() == 3)
      neap.sleep(9)
      first = neap.async(t, 9)
      neap.sleep(1)
      controller:abort()
      assert(not first:pawait())
    end)
  end, function () assert(bodies.inside == 0) end
end, "neap.throttle")


play("simulate", function (neap, simulate)
  return function ()
    local n, runs = 0, simulate.explore(function ()
      neap.scope(function (s)
        for i = 1, 3 do s:spawn(neap.sleep, i % 2) end
      end)
    end, { every = true, runs = 5 })
    assert(runs == 5)
    simulate.simulate(7, function () n = n + 1 end)
    assert(n == 1)
  end, function () end
end, "neap.simulate")


play("progress", function (neap, file)
  local null = assert(io.open("/dev/null", "w"))
  return function ()
    neap.run(function ()
      for _, terminal in ipairs { true, false } do
        local bar <close> = file.progress(4, {
          label = "work", file = null, terminal = terminal,
        })
        for i = 1, 4 do
          neap.sleep(20)
          bar:update(i)
          bar:print("item", i)
        end
        bar:finish()
      end
    end)
  end, function () null:close() end
end, "neap.progress")
