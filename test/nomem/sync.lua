-- Scenes for test/nomem.c: what tasks share.

local stage = ...
local counter, expect = stage.counter, stage.expect
local play = stage.play


play("semaphores", function (neap)
  local sem, closed = neap.semaphore(2), neap.semaphore(1)
  local users, peak = counter(), 0
  local function use (seconds)
    local _ <close> = users:enter()
    peak = math.max(peak, users.inside)
    neap.sleep(seconds)
  end
  return function ()
    neap.run(function ()
      closed:acquire()
      local waits = neap.async(closed.acquire, closed)
      neap.scope(function (s)
        for i = 1, 3 do
          s:spawn(function ()
            sem:acquire()
            local ok, err = pcall(use, i)
            sem:release()
            if not ok then error(err, 0) end
          end)
        end
        local gone = s:async(function ()
          sem:acquire(2)
          sem:release(2)
        end)
        s:spawn(sem.with_permit, sem, use, 1)
        s:spawn(function ()
          local permit <close> = sem:permit(2)
          use(1)
          permit:release()
        end)
        neap.sleep(0.5)
        sem:resize(1)
        gone:cancel()
        neap.sleep(2)
        sem:resize(2)
        if sem:try_acquire() then sem:release() end
      end)
      closed:close()
      local ok, err = waits:pawait()
      assert(not ok)
      expect(err, "the semaphore is closed")
    end)
  end, function ()
    sem:resize(2)
    assert(sem:available() == 2 and sem:waiting() == 0, sem:available())
    assert(closed:waiting() == 0 and closed:available() <= 1)
    assert(users.inside == 0 and peak <= 2)
    neap.run(function () sem:acquire(2) sem:release(2) end)
  end
end)


play("limiters", function (neap)
  local controller = neap.abort_controller()
  local limiter = neap.limiter { concurrency = 2, rate = 9, per = 4,
    signal = controller.signal }
  local narrow = neap.limiter { concurrency = 2, max_queue = 2 }
  local users, peak = counter(), 0
  local function use (seconds)
    local _ <close> = users:enter()
    peak = math.max(peak, users.inside)
    neap.sleep(seconds)
  end
  return function ()
    neap.run(function ()
      neap.scope(function (s)
        for i = 1, 12 do s:spawn(limiter, use, i % 3) end
        local gone = s:async(limiter, use, 1)
        neap.sleep(0.5)
        gone:cancel()
        limiter:idle()
      end)
      neap.scope(function (s)
        for _ = 1, 2 do s:spawn(narrow, neap.sleep, 1) end
        local inside = s:async(narrow, function ()
          narrow:resize(1)
          narrow(neap.sleep, 1)
        end)
        local waits = s:async(narrow, neap.sleep, 1)
        neap.sleep(0.5)
        local ok, err = pcall(narrow, neap.sleep, 1)
        assert(not ok)
        expect(err, "the limiter is full")
        ok, err = inside:pawait()
        assert(not ok)
        expect(err, "called from inside")
        narrow:cancel "enough"
        ok, err = waits:pawait()
        if not ok then expect(err, "enough") end
      end)
    end)
  end, function ()
    narrow:resize(2)
    for _, each in ipairs { limiter, narrow } do
      assert(each.running == 0 and each.waiting == 0)
    end
    assert(users.inside == 0 and peak <= 2)
    neap.run(function ()
      limiter(neap.sleep, 1)
      narrow(narrow, neap.sleep, 1)
    end)
  end
end)


