--- timeout, move_on_after.

local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of
local huge = math.huge

local stats = require("neap.core").internal.stats


local function closing (fn)
  return setmetatable({}, { __close = fn })
end


-- a message is compared by what it says, for TimeoutErrors
local function is_timeout (err, message)
  return neap.is_timeout(err) and err.message == (message or "Timeout")
end


describe("timeout", function ()

  it("TMO-01 results and errors before the deadline come back unchanged",
    task(function ()
      assert.same({ n = 4, 1, nil, "x", nil }, table.pack(neap.timeout(
        function (...)
          neap.sleep(1)
          return 1, ...
        end, 5, nil, nil, "x", nil)))
      local mine = {}
      assert.equal(mine, error_of(neap.timeout, error, 5, nil, mine))
      assert.equal(nil, error_of(neap.timeout, error, 5))
    end))


  it("TMO-02 BUG-03 on every exit the timer is gone; math.huge arms none",
    task(function ()
      neap.timeout(function () assert.equal(1, stats().timers) end, 3600)
      assert.equal(0, stats().timers)
      pcall(neap.timeout, error, 3600)
      assert.equal(0, stats().timers)
      neap.timeout(function () assert.equal(0, stats().timers) end, huge)
      error_of(neap.timeout, neap.sleep, 1, nil, 100)
      assert.equal(0, stats().timers)
      assert.equal(1, neap.now())
    end))


  it("TMO-03 the work and what it spawned have unwound before it raises",
    task(function ()
      local log = support.recorder()
      local err = error_of(neap.timeout, function ()
        neap.spawn(function ()
          local _ <close> = closing(function ()
            neap.shield(neap.sleep, 3)
            log "child"
          end)
          neap.sleep(100)
        end)
        local _ <close> = closing(function ()
          neap.shield(neap.sleep, 2)
          log "body"
        end)
        neap.sleep(100)
      end, 1)
      log(err)
      assert.same({ "body@3", "child@4", "TimeoutError: Timeout@4" }, log())
    end))


  it("TMO-04 a body done by its deadline, or without a wait after, has won",
    task(function ()
      assert.equal("at", neap.timeout(function ()
        neap.sleep(2)
        return "at"
      end, 3))
      -- the same deadline: what was set first fires first
      assert.equal("first", neap.timeout(function ()
        local ok = pcall(neap.sleep, 2)
        return ok and "first" or "late"
      end, 2.5))
    end))


  it("TMO-04 one that computes past its deadline has won", function ()
    neap.clock "manual"
    local got
    local t = neap.spawn(function ()
      got = neap.timeout(function ()
        neap.advance(10)
        return "late, but done"
      end, 5)
    end)
    neap.step()
    assert.equal("done", t:status())
    assert.equal("late, but done", got)
  end)


  it("TMO-05 a body that swallows the expiry still gives TimeoutError",
    task(function ()
      assert.is_true(is_timeout(error_of(neap.timeout, function ()
        pcall(neap.sleep, 100)
        return "value"
      end, 1)))
      assert.equal(1, neap.now())
    end))


  it("TMO-06 an error that the clean-up raises is raised instead",
    task(function ()
      local mine = {}
      assert.equal(mine, error_of(neap.timeout, function ()
        local _ <close> = closing(function () error(mine) end)
        neap.sleep(100)
      end, 1))
      assert.equal("other", error_of(neap.timeout, function ()
        pcall(neap.sleep, 100)
        error("other", 0)
      end, 1))
    end))


  it("TMO-07 with 0 it runs to the first wait, also one that need not wait",
    task(function ()
      local reached
      local sem = neap.semaphore(1)
      assert.is_true(is_timeout(error_of(neap.timeout, function ()
        reached = true
        sem:acquire()
        reached = "too far"
      end, 0)))
      assert.is_true(reached)
      assert.equal(1, sem:available())
      assert.equal("no wait", neap.timeout(function () return "no wait" end, 0))
    end))


  it("TMO-08 message: a string, or any error value", task(function ()
    local mine = {}
    local function late (message)
      return error_of(neap.timeout, neap.sleep, 1, message, 100)
    end
    assert.is_true(is_timeout(late "too slow", "too slow"))
    assert.equal(mine, late(mine))
    assert.equal(false, late(false))
    assert.equal(42, late(42))
    assert.is_true(is_timeout(late(nil)))
  end))


  it("TMO-08 the message of one that was kept is not that of a later one",
    task(function ()
      for _, message in ipairs { "too slow", { "too slow" }, 42 } do
        neap.timeout(neap.sleep, 5, message, 1)
        assert.is_true(is_timeout(error_of(neap.timeout, neap.sleep, 1, nil,
          2)))
      end
    end))


  it("TMO-09 of nested ones the earlier fires; the outer one goes on",
    task(function ()
      assert.equal("went on", neap.timeout(function ()
        assert.is_true(is_timeout(error_of(neap.timeout, neap.sleep, 1,
          "inner", 100), "inner"))
        neap.sleep(1)
        return "went on"
      end, 3, "outer"))
      assert.is_true(is_timeout(error_of(neap.timeout, function ()
        pcall(neap.timeout, neap.sleep, 1, "inner", 100)
        neap.sleep(100)
      end, 3, "outer"), "outer"))
      assert.equal(5, neap.now())
    end))


  it("TMO-10 an outer expiry passes through the inner one and any pcall",
    task(function ()
      local err = error_of(neap.timeout, function ()
        pcall(neap.timeout, function ()
          pcall(neap.sleep, 100)
          pcall(neap.sleep, 100)
        end, 50, "inner")
        pcall(neap.sleep, 100)
      end, 2, "outer")
      assert.is_true(is_timeout(err, "outer"))
      assert.equal(2, neap.now())
    end))


  it("TMO-10 also if the inner one had expired, and was swallowed, before",
    task(function ()
      local err = error_of(neap.timeout, neap.timeout, 2, "outer", function ()
        pcall(neap.sleep, 100)
        neap.shield(neap.sleep, 5)
        return "value"
      end, 1, "inner")
      assert.is_true(is_timeout(err, "outer"))
      assert.equal(6, neap.now())
    end))


  it("TMO-10 if both have expired only the outer one reports",
    task(function ()
      local inner
      local err = error_of(neap.timeout, function ()
        local ok
        ok, inner = pcall(neap.timeout, neap.sleep, 2, "inner", 100)
        return ok
      end, 2, "outer")
      assert.is_true(is_timeout(err, "outer"))
      assert.equal(err, inner)
    end))


  it("TMO-12 a cancel from outside is never reported as a timeout",
    task(function ()
      local t = neap.async(function ()
        neap.timeout(neap.sleep, 5, "late", 100)
      end)
      neap.sleep(1)
      t:cancel "outside"
      assert.equal("outside", error_of(t.await, t).reason)
      local result = neap.scope({ timeout = 5 }, function (s)
        s:cancel()
        pcall(neap.sleep, 1)
        return "by hand"
      end)
      assert.equal("by hand", result)
      assert.equal(1, neap.now())
    end))


  it("TMO-13 given a task or future it stops waiting and leaves it running",
    task(function ()
      local t = neap.async(function ()
        neap.sleep(5)
        return "result", nil
      end)
      assert.is_true(is_timeout(error_of(neap.timeout, t, 1, "slow"), "slow"))
      assert.equal("waiting", t:status())
      assert.same({ n = 2, "result", nil }, table.pack(neap.timeout(t, 10)))
      local future, resolve = neap.future()
      assert.is_true(is_timeout(error_of(neap.timeout, future, 1)))
      resolve(1, 2)
      assert.same({ n = 2, 1, 2 }, table.pack(neap.timeout(future, 1)))
      local op = neap.cancellable(function ()
        neap.sleep(3)
        return "op"
      end)
      assert.is_true(is_timeout(error_of(neap.timeout, op, 1)))
      assert.equal("op", neap.timeout(op, 10))
    end))


  it("TMO-13 so does move_on_after", task(function ()
    local t = neap.async(function ()
      neap.sleep(5)
      return "result", nil
    end)
    assert.same({ n = 1, false }, table.pack(neap.move_on_after(1, t)))
    assert.equal("waiting", t:status())
    assert.same({ n = 3, true, "result", nil },
      table.pack(neap.move_on_after(10, t)))
    local future, _, reject = neap.future()
    assert.is_false(neap.move_on_after(1, future))
    reject("no")
    assert.equal("no", error_of(neap.move_on_after, 1, future))
  end))


  it("TMO-13 what is done already has won, also with 0 seconds",
    task(function ()
      local t = neap.async(function () return "done", nil end)
      local op = neap.cancellable(function () return "op" end)
      local future, resolve = neap.future()
      assert.is_true(is_timeout(error_of(neap.timeout, future, 0)))
      assert.is_false(neap.move_on_after(0, future))
      neap.sleep(0)
      resolve "settled"
      assert.same({ n = 2, "done", nil }, table.pack(neap.timeout(t, 0)))
      assert.equal("settled", neap.timeout(future, 0))
      assert.equal("op", neap.timeout(op, 0))
      assert.same({ n = 2, true, "settled" },
        table.pack(neap.move_on_after(0, future)))
      neap.scope(function (s)
        s:cancel()
        neap.timeout(t, 0)
        error "went on"
      end)
    end))


  it("TMO-14 a loop over ready operations is interrupted by its deadline",
    function ()
      neap.clock "real"
      local ch = neap.channel(1)
      local ok, err = pcall(neap.run, function ()
        neap.timeout(function ()
          while true do
            ch:send(1)
            ch:recv()
          end
        end, 0.01)
      end)
      assert.is_false(ok)
      assert.is_true(neap.is_timeout(err))
    end)


  it("TMO-15 an abort before the deadline raises its reason", task(function ()
    local controller = neap.abort_controller()
    neap.spawn(function ()
      neap.sleep(1)
      controller:abort "aborted"
    end)
    local err = error_of(neap.with_signal, controller.signal, neap.timeout,
      neap.sleep, 5, "late", 100)
    assert.equal(controller.signal.reason, err)
    assert.equal(0, stats().timers)
    assert.equal(0, require("neap.core").internal.listeners(controller.signal))
  end))


  it("BUG-02 a slot under a timeout is free only when its work has stopped",
    task(function ()
      local sem, running, most = neap.semaphore(2), 0, 0
      neap.scope(function (s)
        for _ = 1, 6 do
          s:spawn(pcall, sem.with_permit, sem, neap.timeout, function ()
            running = running + 1
            most = math.max(most, running)
            local _ <close> = closing(function ()
              neap.shield(neap.sleep, 1)
              running = running - 1
            end)
            neap.sleep(100)
          end, 1)
        end
      end)
      assert.equal(2, most)
    end))


  it("checks its arguments before anything happens", task(function ()
    for _, seconds in ipairs { -1, 0 / 0, "1", false } do
      assert.matches("#2 to 'timeout' %(seconds must be a number >= 0",
        error_of(neap.timeout, error, seconds))
    end
    assert.matches("#1 to 'timeout' %(fn must be a function, a task or a "
      .. "future, got 'x'%)", error_of(neap.timeout, "x", 1))
    assert.matches("#1 to 'timeout'", error_of(neap.timeout, {}, 1))
  end))

end)


