local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of
local huge = math.huge


local function closing (fn)
  return setmetatable({}, { __close = fn })
end


-- an iterator over 1 ... n that notes what was pulled and whether it was closed
local function source (n)
  local s = { pulled = 0, closed = 0 }
  s.items = setmetatable({}, {
    __call = function ()
      if s.pulled >= n then return nil end
      s.pulled = s.pulled + 1
      return s.pulled
    end,
    __neap_close = function () s.closed = s.closed + 1 end,
  })
  return s
end


local function list (n)
  local t = {}
  for i = 1, n do t[i] = i end
  return t
end


describe("pool", function ()

  it("POOL-01 results are in input order, and fn gets the position",
    task(function ()
      local results = neap.pool({ 3, 1, 2 }, 3, function (item, index)
        neap.sleep(item)
        return item * 10 + index
      end)
      assert.same({ n = 3, 31, 12, 23 }, results)
    end))


  it("POOL-02 never more than concurrency run", task(function ()
    for _, concurrency in ipairs { 1, 2, 5 } do
      local running, most = 0, 0
      pcall(neap.pool, list(30), concurrency, function (i)
        running = running + 1
        most = math.max(most, running)
        local _ <close> = closing(function () running = running - 1 end)
        if i % 3 == 0 then neap.sleep(i % 7) end
        if i % 5 == 0 then error "fails" end
        if i % 4 == 0 then return neap.SKIP end
        return i
      end, { stop_on_error = false, item_timeout = 3 })
      assert.equal(math.min(concurrency, 30), most)
      assert.equal(0, running)
    end
  end))


  it("POOL-03 bad concurrency raises even for empty input", task(function ()
    for _, bad in ipairs { 0, -1, 1.5, 0 / 0, "2", {} } do
      assert.matches("#2 to 'pool' %(concurrency must be a whole number >= 1 "
        .. "or math.huge", error_of(neap.pool, {}, bad, print))
    end
    assert.matches("#2 to 'pool'", error_of(neap.pool, {}))
    assert.matches("#1 to 'pool' %(items must be", error_of(neap.pool, 5, 1,
      print))
    assert.matches("#3 to 'pool' %(fn must be", error_of(neap.pool, {}, 1))
    assert.matches("bad option 'concurency' to 'pool'",
      error_of(neap.pool, {}, 1, print, { concurency = 1 }))
    assert.matches("bad option 'item_timeout' to 'pool'",
      error_of(neap.pool, {}, 1, print, { item_timeout = -1 }))
    assert.matches("bad option 'on_progress' to 'pool'",
      error_of(neap.pool, {}, 1, print, { on_progress = 5 }))
  end))


  it("POOL-04 empty input gives an empty result; more slots than items work",
    task(function ()
      local called = false
      assert.same({ n = 0 }, neap.pool({}, 3, function () called = true end))
      assert.same({ n = 0 }, neap.pool(function () end, 3, error))
      assert.is_false(called)
      assert.same({ n = 2, 1, 2 }, neap.pool({ 1, 2 }, huge,
        function (x) return x end))
    end))


  it("POOL-04 a list has at most one task for each item", task(function ()
    local function tasks_of (pool, items)
      local most = 0
      pool(items, function (x)
        most = math.max(most, #neap.tasks()[1].children)
        neap.sleep(x)
      end)
      return most
    end
    assert.equal(3, tasks_of(neap.parallel, { 1, 1, 2 }))
    assert.equal(2, tasks_of(neap.parallel, { a = 1, b = 1 }))
    assert.equal(2, tasks_of(function (items, fn)
      neap.pool(items, 9, fn)
    end, { 1, 1 }))
  end))

  it("POOL-05 an item is pulled only when there is a slot", task(function ()
    local s, most = source(20), 0
    local ended = 0
    neap.pool(s.items, 3, function ()
      most = math.max(most, s.pulled - ended)
      neap.sleep(1)
      ended = ended + 1
    end)
    assert.equal(3, most)
    assert.equal(0, s.closed) -- it had ended
  end))


  it("POOL-05 an endless source works; STOP, error and cancel end it",
    task(function ()
      local s = source(huge)
      local results = neap.pool(s.items, 4, function (i)
        neap.sleep(1)
        return i == 10 and neap.STOP or i
      end)
      assert.equal(9, results.n)
      assert.equal(1, s.closed)
      s = source(huge)
      assert.equal("e", error_of(neap.pool, s.items, 4, function (i)
        neap.sleep(1)
        if i == 10 then error("e", 0) end
      end))
      assert.equal(1, s.closed)
      s = source(huge)
      assert.is_false((neap.move_on_after(10, neap.pool, s.items, 4,
        function () neap.sleep(1) end)))
      assert.equal(1, s.closed)
    end))


  it("CNV-12 a source that has ended, or raised, is not called again",
    task(function ()
      for _, fails in ipairs { true, false } do
        local calls = 0
        local ok = pcall(neap.pool, function ()
          calls = calls + 1
          if calls <= 2 then return calls end
          if fails then error "source" end
        end, 5, function () neap.sleep(1) end, { stop_on_error = false })
        assert.equal(not fails, ok)
        assert.equal(3, calls)
      end
    end))


  it("of one inside another each has slots of its own", task(function ()
    local running, most = 0, 0
    neap.pool(list(3), 2, function ()
      neap.pool(list(4), 2, function ()
        running = running + 1
        most = math.max(most, running)
        neap.sleep(1)
        running = running - 1
      end)
    end)
    assert.equal(4, most)
    assert.equal(4, neap.now())
  end))


  it("POOL-06 reads a slow source while items run, never twice at a time",
    task(function ()
      local reading, n = 0, 0
      local log = support.recorder()
      neap.pool(function ()
        reading = reading + 1
        assert.equal(1, reading)
        neap.sleep(1)
        reading = reading - 1
        n = n + 1
        if n <= 4 then return n end
      end, 3, function (i)
        log(i)
        neap.sleep(10)
      end)
      assert.same({ "1@1", "2@2", "3@3", "4@12" }, log())
    end))


  it("POOL-07 a freed slot takes the next item at once", task(function ()
    local log = support.recorder()
    neap.pool({ 10, 1, 1, 1 }, 2, function (seconds, i)
      log(i)
      neap.sleep(seconds)
    end)
    assert.same({ "1@0", "2@0", "3@1", "4@2" }, log())
  end))


  it("POOL-08 SKIP leaves items out and keeps the order", task(function ()
    assert.same({ n = 2, 2, 4 }, neap.pool({ 1, 2, 3, 4, 5 }, 2, function (i)
      neap.sleep(5 - i)
      return i % 2 == 0 and i or neap.SKIP
    end))
    assert.same({ n = 0 }, neap.pool(list(5), 2, function ()
      return neap.SKIP
    end))
    assert.same({ b = 2 }, neap.pool({ a = 1, b = 2 }, 2, function (v)
      return v == 2 and v or neap.SKIP
    end))
    local results = neap.pool(list(100000), 10, function (i)
      return i > 99998 and i or neap.SKIP
    end)
    assert.same({ n = 2, 99999, 100000 }, results)
  end))


  it("POOL-09 after STOP nothing is pulled; the result is a prefix",
    task(function ()
      local s, ended, cancelled = source(huge), {}, {}
      local results = neap.pool(s.items, 5, function (i)
        local whole = false
        local _ <close> = closing(function ()
          local t = whole and ended or cancelled
          t[#t + 1] = i
        end)
        if i == 3 then
          neap.sleep(1)
          whole = true
          return neap.STOP
        end
        neap.sleep(i < 3 and 10 or 20)
        whole = true
        return i
      end)
      assert.same({ n = 2, 1, 2 }, results)
      assert.same({ 3, 1, 2 }, ended)
      assert.same({ 4, 5 }, cancelled)
      assert.equal(5, s.pulled)
      assert.equal(10, neap.now())
    end))


  it("says which comes first when concurrency and fn are swapped",
    task(function ()
      assert.matches("it is neap.pool%(items, concurrency, fn%)",
        error_of(neap.pool, { 1 }, print, { concurrency = 2 }))
    end))


  it("POOL-10 an earlier item that fails after STOP raises, a later one not",
    task(function ()
      neap.hooks { on_suppressed = function () end }
      assert.equal("early", error_of(neap.pool, list(4), 4, function (i)
        neap.sleep(i == 3 and 1 or 5)
        if i == 3 then return neap.STOP end
        if i == 1 then error("early", 0) end
      end))
      local results = neap.pool(list(4), 4, function (i)
        if i == 4 then pcall(neap.sleep, 5) error "late" end
        neap.sleep(i == 3 and 1 or 5)
        return i == 3 and neap.STOP or i
      end)
      neap.hooks { on_suppressed = false }
      assert.same({ n = 2, 1, 2 }, results)
    end))


  it("POOL-10 of two STOPs the earlier position counts", task(function ()
    assert.same({ n = 1, 1 }, neap.pool(list(5), 5, function (i)
      neap.sleep(i == 4 and 1 or 2)
      return (i == 4 or i == 2) and neap.STOP or i
    end))
  end))


  it("POOL-11 the first error stops pulling, and is raised when all unwound",
    task(function ()
      local s, log, mine = source(huge), support.recorder(), {}
      assert.equal(mine, error_of(neap.pool, s.items, 3, function (i)
        local _ <close> = closing(function ()
          neap.shield(neap.sleep, i)
          log(i)
        end)
        neap.sleep(i == 2 and 1 or 100)
        error(mine)
      end))
      assert.equal(3, s.pulled)
      assert.equal(1, s.closed)
      assert.same({ "2@3", "1@4", "3@6" }, log())
    end))


  it("POOL-12 errors of others after the first are suppressed", task(function ()
    local told = {}
    neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
    assert.equal("e1", error_of(neap.pool, list(3), 3, function (i)
      local _ <close> = closing(function ()
        if i > 1 then error("e" .. i, 0) end
      end)
      neap.sleep(i)
      error("e" .. i, 0)
    end))
    neap.hooks { on_suppressed = false }
    assert.same({ "e2", "e3" }, told)
  end))


  it("POOL-13 stop_on_error = false runs all, then raises one AggregateError",
    task(function ()
      local ran = 0
      local err = error_of(neap.pool, list(6), 2, function (i)
        neap.sleep(7 - i)
        ran = ran + 1
        if i % 2 == 0 then error("e" .. i, 0) end
      end, { stop_on_error = false })
      assert.equal("AggregateError", err.name)
      assert.same({ n = 3, "e2", "e4", "e6" }, err.errors)
      assert.equal(3, err.n)
      assert.same({ 2, 4, 6 }, err.keys)
      assert.equal("AggregateError: 3 of 6 items failed; the first error, of "
        .. "item 2: e2", tostring(err))
      assert.equal(6, ran)
      local one = error_of(neap.pool, { 1 }, 1, error,
        { stop_on_error = false })
      assert.same({ n = 1, 1 }, one.errors)
      assert.same({ n = 2, 1, 2 }, neap.pool({ 1, 2 }, 1,
        function (x) return x end, { stop_on_error = false }))
    end))


  it("POOL-13 of a table with keys it says which of them failed",
    task(function ()
      local items = { left = 1, right = 2, up = 3, [4.5] = 4 }
      local err = error_of(neap.pool, items, 2, function (i, key)
        neap.sleep(i)
        if key ~= "right" then error("e" .. i, 0) end
      end, { stop_on_error = false })
      assert.same({ 3, 3, 3 }, { err.n, err.errors.n, #err.keys })
      local by_key = {}
      for i, key in ipairs(err.keys) do by_key[key] = err.errors[i] end
      assert.same({ left = "e1", up = "e3", [4.5] = "e4" }, by_key)
      err = error_of(neap.pool, { left = "e1" }, 2, function (e)
        error(e, 0)
      end, { stop_on_error = false })
      assert.equal("AggregateError: 1 of 1 items failed; the first error, of "
        .. "item 'left': e1", tostring(err))
    end))


  it("the traceback of the first error says of which item it is",
    task(function ()
      for _, case in ipairs {
        { { 1, 2 }, "2" }, { { left = 2 }, "'left'" },
        { { [print] = 2 }, tostring(print):gsub("%p", "%%%0") },
      } do
        local err = error_of(neap.pool, case[1], 1, function (i)
          if i == 2 then error "oops" end
        end)
        assert.matches("^spec/pool_spec.lua:%d+: oops$", err)
        assert.matches("\n%[item " .. case[2] .. "%]\n%[child of a scope of ",
          neap.traceback(err))
      end
      local mine = {}
      assert.equal(mine, error_of(neap.all, {
        a = function () error(mine) end,
      }))
      assert.matches("\n%[item 'a'%]\n", neap.traceback(mine))
    end))


  it("POOL-10 STOP drops the errors, too, that later items had before",
    task(function ()
      local told = {}
      neap.hooks {
        on_suppressed = function (e) told[#told + 1] = tostring(e) end,
      }
      local results = neap.pool(list(5), 5, function (i)
        neap.sleep(i == 3 and 2 or 1)
        if i > 3 then error(i == 4 and "four" or nil, 0) end
        return i == 3 and neap.STOP or i
      end, { stop_on_error = false })
      neap.hooks { on_suppressed = false }
      assert.same({ n = 2, 1, 2 }, results)
      assert.same({ "four", "nil" }, told)
    end))


  it("POOL-14 a nil error counts in it", task(function ()
    local err = error_of(neap.pool, list(3), 1, function (i)
      if i == 2 then error(nil) end
      error(i == 1 and "first" or false, 0)
    end, { stop_on_error = false })
    assert.equal(3, err.n)
    assert.equal(3, err.errors.n)
    assert.equal("first", err.errors[1])
    assert.is_nil(err.errors[2])
    assert.equal(false, err.errors[3])
  end))


  it("POOL-15 an error of the source is raised itself", task(function ()
    local mine, called = {}, false
    assert.equal(mine, error_of(neap.pool, function () error(mine) end, 2,
      function () called = true end, { stop_on_error = false }))
    assert.is_false(called)
    local n, told = 0, {}
    neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
    assert.equal(mine, error_of(neap.pool, function ()
      n = n + 1
      if n == 3 then error(mine) end
      return n
    end, 1, function (i) error(i, 0) end, { stop_on_error = false }))
    neap.hooks { on_suppressed = false }
    assert.same({ 1, 2 }, told) -- what was kept is not lost
  end))


  it("POOL-15 a source that raised is not closed", task(function ()
    local closed = false
    error_of(neap.pool, setmetatable({}, {
      __call = function () error "source" end,
      __neap_close = function () closed = true end,
    }), 1, print)
    assert.is_false(closed)
  end))


  it("POOL-16 the source is closed before the pool returns", task(function ()
    local log = support.recorder()
    local items = setmetatable({}, {
      __call = function () return 1 end,
      __neap_close = function ()
        neap.sleep(2)
        log "closed"
      end,
    })
    neap.pool(items, 2, function () return neap.STOP end)
    log "returned"
    error_of(neap.pool, items, 2, error, {})
    log "raised"
    assert.same({ "closed@2", "returned@2", "closed@4", "raised@4" }, log())
  end))


  it("POOL-16 what closing it raises loses against errors that were kept",
    task(function ()
      local told, n = {}, 0
      local items = setmetatable({}, {
        __call = function ()
          n = n + 1
          return n
        end,
        __neap_close = function () error("closing", 0) end,
      })
      local function stop_at_2 (fails)
        return function (i)
          if i >= 2 then return neap.STOP end
          if fails then error("item", 0) end
        end
      end
      neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
      local options = { stop_on_error = false }
      local err = error_of(neap.pool, items, 1, stop_at_2(true), options)
      neap.hooks { on_suppressed = false }
      assert.same({ n = 1, "item" }, err.errors)
      assert.same({ "closing" }, told)
      n = 0
      assert.equal("closing",
        error_of(neap.pool, items, 1, stop_at_2(false), options))
    end))


  it("POOL-17 a source suspended in its pull is cancelled there and closed",
    task(function ()
      local unwound, closed, n = false, false, 0
      local items = setmetatable({}, {
        __call = function ()
          n = n + 1
          if n <= 2 then return n end
          local _ <close> = closing(function () unwound = true end)
          neap.sleep(1000)
        end,
        __neap_close = function () closed = true end,
      })
      assert.same({ n = 1, 1 }, neap.pool(items, 3, function (i)
        neap.sleep(i)
        return i == 2 and neap.STOP or i
      end))
      assert.is_true(unwound)
      assert.is_true(closed)
      assert.equal(2, neap.now())
    end))


  it("POOL-18 a slot is free only when its item has unwound", task(function ()
    local running, most = 0, 0
    local err = error_of(neap.pool, list(6), 2, function ()
      running = running + 1
      most = math.max(most, running)
      neap.spawn(function ()
        local _ <close> = closing(function ()
          neap.shield(neap.sleep, 2)
          running = running - 1
        end)
        neap.sleep(100)
      end)
      neap.sleep(100)
    end, { item_timeout = 1, stop_on_error = false })
    assert.equal(2, most)
    assert.equal(6, err.n)
    assert.equal(9, neap.now())
  end))


  it("POOL-19 item_timeout counts from the start of the item", task(function ()
    local results = neap.pool({ 1, 1, 1, 1 }, 1, function (s)
      neap.sleep(s)
      return s
    end, { item_timeout = 1.5 })
    assert.equal(4, results.n)
    local err = error_of(neap.pool, { 1, 9, 1 }, 3, neap.sleep,
      { item_timeout = 2, stop_on_error = false })
    assert.equal(1, err.n)
    assert.is_true(neap.is_timeout(err.errors[1]))
  end))


  it("POOL-20 on_progress is called once for each item that has ended",
    task(function ()
      local calls = {}
      local function note (done, total)
        calls[#calls + 1] = done .. "/" .. tostring(total)
      end
      neap.pool({ 3, 1, 2 }, 3, neap.sleep, { on_progress = note })
      assert.same({ "1/3", "2/3", "3/3" }, calls)
      calls = {}
      neap.pool(source(2).items, 3, print and function () end,
        { on_progress = note })
      assert.same({ "1/nil", "2/nil" }, calls)
      assert.equal("mine", error_of(neap.pool, { 1, 2 }, 1, function () end,
        { on_progress = function () error("mine", 0) end }))
    end))


  it("POOL-21 a million items keep live memory flat #slow", task(function ()
    local most, base = 0, nil
    local n = 0
    neap.pool(function ()
      n = n + 1
      if n % 50000 == 0 then
        collectgarbage()
        local now = collectgarbage "count"
        base = base or now
        most = math.max(most, now - base)
      end
      if n <= 1000000 then return n end
    end, 100, function () return nil end)
    assert.is_true(most < 64, "grew by KiB: " .. most)
  end))


  it("a table with n may have holes; its length is read once", task(function ()
    local seen = {}
    local t = { n = 3, "a", nil, "c" }
    local results = neap.pool(t, 1, function (item, i)
      t[10] = "x"
      t.n = 10
      seen[#seen + 1] = i .. tostring(item)
      return item
    end)
    assert.same({ "1a", "2nil", "3c" }, seen)
    assert.same({ n = 3, "a", nil, "c" }, results)
  end))


  it("the keys of a table are those at the call; one that has gone is left out",
    task(function ()
      local items, ran = {}, 0
      for i = 1, 20 do items["k" .. i] = i end
      local results = neap.pool(items, 3, function (value, key)
        ran = ran + 1
        neap.sleep(1)
        items[key] = nil
        for i = 1, 20 do items["new " .. value .. " " .. i] = i end
        if ran == 9 then
          for i = 1, 20 do items["k" .. i] = nil end
          collectgarbage()
        end
        return value
      end)
      assert.is_true(ran >= 9 and ran < 15)
      for key, value in pairs(results) do assert.equal("k" .. value, key) end
    end))


  it("a keyed table gives one with the same keys", task(function ()
    local results = neap.pool({ x = 1, y = 2, z = false }, 2,
      function (value, key)
        neap.sleep(1)
        return key .. tostring(value)
      end)
    assert.same({ x = "x1", y = "y2", z = "zfalse" }, results)
  end))


  it("takes channels, closures, callable objects and generators",
    task(function ()
      local ch = neap.channel(5)
      for i = 1, 3 do ch:send(i) end
      ch:close()
      local function double (x) return x * 2 end
      local expected = { n = 3, 2, 4, 6 }
      assert.same(expected, neap.pool(ch, 2, double))
      local i = 0
      assert.same(expected, neap.pool(function ()
        i = i + 1
        return i <= 3 and i or nil
      end, 2, double))
      assert.same(expected, neap.pool(source(3).items, 2, double))
      local gen = neap.generator(function (yield)
        for k = 1, 3 do
          neap.sleep(1)
          yield(k)
        end
      end)
      assert.same(expected, neap.pool(gen(), 2, double))
    end))


  it("closes a generator that it does not finish", task(function ()
    local closed = false
    local gen = neap.generator(function (yield)
      local _ <close> = closing(function () closed = true end)
      for k = 1, huge do yield(k) end
    end)
    neap.pool(gen(), 2, function (k) return k == 3 and neap.STOP or k end)
    assert.is_true(closed)
  end))


  it("works inside itself", task(function ()
    local results = neap.pool({ 1, 2 }, 2, function (i)
      return neap.pool({ 10, 20 }, 2, function (k)
        neap.sleep(1)
        return i + k
      end)
    end)
    assert.same({ n = 2, { n = 2, 11, 21 }, { n = 2, 12, 22 } }, results)
    assert.equal(1, neap.now())
  end))


  it("nil and false are results", task(function ()
    local results = neap.pool({ 1, 2, 3 }, 2, function (i)
      if i == 2 then return false end
    end)
    assert.same({ n = 3, nil, false, nil }, results)
  end))


  it("light userdata are results, too, but for SKIP and STOP", task(function ()
    local light = debug.upvalueid(list, 1) or debug.upvalueid(source, 1)
    assert.equal("userdata", type(light))
    assert.same({ n = 2, light, light }, neap.pool({ 1, 2, 3 }, 2, function (i)
      return i == 2 and neap.SKIP or light
    end))
  end))


  it("a table with a large n costs no more than is taken of it",
    task(function ()
      local items = { n = 1 << 24 }
      support.assert_flat(3, function ()
        assert.same({ n = 0 }, neap.pool(items, 1, function ()
          return neap.STOP
        end))
      end)
    end))


  it("a signal aborts it", task(function ()
    local controller = neap.abort_controller()
    local s = source(huge)
    neap.spawn(function ()
      neap.sleep(5)
      controller:abort "enough"
    end)
    local err = error_of(neap.pool, s.items, 2, function () neap.sleep(1) end,
      { signal = controller.signal })
    assert.equal(controller.signal.reason, err)
    assert.equal(1, s.closed)
    assert.equal(0, require("neap.core").internal.listeners(controller.signal))
    local pulled = s.pulled
    assert.equal(err, error_of(neap.pool, s.items, 2, print,
      { signal = controller.signal }))
    assert.equal(pulled, s.pulled)
  end))


  it("BUG-18 cancelling it cancels the items and closes the source",
    task(function ()
      local s, unwound = source(huge), 0
      local t = neap.async(neap.pool, s.items, 3, function ()
        local _ <close> = closing(function () unwound = unwound + 1 end)
        neap.sleep(100)
      end)
      neap.sleep(1)
      t:cancel()
      t:pawait()
      assert.equal(3, unwound)
      assert.equal(1, s.closed)
    end))

end)
