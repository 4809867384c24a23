-- luacheck: ignore 512 (loops that are left in the first round)

local neap = require "neap"
local support = require "spec.support"

local list = support.list

local run, task, error_of = support.run, support.task, support.error_of
local huge = math.huge


-- 1 ... n (or for ever), counting what is taken, and closings, in `log`
local function numbers (n, log)
  return setmetatable({ taken = 0, closed = 0 }, {
    __call = function (source)
      if source.taken == n then return nil end
      source.taken = source.taken + 1
      return source.taken
    end,
    __neap_close = function (source)
      source.closed = source.closed + 1
      if log then log "closed" end
    end,
  })
end


-- `fn` for map: takes as many seconds as the item, and returns it
local function sleeps (x)
  neap.sleep(x)
  return x
end


-- a <close> variable that notes how it ends, after a second in a shield
local function unwinding (log, name)
  return setmetatable({}, { __close = function ()
    if not neap.cancelled() then return end
    neap.shield(neap.sleep, 1)
    log(name .. " unwound")
  end })
end


-- what the hook for suppressed errors hears while `fn` runs
local function suppressed (fn)
  local told = {}
  neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
  local ok, err = pcall(fn)
  neap.hooks { on_suppressed = false }
  if not ok then error(err, 0) end
  return told
end


