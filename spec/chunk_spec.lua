-- luacheck: ignore 512 (loops that are left in the first round)

local neap = require "neap"
local support = require "spec.support"

local list = support.list

local run, task, error_of = support.run, support.task, support.error_of
local marbles = support.marbles
local huge = math.huge


local function numbers (n, err)
  return setmetatable({ taken = 0, closed = 0 }, {
    __call = function (source)
      if source.taken == n then
        if err ~= nil then error(err, 0) end
        return nil
      end
      source.taken = source.taken + 1
      return source.taken
    end,
    __neap_close = function (source) source.closed = source.closed + 1 end,
  })
end


-- { "1,2", "3" } for the chunks of a stream
local function shown (...)
  local result = {}
  for chunk in ... do result[#result + 1] = table.concat(chunk, ",") end
  return result
end


-- 0, 1, 2, ... after these pauses
local function after_pauses (pauses)
  local i = 0
  return function ()
    i = i + 1
    if pauses[i] == nil then return nil end
    neap.sleep(pauses[i])
    return i - 1
  end
end


-- what works without and with a task of its own
local ways = {
  ["by size"] = {},
  ["by size and time"] = { timeout = 1000 },
}


local function with (options, more)
  local result = {}
  for k, v in pairs(options) do result[k] = v end
  for k, v in pairs(more) do result[k] = v end
  return result
end


describe("chunk", function ()

  for way, options in pairs(ways) do

    it("CHK-01 exact multiples, rests, one, none: " .. way, task(function ()
      local function chunks (n, size)
        return shown(neap.chunk(numbers(n), size, options))
      end
      assert.same({ "1,2", "3,4" }, chunks(4, 2))
      assert.same({ "1,2", "3,4", "5" }, chunks(5, 2))
      assert.same({ "1" }, chunks(1, 2))
      assert.same({ "1", "2", "3" }, chunks(3, 1))
      assert.same({}, chunks(0, 2))
      assert.same({ "1,2,3" }, chunks(3, 9))
    end))

    it("CHK-02 math.huge gives one at the end: " .. way, task(function ()
      assert.same({ "1,2,3,4" }, shown(neap.chunk(numbers(4), huge, options)))
      assert.same({ "1,2", "3" }, shown(neap.chunk(numbers(3), 2.0, options)))
    end))

    it("CHK-03 each is a fresh table: " .. way, task(function ()
      local got = {}
      for chunk in neap.chunk(numbers(6), 2, options) do
        got[#got + 1] = chunk
        chunk[1], chunk[3] = "changed", "more"
      end
      assert.same({ { "changed", 2, "more" }, { "changed", 4, "more" },
        { "changed", 6, "more" } }, got)
      assert.not_equal(got[1], got[2])
    end))

    it("CHK-04 breaking out closes the source: " .. way, task(function ()
      local source = numbers()
      for _ in neap.chunk(source, 2, options) do break end
      assert.equal(1, source.closed)
      neap.chunk(source, 2, options):close()
      assert.equal(2, source.closed)
    end))

    it("CHK-07 a full one goes out at once: " .. way, task(function ()
      local log = support.recorder()
      for chunk in neap.chunk(marbles "ab--c-d|", 2, options) do
        log(table.concat(chunk))
      end
      assert.same({ "ab@1", "cd@6" }, log())
    end))

    it("CHK-08 the end sends the rest at once: " .. way, task(function ()
      local log = support.recorder()
      for chunk in neap.chunk(marbles "ab--c--|", 2, options) do
        log(table.concat(chunk))
      end
      log "end"
      assert.same({ "ab@1", "c@7", "end@7" }, log())
    end))

    it("CHK-09 an error comes behind the chunk before it: " .. way,
      task(function ()
        for _, err in ipairs { { "no" }, { false } } do
          local source = numbers(5, err[1])
          local s = neap.chunk(source, 3, options)
          assert.same({ 1, 2, 3 }, s())
          assert.same({ 4, 5 }, s())
          local ok, got = pcall(s)
          assert.is_false(ok)
          assert.equal(err[1], got)
          assert.is_nil(s())
          assert.equal(0, source.closed)
        end
        local s = neap.chunk(numbers(3, "no"), 3, options)
        assert.same({ 1, 2, 3 }, s())
        assert.equal("no", error_of(s))
      end))

    it("BUG-20 also when the partial chunk is all there is: " .. way,
      task(function ()
        local s = neap.chunk(numbers(2, "no"), 5, options)
        assert.same({ 1, 2 }, s())
        assert.equal("no", error_of(s))
      end))

    it("CHK-10 a cancelled consumer loses no item: " .. way, task(function ()
      local ch = neap.channel(9)
      local s = neap.chunk(ch, 3, options)
      ch:send(1)
      ch:send(2)
      assert.is_false((neap.move_on_after(1, s)))
      ch:send(3)
      assert.is_false((neap.move_on_after(0, s)))
      assert.same({ 1, 2, 3 }, s())
      ch:send(4)
      assert.is_false((neap.move_on_after(1, s)))
      ch:close()
      assert.same({ 4 }, s())
      assert.is_nil(s())
    end))

    it("CHK-12 weight is called once for each item, in order: " .. way,
      task(function ()
        local weighed = {}
        local function weight (x)
          weighed[#weighed + 1] = x
          return x
        end
        local o = with(options, { weight = weight })
        assert.same({ "1,2,3", "4", "5", "6" },
          shown(neap.chunk({ 1, 2, 3, 4, 5, 6 }, 6, o)))
        assert.same({ 1, 2, 3, 4, 5, 6 }, weighed)
        assert.same({ "1", "9", "2,3" }, shown(neap.chunk({ 1, 9, 2, 3 }, 5,
          o)))
        assert.same({ "9", "9", "1" }, shown(neap.chunk({ 9, 9, 1 }, 5, o)))
        assert.same({ "0,0,1", "0.5,0.5", "0.5" }, shown(neap.chunk(
          { 0, 0, 1, 0.5, 0.5, 0.5 }, 1, o)))
        assert.same({ "0.5", "1" }, shown(neap.chunk({ 0.5, 1 }, 1.25, o)))
        assert.same({ "1,2,3" }, shown(neap.chunk({ 1, 2, 3 }, huge, o)))
      end))

    it("CHK-12 an error in weight is like one of the source: " .. way,
      task(function ()
        local source = numbers()
        local s = neap.chunk(source, 5, with(options, {
          weight = function (x)
            if x == 3 then error("no", 0) end
            return 1
          end,
        }))
        assert.same({ 1, 2 }, s())
        assert.equal("no", error_of(s))
        assert.equal(1, source.closed)
        assert.is_nil(s())
        for _, bad in ipairs { -1, 0 / 0, "1", false } do
          local as = bad == "1" and "'1'%)$" or ""
          s = neap.chunk({ 1 }, 5, with(options, {
            weight = function () return bad end,
          }))
          assert.matches("bad result of 'weight' of 'chunk' %(must be a "
            .. "number >= 0, got " .. as, error_of(s))
        end
      end))

    it("ABT-14 an abort raises its reason: " .. way, task(function ()
      local controller = neap.abort_controller()
      local source = marbles "ab----c|"
      local s = neap.chunk(source, 2, with(options, {
        signal = controller.signal,
      }))
      assert.same({ "a", "b" }, s())
      neap.spawn(function () neap.sleep(2) controller:abort() end)
      local err = error_of(s)
      assert.equal(controller.signal.reason, err)
      assert.equal(3, neap.now())
      assert.equal(1, source.closed)
      assert.is_nil(s())
      assert.equal(err, error_of(neap.chunk, {}, 2, {
        signal = controller.signal,
      }))
    end))

    it("BUG-18 leaves nothing in memory: " .. way, task(function ()
      support.assert_flat(5, function ()
        for _ = 1, 10 do
          list(neap.chunk(numbers(5), 2, options))
          for _ in neap.chunk(numbers(5), 2, options) do break end
          pcall(list, neap.chunk(numbers(5, "no"), 2, options))
        end
      end, 8192)
    end))

  end

  for _, options in ipairs { {}, { weight = function () return 1 end } } do

    it("CHK-05 an error behind a chunk is told of, if nobody comes to it",
      function ()
        local told = {}
        neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
        for _ in neap.chunk(numbers(3, "left"), 4, options) do break end
        assert.same({ "left" }, told)
        neap.chunk(numbers(3, "collected"), 4, options)()
        collectgarbage()
        collectgarbage()
        assert.same({ "left", "collected" }, told)
        local s = neap.chunk(numbers(3, "raised"), 4, options)
        assert.equal(3, #s())
        assert.equal("raised", error_of(s))
        assert.is_nil(s())
        s:close()
        s = nil -- luacheck: ignore 311
        collectgarbage()
        collectgarbage()
        neap.hooks { on_suppressed = false }
        assert.same({ "left", "collected" }, told)
      end)

  end

  for _, options in ipairs { {}, { weight = function () return 1 end } } do

    it("CHK-10 what clean-up raises on a cancel is raised, not lost",
      task(function ()
        local source = neap.generator(function (yield)
          local _ <close> = setmetatable({}, { __close = function ()
            error("cannot close", 0)
          end })
          for i = 1, 9 do
            neap.sleep(1)
            yield(i)
          end
        end)
        assert.equal("cannot close", error_of(neap.move_on_after, 5.5,
          function ()
            for _ in neap.chunk(source(), 2, options) do end
          end))
        assert.equal(5.5, neap.now())
      end))

  end

  it("CHK-04 chunk(1):take(1) pulls exactly one item", function ()
    local source = numbers()
    assert.same({ { 1 } }, list(neap.chunk(source, 1):take(1)))
    assert.equal(1, source.taken)
    assert.equal(1, source.closed)
  end)

  it("CHK-10 filling a long one lets others run, and a cancel in", task(
    function ()
      local s = neap.chunk(numbers(), 20000)
      local others, first = 0, nil
      local filling = neap.spawn(function ()
        first = s:next()
        s:next()
      end)
      while first == nil do
        neap.sleep(0)
        others = others + 1
      end
      assert.is_true(others > 10)
      assert.equal(20000, #first)
      filling:cancel()
      neap.sleep(0)
      neap.sleep(0)
      assert.equal("cancelled", filling:status())
      local second = s:next()
      assert.equal(20000, #second)
      for i, item in ipairs(second) do -- (thousands of asserts take long)
        if item ~= 20000 + i then assert.equal(20000 + i, item) end
      end
    end))

  it("has the first value of each item that comes through its stages",
    function ()
      local pairs_of = neap.iter(ipairs { "a", "b", "c", "d", "e" })
        :filter(function (i) return i ~= 2 end)
        :take(3)
      assert.same({ "1,3", "4" }, shown(pairs_of:chunk(2)))
    end)

  it("CNV-11 a hole is an error behind the items before it", function ()
    local s = neap.chunk({ 1, 2, 3, nil, 5, n = 5 }, 2)
    assert.same({ 1, 2 }, (s()))
    assert.same({ 3 }, (s()))
    assert.matches("a hole in a list", error_of(s))
    assert.is_nil(s())
  end)

  it("needs no run without a timeout", function ()
    assert.same({ "1,2", "3" }, shown(neap.stream(numbers(3)):chunk(2)))
    local s = neap.chunk(numbers(3), 2, { timeout = 1 })
    assert.matches("'next' must be called in a task", error_of(s))
    run(function () assert.same({ "1,2", "3" }, shown(s)) end)
  end)


  describe("with a timeout", function ()

    local pauses = { .4, .001, .1, .2, .1, .3, .4 }

    for _, case in ipairs {
      { .2, { "0,1,2", "3,4", "5", "6" } },
      { .02, { "0,1", "2", "3", "4", "5", "6" } },
      { 0, { "0", "1", "2", "3", "4", "5", "6" } },
      { huge, { "0,1,2", "3,4,5", "6" } },
    } do
      it("CHK-05 CHK-06 sends what there is after " .. case[1] .. " s",
        task(function ()
          assert.same(case[2], shown(neap.chunk(after_pauses(pauses), 3, {
            timeout = case[1],
          })))
        end))
    end

    it("CHK-06 of 0 gives single items, also when all come at once",
      task(function ()
        assert.same({ "1", "2", "3" }, shown(neap.chunk(numbers(3), 3, {
          timeout = 0,
        })))
      end))

    it("CHK-07 counts from the first item of each chunk", task(function ()
      local log = support.recorder()
      for chunk in neap.chunk(marbles "a-b--c-de-----------f|", 3,
                              { timeout = 4 }) do
        log(table.concat(chunk))
      end
      -- c comes one second after the deadline of a
      assert.same({ "ab@4", "cde@8", "f@21" }, log())
    end))

    it("CHK-07 an item that comes exactly then begins the next",
      task(function ()
        local log = support.recorder()
        for chunk in neap.chunk(marbles "a---b---c|", 9, { timeout = 4 }) do
          log(table.concat(chunk))
        end
        assert.same({ "a@4", "b@8", "c@9" }, log())
      end))

    it("CHK-07 a chunk is what came in time, also for a late consumer",
      task(function ()
        local s = neap.chunk(marbles "a-b----c-d--|", 9, { timeout = 4 })
        local first = neap.spawn(s.next, s)
        neap.sleep(1)
        first:cancel()
        first:pawait()
        neap.sleep(8) -- d has come, and waits
        assert.same({ "a", "b" }, s())
        assert.equal(9, neap.now())
        -- c is counted from when it came, at 7
        assert.same({ "c", "d" }, s())
        assert.equal(11, neap.now())
      end))

    it("CHK-04 leaves no timer", task(function ()
      for _ in neap.chunk(numbers(), 2, { timeout = 1000 }) do break end
      for _ in neap.chunk(numbers(3), 2, { timeout = 1000 }) do end
      assert.equal(0, neap.now())
      assert.equal(0, require("neap.core").internal.stats().timers)
    end))

    it("CHK-11 a slow consumer makes it collect one chunk ahead",
      task(function ()
        local source = numbers()
        local s = neap.chunk(source, 3, { timeout = 1 })
        for i = 1, 5 do
          s()
          neap.sleep(10)
          assert.equal(3 * i + 3, source.taken)
        end
        s:close()
        -- when a chunk is complete by time, one item of the next is taken
        source = numbers()
        s = neap.chunk(function ()
          neap.sleep(1)
          return source()
        end, 100, { timeout = 2.5 })
        s()
        neap.sleep(20)
        assert.equal(3 + 3 + 1, source.taken)
        s:close()
      end))

    it("reads nothing before the first next", task(function ()
      local source = numbers()
      local s = neap.chunk(source, 3, { timeout = 1 })
      neap.sleep(5)
      assert.equal(0, source.taken)
      s:close()
    end))

    it("GEN-07 its deadline does not cancel a generator", task(function ()
      local gen = neap.generator(function (yield)
        yield(1)
        neap.sleep(10)
        yield(2)
      end)
      local log = support.recorder()
      for chunk in neap.chunk(gen(), 3, { timeout = 4 }) do
        log(table.concat(chunk, ","))
      end
      assert.same({ "1@4", "2@10" }, log())
    end))

    it("may be read by several tasks", task(function ()
      local s = neap.chunk(marbles "ab-cd-e|", 2, { timeout = 5 })
      local log = support.recorder()
      for name in ("xyzw"):gmatch "." do
        neap.spawn(function () log(name, table.concat(s() or { "end" })) end)
      end
      neap.sleep(9)
      assert.same({ "x ab@1", "y cd@4", "z e@7", "w end@7" }, log())
    end))

    it("SCP-06 hears of a cancel, at any time", task(function ()
      for at = 0, 8, 0.5 do
        local source = marbles "ab-c---d|"
        neap.move_on_after(at, function ()
          for _ in neap.chunk(source, 2, { timeout = 3 }) do
            neap.sleep(0.7)
          end
        end)
        assert.is_true(source.closed == 1 or at >= 8, at)
      end
    end))

    it("gives what a model gives, for 200 random seeds", function ()
      -- the chunks of items that come at these times
      local function model (times, size, timeout)
        local chunks, first, count = {}, nil, 0
        for i, time in ipairs(times) do
          if count == 0 or count == size or time >= first + timeout then
            chunks[#chunks + 1] = {}
            first, count = time, 0
          end
          count = count + 1
          chunks[#chunks][count] = i
        end
        return chunks
      end
      for seed = 1, support.seeds(200) do
        math.randomseed(seed)
        local times, pauses_, n = {}, {}, math.random(0, 15)
        for i = 1, n do
          pauses_[i] = math.random(0, 4)
          times[i] = (times[i - 1] or 0) + pauses_[i]
        end
        local size, timeout = math.random(1, 5), math.random(0, 6)
        run(function ()
          local i = 0
          local got = list(neap.chunk(function ()
            i = i + 1
            if i > n then return nil end
            if pauses_[i] > 0 then neap.sleep(pauses_[i]) end
            return i
          end, size, { timeout = timeout }))
          assert.same(model(times, size, timeout), got, "seed " .. seed)
        end)
      end
    end)

  end)


  describe("of a generator", function ()

    it("takes values that come at once, after waits, in either way",
      task(function ()
        local numbers_ = neap.generator(function (yield)
          yield(1)
          neap.sleep(1)
          yield(2)
          coroutine.yield(3)
          neap.sleep(1)
          coroutine.yield(4)
          yield(5, "more")
          neap.checkpoint()
          yield(6, "more", "and more")
          yield(7)
        end)
        for size = 1, 8 do
          local got = {}
          for chunk in neap.chunk(numbers_(), size) do
            assert.is_true(#chunk == size or #chunk == 7 % size)
            table.move(chunk, 1, #chunk, #got + 1, got)
          end
          assert.same({ 1, 2, 3, 4, 5, 6, 7 }, got)
        end
      end))

    it("does so outside of tasks", function ()
      local numbers_ = neap.generator(function (yield)
        for i = 1, 5 do yield(i) end
      end)
      assert.same({ "1,2", "3,4", "5" }, shown(neap.chunk(numbers_(), 2)))
    end)

    it("CHK-09 an error comes behind the chunk before it", task(function ()
      for _, wait in ipairs { false, true } do
        local s = neap.chunk(neap.generator(function (yield)
          for i = 1, 4 do yield(i) end
          if wait then neap.sleep(1) end
          error("no", 0)
        end)(), 3)
        assert.same({ 1, 2, 3 }, s())
        assert.same({ 4 }, s())
        assert.equal("no", error_of(s))
        assert.is_nil(s())
      end
    end))

    it("takes turns with others who read it", task(function ()
      local numbers_ = neap.generator(function (yield)
        for i = 1, 8 do
          neap.sleep(1)
          yield(i)
        end
      end)()
      local other = {}
      local reader = neap.spawn(function ()
        for i in numbers_ do other[#other + 1] = i end
      end)
      local got = shown(neap.chunk(numbers_, 2))
      reader:await()
      assert.same({ "1,3", "5,7" }, got)
      assert.same({ 2, 4, 6, 8 }, other)
    end))

    it("lets others run, and can be cancelled, if it never waits",
      task(function ()
        local endless = neap.generator(function (yield)
          local i = 0
          while true do
            i = i + 1
            yield(i)
          end
        end)()
        local s = neap.chunk(endless, huge)
        local ran = false
        neap.spawn(function () ran = true end)
        assert.is_false((neap.move_on_after(0, s)))
        assert.is_true(ran)
        s:close()
        assert.is_nil(endless())
      end))

    it("CHK-10 a cancelled consumer loses no item", task(function ()
      local ch = neap.channel(9)
      local s = neap.chunk(neap.generator(function (yield)
        for i in ch do
          yield(i)
          neap.shield(neap.sleep, 1)
        end
      end)(), 3)
      for i = 1, 5 do ch:send(i) end
      ch:close()
      assert.is_false((neap.move_on_after(1.5, s)))
      assert.same({ 1, 2 }, s())
    end))

  end)


  describe("arguments", function ()

    it("CHK-02 a bad size raises, also for no items", function ()
      for _, bad in ipairs { 0, -1, 0 / 0, 1.5, "2" } do
        assert.matches("chunk_spec.lua:%d+: bad argument #2 to 'chunk' %(size "
          .. "must be a whole number >= 1 or math.huge, got ",
          error_of(function () neap.chunk({}, bad) end))
        assert.matches("chunk_spec.lua:%d+: bad argument #1 to 'chunk' %(size",
          error_of(function () neap.stream({}):chunk(bad) end))
      end
      for _, bad in ipairs { 0, -1, 0 / 0, "2" } do
        assert.matches("chunk_spec.lua:%d+: bad argument #2 to 'chunk' %(size "
          .. "must be a number > 0, got ", error_of(function ()
            neap.chunk({}, bad, { weight = print })
          end))
      end
    end)

    it("CNV-02 options are checked", function ()
      local function complaint (options)
        return error_of(function () neap.chunk({}, 2, options) end)
      end
      assert.matches("chunk_spec.lua:%d+: bad option 'timeout' to 'chunk' "
        .. "%(must be a number >= 0, got %-1%)", complaint { timeout = -1 })
      assert.matches("bad option 'timeout' to 'chunk'",
        complaint { timeout = "1" })
      assert.matches("bad option 'weight' to 'chunk' %(must be a function",
        complaint { weight = 1 })
      assert.matches("bad option 'signal' to 'chunk' %(must be an abort",
        complaint { signal = 1 })
      assert.matches("bad option 'wieght' to 'chunk' %(did you mean 'weight'",
        complaint { wieght = print })
      assert.matches("bad argument #1 to 'chunk' %(items must be a table, an ",
        error_of(neap.chunk, 5, 1))
      assert.matches("bad argument #3 to 'chunk' %(options must be a table",
        complaint(1))
    end)

  end)

end)