describe("move_on_after", function ()

  it("TMO-11 gives true and the results, or false", task(function ()
    assert.same({ n = 4, true, 1, nil, nil },
      table.pack(neap.move_on_after(5, function (...) return ... end, 1, nil,
        nil)))
    assert.same({ n = 1, false },
      table.pack(neap.move_on_after(1, neap.sleep, 100)))
    assert.equal(1, neap.now())
  end))


  it("TMO-11 lets every TimeoutError that is not its own pass",
    task(function ()
      local mine = neap.error("TimeoutError", "mine")
      assert.equal(mine, error_of(neap.move_on_after, 5, error, mine))
      assert.is_true(is_timeout(error_of(neap.timeout, function ()
        neap.move_on_after(50, neap.sleep, 100)
        return "swallowed"
      end, 2, "outer"), "outer"))
      assert.equal(2, neap.now())
    end))


  it("gives false also when the work swallowed the expiry", task(function ()
    assert.is_false((neap.move_on_after(1, pcall, neap.sleep, 100)))
  end))


  it("checks its arguments", task(function ()
    assert.matches("#1 to 'move_on_after' %(seconds must be a number >= 0",
      error_of(neap.move_on_after, neap.sleep, 1))
    assert.matches("#2 to 'move_on_after' %(fn must be a function",
      error_of(neap.move_on_after, 1))
  end))

end)
