local neap = require "neap"
local support = require "spec.support"

local run, task, error_of = support.run, support.task, support.error_of


-- the body of an operation: takes a while, and knows nothing of signals
local function work (_, seconds)
  neap.sleep(seconds)
  return "done"
end


describe("cancellable", function ()

  it("op:await gives what fn returns", task(function ()
    local op = neap.cancellable(function (signal, ...)
      assert.is_false(signal.aborted)
      neap.sleep(1)
      return ...
    end, 1, nil, false, nil)
    assert.same({ 1, nil, false, nil, n = 4 }, table.pack(op:await()))
    assert.same({ 1, nil, false, nil, n = 4 }, table.pack(op:await()))
  end))

  it("op:await raises fn's error, unchanged", task(function ()
    local mine = {}
    local op = neap.cancellable(function () error(mine) end)
    assert.equal(mine, error_of(op.await, op))
    assert.equal(mine, error_of(op.await, op))
  end))

  it("op:result gives what await does, without waiting", function ()
    local fine, failing, cancelled
    run(function ()
      fine = neap.cancellable(function () return 1, nil end)
      failing = neap.cancellable(function () error("no", 0) end)
      cancelled = neap.cancellable(work, 5)
      assert.is_nil(fine:result())
      neap.sleep(1)
      assert.same({ false, "no" }, { failing:result() })
      cancelled:cancel "enough"
    end)
    assert.same({ n = 3, true, 1, nil }, table.pack(fine:result()))
    local ok, outcome = cancelled:result()
    assert.is_true(ok)
    assert.is_true(outcome.cancelled)
    assert.equal("enough", outcome.reason.reason)
    assert.error_matches(function () fine.result(7) end,
      "calling 'result' on a bad self %(must be a cancellable operation")
  end)

  it("CNC-01 a cancelled one gives a table with the reason", task(function ()
    local seen
    local op = neap.cancellable(function (signal)
      seen = signal
      neap.sleep(10)
    end)
    neap.sleep(1)
    op:cancel "enough"
    local result = op:await()
    assert.same({ cancelled = true, reason = seen.reason }, result)
    assert.equal("enough", result.reason.message)
    assert.equal(result.reason, seen.reason)
    assert.equal(1, neap.now())
  end))

  it("CNC-01 only when fn has unwound", task(function ()
    local unwound = false
    local op = neap.cancellable(function ()
      pcall(neap.sleep, 10)
      neap.shield(neap.sleep, 5)
      unwound = true
    end)
    neap.sleep(1)
    op:cancel()
    assert.is_true(op:await().cancelled)
    assert.is_true(unwound)
    assert.equal(6, neap.now())
  end))

  it("CNC-01 and all that it spawned", task(function ()
    local op = neap.cancellable(function ()
      neap.spawn(neap.shield, neap.sleep, 5)
    end)
    neap.sleep(1)
    op:cancel()
    op:await()
    assert.equal(5, neap.now())
  end))

  it("a table given as reason comes back itself", task(function ()
    local reason = {}
    local op = neap.cancellable(work, 1)
    op:cancel(reason)
    assert.equal(reason, op:await().reason)
  end))

  it("one cancelled before it began never calls fn", task(function ()
    local called = false
    local op = neap.cancellable(function () called = true end)
    op:cancel()
    assert.is_true(op:await().cancelled)
    assert.is_false(called)
  end))

  it("CNC-02 cancelling twice keeps the first reason", task(function ()
    local op = neap.cancellable(work, 1)
    neap.settled()
    op:cancel "first"
    op:cancel "second"
    assert.equal("first", op:await().reason.message)
  end))

  it("CNC-02 after completion cancelling has no effect", task(function ()
    local op = neap.cancellable(function () return 1, 2 end)
    neap.settled()
    op:cancel()
    assert.same({ 1, 2 }, { op:await() })
  end))

  it("CNC-02 nor after an error", task(function ()
    local op = neap.cancellable(function () error("oops", 0) end)
    assert.equal("oops", error_of(op.await, op))
    op:cancel()
    assert.equal("oops", error_of(op.await, op))
  end))

  it("a result that was there before the cancellation was felt stays",
    task(function ()
      local op
      op = neap.cancellable(function ()
        op:cancel()
        return 5
      end)
      assert.equal(5, op:await())
    end))

  it("CNC-03 is cancelled at its next suspension point without looking",
    task(function ()
      local steps = 0
      local op = neap.cancellable(function ()
        while true do
          neap.sleep(1)
          steps = steps + 1
        end
      end)
      neap.sleep(3.5)
      op:cancel()
      assert.is_true(op:await().cancelled)
      assert.equal(3, steps)
      assert.equal(3.5, neap.now())
    end))

  it("CNC-03 throw_if_aborted is as good as a suspension point",
    task(function ()
      local op
      op = neap.cancellable(function (signal)
        op:cancel()
        signal:throw_if_aborted()
      end)
      assert.is_true(op:await().cancelled)
    end))

  it("an error of fn's clean-up is raised", task(function ()
    local op = neap.cancellable(function ()
      pcall(neap.sleep, 1)
      error("clean-up", 0)
    end)
    neap.settled()
    op:cancel()
    assert.equal("clean-up", error_of(op.await, op))
  end))

  it("CNC-04 cancelling who awaits it does not cancel it", task(function ()
    local op = neap.cancellable(work, 5)
    local waiter = neap.async(op.await, op)
    neap.sleep(1)
    waiter:cancel()
    local ok, err = waiter:pawait()
    assert.is_false(ok)
    assert.is_true(neap.is_abort(err))
    assert.equal(1, neap.now())
    assert.equal("done", op:await())
  end))

  it("CNC-04 its scope's cancellation raises where it is awaited",
    task(function ()
      local op
      neap.scope(function (scope)
        op = neap.cancellable(work, 10)
        neap.settled()
        scope:cancel()
      end)
      assert.is_true(neap.is_abort(error_of(op.await, op)))
    end))

  it("ends with the scope that it was started in", function ()
    local ended = false
    run(function ()
      neap.cancellable(function ()
        neap.sleep(10)
        ended = true
      end)
    end)
    assert.is_true(ended)
  end)

  it("an error that nobody awaits is raised by its scope", function ()
    assert.equal("oops", error_of(run, function ()
      neap.cancellable(function () error("oops", 0) end)
    end))
  end)

  it("one that was cancelled and that nobody awaits raises nothing",
    task(function ()
      neap.scope(function ()
        neap.cancellable(work, 1):cancel()
        local op = neap.cancellable(work, 1)
        neap.settled()
        op:cancel()
      end)
    end))

  it("timeout stops waiting for it and leaves it running", task(function ()
    local op = neap.cancellable(work, 5)
    local err = error_of(neap.timeout, op, 1)
    assert.is_true(neap.is_timeout(err))
    assert.equal(1, neap.now())
    assert.equal("done", neap.timeout(op, 10))
  end))

  it("checks its arguments", task(function ()
    assert.error_matches(function () neap.cancellable(1) end,
      "bad argument #1 to 'cancellable' "
      .. "%(fn must be a function or callable, got 1%)")
    local op = neap.cancellable(work, 0)
    assert.error_matches(function () op.await({}) end,
      "calling 'await' on a bad self "
      .. "%(must be a cancellable operation, got a table%)")
    local _, err = pcall(function () op.cancel(7) end)
    assert.matches("^spec/cancellable_spec.lua:%d+: calling 'cancel'", err)
  end))

end)
