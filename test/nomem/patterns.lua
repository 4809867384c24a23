-- Scenes for test/nomem.c: patterns in Lua.

local stage = ...
local counter, expect = stage.counter, stage.expect
local is_memory = stage.is_memory
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
    end)
  end, function () assert(bodies.inside == 0) end
end, "neap.throttle")


play("limiter", function (neap)
  local bodies, peak = counter(), 0
  local limiter = neap.limiter { concurrency = 2, rate = 3, max_queue = 4 }
  local function work (seconds)
    local _ <close> = bodies:enter()
    peak = math.max(peak, bodies.inside)
    neap.sleep(seconds)
    return seconds
  end
  return function ()
    neap.run(function ()
      local calls = {}
      for i = 1, 5 do calls[i] = neap.async(limiter, work, i % 2) end
      neap.checkpoint()
      calls[5]:cancel()
      for i = 1, 4 do assert(calls[i]:await() == i % 2) end
      limiter:resize(1)
      local nested = neap.async(limiter, limiter, work, 1)
      local waits = neap.async(limiter, work, 1)
      local ok, err = nested:pawait()
      assert(not ok)
      expect(err, "from inside what it runs")
      waits:await()
      local runs = neap.async(limiter, work, 3)
      neap.checkpoint()
      waits = neap.async(limiter, work, 1)
      neap.checkpoint()
      limiter:cancel "reason"
      ok, err = waits:pawait()
      runs:await()
      assert(not ok)
      expect(err, "reason")
      limiter:idle()
    end)
  end, function ()
    assert(bodies.inside == 0 and peak <= 2)
    assert(limiter.running == 0 and limiter.waiting == 0, limiter.running)
    limiter:resize(2)
    neap.run(function ()
      local a, b = neap.async(limiter, work, 1), neap.async(limiter, work, 1)
      limiter(work, 1)
      a:await()
      b:await()
      limiter:idle()
    end)
    assert(peak == 2)
  end
end)


play("many at once", function (neap, file)
  local bodies = counter()
  local function work (seconds, err)
    return function ()
      local _ <close> = bodies:enter()
      neap.sleep(seconds)
      if err then error(err) end
      return seconds, "more"
    end
  end
  return function ()
    neap.run(function ()
      local future, resolve = neap.future()
      neap.spawn(function ()
        neap.sleep(2)
        resolve "settled"
      end)
      assert(file.all({ work(1), future, work(3) })[2] == "settled")
      assert(file.all({ a = work(1), b = future }).b == "settled")
      local ok, err = pcall(file.all, { work(1, "first"), work(2) })
      assert(not ok)
      expect(err, "first")
      assert(file.race { work(3), work(1) } == 1)
      assert(file.any { work(1, "x"), work(2), work(3) } >= 2)
      ok, err = pcall(file.any, { work(1, "x"), work(2, "y") })
      assert(not ok)
      expect(err, "none of 2 succeeded")
      local list = file.all_settled { work(1), work(2, "x") }
      assert(list[1].value == 1 or is_memory(list[1].reason))
      expect(list[2].reason, "x")
      local function sleep (seconds) return work(seconds)() end
      assert(neap.parallel({ 3, 2, 1 }, sleep).n == 3)
      assert(neap.sequential({ 1, 2 }, sleep).n == 2)
      assert(neap.batched({ 1, 2, 3 }, 2, sleep).n == 3)
    end)
  end, function () assert(bodies.inside == 0) end
end, "neap.collective")
