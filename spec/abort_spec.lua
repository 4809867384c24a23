local neap = require "neap"
local support = require "spec.support"

local internal = require("neap.core").internal
local listeners, stats = internal.listeners, internal.stats
local run, task, error_of = support.run, support.task, support.error_of
local notes, noter = support.notes, support.noter


describe("abort", function ()

  describe("controller:abort", function ()

    it("ABT-01 calls the listeners synchronously, in order", function ()
      local controller, log = neap.abort_controller(), notes()
      controller.signal:on_abort(noter(log, "a"))
      controller.signal:on_abort(noter(log, "b"))
      controller.signal:on_abort(noter(log, "c"))
      controller:abort()
      assert.equal("a b c", log())
    end)

    it("ABT-01 a second abort changes nothing", function ()
      local controller, log = neap.abort_controller(), notes()
      controller.signal:on_abort(noter(log, "a"))
      controller:abort "first"
      controller:abort "second"
      assert.equal("a", log())
      assert.equal("first", controller.signal.reason.message)
    end)

    it("ABT-01 an abort from inside a listener changes nothing", function ()
      local controller, log = neap.abort_controller(), notes()
      controller.signal:on_abort(function ()
        log "a"
        controller:abort "second"
        log "b"
      end)
      controller.signal:on_abort(noter(log, "c"))
      controller:abort "first"
      assert.equal("a b c", log())
      assert.equal("first", controller.signal.reason.message)
    end)

    it("ABT-02 makes an AbortError when there is no reason", function ()
      local controller = neap.abort_controller()
      controller:abort()
      local reason = controller.signal.reason
      assert.equal("AbortError", reason.name)
      assert.equal("This operation was aborted", reason.message)
      assert.is_nil(reason.reason)
      assert.is_true(neap.is_abort(reason))
    end)

    it("ABT-02 a signal has no reason before", function ()
      local signal = neap.abort_controller().signal
      assert.is_false(signal.aborted)
      assert.is_nil(signal.reason)
      signal:throw_if_aborted()
    end)

    it("ABT-02 the reason is the very object that is raised", task(function ()
      local controller = neap.abort_controller()
      local signal = controller.signal
      neap.spawn(controller.abort, controller)
      local err = error_of(neap.with_signal, signal, neap.sleep, 1)
      assert.equal(signal.reason, err)
      assert.equal(err, error_of(signal.throw_if_aborted, signal))
      assert.equal(err, error_of(neap.with_signal, signal, neap.sleep, 1))
    end))

    it("ABT-03 a table given as reason is raised itself", task(function ()
      local controller, mine = neap.abort_controller(), {}
      neap.spawn(controller.abort, controller, mine)
      assert.equal(mine, error_of(neap.with_signal, controller.signal,
        neap.sleep, 1))
      assert.equal(mine, controller.signal.reason)
    end))

    for _, reason in ipairs { "enough", 7, true, print } do
      it("ABT-03 a " .. type(reason) .. " becomes an AbortError's reason",
        function ()
          local controller = neap.abort_controller()
          controller:abort(reason)
          local err = controller.signal.reason
          assert.equal("AbortError", err.name)
          assert.equal(reason, err.reason)
          assert.equal(reason == "enough" and reason
            or "This operation was aborted", err.message)
        end)
    end

    it("ABT-03 false is a reason, too", function ()
      local controller = neap.abort_controller()
      controller:abort(false)
      assert.is_false(controller.signal.reason.reason)
    end)

    it("checks that it is called on a controller", function ()
      local controller = neap.abort_controller()
      assert.error_matches(function () controller.abort({}) end,
        "calling 'abort' on a bad self "
        .. "%(must be an abort controller, got a table%)")
    end)

  end)

  describe("signal:on_abort", function ()

    it("ABT-04 a listener added after the abort is not called", function ()
      local log = notes()
      local remove = neap.abort_signal.abort():on_abort(noter(log, "late"))
      remove()
      assert.equal("", log())
    end)

    it("ABT-04 one that raises is reported and the others are called",
      function ()
        local controller, log = neap.abort_controller(), notes()
        neap.hooks { on_suppressed = function (err) log(err) end }
        controller.signal:on_abort(noter(log, "a"))
        controller.signal:on_abort(function () error("oops", 0) end)
        controller.signal:on_abort(noter(log, "b"))
        controller:abort()
        neap.hooks { on_suppressed = false }
        assert.equal("a oops b", log())
      end)

    it("ABT-05 one removed by an earlier one is not called", function ()
      local controller, log = neap.abort_controller(), notes()
      local remove
      controller.signal:on_abort(function () remove() end)
      remove = controller.signal:on_abort(noter(log, "removed"))
      controller.signal:on_abort(noter(log, "last"))
      controller:abort()
      assert.equal("last", log())
    end)

    it("ABT-05 one added during the dispatch is not called", function ()
      local controller, log = neap.abort_controller(), notes()
      controller.signal:on_abort(function ()
        controller.signal:on_abort(noter(log, "new"))
      end)
      controller.signal:on_abort(noter(log, "old"))
      controller:abort()
      assert.equal("old", log())
    end)

    it("ABT-05 removing twice, or when it was called, is harmless", function ()
      local controller, log = neap.abort_controller(), notes()
      local signal = controller.signal
      local remove_a = signal:on_abort(noter(log, "a"))
      local remove_b = signal:on_abort(noter(log, "b"))
      remove_a()
      remove_a()
      controller:abort()
      remove_b()
      assert.equal("b", log())
      assert.equal(0, listeners(signal))
    end)

    it("calls a function added twice twice, with the reason", function ()
      local controller, seen = neap.abort_controller(), {}
      local function listener (reason) seen[#seen + 1] = reason end
      controller.signal:on_abort(listener)
      controller.signal:on_abort(listener)
      controller:abort "why"
      local reason = controller.signal.reason
      assert.same({ reason, reason }, seen)
    end)

    it("a listener cannot suspend, and is told so", task(function ()
      local controller, err = neap.abort_controller(), nil
      neap.hooks { on_suppressed = function (e) err = e end }
      controller.signal:on_abort(function () neap.sleep(1) end)
      controller:abort()
      neap.hooks { on_suppressed = false }
      assert.matches("'sleep' cannot wait here: .* abort listener", err)
    end))

    it("a listener may spawn; the task is a child of whoever aborted",
      task(function ()
        local controller, log = neap.abort_controller(), notes()
        controller.signal:on_abort(function ()
          neap.spawn(function () log "child" end)
        end)
        neap.scope(function () controller:abort() end)
        assert.equal("child", log())
      end))

    it("checks its argument", function ()
      local signal = neap.abort_controller().signal
      assert.error_matches(function () signal:on_abort(1) end,
        "bad argument #1 to 'on_abort' "
        .. "%(fn must be a function or callable, got 1%)")
    end)

  end)

  describe("signal:wait", function ()

    it("ABT-14 returns the reason when the signal is aborted",
      task(function ()
        local controller = neap.abort_controller()
        neap.spawn(function ()
          neap.sleep(3)
          controller:abort()
        end)
        local reason = controller.signal:wait()
        assert.equal(controller.signal.reason, reason)
        assert.equal(reason, controller.signal:wait())
        assert.equal(3, neap.now())
        assert.equal(0, listeners(controller.signal))
      end))

    it("gives the reason to all who wait and were not cancelled",
      task(function ()
        local controller = neap.abort_controller()
        local signal, waiters = controller.signal, {}
        for i = 1, 3 do waiters[i] = neap.async(signal.wait, signal) end
        neap.sleep(1)
        waiters[2]:cancel()
        controller:abort()
        for _, i in ipairs { 1, 3 } do
          assert.equal(signal.reason, waiters[i]:await())
        end
        assert.is_true(neap.is_abort(error_of(waiters[2].await, waiters[2])))
      end))

    it("a cancelled waiter leaves the signal", task(function ()
      local signal = neap.abort_controller().signal
      local waiter = neap.async(signal.wait, signal)
      neap.settled()
      assert.equal(1, listeners(signal))
      assert.equal("an abort", waiter:waiting_on())
      waiter:cancel()
      assert.is_false(waiter:pawait())
      assert.equal(0, listeners(signal))
    end))

    it("a signal that nobody can abort is a deadlock", function ()
      local signal = neap.abort_controller().signal
      local err = error_of(run, signal.wait, signal)
      assert.equal("DeadlockError", err.name)
      assert.equal(0, listeners(signal))
    end)

  end)

  describe("abort_signal.any", function ()
    local any = neap.abort_signal.any

    it("ABT-06 of none never aborts", task(function ()
      local signal = any {}
      neap.sleep(1e9)
      assert.is_false(signal.aborted)
      assert.is_false(any { signal }.aborted)
    end))

    it("ABT-06 takes the reason of whichever aborts first", function ()
      local a, b = neap.abort_controller(), neap.abort_controller()
      local signal = any { a.signal, b.signal }
      assert.is_false(signal.aborted)
      b:abort()
      a:abort()
      assert.is_true(signal.aborted)
      assert.equal(b.signal.reason, signal.reason)
    end)

    it("ABT-06 takes the first in the list that is aborted already",
      function ()
        local a, b = neap.abort_signal.abort "a", neap.abort_signal.abort "b"
        local pending = neap.abort_controller().signal
        local signal = any { pending, b, a }
        assert.equal(b.reason, signal.reason)
        assert.equal(b.reason, any { pending, signal, a }.reason)
        assert.equal(0, listeners(pending))
      end)

    it("ABT-06 the first in the list, not the first to abort", function ()
      local aborted = {}
      for i = 1, 20 do aborted[i] = neap.abort_signal.abort(i) end
      for i = 1, 20 do
        local list = table.move(aborted, i, 20, 1, {})
        assert.equal(i, any(list).reason.reason)
      end
    end)

    it("may be given a signal twice; listeners are called once", function ()
      local controller, log = neap.abort_controller(), notes()
      local signal = any { controller.signal, controller.signal }
      signal:on_abort(noter(log, "told"))
      controller:abort()
      assert.equal("told", log())
      assert.equal(controller.signal.reason, signal.reason)
    end)

    it("follows what was in the list at the call", function ()
      local first, other = neap.abort_controller(), neap.abort_controller()
      local list = { first.signal }
      local signal = any(list)
      list[1], list[2] = other.signal, other.signal
      other:abort()
      assert.is_false(signal.aborted)
      first:abort()
      assert.equal(first.signal.reason, signal.reason)
    end)

    it("made in a listener of its source is aborted already", function ()
      local controller = neap.abort_controller()
      local signal
      controller.signal:on_abort(function ()
        signal = any { controller.signal }
      end)
      controller:abort()
      assert.equal(controller.signal.reason, signal.reason)
    end)

    it("another abort in a listener is whole before the next is called",
      function ()
        local one, two = neap.abort_controller(), neap.abort_controller()
        local log = notes()
        local both = any { two.signal, one.signal }
        one.signal:on_abort(function ()
          log "begins"
          two:abort()
          log "ends"
        end)
        one.signal:on_abort(noter(log, "second"))
        two.signal:on_abort(noter(log, "inner"))
        both:on_abort(noter(log, "both"))
        one:abort()
        assert.equal("begins inner ends second both", log())
        assert.equal(one.signal.reason, both.reason)
      end)

    it("ABT-07 of any aborts though the one between was collected", function ()
      local controller, log = neap.abort_controller(), notes()
      local outer = any { any { any { controller.signal } } }
      collectgarbage()
      outer:on_abort(noter(log, "aborted"))
      assert.equal(1, listeners(controller.signal))
      controller:abort()
      assert.equal(controller.signal.reason, outer.reason)
      assert.equal("aborted", log())
    end)

    it("ABT-07 a dropped one with a listener is still told", function ()
      local controller, log = neap.abort_controller(), notes()
      any { controller.signal }:on_abort(noter(log, "aborted"))
      collectgarbage()
      controller:abort()
      assert.equal("aborted", log())
    end)

    it("ABT-08 all are marked before the first listener runs", function ()
      local controller, seen = neap.abort_controller(), nil
      local one = any { controller.signal }
      local two = any { one }
      controller.signal:on_abort(function ()
        seen = one.aborted and two.aborted
      end)
      controller:abort()
      assert.is_true(seen)
    end)

    it("ABT-08 listeners: the source's, then in order of creation", function ()
      local controller, log = neap.abort_controller(), notes()
      local one = any { controller.signal }
      local two = any { one }
      local three = any { controller.signal }
      three:on_abort(noter(log, "three"))
      two:on_abort(noter(log, "two"))
      one:on_abort(noter(log, "one"))
      controller.signal:on_abort(noter(log, "source"))
      controller:abort()
      assert.equal("source one two three", log())
    end)

    it("ABT-05 a listener may remove that of another signal", function ()
      local controller, log = neap.abort_controller(), notes()
      local remove = any { controller.signal }:on_abort(noter(log, "removed"))
      any { controller.signal }:on_abort(noter(log, "stays"))
      controller.signal:on_abort(function ()
        remove()
        collectgarbage()
      end)
      controller:abort()
      assert.equal("stays", log())
      assert.equal(0, listeners(controller.signal))
    end)

    it("a listener that aborts a second source tells nobody twice", function ()
      local a, b, log = neap.abort_controller(), neap.abort_controller(),
        notes()
      local both = any { a.signal, b.signal }
      a.signal:on_abort(function () b:abort "b" end)
      b.signal:on_abort(noter(log, "b"))
      both:on_abort(noter(log, "both"))
      a:abort "a"
      assert.equal("b both", log())
      assert.equal("a", both.reason.message)
      assert.equal(0, listeners(a.signal) + listeners(b.signal))
    end)

    it("counts a signal that is given twice once", function ()
      local controller, log = neap.abort_controller(), notes()
      local signal = any { controller.signal, controller.signal }
      signal:on_abort(noter(log, "once"))
      assert.equal(1, listeners(controller.signal))
      controller:abort()
      assert.equal("once", log())
    end)

    it("ABT-11 BUG-21 leaves nothing on a long-lived signal when dropped #slow",
      function ()
        local controller = neap.abort_controller()
        support.assert_flat(100, function ()
          for _ = 1, 10000 do any { controller.signal } end
        end)
        assert.equal(0, listeners(controller.signal))
      end)

    it("ABT-11 a removed listener keeps no signal alive", function ()
      local controller = neap.abort_controller()
      any { controller.signal }:on_abort(print)()
      collectgarbage()
      assert.equal(0, listeners(controller.signal))
    end)

    it("checks its argument", function ()
      local signal = neap.abort_controller().signal
      assert.error_matches(function () any(signal) end,
        "bad argument #1 to 'abort_signal.any' "
        .. "%(signals must be a list of signals, got a neap.abort_signal%)")
      assert.error_matches(function () any { signal, 5 } end,
        "%(element 2 must be an abort signal, got 5%)")
      assert.error_matches(function () any { signal, nil, n = 2 } end,
        "%(element 2 must be an abort signal, got nil%)")
      assert.equal(0, listeners(signal))
      assert.has_error(function ()
        any { a = neap.abort_controller().signal }
      end, "bad argument #1 to 'abort_signal.any' "
        .. "(signals must be a list, without keys, got a table)")
      assert.is_false(any({ n = 0 }).aborted)
    end)

  end)

  describe("abort_signal.timeout", function ()
    local timeout = neap.abort_signal.timeout

    it("ABT-09 is not aborted on return, even for 0", task(function ()
      local signal, log = timeout(0), notes()
      signal:on_abort(function () log(neap.now()) end)
      assert.is_false(signal.aborted)
      neap.sleep(1)
      assert.equal("0.0", log())
    end))

    it("ABT-09 with 0 it is aborted when a round has passed, on every clock",
      function ()
        for _, clock in ipairs { "real", "virtual", "manual" } do
          for before = 0, 9 do
            neap.clock(clock)
            neap.run(function ()
              for _ = 1, 7 * before do neap.sleep(0) end
              local second
              local first = timeout(0)
              first:on_abort(function () second = timeout(0) end)
              neap.sleep(0)
              assert.is_true(first.aborted)
              assert.is_false(second.aborted)
              neap.sleep(0)
              assert.is_true(second.aborted)
            end)
            local outside = timeout(0)
            neap.step()
            assert.is_true(outside.aborted)
          end
        end
      end)

    it("ABT-09 aborts with TimeoutError", task(function ()
      local signal = timeout(5)
      neap.sleep(4.9)
      assert.is_false(signal.aborted)
      neap.sleep(0.2)
      assert.equal("TimeoutError", signal.reason.name)
      assert.equal("Timeout", signal.reason.message)
    end))

    it("ABT-09 equal ones abort in order of creation", task(function ()
      local log = notes()
      local signals = {}
      for i = 1, 5 do signals[i] = timeout(1) end
      for i = 5, 1, -1 do signals[i]:on_abort(noter(log, i)) end
      neap.sleep(1)
      neap.sleep(0)
      assert.equal("1 2 3 4 5", log())
    end))

    it("ABT-10 a pending one does not keep run from returning", function ()
      neap.clock "virtual"
      local signal = timeout(10)
      local remove = signal:on_abort(print)
      neap.run(neap.sleep, 1)
      assert.equal(1, neap.now())
      assert.is_false(signal.aborted)
      remove()
    end)

    it("ABT-10 a pending one that nobody hears puts off no deadlock",
      function ()
        neap.clock "virtual"
        local signal = timeout(10)
        local unheard = neap.abort_signal.any { signal }
        local err = error_of(neap.run, neap.sleep, math.huge)
        assert.equal("DeadlockError", err.name)
        assert.equal(0, neap.now())
        assert.is_false(unheard.aborted)
      end)

    it("ABT-10 one that somebody hears may end a wait", function ()
      neap.clock "virtual"
      local unheard = { timeout(5), timeout(20) }
      local event = neap.event()
      local heard = timeout(10)
      neap.abort_signal.any { heard }:on_abort(function () event:set() end)
      neap.run(event.wait, event)
      assert.equal(10, neap.now())
      assert.same({ true, false }, { unheard[1].aborted, unheard[2].aborted })
    end)

    it("ABT-10 ... be it a listener, a waiter or a scope", function ()
      local hear = {
        function (signal)
          local event = neap.event()
          signal:on_abort(function () event:set() end)
          event:wait()
        end,
        function (signal) signal:wait() end,
        function (signal)
          error_of(neap.with_signal, signal, neap.sleep, math.huge)
        end,
      }
      for _, fn in ipairs(hear) do
        for _, as in ipairs { table.unpack, neap.abort_signal.any } do
          support.run(function ()
            fn(as { timeout(1) })
            assert.equal(1, neap.now())
          end)
        end
      end
    end)

    it("ABT-10 step says that nothing is left", function ()
      neap.clock "manual"
      local signal = timeout(10)
      assert.is_nil(neap.step())
      neap.advance(10)
      assert.is_true(signal.aborted)
    end)

    it("a dropped one takes its timer along", function ()
      neap.clock "virtual"
      timeout(10)
      collectgarbage()
      support.assert_empty()
    end)

    it("a dropped one with a listener still calls it", task(function ()
      local log = notes()
      timeout(1):on_abort(noter(log, "one"))
      neap.abort_signal.any { timeout(2) }:on_abort(noter(log, "two"))
      collectgarbage()
      neap.sleep(3)
      assert.equal("one two", log())
    end))

    it("one whose last listener was removed can be collected", function ()
      neap.clock "virtual"
      timeout(10):on_abort(print)()
      neap.abort_signal.any { timeout(10) }:on_abort(print)()
      collectgarbage()
      support.assert_empty()
    end)

    it("CNV-04 math.huge arms no timer", task(function ()
      local signal = timeout(math.huge)
      assert.equal(0, stats().timers)
      neap.sleep(1e18)
      assert.is_false(signal.aborted)
    end))

    it("listeners that set alarms of 0 for ever let the others run",
      task(function ()
        local rings, stop = 0, false
        local function again ()
          rings = rings + 1
          if not stop then timeout(0):on_abort(again) end
        end
        again()
        for _ = 1, 3 do neap.checkpoint() end
        stop = true
        neap.checkpoint()
        assert.equal(5, rings)
      end))

    it("so do they when the clock is moved by hand", function ()
      neap.clock "manual"
      local rings = 0
      local function again ()
        rings = rings + 1
        if neap.now() < 3 then timeout(0):on_abort(again) end
      end
      timeout(2):on_abort(again)
      neap.advance(3)
      neap.advance(0)
      assert.equal(2, rings)
    end)

    it("neap.advance by a task runs the listeners there", function ()
      neap.clock "manual"
      neap.run(function ()
        local log = notes()
        local signal = timeout(1)
        signal:on_abort(function () log(neap.now()) end)
        neap.advance(3)
        assert.equal("1.0", log())
      end)
    end)

    it("checks its argument", function ()
      for _, bad in ipairs { -1, 0 / 0, "1" } do
        assert.error_matches(function () timeout(bad) end,
          "bad argument #1 to 'abort_signal.timeout' "
          .. "%(seconds must be a number >= 0")
      end
    end)

  end)

end)
