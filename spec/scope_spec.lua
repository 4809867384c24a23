--- Scopes, cancellation, shields.

local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of


local function closing (fn)
  return setmetatable({}, { __close = fn })
end


-- run `fn` with the hook on_suppressed set to a list, and return the list
local function suppressed_by (fn)
  local list = {}
  neap.hooks { on_suppressed = function (err) list[#list + 1] = err end }
  local ok, err = pcall(fn)
  neap.hooks { on_suppressed = false }
  if not ok then error(err, 0) end
  return list
end


describe("scope", function ()

  it("SCP-01 returns fn's results only when its children have ended",
    task(function ()
      local results = table.pack(neap.scope(function (scope)
        scope:spawn(neap.sleep, 3)
        scope:async(neap.sleep, 5)
        neap.spawn(neap.sleep, 4)
        return nil, 1, nil
      end))
      assert.same({ n = 3, nil, 1, nil }, results)
      assert.equal(5, neap.now())
    end))


  it("SCP-01 an empty one does not suspend", task(function ()
    local ran = false
    neap.spawn(function () ran = true end)
    assert.equal(1, neap.scope(function () return 1 end))
    assert.is_false(ran)
  end))


  it("SCP-02 an error of the body cancels the children, wherever they wait",
    task(function ()
      local log = support.recorder()
      local err = {}
      assert.equal(err, error_of(neap.scope, function (scope)
        scope:spawn(function ()
          local _ <close> = closing(function ()
            neap.shield(neap.sleep, 2)
            log "sleeper unwound"
          end)
          neap.sleep(100)
        end)
        scope:spawn(function ()
          local _ <close> = closing(function () log "waiter unwound" end)
          neap.event():wait()
        end)
        neap.sleep(1)
        error(err)
      end))
      log "raised"
      assert.same({ "waiter unwound@1", "sleeper unwound@3", "raised@3" },
        log())
    end))


  it("SCP-02 an error of a child cancels the body and its siblings",
    task(function ()
      local log = support.recorder()
      local seen
      assert.equal("child", error_of(neap.scope, function (scope)
        scope:spawn(function ()
          neap.sleep(1)
          error("child", 0)
        end)
        local ok
        ok, seen = pcall(neap.sleep, 100)
        log(ok)
        error(seen, 0)
      end))
      assert.same({ "false@1" }, log())
      -- who is cancelled because of it sees an AbortError with it as reason
      assert.is_true(neap.is_abort(seen))
      assert.equal("child", seen.reason)
    end))


  it("SCP-03 the first failure in time is raised, others are suppressed",
    task(function ()
      local scope
      local list = suppressed_by(function ()
        assert.equal("second", error_of(neap.scope, function (s)
          scope = s
          for i, delay in ipairs { 3, 1, 2 } do
            local name = ({ "third", "second", "first" })[i]
            s:spawn(function ()
              local _ <close> = closing(function ()
                if name ~= "second" then error(name .. " cleanup", 0) end
              end)
              neap.sleep(delay)
              error(name, 0)
            end)
          end
        end))
      end)
      assert.same({ "third cleanup", "first cleanup" }, list)
      assert.same({ "third cleanup", "first cleanup" }, scope.suppressed)
    end))


  it("SCP-03 the same error once more is told of to nobody", task(function ()
    local scope
    for _, value in ipairs { "broken", {} } do
      local list = suppressed_by(function ()
        assert.equal(value, error_of(neap.scope, function (s)
          scope = s
          local child = s:spawn(function ()
            neap.sleep(1)
            error(value, 0)
          end)
          for _ = 1, 2 do s:spawn(function () child:await() end) end
          s:spawn(function ()
            pcall(neap.sleep, 2)
            error("other", 0)
          end)
          child:await()
        end))
      end)
      assert.same({ "other" }, list)
      assert.same({ "other" }, scope.suppressed)
    end
  end))


  -- a task that fails with "broken" at once, or when it is cancelled
  local function breaks (seconds)
    pcall(neap.sleep, seconds)
    error("broken", 0)
  end


  it("SCP-03 an equal error of another task is another one", task(function ()
    local scope
    local list = suppressed_by(function ()
      assert.equal("broken", error_of(neap.scope, function (s)
        scope = s
        local first = s:spawn(breaks, 1)
        for i = 2, 3 do s:spawn(breaks, i) end
        first:await()
      end))
    end)
    assert.same({ "broken", "broken" }, list)
    assert.same({ "broken", "broken" }, scope.suppressed)
    list = suppressed_by(function ()
      assert.equal("broken", error_of(neap.scope, function (s)
        s:spawn(breaks, 1)
        breaks(2) -- the body's own
      end))
    end)
    assert.same({ "broken" }, list)
    list = suppressed_by(function ()
      assert.equal("broken", error_of(neap.pool, { 1, 2, 3 }, 3, breaks))
    end)
    assert.same({ "broken", "broken" }, list)
  end))


  it("SCP-03 it is the same one through whatever it passes", task(function ()
    local reports = 0
    local function passes (through, value)
      local list = suppressed_by(function ()
        assert.equal(value, error_of(neap.scope, function (s)
          local child = s:async(function ()
            neap.sleep(1)
            error(value, 0)
          end)
          for _ = 1, 2 do s:spawn(through, child) end
          s:spawn(function ()
            pcall(neap.sleep, 5)
            error(value, 0) -- but this is another one, unless it is a table
          end)
          through(child)
        end))
      end)
      reports = reports + #list
      return #list
    end
    local function await (child) child:await() end
    local ways = {
      await,
      function (child)
        local _, err = child:pawait()
        error(err, 0)
      end,
      function (child)
        pcall(await, child)
        local _, err = child:result()
        error(err, 0)
      end,
      function (child) neap.spawn(await, child):await() end,
      function (child)
        neap.scope(function (s)
          s:spawn(await, child)
          child:await()
        end)
      end,
      function (child) neap.all { child, neap.future() } end,
      function (child) neap.race { child, function () await(child) end } end,
      function (child) neap.timeout(child, 10) end,
      function (child) neap.pool({ child, child }, 2, await) end,
      function (child) neap.retry(function () child:await() end,
        { attempts = 1 }) end,
      function (child)
        for _ in neap.generator(function () child:await() end)() do end
      end,
    }
    for i, through in ipairs(ways) do
      for _, value in ipairs { "broken", 7, false } do
        assert.equal(1, passes(through, value), "way " .. i)
      end
      assert.equal(0, passes(through, {}), "way " .. i)
    end
  end))


  it("SCP-03 so is what many get from a future, a channel or a semaphore",
    task(function ()
      local function from (object, method, settle)
        local list = suppressed_by(function ()
          assert.equal("broken", error_of(neap.scope, function (s)
            for _ = 1, 3 do s:spawn(object[method], object) end
            neap.sleep(1)
            settle "broken"
            neap.sleep(1)
          end))
        end)
        assert.same({}, list)
      end
      local future, _, reject = neap.future()
      from(future, "await", reject)
      local other, _, reject_other = neap.future()
      from({ call = function ()
        error(select(2, other:pawait()), 0)
      end }, "call", reject_other)
      local channel = neap.channel()
      from(channel, "recv", function (err) channel:close(err) end)
      local semaphore = neap.semaphore(1)
      semaphore:acquire()
      from(semaphore, "acquire", function (err) semaphore:close(err) end)
      local d = neap.debounce(function () error("broken", 0) end, 1,
        { superseded = "share" })
      from({ call = function () d() end }, "call", function ()
        neap.sleep(5)
      end)
    end))


  it("SCP-03 one that comes second is told of once, too", task(function ()
    for _, value in ipairs { "broken", {} } do
      local list = suppressed_by(function ()
        assert.equal("first", error_of(neap.scope, function (s)
          local second = s:spawn(function ()
            pcall(neap.sleep, 5)
            error(value, 0)
          end)
          for _ = 1, 2 do
            s:spawn(function () neap.shield(second.await, second) end)
          end
          neap.sleep(1)
          error("first", 0)
        end))
      end)
      assert.same({ value }, list)
    end
  end))


  it("SCP-03 an error that was swallowed is not one that comes later",
    task(function ()
      local list = suppressed_by(function ()
        assert.equal("broken", error_of(neap.scope, function (s)
          local early = s:async(error, "broken", 0)
          early:pawait()
          s:spawn(function ()
            neap.sleep(1)
            error("broken", 0)
          end)
          pcall(neap.sleep, 5)
          error("broken", 0)
        end))
      end)
      assert.same({ "broken" }, list)
    end))


  it("SCP-03 also when the body's own error came first", task(function ()
    local list = suppressed_by(function ()
      assert.equal("body", error_of(neap.scope, function (s)
        s:spawn(function ()
          local _ <close> = closing(function () error("child", 0) end)
          neap.sleep(100)
        end)
        neap.sleep(1)
        error("body", 0)
      end))
    end)
    assert.same({ "child" }, list)
  end))


  it("SCP-04 the AbortErrors of cancelled siblings are not suppressed errors",
    task(function ()
      local scope
      local list = suppressed_by(function ()
        error_of(neap.scope, function (s)
          scope = s
          for _ = 1, 3 do s:spawn(neap.sleep, 100) end
          s:async(neap.sleep, 100)
          neap.sleep(1)
          error "x"
        end)
      end)
      assert.same({}, list)
      assert.same({}, scope.suppressed)
    end))


  it("SCP-05 who swallows the cancellation gets the same object again",
    task(function ()
      local errors, others = {}, 0
      neap.spawn(function ()
        for _ = 1, 20 do
          neap.sleep(0)
          others = others + 1
        end
      end)
      neap.scope(function (scope)
        scope:cancel "enough"
        for i = 1, 5 do errors[i] = error_of(neap.sleep, 1) end
      end)
      for i = 1, 5 do assert.equal(errors[1], errors[i]) end
      assert.equal("enough", errors[1].reason)
      assert.is_true(others >= 4) -- each such point lets others run
      assert.equal(0, neap.now())
    end))


  it("SCP-06 in a cancelled scope every wait raises before any effect",
    task(function ()
      local sem, ch = neap.semaphore(1), neap.channel(2)
      ch:send "item"
      neap.scope(function (scope)
        scope:cancel()
        for name, fn in pairs {
          sleep = function () neap.sleep(0) end,
          checkpoint = neap.checkpoint,
          acquire = function () sem:acquire() end,
          permit = function () sem:permit() end,
          with_permit = function () sem:with_permit(error, "called") end,
          recv = function () ch:recv() end,
          send = function () ch:send "x" end,
          scope = function () neap.scope(error, "called") end,
          timeout = function () neap.timeout(error, 1, nil, "called") end,
          move_on = function () neap.move_on_after(1, error, "called") end,
          with_signal = function ()
            neap.with_signal(neap.abort_controller().signal, error, "called")
          end,
          pool = function () neap.pool({ 1 }, 1, error) end,
          retry = function () neap.retry(error) end,
          settled = neap.settled,
          await = function () neap.async(error):await() end,
        } do
          assert.is_true(neap.is_abort(error_of(fn)), name)
        end
      end)
      assert.equal(1, sem:available())
      assert.equal(1, #ch)
    end))


  it("SCP-07 what completed before the cancel keeps its result",
    task(function ()
      local ch, got, later = neap.channel(), nil, nil
      neap.scope(function (scope)
        scope:spawn(function ()
          got = ch:recv()
          later = error_of(neap.sleep, 0)
        end)
        neap.sleep(0)
        ch:send "value" -- handed over; the receiver has not run yet
        scope:cancel()
      end)
      assert.equal("value", got)
      assert.is_true(neap.is_abort(later))
    end))


  it("SCP-08 spawned into a cancelled scope it never runs its body",
    task(function ()
      local ran = false
      neap.scope(function (scope)
        scope:cancel()
        scope:spawn(function () ran = true end)
        pcall(neap.sleep, 0)
      end)
      assert.is_false(ran)
    end))


  it("SCP-08 spawning into an ended scope raises", task(function ()
    local scope
    neap.scope(function (s) scope = s end)
    assert.matches("'spawn' in a scope that has ended",
      error_of(scope.spawn, scope, print))
    assert.matches("'async' in a scope that has ended",
      error_of(scope.async, scope, print))
    scope:cancel() -- does nothing
    assert.is_false(scope.cancelled)
  end))


  it("SCP-09 of two cancelled together the outer one reports",
    task(function ()
      local inner_ended = false
      neap.scope(function (outer)
        neap.scope(function (inner)
          inner:cancel "inner"
          outer:cancel "outer"
          neap.sleep(0)
        end)
        inner_ended = true
      end)
      assert.is_false(inner_ended) -- so the cancellation passed through it
    end))


  it("SCP-09 also if the outer one is cancelled while the inner unwinds",
    task(function ()
      local seen = {}
      neap.scope(function (outer)
        outer:spawn(function ()
          neap.sleep(2)
          outer:cancel "outer"
        end)
        seen.ok, seen.err = pcall(neap.scope, function (inner)
          local _ <close> = closing(function () neap.shield(neap.sleep, 5) end)
          neap.sleep(1)
          inner:cancel "inner"
          neap.sleep(0)
        end)
      end)
      assert.is_false(seen.ok)
      assert.equal("outer", seen.err.reason)
      assert.equal(6, neap.now())
    end))


  it("SCP-10 cancel from body, child or foreign task returns quietly",
    task(function ()
      for _, who in ipairs { "body", "child", "foreign" } do
        local scope, unwound = nil, 0
        local result = table.pack(neap.scope(function (s)
          scope = s
          for _ = 1, 2 do
            s:spawn(function ()
              local _ <close> = closing(function () unwound = unwound + 1 end)
              neap.sleep(100)
            end)
          end
          neap.sleep(1)
          assert.is_false(s.cancelled)
          if who == "body" then s:cancel()
          elseif who == "child" then s:spawn(s.cancel, s)
          end
          neap.sleep(who == "foreign" and 0 or 100)
          if who == "foreign" then s:cancel() neap.sleep(0) end
        end))
        assert.same({ n = 0 }, result)
        assert.is_true(scope.cancelled)
        assert.equal(2, unwound)
      end
    end))


  it("SCP-11 cancelled when fn has returned it still returns its results",
    task(function ()
      local scope
      neap.spawn(function ()
        neap.sleep(1)
        scope:cancel()
      end)
      assert.equal("result", neap.scope(function (s)
        scope = s
        s:spawn(neap.sleep, 100)
        return "result"
      end))
      assert.is_true(scope.cancelled)
      assert.equal("no wait", neap.scope(function (s)
        s:cancel()
        return "no wait"
      end))
    end))


  it("SCP-12 a passed deadline raises", task(function ()
    local scope
    local err = error_of(neap.scope, { timeout = 2 }, function (s)
      scope = s
      neap.sleep(100)
    end)
    assert.is_true(neap.is_timeout(err))
    assert.equal(2, neap.now())
    assert.is_true(scope.cancelled)
  end))


  it("SCP-12 an outer cancel raises through it", task(function ()
    local t = neap.async(function ()
      neap.scope(function () neap.sleep(100) end)
    end)
    neap.sleep(1)
    t:cancel "out"
    assert.equal("out", error_of(t.await, t).reason)
  end))


  it("SCP-13 its deadline can be read and moved", task(function ()
    neap.scope(function (s)
      assert.equal(math.huge, s.deadline)
    end)
    neap.sleep(1)
    assert.is_true(neap.is_timeout(error_of(neap.scope, { timeout = 2 },
      function (s)
        assert.equal(3, s.deadline)
        s.deadline = 10
        neap.sleep(5)
        s.deadline = 7
        neap.sleep(100)
      end)))
    assert.equal(7, neap.now())
    neap.scope({ timeout = 1 }, function (s)
      s.deadline = math.huge
      neap.sleep(5)
    end)
    assert.is_true(neap.is_timeout(error_of(neap.scope, function (s)
      s.deadline = 3 -- has passed
      neap.sleep(100)
    end)))
    assert.equal(12, neap.now())
  end))


  it("SCP-13 a deadline moved after its expiry changes nothing",
    task(function ()
      local scope
      assert.is_true(neap.is_timeout(error_of(neap.scope, { timeout = 1 },
        function (s)
          scope = s
          pcall(neap.sleep, 5)
          s.deadline = 100
          assert.equal(1, s.deadline)
          neap.sleep(5)
        end)))
      assert.equal(1, neap.now())
      scope.deadline = 7 -- nor does it after the end
      assert.equal(1, scope.deadline)
    end))


  it("SCP-13 one before the beginning of time has passed, too",
    task(function ()
      assert.is_true(neap.is_timeout(error_of(neap.scope, function (s)
        s.deadline = neap.now() - 1
        neap.sleep(0)
      end)))
    end))


  it("SCP-13 bad deadlines and fields are told of", task(function ()
    neap.scope(function (s)
      for shown, bad in pairs { ["'x'"] = "x", ["'5'"] = "5",
        ["%-?nan"] = 0 / 0, ["a table"] = {} } do
        assert.matches("deadline must be a number, got " .. shown .. "%)$",
          error_of(function () s.deadline = bad end))
      end
      assert.equal(math.huge, s.deadline)
      assert.matches("no field 'deadlin' to set",
        error_of(function () s.deadlin = 1 end))
      assert.is_nil(s.nonsense)
    end)
  end))


  it("SCP-15 BUG-28 <close> variables of a cancelled task run before its "
    .. "awaiters",
    task(function ()
      local log = support.recorder()
      local t = neap.async(function ()
        local _ <close> = closing(function ()
          neap.shield(neap.sleep, 2)
          log "closed"
        end)
        neap.sleep(100)
      end)
      neap.sleep(1)
      t:cancel()
      t:pawait()
      log "awaiter"
      assert.same({ "closed@3", "awaiter@3" }, log())
    end))


  it("SCP-17 what a function spawns ends with the call it ran in",
    task(function ()
      local function leaky () neap.spawn(neap.sleep, 100) end
      assert.is_true(neap.is_timeout(error_of(neap.timeout, leaky, 2)))
      assert.equal(2, neap.now())
      neap.scope(function (s)
        leaky()
        s:cancel()
      end)
      assert.equal(2, neap.now())
      local function ends () neap.spawn(neap.sleep, 1) end
      neap.race { leaky, function () neap.sleep(1) end } -- it is cancelled
      assert.equal(3, neap.now())
      for i, call in ipairs {
        function () neap.timeout(ends, 5) end,
        function () neap.race { ends } end,
        function () neap.pool({ 1 }, 1, ends) end,
        function () neap.sequential({ 1 }, ends) end,
        function () neap.retry(ends) end,
        function () neap.limiter {}(ends) end,
        function () neap.collect(neap.map({ 1 }, function ()
          ends()
          return true
        end)) end,
      } do
        call()
        assert.equal(3 + i, neap.now())
      end
    end))


  it("SCP-18 150 nested ones work", task(function ()
    local function nest (n)
      if n == 0 then
        neap.spawn(neap.sleep, 1)
        return "bottom"
      end
      return neap.scope(function () return nest(n - 1) end)
    end
    assert.equal("bottom", nest(150))
  end))


  it("SCP-18 too many raise an ordinary error, and all unwinds",
    task(function ()
      local opened, closed = 0, 0
      local function nest ()
        return neap.scope(function ()
          opened = opened + 1
          local _ <close> = closing(function () closed = closed + 1 end)
          nest()
        end)
      end
      assert.matches("stack overflow", error_of(nest))
      assert.is_true(opened > 100)
      -- the innermost handler may itself be one call too many
      assert.is_true(closed >= opened - 1)
      assert.equal("works", neap.scope(function () return "works" end))
    end))


  it("the order on a cancel: the body, then children depth first",
    task(function ()
      local log, scope, canceller = {}, nil, nil
      local function worker (name, ...)
        local children = { ... }
        return function ()
          for _, child in ipairs(children) do neap.spawn(child) end
          local _ <close> = closing(function () log[#log + 1] = name end)
          neap.sleep(100)
        end
      end
      neap.scope(function ()
        canceller = neap.async(function ()
          neap.sleep(1)
          scope:cancel()
        end)
        neap.scope(function (s)
          scope = s
          s:spawn(worker("a", worker("a1", worker "a1x"), worker "a2"))
          s:spawn(worker("b", worker "b1"))
          local _ <close> = closing(function () log[#log + 1] = "body" end)
          neap.sleep(100)
        end)
        canceller:await()
      end)
      assert.same({ "body", "a", "a1", "a1x", "a2", "b", "b1" }, log)
    end))


  it("the order on a cancel: children of older scopes before younger ones'",
    task(function ()
      local log = {}
      local function worker (name)
        return function ()
          local _ <close> = closing(function () log[#log + 1] = name end)
          neap.sleep(100)
        end
      end
      neap.scope(function (outer)
        outer:spawn(worker "outer 1")
        outer:spawn(worker "outer 2")
        neap.scope(function (inner)
          inner:spawn(worker "inner 1")
          inner:spawn(worker "inner 2")
          neap.sleep(1)
          outer:cancel()
        end)
      end)
      assert.same({ "outer 1", "outer 2", "inner 1", "inner 2" }, log)
    end))


  it("a failing task wakes its awaiters before its scope cancels the rest",
    task(function ()
      local log = {}
      error_of(neap.scope, function (s)
        local failing
        s:spawn(function ()
          local ok, err = pcall(function () return failing:await() end)
          log[#log + 1] = ok or err
        end)
        failing = s:spawn(function ()
          neap.sleep(1)
          error("failure", 0)
        end)
        local _ <close> = closing(function () log[#log + 1] = "body" end)
        neap.sleep(100)
      end)
      assert.same({ "failure", "body" }, log)
    end))


  it("has a name and options that are checked", task(function ()
    local scope
    assert.equal(1, neap.scope({ name = "mine" }, function (s)
      scope = s
      assert.equal("mine", s.name)
      return 1
    end))
    assert.equal("mine", scope.name)
    neap.scope(function (s) assert.is_nil(s.name) end)
    assert.matches("bad option 'name' to 'scope' %(must be a string, got 5",
      error_of(neap.scope, { name = 5 }, error))
    assert.matches("bad option 'timout' to 'scope' %(did you mean 'timeout'",
      error_of(neap.scope, { timout = 1 }, print))
    assert.matches("#1 to 'scope' %(fn must be a function",
      error_of(neap.scope))
    assert.matches("#2 to 'scope'", error_of(neap.scope, {}, 5))
  end))


  it("raises what cannot be the same scope's method", task(function ()
    neap.scope(function (s)
      assert.matches("calling 'cancel' on a bad self", error_of(s.cancel))
      assert.matches("fn must be a function", error_of(s.spawn, s, 1))
    end)
  end))

end)
