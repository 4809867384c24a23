--- What is cancelled by a signal: `with_signal`, and the option `signal`.

local neap = require "neap"
local socket = require "socket"
local support = require "spec.support"

local internal = require("neap.core").internal
local listeners, stats = internal.listeners, internal.stats
local run, task, error_of = support.run, support.task, support.error_of
local notes, noter = support.notes, support.noter


describe("with_signal", function ()
  local with_signal = neap.with_signal

  it("returns what the function returns", task(function ()
    local signal = neap.abort_controller().signal
    local results = table.pack(with_signal(signal, function (...)
      neap.sleep(1)
      return ...
    end, 1, nil, false, nil))
    assert.same({ 1, nil, false, nil, n = 4 }, results)
  end))

  it("ABT-14 an aborted wait for a permit leaves the line", task(function ()
    local controller, sem = neap.abort_controller(), neap.semaphore(1)
    sem:acquire()
    neap.spawn(controller.abort, controller)
    error_of(with_signal, controller.signal, sem.acquire, sem)
    assert.equal(0, sem:waiting())
    sem:release()
    assert.equal(1, sem:available())
  end))

  it("ABT-14 a descriptor whose wait was aborted is usable again",
    task(function ()
      local controller, udp = neap.abort_controller(), socket.udp4()
      udp:setsockname("127.0.0.1", 0)
      neap.spawn(controller.abort, controller)
      error_of(with_signal, controller.signal, neap.readable, udp)
      assert.equal(0, stats().external)
      udp:sendto("x", udp:getsockname())
      neap.readable(udp)
      assert.equal("x", udp:receive())
      udp:close()
    end))

  it("ABT-15 cancels functions below that never saw the signal",
    task(function ()
      local controller, log = neap.abort_controller(), notes()
      local function work (name)
        neap.pcall(neap.sleep, 1)
        local ok, err = pcall(neap.sleep, 10)
        log(name .. ":" .. tostring(ok))
        error(err, 0)
      end
      neap.spawn(function ()
        neap.sleep(2)
        controller:abort()
      end)
      local err = error_of(with_signal, controller.signal, function ()
        neap.spawn(work, "child")
        neap.timeout(work, 100, nil, "body")
      end)
      assert.equal(controller.signal.reason, err)
      assert.equal("body:false child:false", log())
      assert.equal(2, neap.now())
    end))

  it("ABT-15 aborting after the end has no effect", task(function ()
    local controller = neap.abort_controller()
    assert.equal(1, with_signal(controller.signal, function () return 1 end))
    controller:abort()
    neap.sleep(1)
    assert.is_false(neap.cancelled())
  end))

  it("a result that was there before the abort was felt stays",
    task(function ()
      local controller = neap.abort_controller()
      assert.equal(5, with_signal(controller.signal, function ()
        controller:abort()
        return 5
      end))
    end))

  it("an abort that the work swallowed is raised", task(function ()
    local controller = neap.abort_controller()
    local err = error_of(with_signal, controller.signal, function ()
      controller:abort()
      pcall(neap.sleep, 1)
      return 5
    end)
    assert.equal(controller.signal.reason, err)
  end))

  it("an abort whose reason the work raises itself is raised",
    task(function ()
      local controller = neap.abort_controller()
      local err = error_of(with_signal, controller.signal, function ()
        controller:abort()
        error(controller.signal.reason)
      end)
      assert.equal(controller.signal.reason, err)
    end))

  it("so is the message of a timeout that the work raises itself",
    task(function ()
      local message = {}
      assert.equal(message, error_of(neap.timeout, error, 0, message,
        message))
    end))

  it("an abort that throw_if_aborted tells of is raised", task(function ()
    local controller = neap.abort_controller()
    local signal = controller.signal
    local err = error_of(with_signal, signal, function ()
      controller:abort()
      signal:throw_if_aborted()
    end)
    assert.equal(signal.reason, err)
  end))

  it("an abort that a child was told of by throw_if_aborted is raised",
    task(function ()
      local controller = neap.abort_controller()
      local signal = controller.signal
      local err = error_of(with_signal, signal, function ()
        neap.spawn(function ()
          controller:abort()
          signal:throw_if_aborted()
        end)
      end)
      assert.equal(signal.reason, err)
    end))

  it("an error of the clean-up wins", task(function ()
    local controller = neap.abort_controller()
    local err = error_of(with_signal, controller.signal, function ()
      controller:abort()
      pcall(neap.sleep, 1)
      error("clean-up", 0)
    end)
    assert.equal("clean-up", err)
  end))

  it("of two nested on one signal the outer one reports, once",
    task(function ()
      local controller, log = neap.abort_controller(), notes()
      neap.spawn(controller.abort, controller)
      error_of(with_signal, controller.signal, function ()
        local ok = neap.pcall(with_signal, controller.signal, neap.sleep, 1)
        log(tostring(ok))
      end)
      assert.equal("", log())
    end))

  it("in a cancelled scope raises before calling fn", task(function ()
    local log = notes()
    neap.scope(function (scope)
      scope:cancel()
      with_signal(neap.abort_controller().signal, noter(log, "called"))
    end)
    assert.equal("", log())
  end))

  it("an abort inside a shield waits for its end", task(function ()
    local controller, log = neap.abort_controller(), notes()
    error_of(with_signal, controller.signal, function ()
      neap.shield(function ()
        controller:abort()
        neap.sleep(1)
        log "shielded"
      end)
      neap.sleep(0)
      log "after"
    end)
    assert.equal("shielded", log())
  end))

  it("ABT-11 100 000 operations on one signal, aborted at once #slow",
    function ()
      local controller = neap.abort_controller()
      local signal = controller.signal
      local woken = 0
      run(function ()
        neap.scope(function (scope)
          for _ = 1, 1e5 do
            scope:spawn(function ()
              pcall(with_signal, signal, neap.sleep, 10)
              woken = woken + 1
            end)
          end
          neap.settled()
          assert.equal(100000, listeners(signal))
          controller:abort()
        end)
        assert.equal(0, neap.now())
      end)
      assert.equal(100000, woken)
    end)

  it("checks its arguments", task(function ()
    local signal = neap.abort_controller().signal
    assert.error_matches(function () with_signal(nil, print) end,
      "bad argument #1 to 'with_signal' "
      .. "%(signal must be an abort signal, got nil%)")
    assert.error_matches(function () with_signal(signal) end,
      "bad argument #2 to 'with_signal' "
      .. "%(fn must be a function or callable, got no value%)")
  end))

  it("CNV-01 a bad argument is blamed on the caller's line", task(function ()
    local _, err = pcall(function () with_signal(nil, print) end)
    assert.matches("^spec/with_signal_spec.lua:%d+: bad argument", err)
    _, err = pcall(function () neap.scope({ signal = 1 }, print) end)
    assert.matches("^spec/with_signal_spec.lua:%d+: bad option", err)
  end))

  it("CNV-14 outside of a task raises", function ()
    local signal = neap.abort_controller().signal
    assert.error_matches(function () with_signal(signal, print) end,
      "'with_signal' must be called in a task")
    assert.equal(0, listeners(signal))
  end)

  it("TMO-15 an abort before the deadline raises its reason", task(function ()
    local controller = neap.abort_controller()
    local signal = controller.signal
    neap.spawn(function ()
      neap.sleep(1)
      controller:abort()
    end)
    local err = error_of(neap.timeout, function ()
      with_signal(signal, neap.sleep, 100)
    end, 5)
    assert.equal(signal.reason, err)
    assert.equal(0, stats().timers)
    assert.equal(0, listeners(signal))
  end))

  it("TMO-15 so too when the signal is around the timeout", task(function ()
    local controller = neap.abort_controller()
    neap.spawn(function ()
      neap.sleep(1)
      controller:abort()
    end)
    local err = error_of(with_signal, controller.signal, neap.timeout,
      neap.sleep, 5, "late", 100)
    assert.equal(controller.signal.reason, err)
    assert.equal(0, stats().timers)
    assert.equal(0, listeners(controller.signal))
  end))

end)


