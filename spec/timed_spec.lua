-- luacheck: ignore 512 (loops that are left in the first round)

local neap = require "neap"
local support = require "spec.support"

local run, task, error_of = support.run, support.task, support.error_of
local marbles, diagram = support.marbles, support.diagram
local huge = math.huge


-- a stream over a diagram, and the source of it
local function stream (text)
  local source = marbles(text)
  return neap.stream(source), source
end


describe("stream:timeout", function ()

  it("STR-11 limits each gap", task(function ()
    local s, source = stream "ab--c----d|"
    assert.equal("ab--c---#", diagram(s:timeout(4)))
    assert.equal(1, source.closed)
    assert.equal("--a--|", diagram(stream("--a--|"):timeout(3.5)))
  end))

  it("STR-11 raises a TimeoutError once", task(function ()
    local s, source = stream "-----a|"
    s = s:timeout(2)
    local err = error_of(s)
    assert.is_true(neap.is_timeout(err))
    assert.equal(2, neap.now())
    assert.equal(1, source.closed)
    assert.is_nil(s())
    s:close()
    assert.equal(1, source.closed)
  end))

  it("STR-11 errors of the source pass unchanged", task(function ()
    local err = {}
    local closed = 0
    local s = neap.stream(setmetatable({}, {
      __call = function () error(err) end,
      __neap_close = function () closed = closed + 1 end,
    })):timeout(1)
    assert.equal(err, error_of(s))
    assert.is_nil(s())
    assert.equal(0, closed)
  end))

  it("STR-11 the consumer's own time does not count", task(function ()
    assert.equal("a-----b-----c-----|", diagram(stream("abc|"):timeout(2), 6))
  end))

  it("ends a generator", task(function ()
    local log = support.recorder()
    local gen = neap.generator(function (yield)
      local _ <close> = setmetatable({}, { __close = function ()
        neap.shield(neap.sleep, 1)
        log "closed"
      end })
      yield(1)
      neap.sleep(9)
    end)
    local s = gen():timeout(2)
    assert.equal(1, s())
    assert.is_true(neap.is_timeout(error_of(s)))
    log "after"
    assert.same({ "closed@3", "after@3" }, log())
  end))

  it("TMO-10 lets an outer timeout pass, and goes on", task(function ()
    local s, source = stream "---a|"
    s = s:timeout(9)
    local err = error_of(neap.timeout, s, 1, "outer")
    assert.equal("TimeoutError: outer", tostring(err))
    assert.equal(0, source.closed)
    s:close()
    assert.equal(1, source.closed)
    local ch = neap.channel(1)
    s = neap.stream(ch):timeout(9)
    assert.is_false((neap.move_on_after(1, s)))
    ch:send("x")
    assert.equal("x", s())
  end))

  it("TMO-02 math.huge is no limit; no timer is left", task(function ()
    assert.equal("a---------b|", diagram(stream("a---------b|")
      :timeout(huge)))
    local s = stream("ab|"):timeout(1000)
    s()
    assert.equal(0, require("neap.core").internal.stats().timers)
  end))

  it("passes all values", task(function ()
    local s = neap.iter(ipairs { "a" }):timeout(1)
    assert.same({ 1, "a" }, { s() })
  end))

end)


describe("stream:debounce", function ()

  it("STR-09 sends the last of each burst", task(function ()
    assert.equal("------d----e----[g|]",
      diagram(stream("abcd----e---f-g-|"):debounce(3)))
    assert.equal("---a|", diagram(stream("a---|"):debounce(3)))
    assert.equal("|", diagram(stream("|"):debounce(3)))
  end))

  it("STR-09 an error drops what is pending", task(function ()
    assert.equal("---a--#", diagram(stream("a---bc#"):debounce(3)))
  end))

  it("of 0 passes everything", task(function ()
    assert.equal("[ab]c|", diagram(stream("[ab]c|"):debounce(0)))
  end))

  it("an item that comes when it is due begins the next burst",
    task(function ()
      assert.equal("---a--b--[c|]", diagram(stream("a--b--c--|")
        :debounce(3)))
    end))

  it("with math.huge sends only the last of all", task(function ()
    assert.equal("-----[c|]", diagram(stream("a-b-c|"):debounce(huge)))
  end))

  it("keeps for a slow consumer the first that was due, and the latest",
    task(function ()
      -- a is due at 1, b at 3, c at 5, d at 7; the consumer comes at 1, 10
      assert.equal("-a--------b--------d--------|",
        diagram(stream("a-b-c-d--|"):debounce(1), 9))
    end))

  it("passes all values, false too", task(function ()
    local s = neap.iter(ipairs { false }):debounce(1)
    assert.same({ 1, false }, { s() })
    assert.is_false((neap.stream({ false }):debounce(1))())
  end))

end)


