-- luacheck: ignore 512 (loops that are left in the first round)

local neap = require "neap"
local streams = require "spec.streams"
local support = require "spec.support"

local list = support.list

local task, error_of = support.task, support.error_of
local numbers, both = streams.numbers, streams.both
local huge, pack, unpack = math.huge, table.pack, table.unpack


local function double (x) return 2 * x end
local function is_even (x) return x % 2 == 0 end
local function is_small (x) return x < 4 end
local function same (x) return x end
local function fails () error("no", 0) end


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

    -- each operator over a source whose closing fails
    for name, over in pairs {
      map = function (source) return neap.stream(source):map(same) end,
      ["map at once"] = function (source)
        return neap.map(source, same, { concurrency = 2 })
      end,
      ["map unordered"] = function (source)
        return neap.map(source, same, { concurrency = 2, ordered = false })
      end,
      filter = function (source) return neap.filter(source, is_small) end,
      take = function (source) return neap.take(source, 2) end,
      take_while = function (source) return neap.take_while(source, same) end,
      skip = function (source) return neap.skip(source, 1) end,
      flat_map = function (source)
        return neap.flat_map(source, function (x) return { x, x } end)
      end,
      ["flat_map at once"] = function (source)
        return neap.flat_map(source, function (x) return { x, x } end,
          { concurrency = 2 })
      end,
      chunk = function (source) return neap.chunk(source, 2) end,
      ["chunk with a timeout"] = function (source)
        return neap.chunk(source, 2, { timeout = 1 })
      end,
      buffer = function (source) return neap.buffer(source, 2) end,
      merge = function (source) return neap.merge(source, { 1, 2 }) end,
      zip = function (source) return neap.zip({ 1, 2, 3 }, source) end,
      concat = function (source) return neap.concat(source, { 1, 2 }) end,
      timeout = function (source) return neap.stream(source):timeout(5) end,
    } do
      it("STR-02 closes once, also when that raises: " .. name, task(function ()
        local told, closed, items = {}, 0, nil
        local function again ()
          local i = 0
          closed = 0
          items = pack(over(setmetatable({}, {
            __call = function ()
              i = i + 1
              return i
            end,
            __neap_close = function ()
              closed = closed + 1
              error("closing", 0)
            end,
          })))
          return unpack(items, 1, 4) -- all that a 'for' takes
        end
        neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
        assert.equal("closing", error_of(function ()
          for _ in again() do break end
        end))
        items[1]:close()
        assert.equal(1, closed)
        assert.same({}, told)
        assert.equal("no", error_of(neap.each, again(), fails))
        assert.equal(1, closed)
        assert.same({ "closing" }, told)
      end))
    end

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
