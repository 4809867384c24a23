local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of
local calls, noting = support.calls, support.noting
local huge = math.huge


local function is_debounced (err)
  return neap.is_abort(err) and err.message == "Debounced"
end


describe("debounce", function ()

  it("DEB-01 runs once, 'wait' after the last call, with its arguments",
    task(function ()
      local log = support.recorder()
      local d = neap.debounce(noting(log), 2)
      neap.spawn(function () pcall(d, "a", 1) end)
      neap.sleep(1)
      assert.same({ n = 4, "b", nil, false, nil },
        table.pack(d("b", nil, false, nil)))
      assert.same({ "b nil false nil@3" }, log())
    end))


  it("DEB-02 BUG-10 rejects a superseded caller in the moment it is superseded",
    task(function ()
      local d = neap.debounce(function (x) return x end, 2)
      assert.same({ "Debounced@1", "Debounced@1.5", "1.5@3.5" },
        calls(d, { 0, 1, 1.5 }))
    end))


  it("DEB-02 the rejection says what to do", task(function ()
    local d = neap.debounce(function () end, 2)
    local err
    neap.spawn(function () err = support.error_of(d) end)
    neap.sleep(0)
    d()
    assert.matches("^AbortError: Debounced %(reason: a later call took its "
      .. "place; .*superseded = 'share'", tostring(err))
  end))


  it("DEB-02 the rejection is an ordinary AbortError", task(function ()
    local d = neap.debounce(function () end, 2)
    local ok, err
    neap.spawn(function () ok, err = neap.pcall(d) end)
    neap.sleep(0)
    d()
    assert.is_false(ok)
    assert.is_true(is_debounced(err))
  end))


  it("DEB-03 'share' gives all callers the same results or error",
    task(function ()
      local d = neap.debounce(function (x) return x end, 2,
        { superseded = "share" })
      assert.same({ "1.5@3.5", "1.5@3.5", "1.5@3.5" }, calls(d, { 0, 1, 1.5 }))
      local err = {}
      d = neap.debounce(function () error(err) end, 1, { superseded = "share" })
      local first
      neap.spawn(function () first = error_of(d) end)
      assert.equal(err, error_of(d))
      neap.sleep(0)
      assert.equal(err, first)
    end))


  it("DEB-04 a call while fn runs begins a new burst", task(function ()
    local log = support.recorder()
    local d = neap.debounce(noting(log, 5), 2)
    assert.same({ "0@7", "3@10" }, calls(d, { 0, 3 }))
    assert.same({ "0@2", "3@5" }, log())
  end))


  it("DEB-04 a call from inside fn begins a new burst, too", task(function ()
    local runs, d = 0, nil
    d = neap.debounce(function ()
      runs = runs + 1
      if runs < 3 then return d() end
      return neap.now()
    end, 1)
    assert.equal(3, d())
  end))


  it("DEB-05 with wait 0 runs later; calls made before that are one burst",
    task(function ()
      local log = support.recorder()
      local d = neap.debounce(noting(log), 0)
      neap.spawn(function ()
        pcall(d, 1)
        log "superseded"
      end)
      neap.sleep(0)
      assert.equal(2, d(2))
      assert.equal(3, d(3))
      assert.same({ "2@0", "superseded@0", "3@0" }, log())
    end))


  it("DEB-05 a call in the moment when a run is due, but has not begun, is "
    .. "of its burst", task(function ()
      for _, superseded in ipairs { "reject", "share" } do
        local log = support.recorder()
        local start = neap.now()
        local d = neap.debounce(noting(log), 2, { superseded = superseded })
        neap.spawn(function ()
          neap.sleep(2) -- it wakes before the run, whose time was set later
          d "b"
        end)
        neap.sleep(0)
        pcall(d, "a")
        neap.sleep_until(start + 9)
        assert.same({ ("b@%g"):format(start + 4) }, log())
      end
    end))


  it("DEB-06 rejects bad arguments at creation", function ()
    local fn = function () end
    assert.error_matches(function () neap.debounce(1, 1) end, "fn must be")
    assert.error_matches(function () neap.debounce(fn, 0 / 0) end,
      "#2 to 'debounce' %(wait must be a number >= 0, got %-?nan%)")
    assert.error_matches(function () neap.debounce(fn, -1) end, "got %-1")
    assert.error_matches(function () neap.debounce(fn, "1") end, "got '1'")
    assert.matches(
      "^spec/debounce_spec.lua:%d+: .*leading and trailing are both false",
      error_of(function () neap.debounce(fn, 1, { trailing = false }) end))
    assert.error_matches(function ()
      neap.debounce(fn, 1, { maxWait = 1 })
    end, "bad option 'maxWait' to 'debounce' %(did you mean 'max_wait'%?%)")
    assert.error_matches(function ()
      neap.debounce(fn, 1, { superseded = "drop" })
    end, "'superseded'.*'reject' or 'share', got 'drop'")
    assert.error_matches(function ()
      neap.debounce(fn, 1, { max_wait = -1 })
    end, "'max_wait'.*got %-1")
  end)


  it("DEB-06 with math.huge only flush and max_wait run it", task(function ()
    local log = support.recorder()
    local d = neap.debounce(noting(log), huge)
    neap.spawn(d, 1)
    neap.sleep(1e9)
    assert.same({}, log())
    assert.equal(1, d:flush())
    d = neap.debounce(noting(log), huge, { max_wait = 3 })
    assert.equal(2, d(2))
    assert.same({ "1@1e+09", "2@1e+09" }, log())
    assert.equal(1e9 + 3, neap.now())
  end))


  it("cannot be called outside of a task", function ()
    local d = neap.debounce(function () end, 1)
    assert.error_matches(d, "'debounce' must be called in a task")
    assert.is_false(d:pending())
  end)


  it("takes callables, and never calls fn in the caller", task(function ()
    local me, other = neap.current(), nil
    local d = neap.debounce(setmetatable({}, {
      __call = function (_, x)
        other = neap.current()
        return x
      end,
    }), 1)
    assert.equal(5, d(5))
    assert.not_equal(me, other)
  end))


  describe("leading", function ()

    it("DEB-07 runs the first call at once, then only if more come",
      task(function ()
        local log = support.recorder()
        local d = neap.debounce(noting(log), 2, { leading = true })
        assert.same({ "0@0", "10@10", "Debounced@12", "12@14", "16@16" },
          calls(d, { 0, 10, 11, 12, 16 }))
        assert.same({ "0@0", "10@10", "12@14", "16@16" }, log())
      end))

    it("DEB-08 without trailing the burst gets its leading run's outcome",
      task(function ()
        local log = support.recorder()
        local d = neap.debounce(noting(log), 2,
          { leading = true, trailing = false })
        assert.same({ "0@0", "0@1", "0@2.5", "5@5" },
          calls(d, { 0, 1, 2.5, 5 }))
        assert.same({ "0@0", "5@5" }, log())
      end))

    it("DEB-13 without trailing, the call after one that was cancelled runs",
      task(function ()
        local log = support.recorder()
        local d = neap.debounce(noting(log, 3), 9,
          { leading = true, trailing = false })
        assert.is_false((neap.move_on_after(1, d, "x")))
        assert.same({ "0@3", "0@3" }, calls(d, { 0, 2 }))
        assert.same({ "x@0", "0@1" }, log())
      end))

    it("DEB-08 BUG-09 also when fn is slower than 'wait', or fails",
      task(function ()
        local log = support.recorder()
        local d = neap.debounce(noting(log, 10), 2,
          { leading = true, trailing = false })
        assert.same({ "0@10", "0@10", "4@14" }, calls(d, { 0, 1, 4 }))
        d = neap.debounce(function () error("no", 0) end, 2,
          { leading = true, trailing = false })
        assert.same({ "no@0", "no@1" }, calls(d, { 0, 1 }))
      end))

  end)


  describe("max_wait", function ()

    it("DEB-09 runs an endless burst, with the latest arguments",
      task(function ()
        local log = support.recorder()
        local d = neap.debounce(noting(log), 2,
          { max_wait = 3, superseded = "share" })
        calls(d, { 0, 1, 2, 3.5, 4, 5, 6, 7, 8 })
        assert.same({ "2@3", "6@6", "8@9" }, log())
      end))

    it("DEB-09 a trailing run follows only if calls came after it",
      task(function ()
        local log = support.recorder()
        local d = neap.debounce(noting(log), 2, { max_wait = 2.5 })
        calls(d, { 0, 1, 2 })
        neap.sleep(10)
        assert.same({ "2@2.5" }, log())
      end))

    it("a call within the quiet after it is not a leading one",
      task(function ()
        local log = support.recorder()
        local d = neap.debounce(noting(log), 2,
          { max_wait = 3, leading = true, superseded = "share" })
        calls(d, { 0, 1, 2, 2.5, 4 })
        assert.same({ "0@0", "2.5@3", "4@6" }, log())
      end))

  end)


  describe("cancel", function ()

    it("DEB-10 settles every waiter with an AbortError, runs nothing",
      task(function ()
        local log = support.recorder()
        local d = neap.debounce(noting(log), 2, { superseded = "share" })
        local errors = {}
        for i = 1, 3 do
          neap.spawn(function () errors[i] = error_of(d) end)
        end
        neap.sleep(1)
        d:cancel()
        assert.is_false(d:pending())
        neap.settled()
        assert.equal(1, neap.now())
        assert.is_true(neap.is_abort(errors[1]))
        assert.equal(errors[1], errors[2])
        assert.equal(errors[1], errors[3])
        neap.sleep(5)
        assert.same({}, log())
      end))

    it("DEB-10 the next leading call runs at once", task(function ()
      local log = support.recorder()
      local d = neap.debounce(noting(log), 2, { leading = true })
      d(1)
      d:cancel()
      d(2)
      assert.same({ "1@0", "2@0" }, log())
    end))

    it("reaches all runs, also one that another one waits for", task(function ()
      local d, depth, ended = nil, 0, {}
      d = neap.debounce(function ()
        depth = depth + 1
        local _ <close> = setmetatable({}, { __close = function ()
          ended[#ended + 1] = depth
          depth = depth - 1
        end })
        if depth < 4 then return d() end
        neap.sleep(100)
      end, 1)
      local caller = neap.async(d)
      neap.sleep(5)
      d:cancel()
      assert.is_true(neap.is_abort(error_of(caller.await, caller)))
      assert.same({ 4, 3, 2, 1 }, ended)
      assert.equal(5, neap.now())
    end))

    it("takes a reason as an abort controller does", task(function ()
      local d, mine = neap.debounce(function () end, 2), {}
      for _, reason in ipairs { "why", mine } do
        local err
        neap.spawn(function () err = error_of(d) end)
        neap.sleep(0)
        d:cancel(reason)
        neap.settled()
        assert.equal(reason, err == mine and err or err.reason)
      end
    end))

    it("cancels what runs; its waiters go on when it has unwound",
      task(function ()
        local d = neap.debounce(function ()
          local _ <close> = setmetatable({}, {
            __close = function () neap.shield(neap.sleep, 3) end,
          })
          neap.sleep(100)
        end, 0)
        local ended
        neap.spawn(function ()
          pcall(d)
          ended = neap.now()
        end)
        neap.sleep(1)
        d:cancel()
        neap.sleep(10)
        assert.equal(4, ended)
      end))

  end)


  describe("flush", function ()

    it("DEB-11 runs what is pending, for it and the waiters, and no more",
      task(function ()
        local log = support.recorder()
        local d = neap.debounce(noting(log), 5)
        local got
        neap.spawn(function () got = d "x" end)
        neap.sleep(1)
        assert.is_true(d:pending())
        assert.equal("x", d:flush())
        assert.is_false(d:pending())
        neap.sleep(0)
        assert.equal("x", got)
        neap.sleep(20)
        assert.same({ "x@1" }, log())
      end))

    it("comes before a call that is made before its run begins",
      task(function ()
        local log = support.recorder()
        local d = neap.debounce(noting(log), 5)
        local first = neap.async(d, 1)
        neap.sleep(1)
        local flushed = neap.async(d.flush, d)
        local second = neap.async(d, 2)
        assert.equal(2, second:await())
        assert.equal(1, flushed:await())
        assert.equal(1, first:await())
        assert.same({ "1@1", "2@6" }, log())
      end))

    it("that is cancelled leaves the run to its callers", task(function ()
      local log = support.recorder()
      local d = neap.debounce(support.noting(log, 2), 9)
      local caller = neap.async(d, "x")
      neap.sleep(0)
      local flush = neap.async(d.flush, d)
      neap.sleep(1)
      flush:cancel()
      flush:pawait()
      assert.equal("x", caller:await())
      assert.equal(2, neap.now())
      assert.same({ "x@0" }, log())
    end))


    it("raises the error of the run", task(function ()
      local d = neap.debounce(function () error("bad", 0) end, 5)
      neap.spawn(pcall, d)
      neap.sleep(0)
      assert.equal("bad", error_of(d.flush, d))
    end))

  end)


  it("DEB-12 cancel and flush with nothing pending do nothing",
    task(function ()
      local log = support.recorder()
      local d = neap.debounce(noting(log), 1)
      d:cancel()
      assert.equal(0, select("#", d:flush()))
      assert.equal(7, d(7))
      d:cancel()
      assert.equal(0, select("#", d:flush()))
      assert.same({ "7@1" }, log())
    end))


  it("DEB-12 pending is true from a call until its run", task(function ()
    local d
    d = neap.debounce(function () return d:pending() end, 1)
    assert.is_false(d:pending())
    local result = neap.async(d)
    neap.sleep(0.5)
    assert.is_true(d:pending())
    assert.is_false(result:await())
    assert.is_false(d:pending())
  end))


  it("DEB-12 a run that has begun is not pending while it is ended by force",
    task(function ()
      local d = neap.debounce(function ()
        neap.spawn(neap.sleep, 1)
        coroutine.yield() -- not in a generator
      end, 1)
      local caller = neap.async(d)
      neap.sleep(0)
      assert.is_true(d:pending())
      neap.sleep(1)
      for _ = 1, 5 do
        assert.is_false(d:pending())
        neap.sleep(0)
      end
      assert.matches("outside of a generator", error_of(caller.await, caller))
    end))


  describe("a cancelled caller", function ()

    it("DEB-13 leaves the others and the run alone", task(function ()
      local d = neap.debounce(function (x) return x end, 2,
        { superseded = "share" })
      local first, second = neap.async(d, 1), neap.async(d, 2)
      neap.sleep(1)
      second:cancel()
      assert.equal(2, first:await())
      assert.is_true(neap.is_abort(error_of(second.await, second)))
      assert.equal(2, neap.now())
    end))

    it("DEB-13 as the last one takes the run along", task(function ()
      local log = support.recorder()
      local d = neap.debounce(noting(log), 2)
      assert.is_false((neap.move_on_after(1, d)))
      assert.is_false(d:pending())
      neap.sleep(5)
      assert.same({}, log())
    end))

    it("as the last one goes on when the run has unwound", task(function ()
      local closed
      local d = neap.debounce(function ()
        local _ <close> = setmetatable({}, { __close = function ()
          neap.shield(neap.sleep, 3)
          closed = neap.now()
        end })
        neap.sleep(100)
      end, 1)
      assert.is_true(neap.is_timeout(error_of(neap.timeout, d, 5)))
      assert.equal(8, closed)
      assert.equal(8, neap.now())
    end))

  end)


  it("DEB-13 callers that go together go on when the run has unwound",
    task(function ()
      local ended = {}
      local d = neap.debounce(function ()
        local _ <close> = setmetatable({}, {
          __close = function () neap.shield(neap.sleep, 3) end,
        })
        neap.sleep(100)
      end, 1, { superseded = "share" })
      neap.move_on_after(5, function ()
        for i = 1, 2 do
          neap.spawn(function ()
            pcall(d)
            ended[i] = neap.now()
          end)
        end
      end)
      assert.same({ 8, 8 }, ended)
    end))


  it("DEB-13 a run that is left raises what its last caller does",
    task(function ()
      local reason, seen = {}, nil
      local d = neap.debounce(function ()
        seen = error_of(neap.sleep, 100)
      end, 1)
      assert.equal(reason, error_of(neap.timeout, d, 5, reason))
      assert.equal(reason, seen)
    end))


  it("a caller that is cancelled already changes nothing", task(function ()
    local d = neap.debounce(function (x) return x end, 1)
    local other = neap.async(d, 1)
    neap.sleep(0)
    neap.scope(function (scope)
      scope:cancel()
      assert.is_true(neap.is_abort(error_of(d, 2)))
      assert.is_true(neap.is_abort(error_of(d.flush, d)))
    end)
    assert.equal(1, other:await())
    assert.equal(1, neap.now())
  end))


  it("DEB-14 an abort gives every waiter the reason; then calls raise it",
    task(function ()
      local controller = neap.abort_controller()
      local signal, log = controller.signal, support.recorder()
      local d = neap.debounce(noting(log, 10), 2,
        { signal = signal, superseded = "share" })
      local errors = {}
      for i = 1, 3 do
        neap.spawn(function ()
          if i == 3 then neap.sleep(3) end -- while the others' call runs
          errors[i] = error_of(d, i)
        end)
      end
      neap.sleep(4)
      controller:abort "enough"
      neap.settled()
      assert.equal(4, neap.now())
      for i = 1, 3 do assert.equal(signal.reason, errors[i]) end
      assert.equal(signal.reason, error_of(d))
      assert.is_false(d:pending())
      assert.equal(0, require("neap.core").internal.listeners(signal))
      assert.same({ "2@2" }, log())
    end))


  it("DEB-14 what runs raises the reason, too, and has unwound before the "
    .. "callers go on", task(function ()
      local controller, seen = neap.abort_controller(), nil
      local d = neap.debounce(function ()
        seen = error_of(neap.sleep, 100)
        neap.shield(neap.sleep, 3)
      end, 1, { signal = controller.signal })
      local caller = neap.async(d)
      neap.sleep(2)
      controller:abort "why"
      local err = error_of(caller.await, caller)
      assert.equal("why", err.reason)
      assert.equal(err, seen)
      assert.equal(5, neap.now())
    end))


  it("DEB-14 leaves no listener when its calls have ended", task(function ()
    local signal = neap.abort_controller().signal
    local d = neap.debounce(function (...) return ... end, 1,
      { signal = signal })
    assert.same({ n = 2, nil, "result" }, table.pack(d(nil, "result")))
    assert.equal(0, require("neap.core").internal.listeners(signal))
    local caller = neap.async(d, "flushed")
    neap.sleep(0)
    assert.equal("flushed", d:flush())
    assert.equal("flushed", caller:await())
  end))


  it("DEB-15 two of one function are independent; a failure has no effect",
    task(function ()
      local fail = true
      local function fn (x)
        if fail then error("no", 0) end
        return x
      end
      local a, b = neap.debounce(fn, 1), neap.debounce(fn, 2)
      local first = neap.async(pcall, a, 1)
      local second = neap.async(b, 2)
      assert.same({ n = 2, false, "no" }, table.pack(first:await()))
      fail = false
      assert.equal(2, second:await())
      assert.equal(3, a(3))
    end))


  it("what fn spawns ends before its callers go on", task(function ()
    local done = false
    local d = neap.debounce(function ()
      neap.spawn(function ()
        neap.sleep(3)
        done = true
      end)
    end, 1)
    d()
    assert.is_true(done)
    assert.equal(4, neap.now())
  end))


  it("works again in the next run, on a clock that begins anew", function ()
    local log = support.recorder()
    local d = neap.debounce(noting(log), 2, { leading = true })
    support.run(function ()
      neap.sleep(50)
      d(1)
    end)
    support.run(d, 2)
    assert.same({ "1@50", "2@0" }, log())
  end)


  it("names its methods when called on something else", function ()
    local d = neap.debounce(function () end, 1)
    assert.matches("^spec/debounce_spec.lua:%d+: calling 'flush' on a bad self",
      error_of(function () d.flush() end))
    assert.error_matches(function () d.pending(5) end, "calling 'pending'")
    assert.error_matches(function () d.cancel {} end, "calling 'cancel'")
  end)


  it("ten thousand bursts leave no memory behind", task(function ()
    local d = neap.debounce(function () end, 1, { superseded = "share" })
    support.assert_flat(1000, function ()
      for _ = 1, 5 do neap.spawn(d) end
      neap.sleep(3)
    end)
  end))

end)
