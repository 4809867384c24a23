-- luacheck: ignore 512 (loops that are left in the first round)

local neap = require "neap"
local support = require "spec.support"

local list = support.list

local run, task, error_of = support.run, support.task, support.error_of
local marbles, diagram = support.marbles, support.diagram

-- the options of each way that it works
local ways = {
  ["one by one"] = {},
  ["in order"] = { concurrency = 3 },
  ["at once"] = { concurrency = 3, ordered = false },
}


local function sorted (...)
  local result = list(...)
  table.sort(result)
  return result
end


-- gives "x1", ..., "xn" for the item "x", a second before each; counts
-- closings
local function letters (n, log)
  return function (x)
    local i = 0
    return setmetatable({}, {
      __call = function ()
        i = i + 1
        if i > n then return nil end
        neap.sleep(1)
        return x .. i
      end,
      __neap_close = function () log(x .. " closed") end,
    })
  end
end


-- a source of "a", "b", "c", to "c" or to "z"; notes its closing
local function abc (log, n)
  local i = 0
  return setmetatable({}, {
    __call = function ()
      i = i + 1
      return i <= (n or 26) and string.char(96 + i) or nil
    end,
    __neap_close = function () log "source closed" end,
  })
end


describe("flat_map", function ()

  it("gives the items of each result in turn", task(function ()
    local log = support.recorder()
    for x in neap.flat_map(abc(log, 3), letters(2, log)) do log(x) end
    assert.same({ "a1@1", "a2@2", "b1@3", "b2@4", "c1@5", "c2@6" }, log())
  end))

  it("needs no run when nothing waits", function ()
    local s = neap.stream({ 1, 2, 3 }):flat_map(function (x, i)
      local t = {}
      for k = 1, x do t[k] = x * 100 + i * 10 + k end
      return t
    end)
    assert.same({ 111, 221, 222, 331, 332, 333 }, list(s))
    s = neap.flat_map({ 1, 2 }, function () return {} end)
    assert.same({}, list(s))
  end)

  it("reads several results at a time, in order", task(function ()
    local function results (x)
      return marbles(({ a = "1--2|", b = "34---5|", c = "6|", d = "7|" })[x])
    end
    -- 3 is read at once; 6 is when 2 has gone, 7 when 5 has
    assert.equal("1--2[34]5[67]|", diagram(neap.flat_map(
      { "a", "b", "c", "d" }, results, { concurrency = 2 })))
  end))

  it("reads several results at a time, as they come", task(function ()
    local results = { a = "1--2|", b = "-3--4|", c = "5-6|" }
    assert.equal("13-2[45]-6|", diagram(neap.flat_map({ "a", "b", "c" },
      function (x) return marbles(results[x]) end,
      { concurrency = 2, ordered = false })))
  end))

  for way, options in pairs(ways) do

    it("STR-01 takes and gives any items: " .. way, task(function ()
      local kinds = {
        function () return { 1, 2 } end,
        function () return neap.stream { 1, 2 } end,
        function () return neap.iter(ipairs { 1, 2 }) end,
        function ()
          return neap.generator(function (yield) yield(1) yield(2) end)()
        end,
        function () return neap.flat_map({ 1, 2 }, function (x)
          return { x }
        end, options) end,
      }
      for _, kind in ipairs(kinds) do
        assert.same({ 1, 1, 2, 2 }, sorted(neap.flat_map(kind(), kind,
          options)))
      end
      local s = neap.flat_map({ 1 }, function ()
        return neap.iter(ipairs { "x" })
      end, options)
      assert.same({ 1, "x" }, { s() })
      s = neap.flat_map({ 1 }, function () return { false } end, options)
      assert.is_false(s())
      s = neap.flat_map({ nil, n = 1 }, function (x, i)
        return { tostring(x) .. i }
      end, options)
      assert.equal("nil1", s())
    end))

    it("MAP-01 does nothing before the first next: " .. way, task(function ()
      local log = support.recorder()
      local s = neap.flat_map(abc(log), error, options)
      neap.sleep(1)
      s:close()
      assert.same({ "source closed@1" }, log())
    end))

    it("BUG-18 a break closes the results, then the source: " .. way,
      task(function ()
        local log = support.recorder()
        for _ in neap.flat_map(abc(log), letters(2, log), options) do
          neap.sleep(0.5)
          break
        end
        log "after"
        local notes = log()
        assert.equal("after@1.5", table.remove(notes))
        assert.equal("source closed@1.5", table.remove(notes))
        table.sort(notes)
        assert.same(options.concurrency
          and { "a closed@1.5", "b closed@1.5", "c closed@1.5" }
          or { "a closed@1.5" }, notes)
      end))

    it("an error of fn comes in its place: " .. way, task(function ()
      local log = support.recorder()
      local s = neap.flat_map(abc(log), function (x)
        neap.sleep(x == "c" and 9 or 0)
        if x == "b" then error("no", 0) end
        return { x }
      end, options)
      assert.equal("a", s())
      assert.equal("no", error_of(s))
      assert.is_nil(s())
      assert.same({ "source closed@0" }, log())
    end))

    it("an error of a result comes in its place: " .. way, task(function ()
      local log = support.recorder()
      local results = { a = "1--|", b = "2#", c = "-----3|" }
      local s = neap.flat_map(abc(log), function (x)
        return marbles(results[x] or "-|")
      end, options)
      local got = {}
      local err = error_of(function ()
        for x in s do got[#got + 1] = x end
      end)
      assert.equal("#", err)
      assert.same({ "1", "2" }, got)
      assert.is_nil(s())
      assert.equal(1, #log())
    end))

    it("a bad result raises in its place: " .. way, task(function ()
      for bad, shown in pairs { [1] = "1", text = "'text'", [true] = "true" } do
        local s = neap.flat_map({ 1, 2 }, function (x)
          return x == 1 and { 1 } or bad
        end, options)
        assert.equal(1, s())
        assert.matches("^bad result of the function of 'flat_map' %(must be a "
          .. "table, an iterator or a stream, got " .. shown .. "%)$",
          error_of(s))
      end
      assert.matches("got nil", error_of(neap.flat_map({ 1 }, function ()
      end, options)))
    end))

    it("SKIP gives nothing, STOP is the end: " .. way, task(function ()
      local s = neap.flat_map({ 1, 2, 3, 4, 5 }, function (x)
        if x == 2 then return neap.SKIP end
        if x == 4 then return neap.STOP end
        neap.sleep(1)
        return { x }
      end, options)
      assert.same({ 1, 3 }, sorted(s))
    end))

    it("each call of fn is a scope of its own: " .. way, task(function ()
      local log = support.recorder()
      local s = neap.flat_map({ 1 }, function ()
        neap.spawn(function () neap.sleep(2) log "child" end)
        return { 1 }
      end, options)
      s()
      log "item"
      assert.same({ "child@2", "item@2" }, log())
    end))

    it("CHN-07 a cancel of the consumer loses no item: " .. way,
      task(function ()
        local results = { a = marbles "1-2|", b = marbles "--3-4|",
                          c = marbles "5|" }
        -- a source that waits, as a channel does
        local ch = neap.channel(3)
        for x in pairs(results) do ch:send(x) end
        ch:close()
        local inner = neap.channel()
        neap.spawn(function ()
          for _, r in pairs(results) do for v in r do inner:send(v) end end
          inner:close()
        end)
        local s, got = neap.flat_map(ch, function () return inner end,
          options), {}
        while #got < 5 do
          local ok, item = neap.move_on_after(0.7, s)
          if ok then got[#got + 1] = item end
        end
        table.sort(got)
        assert.same({ "1", "2", "3", "4", "5" }, got)
        assert.is_nil(s())
      end))

    it("ABT-14 an abort raises its reason: " .. way, task(function ()
      local log, controller = support.recorder(), neap.abort_controller()
      local s = neap.flat_map(abc(log), letters(3, log), {
        concurrency = options.concurrency, ordered = options.ordered,
        signal = controller.signal,
      })
      neap.spawn(function () neap.sleep(1.5) controller:abort() end)
      local err = error_of(function ()
        repeat until s() == nil
      end)
      assert.equal(controller.signal.reason, err)
      assert.equal(1.5, neap.now())
      assert.is_nil(s())
      assert.equal("source closed@1.5", table.remove(log()))
      assert.equal(controller.signal.reason, error_of(neap.flat_map, {},
        error, { signal = controller.signal }))
    end))

  end

  it("runs as many as `concurrency`, with bounded reading ahead",
    task(function ()
      for _, ordered in ipairs { true, false } do
        local begun, most, running = 0, 0, 0
        local taken = {}
        local n = 0
        for _ in neap.flat_map({ 1, 2, 3, 4, 5, 6, 7 }, function (x)
          begun, running = begun + 1, running + 1
          most = math.max(most, running)
          taken[x] = 0
          return function ()
            if taken[x] == 3 then
              running = running - 1
              return nil
            end
            taken[x] = taken[x] + 1
            return x
          end
        end, { concurrency = 2, ordered = ordered }) do
          n = n + 1
          neap.sleep(1)
          local ahead = -n
          for _, t in pairs(taken) do ahead = ahead + t end
          assert.is_true(ahead <= 2, ahead)
        end
        assert.equal(21, n)
        assert.equal(2, most)
        assert.equal(7, begun)
      end
    end))

  it("STOP and errors cancel at once what works on items behind them",
    task(function ()
      for _, what in ipairs { "stop", "error of fn", "error of a result" } do
        local log = support.recorder()
        local start = neap.now()
        local s = neap.flat_map({ 1, 2, 3, 4 }, function (x)
          if x == 1 then return marbles "---1|" end
          if x > 2 then
            local _ <close> = setmetatable({}, { __close = function ()
              log(x, neap.now() - start)
            end })
            neap.sleep(9)
          end
          neap.sleep(1)
          if what == "stop" then return neap.STOP end
          if what == "error of fn" then error("#", 0) end
          return marbles "#"
        end, { concurrency = 4 })
        assert.equal("1", s())
        if what == "stop" then
          assert.is_nil(s())
        else
          assert.equal("#", error_of(s))
        end
        assert.same({ "3 1.0", "4 1.0" }, { log()[1]:match "[^@]+",
          log()[2]:match "[^@]+" })
      end
    end))

  it("what results behind STOP still come to is left out, their errors are "
    .. "told of", task(function ()
      for _, ordered in ipairs { true, false } do
        local told = {}
        neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
        local got = list(neap.flat_map({ 1, 2, 3, 4, 5 }, function (x)
          if x == 1 then return marbles "---1|" end
          if x == 2 then
            neap.sleep(1)
            return neap.STOP
          end
          return function ()
            local ok, err = pcall(neap.sleep, 9)
            if x == 3 or ok then return x end
            error(x == 4 and "clean-up" or err, 0)
          end
        end, { concurrency = 5, ordered = ordered }))
        neap.hooks { on_suppressed = false }
        assert.same({ "1" }, got)
        assert.same({ "clean-up" }, told)
      end
    end))

  it("as they come, nothing more is begun behind an error", task(function ()
    local begun = 0
    local s = neap.flat_map(function () return 1 end, function ()
      begun = begun + 1
      return begun == 2 and marbles "-#" or marbles "1--|"
    end, { concurrency = 2, ordered = false })
    assert.equal("1", s())
    neap.sleep(9)
    assert.equal("#", error_of(s))
    assert.equal(2, begun)
  end))

  it("empty results do not run ahead without end", task(function ()
    local begun = 0
    local s = neap.flat_map(function () return 1 end, function ()
      begun = begun + 1
      return begun == 1 and marbles "-----1|" or {}
    end, { concurrency = 3 })
    assert.equal("1", s())
    assert.equal(3, begun)
    s:close()
  end))

  it("CNV-01 and CNV-02 are checked", function ()
    local function complaint (...) return error_of(neap.flat_map, ...) end
    assert.matches("bad argument #2 to 'flat_map' %(fn must be", complaint({}))
    assert.matches("bad argument #1 to 'flat_map' %(items must be",
      complaint(1, error))
    assert.matches("bad argument #3 to 'flat_map' %(options must be",
      complaint({}, error, 1))
    assert.matches("bad option 'concurrency' to 'flat_map' %(must be a whole",
      complaint({}, error, { concurrency = 0 }))
    assert.matches("bad option 'limit' to 'flat_map' %(did you mean 'conc",
      complaint({}, error, { limit = 1 }))
    assert.matches("flat_map_spec.lua:%d+: bad argument #1 to 'flat_map' %(fn",
      error_of(function () neap.stream({}):flat_map() end))
    run(function () end)
  end)

end)