describe("stream:throttle", function ()

  it("STR-10 sends the first at once, then the latest at each interval",
    task(function ()
      assert.equal("a--b---c---|", diagram(stream("ab-----c---|")
        :throttle(3)))
      assert.equal("a--[c|]", diagram(stream("abc|"):throttle(3)))
      assert.equal("a--c--f--h|", diagram(stream("abcdefgh--|"):throttle(3)))
    end))

  it("STR-10 the trailing item begins an interval", task(function ()
    -- b at 3, so c at 6, though it came at 4
    assert.equal("a--b--c--|", diagram(stream("ab--c----|"):throttle(3)))
  end))

  it("an error drops what is held back", task(function ()
    assert.equal("a-#", diagram(stream("ab#"):throttle(3)))
  end))

  it("THR-05 of 0 passes all that does not come at once", task(function ()
    assert.equal("ab-c|", diagram(stream("ab-c|"):throttle(0)))
  end))

  it("with math.huge sends the first and the last", task(function ()
    assert.equal("a----[e|]", diagram(stream("abcde|"):throttle(huge)))
  end))

  it("keeps for a slow consumer the first that was due, and the latest",
    task(function ()
      assert.equal("a-------b-------g-------|",
        diagram(stream("abcdefg-|"):throttle(2), 8))
    end))

  it("an interval begins when its item came, however late that is taken",
    task(function ()
      -- b at 5, so c may go at 9, when d comes
      assert.equal("a-----b-----c-----d-----|",
        diagram(stream("a----b-c-d|"):throttle(4), 6))
    end))

  it("passes all values", task(function ()
    local s = neap.iter(ipairs { "a" }):throttle(1)
    assert.same({ 1, "a" }, { s() })
  end))

end)