describe("the signal", function ()

  -- each calls work() below the signal
  local takers = {
    with_signal = neap.with_signal,
    scope = function (signal, work)
      return neap.scope({ signal = signal }, work)
    end,
    pool = function (signal, work)
      return neap.pool({ 1 }, 1, work, { signal = signal })
    end,
  }

  for name, call in pairs(takers) do
    describe("of " .. name, function ()

      it("ABT-14 cancels what runs, with the reason", task(function ()
        local controller = neap.abort_controller()
        neap.spawn(function ()
          neap.sleep(1)
          controller:abort()
        end)
        local err = error_of(call, controller.signal, function ()
          neap.sleep(10)
        end)
        assert.equal(controller.signal.reason, err)
        assert.equal(1, neap.now())
      end))

      it("ABT-13 that is aborted raises before anything starts",
        task(function ()
          local log = notes()
          local signal = neap.abort_signal.abort()
          neap.spawn(noter(log, "others"))
          assert.equal(signal.reason,
            error_of(call, signal, noter(log, "called")))
          assert.equal("", log())
        end))

      it("ABT-12 is left, by result, error or abort", task(function ()
        local controller = neap.abort_controller()
        local signal = controller.signal
        call(signal, function () neap.sleep(1) end)
        assert.equal(0, listeners(signal))
        error_of(call, signal, function () error "oops" end)
        assert.equal(0, listeners(signal))
        error_of(call, signal, function ()
          controller:abort()
          neap.sleep(1)
        end)
        assert.equal(0, listeners(signal))
      end))

      it("stays alive whatever becomes of the options", task(function ()
        local controller = neap.abort_controller()
        neap.spawn(function ()
          neap.sleep(1)
          collectgarbage()
          controller:abort()
        end)
        local err = error_of(call, neap.abort_signal.any { controller.signal },
          function () neap.sleep(10) end)
        assert.equal(controller.signal.reason, err)
      end))

    end)
  end

  for _, name in ipairs { "scope", "pool" } do
    it("of " .. name .. " must be a signal", task(function ()
      assert.error_matches(function () return (takers[name]({}, print)) end,
        "bad option 'signal' to '" .. name
        .. "' %(must be an abort signal, got a table%)")
    end))
  end

  it("ABT-13 pool: nothing is pulled", task(function ()
    local log = notes()
    error_of(neap.pool, noter(log, "pulled"), 1, print,
      { signal = neap.abort_signal.abort() })
    assert.equal("", log())
  end))

end)