play("channels", function (neap)
  local hand, buffered = neap.channel(), neap.channel(40)
  local sent, got = 0, 0
  local function send (ch, v)
    ch:send(v)
    sent = sent + v
  end
  local function receive (ch)
    for v in ch do got = got + v end
  end
  return function ()
    neap.run(function ()
      for _, ch in ipairs { hand, buffered } do
        neap.scope(function (s)
          local receiver = s:async(receive, ch)
          neap.scope(function (senders)
            for i = 1, 3 do
              senders:spawn(function ()
                for k = 1, 20 do send(ch, i * k) end
              end)
            end
          end)
          ch:close()
          receiver:await()
        end)
      end
      local full = neap.channel(1)
      assert(full:try_send(1))
      local sender = neap.async(full.send, full, "lost")
      neap.checkpoint()
      full:close "reason"
      local ok, err = sender:pawait()
      assert(not ok)
      expect(err, "the channel is closed")
      assert(full:try_recv())
      ok, err = pcall(full.recv, full)
      assert(not ok)
      expect(err, "reason")
    end)
  end, function (ok)
    -- what was sent is received or still there
    for _, ch in ipairs { hand, buffered } do
      local more, v = ch:try_recv()
      while more do
        got = got + v
        more, v = ch:try_recv()
      end
    end
    assert(sent == got, sent - got)
    assert(not ok or got == 2 * 6 * 210)
  end
end)


play("events and futures", function (neap)
  local event, passed = neap.event(), 0
  local future, resolve = neap.future()
  return function ()
    neap.run(function ()
      local bad, _, reject = neap.future()
      local waiters = {}
      for i = 1, 3 do
        waiters[i] = neap.async(function ()
          event:wait()
          passed = passed + 1
          assert(select("#", future:await()) == 3)
          local ok, err = bad:pawait()
          assert(not ok)
          expect(err, "bad")
        end)
      end
      neap.sleep(1)
      event:set()
      event:clear()
      neap.sleep(1)
      resolve(1, 2, 3)
      assert(future:is_done())
      neap.timeout(future, 1)
      neap.sleep(1)
      reject(neap.error("Bad", "bad", { more = 1 }))
      for i = 1, 3 do waiters[i]:await() end
      waiters = neap.future()
      assert(not pcall(neap.timeout, waiters, 1))
    end)
  end, function (ok)
    if not future:is_done() then resolve(1, 2, 3) end
    neap.run(function () assert(select("#", future:await()) == 3) end)
    assert(not ok or passed == 3)
  end
end)


play("aborts", function (neap)
  local controller = neap.abort_controller()
  local signal = controller.signal
  local any = neap.abort_signal.any { signal, neap.abort_signal.timeout(50) }
  local heard, added, bodies = 0, 0, counter()
  neap.hooks { on_suppressed = function (err) expect(err, "listener") end }
  local function listen (s)
    local remove = s:on_abort(function () heard = heard + 1 end)
    added = added + 1
    return remove
  end
  return function ()
    neap.run(function ()
      listen(signal)
      listen(any)
      any:on_abort(function () error "listener" end)
      listen(neap.abort_signal.any { any, signal })
      local remove = listen(any)
      remove()
      added = added - 1
      local waits = neap.async(any.wait, any)
      local cancelled = neap.async(neap.with_signal, any, function ()
        local _ <close> = bodies:enter()
        neap.sleep(math.huge)
      end)
      local alarm = neap.abort_signal.timeout(2)
      assert(not pcall(neap.scope, { signal = alarm }, function ()
        local _ <close> = bodies:enter()
        neap.sleep(math.huge)
      end))
      neap.abort_signal.timeout(9):on_abort(function () end)
      controller:abort "reason"
      assert(signal.aborted and any.aborted)
      expect(waits:await(), "reason")
      local ok, err = cancelled:pawait()
      assert(not ok)
      expect(err, "reason")
      assert(not pcall(any.throw_if_aborted, any))
      assert(neap.abort_signal.any { signal, alarm }.aborted)
      assert(neap.abort_signal.abort { "any" }.aborted)
    end)
  end, function ()
    controller:abort "reason"
    assert(signal.aborted and any.aborted and signal.reason == any.reason)
    assert(bodies.inside == 0)
    local listeners = neap.internal.listeners
    assert(listeners(signal) == 0 and listeners(any) == 0)
    any = nil -- it holds an alarm, and somebody may listen to the other
    neap.run(neap.sleep, 60)
  end
end)
