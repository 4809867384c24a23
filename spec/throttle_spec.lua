local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of
local calls, noting = support.calls, support.noting


describe("throttle", function ()

  it("THR-01 shares one run at the end of the interval, with the latest",
    task(function ()
      local log = support.recorder()
      local t = neap.throttle(noting(log), 3)
      assert.same({ "0@0", "2@3", "2@3", "5@6", "5@6" },
        calls(t, { 0, 1, 2, 4, 5 }))
      assert.same({ "0@0", "2@3", "5@6" }, log())
    end))


  it("THR-01 the interval begins with the call, before its run does",
    task(function ()
      local log = support.recorder()
      local t = neap.throttle(noting(log), 3)
      assert.same({ "0@0", "0@3" }, calls(t, { 0, 0 }))
    end))


  it("THR-01 hands on all values, and errors by identity", task(function ()
    local err = {}
    local t = neap.throttle(function (x, ...)
      if x == err then error(err) end
      return x, ...
    end, 3)
    assert.same({ n = 3, false, nil, nil }, table.pack(t(false, nil, nil)))
    local other
    neap.spawn(function () other = error_of(t, 1) end)
    neap.sleep(0)
    assert.equal(err, error_of(t, err))
    neap.sleep(0)
    assert.equal(err, other)
  end))


  it("THR-02 a single call has no trailing run; quiet frees the way",
    task(function ()
      local log = support.recorder()
      local t = neap.throttle(noting(log), 3)
      assert.same({ "0@0", "4@4", "5@7", "9@10", "13@13" },
        calls(t, { 0, 4, 5, 9, 13 }))
      assert.same({ "0@0", "4@4", "5@7", "9@10", "13@13" }, log())
    end))


  it("THR-03 without trailing, calls get the leading run's outcome",
    task(function ()
      local log = support.recorder()
      local t = neap.throttle(noting(log, 2), 3, { trailing = false })
      assert.same({ "0@2", "0@2", "0@2.5", "3@5" },
        calls(t, { 0, 1, 2.5, 3 }))
      assert.same({ "0@0", "3@3" }, log())
    end))


  it("THR-03 such calls let others run now and then", task(function ()
    local t = neap.throttle(function () return 1 end, 9, { trailing = false })
    t()
    local other = neap.async(function () return true end)
    local n = 0
    while other:status() ~= "done" and n < 1e5 do n = n + t() end
    assert.is_true(n > 10 and n < 1e5)
  end))


  it("THR-03 one from inside fn is refused: it would wait for itself",
    task(function ()
      local t
      t = neap.throttle(function () return (t()) end, 9, { trailing = false })
      assert.matches(
        "throttle_spec.lua:%d+: 'throttle' called by the run that it would",
        support.error_of(t))
    end))


  it("THR-04 without leading, the first call runs at the interval's end",
    task(function ()
      local log = support.recorder()
      local t = neap.throttle(noting(log), 3, { leading = false })
      assert.same({ "2@3", "2@3", "4@6", "20@23" },
        calls(t, { 0, 2, 4, 20 }))
      assert.same({ "2@3", "4@6", "20@23" }, log())
    end))


  it("THR-05 rejects bad arguments at creation", function ()
    local fn = function () end
    assert.matches(
      "^spec/throttle_spec.lua:%d+: .*leading and trailing are both false",
      error_of(function ()
        neap.throttle(fn, 1, { leading = false, trailing = false })
      end))
    assert.error_matches(function () neap.throttle(fn) end,
      "#2 to 'throttle' %(interval must be a number >= 0, got nil%)")
    assert.error_matches(function () neap.throttle(fn, 0 / 0) end, "nan")
    assert.error_matches(function () neap.throttle({}, 1) end, "fn must be")
    assert.error_matches(function ()
      neap.throttle(fn, 1, { trailling = true })
    end, "did you mean 'trailing'")
  end)


  it("THR-05 an interval of 0 runs every call at once", task(function ()
    local log = support.recorder()
    local t = neap.throttle(noting(log), 0)
    assert.same({ "0@0", "0@0", "1@1" }, calls(t, { 0, 0, 1 }))
    assert.same({ "0@0", "0@0", "1@1" }, log())
  end))


  it("an interval of math.huge leaves the rest to flush", task(function ()
    local log = support.recorder()
    local t = neap.throttle(noting(log), math.huge)
    t(1)
    neap.spawn(t, 2)
    neap.sleep(1000)
    assert.equal(2, t:flush())
    assert.same({ "1@0", "2@1000" }, log())
  end))


  it("THR-06 cancel settles every waiter; the next call runs at once",
    task(function ()
      local log = support.recorder()
      local t = neap.throttle(noting(log), 5)
      t(1)
      local errors = {}
      for i = 1, 2 do
        neap.spawn(function () errors[i] = error_of(t, 2) end)
      end
      neap.sleep(1)
      assert.is_true(t:pending())
      t:cancel()
      assert.is_false(t:pending())
      t(3)
      assert.is_true(neap.is_abort(errors[1]))
      assert.equal(errors[1], errors[2])
      neap.sleep(20)
      assert.same({ "1@0", "3@1" }, log())
    end))


  it("THR-06 flush runs what is pending now, for all of them",
    task(function ()
      local log = support.recorder()
      local t = neap.throttle(noting(log), 5)
      assert.equal(0, select("#", t:flush()))
      t(1)
      local waiter = neap.async(t, 2)
      neap.sleep(1)
      assert.equal(2, t:flush())
      assert.equal(2, waiter:await())
      assert.same({ "3@5" }, calls(t, { 3 })) -- the interval began anew
      assert.same({ "1@0", "2@1", "3@6" }, log())
    end))


  it("THR-07 a failed run, or a cancelled waiter, affects nobody else",
    task(function ()
      local fail = true
      local t = neap.throttle(function (x)
        if fail then error("no", 0) end
        return x
      end, 3)
      assert.equal("no", error_of(t, 1))
      fail = false
      local a, b = neap.async(t, 2), neap.async(t, 3)
      neap.sleep(1)
      b:cancel()
      assert.equal(3, a:await())
      assert.equal(3, neap.now())
      assert.is_false((neap.move_on_after(1, t, 4)))
      assert.is_false(t:pending())
    end))


  it("THR-07 the interval of a leading call that was cancelled still counts",
    task(function ()
      local log = support.recorder()
      local t = neap.throttle(noting(log, 10), 5)
      assert.is_false((neap.move_on_after(1, t, 1)))
      assert.equal(2, t(2))
      assert.same({ "1@0", "2@5" }, log())
    end))


  it("THR-07 without trailing, the call after one that was cancelled runs",
    task(function ()
      local log = support.recorder()
      local t = neap.throttle(noting(log, 3), 9, { trailing = false })
      assert.is_false((neap.move_on_after(1, t, 1)))
      assert.same({ "0@3", "0@3" }, calls(t, { 0, 2 }))
      assert.same({ "1@0", "0@1" }, log())
    end))


  it("THR-07 also while what was cancelled unwinds", task(function ()
    local runs = 0
    local t = neap.throttle(function ()
      runs = runs + 1
      if runs > 1 then return runs end
      local _ <close> = setmetatable({}, { __close = function ()
        neap.shield(neap.sleep, 5)
      end })
      neap.sleep(100)
    end, 9, { trailing = false })
    local first = neap.async(t)
    neap.sleep(1)
    first:cancel()
    neap.sleep(1)
    assert.equal(2, t())
    assert.equal(2, neap.now())
    first:pawait()
    assert.equal(6, neap.now())
  end))


  it("THR-07 an abort settles all and leaves no timer or listener",
    task(function ()
      local controller = neap.abort_controller()
      local signal = controller.signal
      local t = neap.throttle(function () end, 5, { signal = signal })
      t()
      local errors = {}
      for i = 1, 2 do
        neap.spawn(function () errors[i] = error_of(t) end)
      end
      neap.sleep(1)
      controller:abort()
      neap.settled()
      assert.equal(1, neap.now())
      assert.equal(signal.reason, errors[1])
      assert.equal(signal.reason, errors[2])
      assert.equal(signal.reason, error_of(t))
      assert.equal(0, require("neap.core").internal.listeners(signal))
      assert.equal(0, require("neap.core").internal.stats().timers)
    end))


  it("a call from inside fn waits for the next run", task(function ()
    local runs, t = 0, nil
    t = neap.throttle(function ()
      runs = runs + 1
      if runs < 3 then return t() end
      return neap.now()
    end, 2)
    assert.equal(4, t())
  end))


  it("BUG-11 every one of many calls is answered", task(function ()
    local runs = 0
    local t = neap.throttle(function ()
      runs = runs + 1
      return runs
    end, 1)
    local times = {}
    for i = 1, 100 do times[i] = i / 10 end
    local outcomes = calls(t, times)
    for i = 1, 100 do
      local run = tonumber(outcomes[i]:match "^(%d+)@")
      assert.is_true(run >= 1 and run <= runs)
    end
    assert.equal(11, runs)
  end))

end)