describe("stream:debounce and stream:throttle", function ()

  for _, name in ipairs { "debounce", "throttle" } do

    it("MAP-01 read nothing before the first next: " .. name, task(function ()
      local pulled = false
      local s = neap.stream(function () pulled = true return 1 end)
      s = s[name](s, 1)
      neap.sleep(1)
      assert.is_false(pulled)
      s:close()
    end))

    it("STR-02 a break ends the reading: " .. name, task(function ()
      local s, source = stream "ab-c-d-e|"
      for _ in s[name](s, 1) do break end
      local at = neap.now()
      assert.equal(1, source.closed)
      neap.sleep(9)
      assert.equal(at + 9, neap.now())
    end))

    it("CHN-07 a cancelled consumer loses nothing: " .. name, task(function ()
      local s, got = stream "a-----b-----c|", {}
      s = s[name](s, 2)
      while #got < 3 do
        local ok, item = neap.move_on_after(0.7, s)
        if ok then got[#got + 1] = item end
      end
      assert.same({ "a", "b", "c" }, got)
      assert.is_nil(s())
    end))

    it("SCP-06 hear of a cancel, at any time: " .. name, task(function ()
      for at = 0, 8, 0.5 do
        local s, source = stream "ab-c---d|"
        neap.move_on_after(at, function ()
          for _ in s[name](s, 2) do neap.sleep(0.7) end
        end)
        assert.is_true(source.closed == 1 or at >= 8, at)
      end
    end))

    it("BUG-18 leave nothing in memory: " .. name, task(function ()
      support.assert_flat(5, function ()
        for _ = 1, 10 do
          local s = stream "a-b|"
          for _ in s[name](s, 1) do break end
          s = stream "a-b|"
          for _ in s[name](s, 1) do end
        end
      end, 8192)
    end))

    it("BUG-18 end when the stream is dropped: " .. name, task(function ()
      local source = marbles(("a-"):rep(100) .. "|")
      do
        local s = neap.stream(source)
        s = s[name](s, 1)
        s()
      end
      collectgarbage()
      collectgarbage()
      neap.sleep(0)
      neap.sleep(0)
      assert.equal(1, source.closed)
    end))

  end

end)


describe("ticker", function ()

  -- the ticks and their times, until `n` have come; each takes as long as
  -- `pauses` says
  local function ticks (interval, n, pauses)
    local log = support.recorder()
    for k in neap.ticker(interval) do
      log(k)
      if #log() == n then return log() end
      neap.sleep(pauses and pauses[#log()] or 0)
    end
  end

  it("STR-12 ticks first after one interval", task(function ()
    assert.same({ "1@2", "2@4", "3@6" }, ticks(2, 3))
  end))

  it("STR-12 counts from the first next", task(function ()
    local s = neap.ticker(2)
    neap.sleep(5)
    assert.equal(1, s())
    assert.equal(7, neap.now())
  end))

  it("STR-12 does not drift", task(function ()
    local last
    for k in neap.ticker(0.1) do
      neap.sleep(0.01 * (k % 7))
      last = k
      if k == 1000 then break end
    end
    assert.equal(1000, last)
    assert.is_true(math.abs(neap.now() - 100 - 0.06) < 1e-9)
  end))

  it("STR-12 late ticks are left out, the latest comes at once",
    task(function ()
      assert.same({ "1@2", "2@4", "5@11", "6@12" }, ticks(2, 4, { 0.5, 7 }))
      -- exactly at a tick is not late
    end))

  it("STR-12 a consumer that takes just one interval misses none",
    task(function ()
      assert.same({ "1@2", "2@4", "3@6", "4@8" }, ticks(2, 4, { 2, 2, 2 }))
    end))

  it("a cancelled consumer loses no tick", task(function ()
    local s = neap.ticker(2)
    assert.is_false((neap.move_on_after(1, s)))
    assert.equal(1, s())
    assert.equal(2, neap.now())
  end))

  it("CNV-03 of 0 ticks whenever it is asked", task(function ()
    assert.same({ "1@0", "2@0", "3@1" }, ticks(0, 3, { 0, 1 }))
  end))

  it("CNV-04 of math.huge never ticks", task(function ()
    assert.is_false((neap.move_on_after(1e9, neap.ticker(huge))))
  end))

  it("is a stream", task(function ()
    assert.same({ 20, 30, n = 2 }, neap.ticker(1):skip(1):take(2)
      :map(function (k) return k * 10 end):collect())
    assert.equal(3, neap.now())
  end))

  it("CNV-14 needs a task", function ()
    local s = neap.ticker(1)
    assert.matches("'next' must be called in a task", error_of(s))
    run(function () assert.equal(1, s()) end)
    for _, name in ipairs { "timeout", "debounce", "throttle" } do
      local other = neap.stream { 1 }
      other = other[name](other, 1)
      assert.matches("^spec/timed_spec.lua:%d+: 'next' must be called in a "
        .. "task", error_of(function () other() end))
      run(function () assert.equal(1, other()) end)
    end
  end)

end)


describe("arguments", function ()

  it("CNV-03 of time are checked in the call", function ()
    for _, bad in ipairs { -1, 0 / 0, "1", {} } do
      assert.matches("timed_spec.lua:%d+: bad argument #1 to 'ticker' "
        .. "%(interval must be a number >= 0, got ",
        error_of(function () neap.ticker(bad) end))
      for _, name in ipairs { "timeout", "debounce", "throttle" } do
        local s = neap.stream { 1 }
        assert.matches("timed_spec.lua:%d+: bad argument #1 to '" .. name
          .. "' %(seconds must be a number >= 0, got ",
          error_of(function () s[name](s, bad) end))
        assert.equal(1, s())
      end
    end
    for _, name in ipairs { "timeout", "debounce", "throttle" } do
      local method = neap.stream({})[name]
      assert.matches("timed_spec.lua:%d+: calling '" .. name .. "' on a bad "
        .. "self %(must be a table, an iterator or a stream, got 1%)",
        error_of(function () method(1, 1) end))
    end
  end)

end)
