--- How a retry is broken off: cancellation, signals, time limits.

local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of
local failing, huge = support.failing, math.huge


describe("retry", function ()

  describe("cancellation", function ()

    -- cancels a retry after 'seconds' and gives what it raised
    local function cancel_after (seconds, fn, options)
      local t = neap.async(neap.retry, fn, options)
      neap.sleep(seconds)
      t:cancel()
      local _, err = t:pawait()
      return err, t
    end

    -- options that fail the spec when the retry goes on
    local function no_retry ()
      return { retry_if = function () error "retry_if was asked" end }
    end

    it("RET-15 is never retried", task(function ()
      local calls = 0
      local err, t = cancel_after(1, function ()
        calls = calls + 1
        neap.sleep(100)
      end, no_retry())
      assert.is_true(neap.is_abort(err))
      assert.equal("cancelled", t:status())
      assert.equal(1, calls)
    end))

    it("RET-15 turned into another error is not retried", task(function ()
      local calls = 0
      local err = cancel_after(1, function ()
        calls = calls + 1
        pcall(neap.sleep, 100)
        error("other", 0)
      end, no_retry())
      assert.equal("other", err)
      assert.equal(1, calls)
    end))

    it("RET-15 swallowed is not retried, and the result stands",
      task(function ()
        local calls = 0
        local result = cancel_after(1, function ()
          calls = calls + 1
          return (select(1, pcall(neap.sleep, 100)))
        end, no_retry())
        assert.is_false(result)
        assert.equal(1, calls)
      end))

    it("RET-15 an abort of something else is an ordinary error",
      task(function ()
        local result = neap.retry(function (n)
          if n == 2 then return "done" end
          local other = neap.async(neap.sleep, 100)
          other:cancel()
          return other:await()
        end)
        assert.equal("done", result)
      end))

    it("RET-16 BUG-06 in the wait ends it at once", task(function ()
      local fn, times = failing "no"
      local err = cancel_after(10, fn, { delay = 50 })
      assert.is_true(neap.is_abort(err))
      assert.equal(10, neap.now())
      assert.same({ 0 }, times)
    end))

    it("RET-16 in an attempt is raised when that has unwound",
      task(function ()
        local err = cancel_after(1, function ()
          local _ <close> = setmetatable({}, { __close = function ()
            neap.shield(neap.sleep, 4)
          end })
          neap.sleep(100)
        end, no_retry())
        assert.is_true(neap.is_abort(err))
        assert.equal(5, neap.now())
      end))

    it("in a cancelled scope fn is not called", task(function ()
      local called = false
      neap.scope(function (scope)
        scope:cancel()
        neap.retry(function () called = true end)
      end)
      assert.is_false(called)
    end))

  end)

  describe("signal", function ()

    it("RET-16 ends the wait with its reason", task(function ()
      local reason = {}
      local controller = neap.abort_controller()
      local fn, times = failing "no"
      neap.spawn(function ()
        neap.sleep(10)
        controller:abort(reason)
      end)
      assert.equal(reason, error_of(neap.retry, fn,
        { delay = 50, signal = controller.signal }))
      assert.equal(10, neap.now())
      assert.same({ 0 }, times)
    end))

    it("RET-16 ends an attempt, when that has unwound", task(function ()
      local reason = {}
      local controller = neap.abort_controller()
      neap.spawn(function ()
        neap.sleep(1)
        controller:abort(reason)
      end)
      assert.equal(reason, error_of(neap.retry, function ()
        local ok, err = pcall(neap.sleep, 100)
        assert.is_false(ok)
        neap.shield(neap.sleep, 4)
        error(err)
      end, { signal = controller.signal }))
      assert.equal(5, neap.now())
    end))

    it("aborted before: fn is not called", task(function ()
      local reason = {}
      local fn, times = failing "no"
      assert.equal(reason, error_of(neap.retry, fn,
        { signal = neap.abort_signal.abort(reason) }))
      assert.same({}, times)
    end))

  end)

  describe("time limits", function ()

    it("RET-17 attempt_timeout is retried once it has unwound",
      task(function ()
        local log = support.recorder()
        local err = error_of(neap.retry, function (n)
          log("begin", n)
          local ok = pcall(neap.sleep, 100)
          assert.is_false(ok)
          neap.shield(neap.sleep, 2)
          log("end", n)
        end, { attempts = 2, attempt_timeout = 5 })
        assert.is_true(neap.is_timeout(err))
        assert.same({ "begin 1@0", "end 1@7", "begin 2@8", "end 2@15" }, log())
      end))

    it("RET-17 retry_if is asked about an attempt's own timeout",
      task(function ()
        local asked
        local err = error_of(neap.retry, function () neap.sleep(100) end, {
          attempt_timeout = 5,
          retry_if = function (e) asked = e end,
        })
        assert.is_true(neap.is_timeout(err))
        assert.equal(err, asked)
      end))

    it("RET-17 an outer timeout is not retried", task(function ()
      local calls = 0
      local err = error_of(neap.timeout, function ()
        return neap.retry(function ()
          calls = calls + 1
          neap.sleep(100)
        end, { attempt_timeout = 50 })
      end, 5)
      assert.is_true(neap.is_timeout(err))
      assert.equal(5, neap.now())
      assert.equal(1, calls)
    end))

    it("RET-18 max_elapsed = 0 makes one call", task(function ()
      local fn, times = failing "no"
      assert.equal("no",
        error_of(neap.retry, fn, { delay = 0, max_elapsed = 0 }))
      assert.same({ 0 }, times)
    end))

    it("RET-18 max_elapsed = 0 lets one succeed that need not wait",
      task(function ()
        assert.equal(7,
          neap.retry(function () return 7 end, { max_elapsed = 0 }))
      end))

    it("RET-18 max_elapsed = 0 cuts a call that waits", task(function ()
      local err = error_of(neap.retry, function () neap.sleep(1) end,
        { max_elapsed = 0 })
      assert.is_true(neap.is_timeout(err))
      assert.equal(0, neap.now())
    end))

    it("RET-18 a wait that would not fit is not begun", task(function ()
      local fn, times = failing "no"
      assert.equal("no", error_of(neap.retry, fn,
        { attempts = huge, delay = 2, backoff = 1, max_elapsed = 5 }))
      assert.same({ 0, 2, 4 }, times)
      assert.equal(4, neap.now())
    end))

    it("RET-18 no attempt starts at the very end", task(function ()
      local fn, times = failing "no"
      error_of(neap.retry, fn, { delay = 5, max_elapsed = 5 })
      assert.same({ 0 }, times)
      assert.equal(0, neap.now())
    end))

    it("RET-18 on_retry is not told of a wait that does not fit",
      task(function ()
        local fn = failing "no"
        assert.equal("no", error_of(neap.retry, fn, {
          delay = 6, max_elapsed = 5,
          on_retry = function () error "told" end,
        }))
      end))

    it("RET-19 BUG-07 max_elapsed cuts the running attempt", task(function ()
      local unwound = false
      local err = error_of(neap.retry, function (n)
        if n == 1 then error("first", 0) end
        local ok, reason = pcall(neap.sleep, 100)
        unwound = true
        assert.is_false(ok)
        error(reason)
      end, { max_elapsed = 5 })
      assert.equal("first", err)
      assert.is_true(unwound)
      assert.equal(5, neap.now())
    end))

    it("RET-19 in the first attempt it is a TimeoutError", task(function ()
      local err = error_of(neap.retry, function () neap.sleep(100) end,
        { max_elapsed = 5 })
      assert.is_true(neap.is_timeout(err))
      assert.equal("Timeout", err.message)
      assert.equal(5, neap.now())
    end))

    it("RET-19 an error of the cut attempt's clean-up is the last one",
      task(function ()
        local err = error_of(neap.retry, function (n)
          if n == 1 then error("first", 0) end
          pcall(neap.sleep, 100)
          error("clean-up", 0)
        end, { max_elapsed = 5 })
        assert.equal("clean-up", err)
      end))

    it("an outer timeout at the same moment reports", task(function ()
      local err = error_of(neap.timeout, function ()
        return neap.retry(function () neap.sleep(100) end, { max_elapsed = 5 })
      end, 5, "outer")
      assert.equal("outer", err.message)
    end))

  end)

end)
