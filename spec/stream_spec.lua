-- luacheck: ignore 512 (loops that are left in the first round)

local neap = require "neap"
local support = require "spec.support"

local list = support.list

local run, task, error_of = support.run, support.task, support.error_of
local huge, pack = math.huge, table.pack


-- an iterator that gives 1 ... n, and tells how often it was called and closed;
-- with `err` it raises that in place of n + 1
local function numbers (n, err)
  return setmetatable({ n = n, calls = 0, closed = 0 }, {
    __call = function (source)
      source.calls = source.calls + 1
      if source.calls <= n then return source.calls end
      if err ~= nil then error(err, 0) end
    end,
    __neap_close = function (source) source.closed = source.closed + 1 end,
  })
end


local function double (x) return 2 * x end
local function is_even (x) return x % 2 == 0 end
local function is_small (x) return x < 4 end
local function same (x) return x end
local function fails () error("no", 0) end


-- the same claim outside and inside of run
local function both (claim)
  return function ()
    claim()
    run(claim)
  end
end


describe("stream", function ()

  describe("items", function ()

    -- makers of sources that give 1, 2, 3
    local sources = {
      table = function () return { 1, 2, 3 } end,
      ["table with n"] = function () return { 1, 2, 3, 4, n = 3 } end,
      closure = function ()
        local i = 0
        return function ()
          i = i + 1
          return i <= 3 and i or nil
        end
      end,
      ["callable object"] = function () return numbers(3) end,
      stream = function () return neap.stream { 1, 2, 3 } end,
      generator = function ()
        return neap.generator(function (yield)
          for i = 1, 3 do yield(i) end
        end)()
      end,
      ["neap.iter"] = function () return neap.iter(pairs { 1, 2, 3 }) end,
      channel = function ()
        local ch = neap.channel(3)
        for i = 1, 3 do ch:try_send(i) end
        ch:close()
        return ch
      end,
    }

    for name, source in pairs(sources) do
      it("CNV-10 may be a " .. name, task(function ()
        assert.same({ 1, 2, 3, n = 3 }, neap.collect(source()))
        assert.same({ 2, 4, 6 }, list(neap.map(source(), double)))
        assert.same({ 2 }, list(neap.filter(source(), is_even)))
        assert.same({ 1, 2 }, list(neap.take(source(), 2)))
        assert.same({ 2, 3 }, list(neap.skip(source(), 1)))
        assert.same({ 1 }, list(neap.take_while(source(), function (x)
          return x < 2
        end)))
        assert.equal(6, neap.reduce(source(), function (a, b)
          return a + b
        end))
        local seen = {}
        neap.each(source(), function (x) seen[#seen + 1] = x end)
        assert.same({ 1, 2, 3 }, seen)
      end))

      it("STR-01 may be a " .. name .. " for the methods", task(function ()
        local function s () return neap.stream(source()) end
        assert.same({ 1, 2, 3, n = 3 }, s():collect())
        assert.same({ 2, 4, 6 }, list(s():map(double)))
        assert.same({ 2 }, list(s():filter(is_even)))
        assert.same({ 1, 2 }, list(s():take(2)))
        assert.same({ 2, 3 }, list(s():skip(1)))
        assert.same({ 1 }, list(s():take_while(function (x)
          return x < 2
        end)))
        assert.equal(6, s():reduce(function (a, b) return a + b end))
        local seen = {}
        s():each(function (x) seen[#seen + 1] = x end)
        assert.same({ 1, 2, 3 }, seen)
      end))
    end

    it("CNV-11 of a list: what there was at the call", function ()
      local items = { 1, 2 }
      local s = neap.stream(items)
      items[3] = 3
      assert.same({ 1, 2 }, list(s))
    end)

    it("CNV-11 of a list whose n is no count: it has none", both(function ()
      for _, n in ipairs { -1, 1.5, "2", true } do
        assert.same({ "a", "b", n = 2 }, neap.collect { "a", "b", n = n })
      end
    end))

    it("CNV-11 of a list with n: a hole is an item", both(function ()
      local function holes () return { 1, nil, false, n = 3 } end
      assert.same(holes(), neap.collect(holes()))
      local function shown (item, i) return tostring(item) .. i end
      local expected = { "11", "nil2", "false3" }
      assert.same(expected, list(neap.map(holes(), shown)))
      assert.same(expected, list(neap.stream(holes()):map(shown)))
      local seen = {}
      neap.each(holes(), function (x) seen[#seen + 1] = tostring(x) end)
      assert.same({ "1", "nil", "false" }, seen)
      assert.equal("1nilfalse", neap.reduce(holes(), function (a, b)
        return a .. tostring(b)
      end))
    end))

    it("CNV-11 of a list with n: a hole cannot leave a stream", function ()
      local s = neap.stream { 1, nil, 3, n = 3 }
      assert.equal(1, s())
      assert.matches("a hole in a list cannot be an item of a stream",
        error_of(s))
      assert.is_nil(s())
      s = neap.filter({ nil, 2, n = 2 }, function (x) return x ~= nil end)
      assert.same({ 2 }, list(s))
    end)

    it("of a table with keys are values and keys", both(function ()
      local function keyed () return { a = 1, b = 2 } end
      local seen = {}
      for value, key in neap.stream(keyed()) do seen[key] = value end
      assert.same(keyed(), seen)
      assert.same(keyed(), neap.collect(keyed()))
      neap.each(keyed(), function (value, key) seen[key] = value .. "!" end)
      assert.same({ a = "1!", b = "2!" }, seen)
      local changed = keyed()
      local s = neap.stream(changed)
      changed[select(2, s())] = nil
      changed.a, changed.b, changed.c = nil, nil, 3
      assert.is_nil(s())
    end))

    it("CNV-08 travel with all their values", both(function ()
      local function s ()
        local i = 0
        return neap.stream(function ()
          i = i + 1
          if i <= 3 then return i, nil, -i, nil end
        end)
      end
      assert.same(pack(1, nil, -1, nil), pack(s():next()))
      local passed = s():skip(1):filter(same):take_while(same):take(1)
      assert.same(pack(2, nil, -2, nil), pack(passed()))
      assert.same(pack(nil), pack(passed()))
      local mapped = s():map(function (...) return ... end)
      assert.same(pack(1, nil, -1, nil, 1), pack(mapped()))
      local sum = s():reduce(function (a, b, _, c) return a + b - c end, 0)
      assert.equal(12, sum)
      local many = {}
      for i = 1, 200 do many[i] = i end
      local wide = neap.stream(function () return table.unpack(many) end)
        :filter(same):map(function (...) return ... end):filter(same)
      assert.equal(201, select("#", wide()))
    end))

    it("may be false", both(function ()
      local ch = { false, false, n = 2 }
      assert.same({ false, false }, list(neap.stream(ch)))
      assert.same({ true, true }, list(neap.map(ch, function (x)
        return not x
      end)))
    end))

    it("CNV-13 come with a tail that is ignored", function ()
      local gen = neap.generator(function (yield) yield(1) yield(2) end)
      assert.same({ 1, 2, n = 2 }, neap.collect(gen()))
      assert.same({ 1, 2, n = 2 }, neap.collect(neap.stream(gen())))
      local tail = pack(neap.stream(gen()))
      assert.equal(4, tail.n)
      assert.is_nil(tail[2])
      assert.is_nil(tail[3])
      assert.equal(tail[1], tail[4])
      assert.equal(4, select("#", tail[1]:map(same)))
    end)

  end)


  describe("methods", function ()

    it("STR-01 are those of generators, too", both(function ()
      local count = neap.generator(function (yield)
        for i = 1, 5 do yield(i) end
      end)
      assert.same({ 4, 8 }, list(count():map(double):filter(function (x)
        return x % 4 == 0
      end)))
      assert.same({ 2, 3, n = 2 }, count():skip(1):take(2):collect())
      for name in pairs(require("neap.core").internal.stream_methods) do
        assert.is_function(count()[name], name)
      end
    end))

    it("map gives fn the item and its place", both(function ()
      local seen = {}
      neap.skip({ "a", "b", "c" }, 1):map(function (...)
        seen[#seen + 1] = pack(...)
        return 1
      end):collect()
      assert.same({ { "b", 1, n = 2 }, { "c", 2, n = 2 } }, seen)
    end))

    it("map can leave items out, and end", both(function ()
      local source = numbers(9)
      local s = neap.map(source, function (x)
        if x == 2 then return neap.SKIP end
        if x == 4 then return neap.STOP end
        return x
      end)
      assert.same({ 1, 3 }, list(s))
      assert.equal(4, source.calls)
      assert.equal(1, source.closed)
    end))

    it("map may give light userdata that are not neap's own", both(function ()
      local light = debug.upvalueid(numbers, 1)
        or debug.upvalueid(list, 1) or debug.upvalueid(both, 1)
      assert.equal("userdata", type(light))
      assert.same({ light, light }, list(neap.map({ 1, 2 }, function ()
        return light
      end)))
    end))

    it("that have too many values raise, and close", both(function ()
      local many <const> = 600000
      local source = numbers(3)
      local s = neap.map(source, function ()
        return table.unpack({ 1 }, 1, many)
      end)
      assert.matches("too many values", error_of(s))
      assert.is_nil(s())
      assert.equal(1, source.closed)
      assert.matches("too many values", error_of(neap.stream(function ()
        return table.unpack({ 1 }, 1, many)
      end):filter(function () return true end)))
    end))

    it("map cannot give nil", both(function ()
      for _, fn in ipairs { function () end, function () return nil, 1 end } do
        local source = numbers(3)
        local s = neap.map(source, fn)
        assert.matches("the function of 'map' returned nil, which is the end "
          .. "of a stream", error_of(s))
        assert.is_nil(s())
        assert.equal(1, source.closed)
      end
    end))

    it("map runs fn in a scope of its own", task(function ()
      local log = support.recorder()
      local s = neap.map({ 1, 2 }, function (x)
        neap.spawn(function ()
          neap.sleep(2)
          log("child " .. x)
        end)
        return x
      end)
      for x in s do log(x) end
      assert.same({ "child 1@2", "1@2", "child 2@4", "2@4" }, log())
    end))

    it("map raises what a child of fn raises", task(function ()
      local source = numbers(3)
      local s = neap.map(source, function (x)
        neap.spawn(error, "child", 0)
        return x
      end)
      assert.equal("child", error_of(s))
      assert.equal(1, source.closed)
      assert.is_nil(s())
    end))

    it("wait in their functions", task(function ()
      local log = support.recorder()
      local s = neap.stream { 1, 2, 3, 4, 5 }
        :map(function (x) neap.sleep(1) return x end)
        :filter(function (x) neap.sleep(1) return is_even(x) end)
        :take_while(function (x) neap.sleep(1) return x < 4 end)
        :map(function (x) neap.sleep(1) return x end)
      for x in s do log(x) end
      log "end"
      assert.same({ "2@6", "end@11" }, log())
    end))

    it("may be very many in a row", function ()
      local s, primes = neap.skip(numbers(300), 1), {}
      repeat -- the sieve
        local p = s()
        primes[#primes + 1] = p
        s = s:filter(function (x) return x % p ~= 0 end)
      until p == nil
      assert.equal(62, #primes)
      assert.equal(293, primes[62])
    end)

    it("take and skip count to math.huge", function ()
      assert.same({ 1, 2, 3 }, list(neap.take({ 1, 2, 3 }, huge)))
      assert.same({}, list(neap.skip({ 1, 2, 3 }, huge)))
      assert.same({ 1, 2, 3 }, list(neap.skip({ 1, 2, 3 }, 0)))
      assert.same({ 1, 2 }, list(neap.take({ 1, 2, 3 }, 2.0)))
    end)

    it("reduce begins with init, or with the first item", function ()
      local function join (a, b) return "(" .. a .. b .. ")" end
      assert.equal("((12)3)", neap.reduce({ 1, 2, 3 }, join))
      assert.equal("(((01)2)3)", neap.reduce({ 1, 2, 3 }, join, 0))
      assert.equal(1, neap.reduce({ 1 }, fails))
      assert.is_nil(neap.reduce({}, fails))
      assert.equal(0, neap.reduce({}, fails, 0))
      assert.is_false(neap.reduce({ 1 }, function () return false end, false))
    end)

    it("return nothing (each) and a fresh table (collect)", function ()
      assert.equal(0, select("#", neap.each({ 1 }, same)))
      local items = { 1 }
      assert.not_equal(items, neap.collect(items))
    end)

  end)


  describe("ending", function ()

    it("STR-02 at a break closes the source once", both(function ()
      local source = numbers(9)
      for _ in neap.stream(source):map(same):filter(same):skip(1):take(7) do
        break
      end
      assert.equal(1, source.closed)
      assert.equal(2, source.calls)
    end))

    it("STR-02 by itself or by an error closes no source", both(function ()
      local source = numbers(2)
      local s = neap.map(source, same)
      assert.same({ 1, 2 }, list(s))
      for _ = 1, 3 do assert.same(pack(nil), pack(s())) end
      s:close()
      assert.equal(3, source.calls)
      assert.equal(0, source.closed)

      local err = {}
      source = numbers(1, err)
      s = neap.map(source, same)
      s()
      assert.equal(err, error_of(s))
      for _ = 1, 3 do assert.is_nil(s()) end
      s:close()
      assert.equal(2, source.calls)
      assert.equal(0, source.closed)
    end))

    it("STR-03 take closes right after the n-th item", both(function ()
      local source = numbers(9)
      local s = neap.take(source, 2)
      s()
      assert.equal(0, source.closed)
      assert.equal(2, s())
      assert.equal(1, source.closed)
      assert.is_nil(s())
      assert.equal(2, source.calls)
      assert.equal(1, source.closed)
    end))

    it("STR-03 take(0) pulls nothing", both(function ()
      local source = numbers(9)
      assert.is_nil(neap.take(source, 0)())
      assert.equal(0, source.calls)
      assert.equal(1, source.closed)
    end))

    it("STR-03 take goes on when what follows drops the last item",
      both(function ()
        local source = numbers(9)
        local s = neap.take(source, 3):filter(is_even)
        assert.same({ 2 }, list(s))
        assert.equal(3, source.calls)
        assert.equal(1, source.closed)
      end))

    it("STR-03 take tells of an error of closing after its items",
      both(function ()
        local source = setmetatable({}, {
          __call = function () return 1 end,
          __neap_close = fails,
        })
        local s = neap.take(source, 1)
        assert.equal(1, s())
        assert.equal("no", error_of(s))
        assert.is_nil(s())
        s = neap.take(source, 1)
        s()
        assert.equal("no", error_of(s.close, s))
        assert.is_nil(s())
      end))

    it("STR-04 take_while closes at the first refusal", both(function ()
      local source = numbers(9)
      local s = neap.take_while(source, is_small)
      for i = 1, 3 do assert.equal(i, s()) end
      assert.equal(0, source.closed)
      assert.is_nil(s())
      assert.equal(1, source.closed)
      assert.equal(4, source.calls)
    end))

    for _, name in ipairs { "map", "filter", "take_while" } do
      it("STR-04 an error in the function of " .. name .. " closes",
        both(function ()
          for _, err in ipairs { { {} }, { "text" }, { false }, { nil } } do
            local source = numbers(9)
            local s = neap[name](source, function () error(err[1], 0) end)
            local ok, got = pcall(s)
            assert.is_false(ok)
            assert.equal(err[1], got)
            assert.equal(1, source.closed)
            assert.is_nil(s())
            s:close()
            assert.equal(1, source.closed)
            assert.equal(1, source.calls)
          end
        end))
    end

    for _, name in ipairs { "each", "reduce" } do
      it("STR-04 an error in the function of " .. name .. " closes",
        both(function ()
          local source = numbers(9)
          assert.equal("no", error_of(neap[name], source, fails, 0))
          assert.equal(1, source.closed)
          assert.equal(1, source.calls)
        end))
    end

    it("BUG-18 closes the source when its closing may wait", task(function ()
      local log = support.recorder()
      local function slow ()
        return setmetatable({}, {
          __call = function () return 1 end,
          __neap_close = function ()
            neap.sleep(1)
            log "closed"
          end,
        })
      end
      for _ in neap.map(slow(), same) do break end
      log "after break"
      neap.take(slow(), 1):collect()
      log "after take"
      error_of(neap.each, slow(), fails)
      log "after error"
      assert.same({ "closed@1", "after break@1", "closed@2", "after take@2",
        "closed@3", "after error@3" }, log())
    end))

    it("GEN-09 the loop's error wins over that of closing", function ()
      local told = {}
      neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
      local function source ()
        return setmetatable({}, {
          __call = function () return 1 end,
          __neap_close = function () error("closing", 0) end,
        })
      end
      local function loop (fn)
        for _ in neap.stream(source()) do fn() end
      end
      assert.equal("no", error_of(loop, fails))
      assert.equal("no", error_of(neap.each, source(), fails))
      local s = neap.map(source(), fails)
      assert.equal("no", error_of(s))
      neap.hooks { on_suppressed = false }
      assert.same({ "closing", "closing", "closing" }, told)
      assert.equal("closing", error_of(function ()
        for _ in neap.stream(source()) do break end
      end))
    end)

    it("is noted in its text", function ()
      local s = neap.stream { 1 }
      assert.matches("^neap.stream %(suspended%): ", tostring(s))
      local mapped = s:map(function () return tostring(s) end)
      assert.matches("^neap.stream %(handed on%): ", mapped())
      assert.is_nil(mapped())
      assert.matches("^neap.stream %(ended%): ", tostring(mapped))
    end)

    it("leaves nothing in memory", task(function ()
      support.assert_flat(50, function ()
        for _ = 1, 20 do
          for _ in neap.stream { 1, 2 }:map(double):take(1) do end
          for _ in neap.map(numbers(3), double):filter(same) do break end
          pcall(neap.map(numbers(3), fails))
        end
      end)
    end))

  end)


  describe("that was handed on", function ()

    it("can no longer be read", both(function ()
      local s = neap.stream { 1, 2, 3 }
      assert.equal(1, s())
      local mapped = s:map(double)
      local text = "of a stream that was handed on to an operator: use the "
        .. "stream that this one returned"
      assert.matches("'next' " .. text, error_of(s))
      for _, name in ipairs { "map", "filter", "each", "collect", "take",
                              "reduce", "skip", "take_while" } do
        local number = name == "take" or name == "skip"
        local err = error_of(function ()
          neap[name](s, number and 1 or same)
        end)
        assert.matches("stream_spec.lua:%d+: '" .. name .. "' " .. text, err)
      end
      assert.matches("'stream' " .. text, error_of(neap.stream, s))
      assert.same({ 4, 6 }, list(mapped))
    end))

    it("closes the one that took it over", both(function ()
      local source = numbers(9)
      local a = neap.stream(source)
      local b = a:map(same)
      local c = b:filter(same)
      c()
      a:close()
      assert.equal(1, source.closed)
      assert.is_nil(c())
      b:close()
      assert.equal(1, source.closed)
    end))

    it("was not, by what only consumes it", both(function ()
      local s = neap.stream(numbers(4))
      assert.equal(s, (neap.stream(s)))
      assert.equal(3, s:take(2):reduce(function (a, b) return a + b end))
      s = neap.stream(numbers(2))
      s:each(same)
      assert.same({ n = 0 }, s:collect())
    end))

    it("was not, by a call that raised", function ()
      local s = neap.stream { 1 }
      error_of(s.map, s, 3)
      error_of(s.filter, s)
      error_of(s.take, s, -1)
      assert.same({ 1 }, list(s))
    end)

    it("and was ended stays ended", function ()
      local s = neap.stream { 1 }
      s:close()
      assert.same({}, list(s:map(double)))
      assert.is_nil(s())
    end)

  end)


  describe("in several tasks", function ()

    local function slow ()
      local i = 0
      return neap.stream(function ()
        neap.sleep(1)
        i = i + 1
        return i <= 4 and i or nil
      end)
    end

    it("is read in turn", task(function ()
      local log, s = support.recorder(), slow()
      for name in ("abcdef"):gmatch "." do
        neap.spawn(function () log(name, (s())) end)
      end
      neap.sleep(9)
      assert.same({ "a 1@1", "b 2@2", "c 3@3", "d 4@4", "e nil@5", "f nil@5" },
        log())
    end))

    it("lets nobody get in before those that wait", task(function ()
      local log, s = support.recorder(), slow()
      for name in ("ab"):gmatch "." do
        neap.spawn(function ()
          for _ = 1, 2 do log(name, (s())) end -- and asks again at once
        end)
      end
      neap.sleep(9)
      assert.same({ "a 1@1", "b 2@2", "a 3@3", "b 4@4" }, log())
    end))

    it("passes the turn of those that are cancelled", task(function ()
      local log, s = support.recorder(), slow()
      local tasks = {}
      for name in ("abcd"):gmatch "." do
        tasks[name] = neap.spawn(function () log(name, (s())) end)
      end
      neap.sleep(0.5)
      tasks.b:cancel()
      neap.sleep(0.5)
      tasks.c:cancel() -- as a's item arrives: it may be its turn already
      neap.sleep(9)
      assert.same({ "a 1@1", "d 2@2" }, log())
    end))

    it("passes the turn after an error", task(function ()
      local log = support.recorder()
      local s = neap.map({ 1, 2 }, function ()
        neap.sleep(1)
        error("no", 0)
      end)
      for name in ("ab"):gmatch "." do
        neap.spawn(function () log(name, pcall(s)) end)
      end
      neap.sleep(9)
      assert.same({ "a false no@1", "b true nil@1" }, log())
    end))

    it("is closed when it is its turn", task(function ()
      local log, s = support.recorder(), slow()
      neap.spawn(function () log("next", (s())) end)
      neap.spawn(function () s:close() log "closed" end)
      neap.spawn(function () log("next", (s())) end)
      neap.sleep(9)
      assert.same({ "next 1@1", "closed@1", "next nil@1" }, log())
    end))

    it("gets an error, not a deadlock, when it asks itself", both(function ()
      local s
      s = neap.map({ 1 }, function () return s:next() end)
      assert.matches("'next' called while the same task is in 'next' or "
        .. "'close' of this stream", error_of(s))
      s = neap.map({ 1 }, function () return s:close() end)
      assert.matches("'close' called while", error_of(s))
    end))

    it("cannot be handed on while it is read", task(function ()
      local s = slow()
      neap.spawn(s.next, s)
      neap.sleep(0.5)
      assert.matches("'map' of a stream that is being read",
        error_of(neap.map, s, same))
    end))

    it("can be read again when the one that read it was ended by force",
      function ()
        local stuck, ch = true, neap.channel()
        local s = neap.stream(function ()
          while stuck do pcall(neap.shield, ch.recv, ch) end
          return 1
        end)
        assert.matches("DeadlockError", tostring(error_of(run, function ()
          for _ = 1, 2 do neap.spawn(s.next, s) end
        end)))
        stuck = false
        run(function ()
          assert.equal(1, s())
          assert.same({ 2 }, list(s:map(double):take(1)))
        end)
      end)

  end)


  describe("whose consumer is cancelled", function ()

    it("CNV-12 while it waits for the source goes on", task(function ()
      local ch = neap.channel(2)
      local s = neap.stream(ch):map(double):filter(same)
      assert.is_true(neap.is_timeout(error_of(neap.timeout, s, 1)))
      ch:send(1)
      ch:send(2)
      assert.equal(2, s())
      assert.equal(4, s())
    end))

    it("is closed by its loop, once", task(function ()
      for _, at in ipairs { 0.5, 1, 1.5, 2, 2.5, 3.5 } do
        local source = numbers(9)
        local slow = setmetatable({}, {
          __call = function () neap.sleep(1) return source() end,
          __neap_close = getmetatable(source).__neap_close,
        })
        slow.closed = 0
        neap.move_on_after(at, function ()
          for _ in neap.map(slow, function (x) neap.sleep(1) return x end) do
            neap.sleep(1)
          end
        end)
        assert.equal(1, slow.closed, at)
      end
    end))

    it("in a function is ended: the item is lost", task(function ()
      local source = numbers(9)
      local s = neap.filter(source, function () neap.sleep(9) end)
      assert.is_true(neap.is_timeout(error_of(neap.timeout, s, 1)))
      assert.equal(1, source.closed)
      assert.is_nil(s())
    end))

    it("SCP-06 raises before it pulls", task(function ()
      local source = numbers(9)
      local s = neap.map(source, same)
      local work = neap.spawn(function ()
        neap.current():cancel()
        assert.is_true(neap.is_abort(error_of(s)))
        assert.is_true(neap.is_abort(error_of(neap.collect, {})))
      end)
      work:await()
      assert.equal(0, source.calls)
    end))

    it("hears of it while nothing passes a filter", task(function ()
      local i = 0
      local s = neap.filter(function () i = i + 1 return i end, function (x)
        if x == 3000 then neap.current():cancel() end
        return x > 100000
      end)
      local work = neap.async(s.next, s)
      assert.is_false((work:pawait()))
      assert.equal(3000, i)
      assert.equal(100001, s())
    end))

    it("lets others run while nothing passes a filter", task(function ()
      local others = 0
      local busy = neap.spawn(function ()
        while others < 5 do
          neap.sleep(0)
          others = others + 1
        end
      end)
      neap.take(function () return 1 end, 5000):filter(function ()
        return false
      end):collect()
      assert.equal("done", busy:status())
    end))

  end)


  describe("against a model", function ()

    -- an operator by chance: its name, its argument, and what it makes of an
    -- item: nil drops it, and a second value, "last" or "end"
    local operators = {
      function ()
        local k = math.random(1, 3)
        return "map", function (x) return x + k end,
          function (x) return x + k end
      end,
      function ()
        local k = math.random(2, 4)
        return "filter", function (x) return x % k ~= 0 end,
          function (x) if x % k ~= 0 then return x end end
      end,
      function ()
        local n = math.random(0, 4)
        return "skip", n, function (x)
          n = n - 1
          if n < 0 then return x end
        end
      end,
      function ()
        local n = math.random(1, 8)
        return "take", n, function (x)
          n = n - 1
          return x, n == 0 and "last" or nil
        end
      end,
      function ()
        local k = math.random(5, 15)
        return "take_while", function (x) return x < k end, function (x)
          if x < k then return x end
          return nil, "end"
        end
      end,
    }

    -- the items that come of 1 ... n, how often the source is asked, and how
    -- often it is closed
    local function model (n, steps)
      local items, last = {}, false
      for i = 1, n do
        if last then return items, i - 1, 1 end
        local x, sign = i
        for _, step in ipairs(steps) do
          x, sign = step(x)
          if sign == "last" then last = true end
          if sign == "end" then return items, i, 1 end
          if x == nil then break end
        end
        items[#items + 1] = x
      end
      if last then return items, n, 1 end
      return items, n + 1, 0
    end

    local function compare (seed, waits)
      math.randomseed(seed)
      local source, steps = numbers(math.random(0, 20)), {}
      local n, s = source.n, neap.stream(source)
      for i = 1, math.random(0, 6) do
        local name, arg, step = operators[math.random(#operators)]()
        steps[i] = step
        local called = arg
        if type(arg) == "function" and waits and math.random(2) == 1 then
          called = function (x)
            neap.sleep(1)
            return arg(x)
          end
        end
        s = s[name](s, called)
      end
      local items, calls, closed = model(n, steps)
      assert.same(items, list(s), "seed " .. seed)
      assert.equal(calls, source.calls, "seed " .. seed)
      assert.equal(closed, source.closed, "seed " .. seed)
    end

    it("gives the same for 300 random rows of operators", function ()
      for seed = 1, 300 do
        compare(seed, false)
        run(compare, seed, true)
      end
    end)

  end)


  describe("iter", function ()

    it("gives all values of a for", both(function ()
      local seen = {}
      for k, v in neap.iter(pairs { a = 1, b = 2 }) do seen[k] = v end
      assert.same({ a = 1, b = 2 }, seen)
      assert.same({ 1, 2 }, list(neap.iter(ipairs { "a", "b" })))
      local words = neap.iter(("k=v, l=w"):gmatch "(%w+)=(%w+)")
        :map(function (k, v, i) return k .. v .. i end)
      assert.same({ "kv1", "lw2" }, list(words))
    end))

    -- a quadruple, and how often it was closed
    local function quadruple (n, err)
      local closed = setmetatable({ times = 0 }, { __close = function (c)
        c.times = c.times + 1
      end })
      return closed, function (limit, i)
        if i == limit and err then error(err, 0) end
        if i < limit then return i + 1 end
      end, n, 0, closed
    end

    it("closes what a for would close, whatever happens", both(function ()
      local closed, fn, s, ctl, closing = quadruple(2)
      assert.same({ 1, 2 }, list(neap.iter(fn, s, ctl, closing)))
      assert.equal(1, closed.times)

      closed, fn, s, ctl, closing = quadruple(2, "no")
      assert.equal("no", error_of(list, neap.iter(fn, s, ctl, closing)))
      assert.equal(1, closed.times)

      closed, fn, s, ctl, closing = quadruple(2)
      for _ in neap.iter(fn, s, ctl, closing) do break end
      assert.equal(1, closed.times)

      local times = 0 -- it raises when it is closed at the end
      local stream = neap.iter(next, {}, nil, setmetatable({}, {
        __close = function ()
          times = times + 1
          error("closing", 0)
        end,
      }))
      assert.equal("closing", error_of(stream))
      stream:close()
      assert.equal(1, times)
    end))

    it("may wait", task(function ()
      local s = neap.iter(function (_, i)
        neap.sleep(1)
        return i < 2 and i + 1 or nil
      end, nil, 0)
      assert.same({ 1, 2 }, list(s))
      assert.equal(3, neap.now())
    end))

    it("is checked", function ()
      assert.matches("bad argument #1 to 'iter' %(fn must be a function or "
        .. "callable, got nil%)", error_of(neap.iter))
      assert.matches("bad argument #4 to 'iter' %(closing must be a value with "
        .. "__close, got 1%)", error_of(neap.iter, next, {}, nil, 1))
    end)

  end)


  describe("read", function ()

    -- gives these, and notes what is called
    local function reader (values, methods, err)
      local i = 0
      local object = { log = {} }
      function object:read ()
        assert.equal(object, self)
        i = i + 1
        if i > #values and err then error(err, 0) end
        return values[i]
      end
      for _, name in ipairs(methods) do
        object[name] = function (self)
          assert.equal(object, self)
          self.log[#self.log + 1] = name
        end
      end
      return object
    end

    it("STR-13 ends at nil only", both(function ()
      local source = reader({ false, "", 0 }, { "close" })
      assert.same({ false, "", 0, n = 3 }, neap.read(source):collect())
      assert.same({ "close" }, source.log)
    end))

    it("STR-13 releases once: at the end, break, error", both(function ()
      for _, case in ipairs { { "release", "close" }, { "close" },
                              { "release" } } do
        local source = reader({ 1, 2 }, case)
        local s = neap.read(source)
        assert.same({ 1, 2 }, list(s))
        s:close()
        assert.same({ case[1] }, source.log)

        source = reader({ 1, 2 }, case)
        for _ in neap.read(source) do break end
        assert.same({ case[1] }, source.log)

        source = reader({ 1 }, case, "no")
        assert.equal("no", error_of(list, neap.read(source)))
        assert.same({ case[1] }, source.log)

        source = reader({ 1 }, case)
        assert.equal("no", error_of(neap.each, neap.read(source), fails))
        assert.same({ case[1] }, source.log)
      end
      assert.same({ 1 }, list(neap.read(reader({ 1 }, {}))))
    end))

    it("STR-13 releases on cancel", task(function ()
      local source = reader({ 1 }, { "release" })
      function source.read () neap.sleep(5) return 1 end
      neap.move_on_after(7, function ()
        for _ in neap.read(source) do end
      end)
      assert.same({ "release" }, source.log)
    end))

    it("reads files", function ()
      local path = os.tmpname()
      local out <close> = assert(io.open(path, "w"))
      out:write("one\ntwo\n")
      out:close()
      local file = assert(io.open(path))
      assert.same({ "one", "two" }, list(neap.read(file)))
      assert.equal("closed file", io.type(file))
      os.remove(path)
      file = io.open "/"
      if file ~= nil then -- a directory cannot be read
        assert.matches("directory", error_of(list, neap.read(file)))
        assert.equal("closed file", io.type(file))
      end
    end)

    it("is checked", function ()
      for _, bad in ipairs { 1, "text", {}, print } do
        assert.matches("bad argument #1 to 'read' %(source must be an object "
          .. "with a method 'read', got ", error_of(neap.read, bad))
      end
    end)

  end)


  describe("arguments", function ()

    it("CNV-01 are checked in the call, where it was made", function ()
      local s = neap.stream {}
      local function complaint (fn) return error_of(fn) end
      local here = "spec/stream_spec.lua:%d+: "
      for _, name in ipairs { "map", "filter", "take_while", "each",
                              "reduce" } do
        assert.matches(here .. "bad argument #2 to '" .. name .. "' %(fn must "
          .. "be a function or callable, got 1%)",
          complaint(function () neap[name]({}, 1) end))
        assert.matches(here .. "bad argument #1 to '" .. name .. "' %(items "
          .. "must be a table, an iterator or a stream, got 'x'%)",
          complaint(function () neap[name]("x", same) end))
      end
      assert.matches(here .. "bad argument #1 to 'map' %(fn must",
        complaint(function () s:map(1) end))
      assert.matches(here .. "bad argument #1 to 'filter' %(fn must",
        complaint(function () s:filter(1) end))
      assert.matches(here .. "bad argument #1 to 'each' %(fn must",
        complaint(function () s:each(1) end))
      for _, name in ipairs { "take", "skip" } do
        for _, bad in ipairs { -1, 1.5, 0 / 0, "3" } do
          assert.matches(here .. "bad argument #2 to '" .. name .. "' %(n must "
            .. "be a whole number >= 0 or math.huge, got ",
            complaint(function () neap[name]({}, bad) end))
        end
      end
      assert.matches(here .. "bad argument #1 to 'take' %(n must",
        complaint(function () s:take(-1) end))
      for _, name in ipairs { "collect", "stream" } do
        assert.matches(here .. "bad argument #1 to '" .. name .. "' %(items",
          complaint(function () neap[name](nil) end))
      end
      assert.matches(here .. "calling 'next' on a bad self %(must be a stream",
        complaint(function () s.next({}) end))
    end)

  end)

end)