describe("map", function ()

  it("MAP-01 does nothing before the first next", task(function ()
    local source = numbers(9)
    local s = neap.map(source, sleeps, { concurrency = 3 })
    neap.sleep(5)
    assert.equal(0, source.taken)
    assert.equal(1, s())
    assert.equal(6, neap.now())
    s:close()
  end))

  it("MAP-01 leaves nothing behind when nobody reads it", function ()
    local source = numbers(9)
    run(function ()
      neap.map(source, sleeps, { concurrency = 3 })
      local s = neap.map(source, sleeps, { concurrency = 3 })
      s:close()
    end)
    assert.equal(0, source.taken)
    assert.equal(1, source.closed)
  end)

  it("MAP-02 takes at most `buffer` items ahead of the consumer",
    task(function ()
      for _, case in ipairs { { 1, 2 }, { 2, 2 }, { 2, 5 }, { 5, 5 } } do
        for _, ordered in ipairs { true, false } do
          local concurrency, buffer = case[1], case[2]
          local source, running, most = numbers(30), 0, 0
          local consumed = 0
          for _ in neap.map(source, function (x)
            running = running + 1
            most = math.max(most, running)
            neap.sleep(x % 3 + 1)
            running = running - 1
            return x
          end, { concurrency = concurrency, buffer = buffer,
                 ordered = ordered }) do
            consumed = consumed + 1
            assert.is_true(source.taken - consumed <= buffer)
            neap.sleep(9)
            assert.equal(math.min(buffer, 30 - consumed),
              source.taken - consumed)
          end
          assert.equal(30, consumed)
          assert.equal(concurrency, most)
        end
      end
    end))

  it("MAP-02 the item that is being read counts, too", task(function ()
    local taking = 0
    local s = neap.map(function ()
      taking = taking + 1
      neap.sleep(1)
      return taking
    end, sleeps, { concurrency = 2 })
    neap.move_on_after(10, s)
    assert.equal(2, taking)
    s:close()
  end))

  it("MAP-02 a buffer below concurrency raises", function ()
    assert.matches("map_spec.lua:%d+: bad option 'buffer' to 'map' %(must be "
      .. "at least 'concurrency', which is 4, got 3%)", error_of(function ()
        neap.map({}, sleeps, { concurrency = 4, buffer = 3 })
      end))
  end)

  it("MAP-03 is in input order by default", task(function ()
    local log = support.recorder()
    for x in neap.map({ 3, 1, 2, 4, 1 }, sleeps, { concurrency = 3 }) do
      log(x)
    end
    assert.same({ "3@3", "1@3", "2@3", "4@7", "1@7" }, log())
  end))

  it("MAP-03 an error comes behind the results before it", task(function ()
    for _, err in ipairs { { {} }, { "text" }, { false }, {} } do
      local log = support.recorder()
      local s = neap.map({ 3, 1, 2, 9 }, function (x)
        local _ <close> = unwinding(log, x)
        neap.sleep(x)
        if x == 1 then error(err[1], 0) end
        return x
      end, { concurrency = 4 })
      local start = neap.now()
      assert.equal(3, s())
      assert.equal(start + 3, neap.now())
      local ok, got = pcall(s)
      assert.is_false(ok)
      assert.equal(err[1], got)
      assert.is_nil(s())
      local t = ("@%g"):format(start + 2)
      assert.same({ "2 unwound" .. t, "9 unwound" .. t }, log())
    end
  end))

  it("MAP-03 after an error nothing more is begun", task(function ()
    local source = numbers(9)
    local s = neap.map(source, function (x)
      neap.sleep(x == 1 and 9 or 1)
      if x == 2 then error("no", 0) end
      return x
    end, { concurrency = 2, buffer = 9 })
    assert.equal(1, s())
    assert.equal("no", error_of(s))
    assert.equal(2, source.taken)
    assert.equal(1, source.closed)
  end))

  it("MAP-03 the first error in the input is raised, the others are told of",
    task(function ()
      local told = suppressed(function ()
        local s = neap.map({ 3, 2, 1 }, function (x)
          neap.shield(neap.sleep, x)
          error(x, 0)
        end, { concurrency = 3 })
        assert.equal(3, error_of(s))
      end)
      assert.same({ 1, 2 }, told)
    end))

  it("MAP-03 errors of those behind the first are told of", task(function ()
    local told = suppressed(function ()
      local s = neap.map({ 1, 2 }, function (x)
        neap.shield(neap.sleep, x)
        error(x, 0)
      end, { concurrency = 2 })
      assert.equal(1, error_of(s))
      assert.equal(2, neap.now())
    end)
    assert.same({ 2 }, told)
  end))

  it("MAP-03 an error of the source has its place, too", task(function ()
    local i = 0
    local source = setmetatable({ closed = 0 }, {
      __call = function ()
        i = i + 1
        if i == 3 then error("source", 0) end
        return i
      end,
      __neap_close = function (s) s.closed = s.closed + 1 end,
    })
    local s = neap.map(source, sleeps, { concurrency = 5 })
    assert.equal(1, s())
    assert.equal(2, s())
    assert.equal("source", error_of(s))
    assert.is_nil(s())
    assert.equal(3, i)
    assert.equal(0, source.closed)
  end))

  it("MAP-04 may be in order of completion", task(function ()
    local log = support.recorder()
    for x in neap.map({ 3, 1, 2, 4, 1 }, sleeps,
                      { concurrency = 3, ordered = false }) do
      log(x)
    end
    assert.same({ "1@1", "2@2", "3@3", "1@3", "4@5" }, log())
  end))

  it("MAP-04 raises an error as soon as it happens", task(function ()
    local log = support.recorder()
    local s = neap.map({ 3, 1, 2, 9 }, function (x)
      local _ <close> = unwinding(log, x)
      neap.sleep(x)
      if x == 2 then error("no", 0) end
      return x
    end, { concurrency = 4, ordered = false })
    assert.equal(1, s())
    assert.equal("no", error_of(s))
    assert.equal(3, neap.now())
    assert.is_nil(s())
    assert.same({ "3 unwound@3", "9 unwound@3" }, log())
  end))

  it("MAP-05 a break cancels what runs, then closes the source",
    task(function ()
      for _, ordered in ipairs { true, false } do
        local log = support.recorder()
        local start = neap.now()
        for _ in neap.map(numbers(9, log), function (x)
          local _ <close> = unwinding(log, x)
          neap.sleep(x)
          return x
        end, { concurrency = 3, ordered = ordered }) do
          neap.sleep(0.5)
          break
        end
        log "after"
        local t = ("@%g"):format(start + 2.5)
        -- in the order of the workers
        assert.same({ "4 unwound" .. t, "2 unwound" .. t, "3 unwound" .. t,
          "closed" .. t, "after" .. t }, log())
      end
    end))

  it("MAP-05 so does a cancel, at any time", task(function ()
    for _, options in ipairs { { concurrency = 2 }, { buffer = 3 },
        { concurrency = 2, buffer = 4, ordered = false } } do
      for at = 0, 8, 0.5 do
        local running, begun, source = 0, 0, numbers(5)
        neap.move_on_after(at, function ()
          for _ in neap.map(source, function (x)
            running, begun = running + 1, begun + 1
            local _ <close> = setmetatable({}, { __close = function ()
              running = running - 1
            end })
            neap.sleep(x % 2 + 1)
            return x
          end, options) do
            neap.sleep(1.5)
          end
        end)
        assert.equal(0, running)
        assert.equal(source.taken < 5 and 1 or source.closed, source.closed)
        local before = begun
        neap.sleep(5)
        assert.equal(before, begun)
      end
    end
  end))

  it("BUG-18 a stream that was dropped ends", function ()
    local log = support.recorder()
    run(function ()
      local source = numbers(nil, log)
      do
        local s = neap.map(source, function (x)
          local _ <close> = unwinding(log, x)
          neap.sleep(1)
          return x
        end, { concurrency = 2 })
        s()
      end
      neap.sleep(0.5)
      collectgarbage()
      collectgarbage()
      neap.sleep(5)
      log "root"
    end)
    assert.same({ "3 unwound@2.5", "closed@2.5", "root@6.5" }, log())
  end)

  it("BUG-18 the end of run ends it", function ()
    local log = support.recorder()
    local s
    run(function ()
      s = neap.map(numbers(nil, log), function (x)
        local _ <close> = unwinding(log, x)
        neap.sleep(x)
        return x
      end, { concurrency = 2 })
      s()
      neap.sleep(0.5)
    end)
    assert.same({ "3 unwound@2.5", "2 unwound@2.5", "closed@2.5" }, log())
    run(function () -- what it had not given yet is lost: that is no end
      assert.equal("AbortError", error_of(s).name)
    end)
  end)

  it("a cancel while waiting for a result loses none", task(function ()
    local s = neap.map({ 1, 2, 3 }, sleeps, { concurrency = 2 })
    assert.is_false((neap.move_on_after(0.5, s)))
    assert.is_false((neap.move_on_after(0.25, s)))
    assert.equal(1, s())
    assert.is_false((neap.move_on_after(0.5, s)))
    assert.same({ 2, 3 }, list(s))
    assert.equal(4, neap.now())
  end))

  it("may be read by several tasks", task(function ()
    local s = neap.map({ 1, 2, 3, 4 }, sleeps, { concurrency = 2 })
    local log = support.recorder()
    for name in ("abcde"):gmatch "." do
      neap.spawn(function () log(name, (s())) end)
    end
    neap.sleep(20)
    assert.same({ "a 1@1", "b 2@2", "c 3@4", "d 4@6", "e nil@6" }, log())
  end))

  it("outlives the timeout in which it was begun", task(function ()
    local s = neap.map({ 1, 2, 3 }, sleeps, { concurrency = 3 })
    assert.equal(1, neap.timeout(s, 5))
    assert.equal(2, neap.timeout(s, 5))
    assert.equal(3, neap.timeout(s, 5))
  end))

  it("each item is a scope of its own", task(function ()
    local log = support.recorder()
    for x in neap.map({ 1, 2 }, function (x)
      neap.spawn(function () neap.sleep(x) log("child " .. x) end)
      return x
    end, { concurrency = 2 }) do
      log(x)
    end
    assert.same({ "child 1@1", "1@1", "child 2@2", "2@2" }, log())
  end))

  it("SKIP leaves items out, STOP ends behind those before it",
    task(function ()
      for _, ordered in ipairs { true, false } do
        local log = support.recorder()
        local start, source = neap.now(), numbers(9)
        local got = list(neap.map(source, function (x)
          local _ <close> = unwinding(log, x)
          neap.sleep(({ 3, 1, 5, 2 })[x] or 9)
          if x == 2 then return neap.SKIP end
          if x == 4 then return neap.STOP end
          return x
        end, { concurrency = 5, ordered = ordered }))
        assert.same({ 1, 3 }, got)
        assert.equal(start + 5, neap.now())
        local t = ("@%g"):format(start + 3)
        -- out of order the place of the item left out is free sooner
        assert.same(ordered and { "5 unwound" .. t }
          or { "6 unwound" .. t, "5 unwound" .. t }, log())
        assert.equal(1, source.closed)
      end
      assert.same({}, list(neap.map({ 1, 2 }, function ()
        return neap.SKIP
      end, { concurrency = 2 })))
    end))

  it("SKIP and STOP count with values behind them", task(function ()
    for _, options in ipairs {
      { concurrency = 1 }, { buffer = 2 }, { concurrency = 2 },
      { concurrency = 2, ordered = false },
      { signal = neap.abort_controller().signal },
    } do
      assert.same({ 1, 3 }, list(neap.map(numbers(9), function (x)
        neap.sleep(x)
        if x == 2 then return neap.SKIP, "left out" end
        if x == 4 then return neap.STOP, nil end
        return x
      end, options)))
    end
  end))

  it("what those behind STOP still come to is left out, their errors are told "
    .. "of", task(function ()
      for _, ordered in ipairs { true, false } do
        local got
        local told = suppressed(function ()
          got = list(neap.map({ 1, 2, 3, 4 }, function (x)
            pcall(neap.sleep, ({ 2, 1 })[x] or 9)
            if x == 2 then return neap.STOP end
            if x == 4 then error("clean-up", 0) end
            return x
          end, { concurrency = 4, ordered = ordered }))
        end)
        assert.same({ 1 }, got)
        assert.same({ "clean-up" }, told)
      end
    end))

  it("a nil result raises in its place", task(function ()
    for _, options in ipairs { { concurrency = 2 },
        { concurrency = 2, ordered = false } } do
      local s = neap.map({ 1, 2 }, function (x)
        if x == 1 then return x end
      end, options)
      assert.equal(1, s())
      assert.matches("the function of 'map' returned nil, which is the end",
        error_of(s))
    end
  end))

  it("CNV-08 BUG-19 values travel, holes are items, false is a result",
    task(function ()
      local options = { concurrency = 2 }
      local function all (...) return ... end
      local s = neap.map(neap.iter(ipairs { "a", "b" }), all, options)
      assert.same({ 1, "a", 1 }, { s() })
      assert.same({ 2, "b", 2 }, { s() })
      s = neap.map({ 1, nil, 3, n = 3 }, function (x, i)
        return tostring(x) .. i
      end, options)
      assert.same({ "11", "nil2", "33" }, list(s))
      s = neap.map({ 1, 2 }, function () return false end, options)
      assert.same({ false, false }, list(s))
    end))

  it("callables and methods will do", task(function ()
    local fn = setmetatable({}, { __call = function (_, x) return -x end })
    local s = neap.stream { 1, 2, 3 }:filter(function (x) return x ~= 2 end)
      :map(fn, { concurrency = 2 }):take(2)
    assert.same({ -1, -3 }, list(s))
  end))

  it("takes as many at a time as there are with math.huge", task(function ()
    local source = numbers(100)
    local got = list(neap.map(source, function (x)
      neap.sleep(1)
      return x
    end, { concurrency = huge }))
    assert.equal(100, #got)
    assert.equal(1, neap.now())
  end))

  it("bears no more workers than there are items", task(function ()
    local s = neap.map({ 1, 2 }, sleeps, { concurrency = 1000 })
    s()
    assert.is_true(require("neap.core").internal.stats().live < 10)
    s:close()
  end))

  it("bears no worker while one waits for an item", task(function ()
    local i = 0
    local s = neap.map(function ()
      neap.sleep(1)
      i = i + 1
      return i <= 20 and i or nil
    end, function (x) return x end, { concurrency = 1000 })
    for _ = 1, 20 do s() end
    -- this task, that of the map, two workers
    assert.equal(4, require("neap.core").internal.stats().live)
    s:close()
  end))

  it("bears another worker when those that waited are at work again",
    task(function ()
      local log = support.recorder()
      local items = neap.channel(9)
      neap.spawn(function ()
        items:send(1)
        neap.sleep(5)
        for i = 2, 4 do items:send(i) end
        items:close()
      end)
      neap.map(items, function (x)
        log(x)
        neap.sleep(1)
        return x
      end, { concurrency = 3 }):collect()
      assert.same({ "1@0", "2@5", "3@5", "4@5" }, log())
    end))

  it("reads the source one item at a time, while items run", task(function ()
    local reading, most, log = 0, 0, support.recorder()
    local i = 0
    local s = neap.map(function ()
      reading = reading + 1
      most = math.max(most, reading)
      neap.sleep(1)
      reading = reading - 1
      i = i + 1
      return i <= 3 and i or nil
    end, function (x) neap.sleep(5) return x end, { concurrency = 3 })
    for x in s do log(x) end
    assert.equal(1, most)
    assert.same({ "1@6", "2@7", "3@8" }, log())
  end))

  it("an error of clean-up comes out at a break", task(function ()
    local function leave ()
      for _ in neap.map(numbers(), function (x)
        local _ <close> = setmetatable({}, { __close = function ()
          if neap.cancelled() then error("clean-up " .. x, 0) end
        end })
        neap.sleep(x)
        return x
      end, { concurrency = 2 }) do
        neap.sleep(0.5)
        break
      end
    end
    local told = suppressed(function ()
      assert.equal("clean-up 3", error_of(leave))
    end)
    assert.same({ "clean-up 2" }, told) -- there are two that run
    local source = setmetatable({}, {
      __call = function () return 1 end,
      __neap_close = function () error("closing", 0) end,
    })
    assert.equal("closing", error_of(function ()
      for _ in neap.map(source, sleeps, { concurrency = 2 }) do break end
    end))
  end))

  it("an error that nobody came to is told of", function ()
    local told = {}
    neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
    run(function ()
      local s = neap.map({ 1, 2 }, function (x)
        if x == 2 then error("two", 0) end
        return x
      end, { concurrency = 2 })
      s()
      neap.sleep(1)
      s:close()
    end)
    neap.hooks { on_suppressed = false }
    assert.same({ "two" }, told)
  end)

  it("is refused where it cannot wait, and nothing has changed", function ()
    local source = numbers(3)
    local s = neap.map(source, function (x) return x end, { concurrency = 2 })
    assert.matches("'next' must be called in a task", error_of(s))
    assert.equal(0, source.taken)
    run(function () assert.same({ 1, 2, 3 }, list(s)) end)
  end)


  it("tells where a string was raised, also by a worker", task(function ()
    local function parse () error "cannot parse" end
    local err = error_of(neap.collect,
      neap.map({ 1 }, parse, { concurrency = 2 }))
    assert.matches("cannot parse.*in .- 'parse'", (neap.traceback(err)
      :gsub("in upvalue", "in"):gsub("in function <", "in 'parse' <")))
  end))


  describe("with a signal", function ()

    it("ABT-13 that is aborted raises in the call", task(function ()
      local source = numbers(3)
      local reason = {}
      assert.equal(reason, error_of(neap.map, source, sleeps, {
        signal = neap.abort_signal.abort(reason),
      }))
      assert.equal(0, source.taken)
    end))

    it("ABT-14 raises its reason at once", task(function ()
      for _, options in ipairs { {}, { concurrency = 2 },
                                 { concurrency = 2, ordered = false } } do
        local controller, source = neap.abort_controller(), numbers(9)
        options.signal = controller.signal
        local s = neap.map(source, function (x)
          return sleeps(x == 1 and 1 or 9)
        end, options)
        assert.equal(1, s())
        neap.spawn(function ()
          neap.sleep(1.5)
          controller:abort("reason")
        end)
        local start = neap.now()
        local err = error_of(s)
        assert.equal(controller.signal.reason, err)
        assert.equal(start + 1.5, neap.now())
        assert.equal(1, source.closed)
        assert.is_nil(s())
      end
    end))

    it("ABT-13 does not begin when it was aborted before", task(function ()
      local controller, source = neap.abort_controller(), numbers(9)
      local s = neap.map(source, sleeps, { signal = controller.signal })
      controller:abort()
      assert.equal(controller.signal.reason, error_of(s))
      assert.equal(0, source.taken)
      assert.equal(1, source.closed)
    end))

    it("ABT-14 raises when what runs has unwound", task(function ()
      local controller, log = neap.abort_controller(), support.recorder()
      local s = neap.map({ 1, 2 }, function (x)
        local _ <close> = unwinding(log, x)
        return sleeps(x == 1 and 0 or 9)
      end, { concurrency = 2, signal = controller.signal })
      assert.equal(0, s())
      neap.sleep(1)
      controller:abort() -- while the consumer is busy
      assert.equal(controller.signal.reason, error_of(s))
      log "raised"
      assert.same({ "2 unwound@2", "raised@2" }, log())
    end))

    it("raises although results are ready", task(function ()
      local controller = neap.abort_controller()
      local s = neap.map({ 1, 2, 3 }, function (x) return x end, {
        concurrency = 3, signal = controller.signal,
      })
      assert.equal(1, s())
      neap.sleep(1)
      controller:abort()
      assert.equal(controller.signal.reason, error_of(s))
    end))

    it("ABT-12 leaves no listener on it", task(function ()
      local controller = neap.abort_controller()
      local options = { signal = controller.signal, concurrency = 2 }
      support.assert_flat(20, function ()
        list(neap.map({ 0, 0 }, sleeps, options))
        for _ in neap.map({ 0, 0 }, sleeps, options) do break end
        pcall(neap.map({ 0 }, error, options))
      end, 8192)
    end))

  end)


  describe("options", function ()

    for _, case in ipairs {
      { { concurrency = 0 }, "'concurrency' to 'map' %(must be a whole" },
      { { concurrency = 1.5 }, "'concurrency' to 'map' %(must be a whole" },
      { { concurrency = 0 / 0 }, "'concurrency' to 'map' %(must be a whole" },
      { { concurrency = "2" }, "'concurrency' to 'map' %(must be a whole" },
      { { buffer = 0 }, "'buffer' to 'map' %(must be a whole number >= 1" },
      { { ordered = 1 }, "'ordered' to 'map' %(must be a boolean, got 1" },
      { { signal = {} }, "'signal' to 'map' %(must be an abort signal" },
      { { limit = 2 }, "'limit' to 'map' %(did you mean 'concurrency'" },
      { { odered = true }, "'odered' to 'map' %(did you mean 'ordered'" },
      { { capacity = 2 }, "'capacity' to 'map' %(did you mean 'buffer'" },
    } do
      it("CNV-02 are checked: " .. next(case[1]), function ()
        assert.matches("map_spec.lua:%d+: bad option " .. case[2],
          error_of(function () neap.map({}, sleeps, case[1]) end))
        assert.matches("map_spec.lua:%d+: bad option " .. case[2],
          error_of(function () neap.stream({}):map(sleeps, case[1]) end))
      end)
    end

    it("CNV-01 must be a table", function ()
      assert.matches("bad argument #3 to 'map' %(options must be a table, got "
        .. "2%)", error_of(neap.map, {}, sleeps, 2))
      assert.matches("bad argument #2 to 'map' %(options must be a table, got "
        .. "2%)", error_of(function () neap.stream({}):map(sleeps, 2) end))
    end)

  end)


end)
