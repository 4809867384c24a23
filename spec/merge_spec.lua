-- luacheck: ignore 512 (loops that are left in the first round)

local neap = require "neap"
local support = require "spec.support"

local list = support.list

local run, task, error_of = support.run, support.task, support.error_of
local marbles, diagram = support.marbles, support.diagram


-- 1 ... n (or for ever), at once; notes its closing
local function numbers (n, log, name)
  return setmetatable({ taken = 0, closed = 0 }, {
    __call = function (source)
      if source.taken == n then return nil end
      source.taken = source.taken + 1
      return source.taken
    end,
    __neap_close = function (source)
      source.closed = source.closed + 1
      if log then log(name) end
    end,
  })
end


-- a source that begins to wait in its `n`-th item for ever, and takes a second
-- to unwind and another one to be closed
local function stuck (n, log, name)
  local source = numbers(nil)
  return setmetatable({}, {
    __call = function ()
      if source.taken < n - 1 then return source() end
      local _ <close> = setmetatable({}, { __close = function ()
        neap.shield(neap.sleep, 1)
        log(name .. " unwound")
      end })
      neap.sleep(math.huge)
    end,
    __neap_close = function ()
      neap.shield(neap.sleep, 1)
      log(name .. " closed")
    end,
  })
end


-- break after so many items
local function leave (n, ...)
  local i = 0
  for _ in ... do
    i = i + 1
    if i == n then break end
  end
end


describe("merge", function ()

  it("STR-06 gives items as they come", task(function ()
    assert.equal("ad-b[ec]--f|", diagram(neap.merge(
      marbles "a--bc---|", marbles "-d--e--f|")))
    assert.equal("abc|", diagram(neap.merge(marbles "abc|")))
    assert.equal("---|", diagram(neap.merge(marbles "---|", marbles "|")))
    assert.equal("|", diagram(neap.merge()))
  end))

  it("STR-06 gives every value once, in order for each source", function ()
    for seed = 1, support.seeds(100) do
      math.randomseed(seed)
      local sources, expected = {}, 0
      for k = 1, math.random(1, 5) do
        local i, n = 0, math.random(0, 10)
        expected = expected + n
        sources[k] = function ()
          i = i + 1
          if i > n then return nil end
          if math.random(2) == 1 then neap.sleep(math.random(0, 3)) end
          return { k, i }
        end
      end
      run(function ()
        local seen, count = {}, 0
        for item in neap.merge(table.unpack(sources)) do
          local k, i = item[1], item[2]
          assert.equal((seen[k] or 0) + 1, i)
          seen[k], count = i, count + 1
          if math.random(3) == 1 then neap.sleep(math.random(0, 2)) end
        end
        assert.equal(expected, count)
      end)
    end
  end)

  it("STR-06 reads at most one item ahead of each source", task(function ()
    local a, b = numbers(), numbers()
    local s, n = neap.merge(a, b), 0
    for _ = 1, 10 do
      s()
      n = n + 1
      neap.sleep(1)
      assert.is_true(a.taken + b.taken <= n + 2)
    end
    assert.is_true(math.abs(a.taken - b.taken) <= 2)
    s:close()
  end))

  it("CNV-12 reads nothing before the first next", task(function ()
    local a = numbers()
    local s = neap.merge(a)
    neap.sleep(1)
    assert.equal(0, a.taken)
    s:close()
    assert.equal(1, a.closed)
  end))

  it("STR-07 an error in one cancels and closes the others", task(function ()
    local log = support.recorder()
    local s = neap.merge(stuck(2, log, "a"), marbles "--x-#",
      stuck(1, log, "c"))
    assert.equal("1-x-#", diagram(s):gsub("%-+#$", "-#"))
    assert.same({ "a unwound@5", "c unwound@5", "c closed@6", "a closed@7" },
      log())
    assert.is_nil(s())
  end))

  it("STR-07 an error comes behind what came before it", task(function ()
    local told = 0
    neap.hooks { on_suppressed = function () told = told + 1 end }
    local s = neap.merge(marbles "a--|", marbles "b#", marbles "c--|")
    assert.equal("a--b--c--#", diagram(s, 3))
    assert.is_nil(s())
    neap.hooks { on_suppressed = false }
    assert.equal(0, told)
  end))

  it("STR-07 an error is not lost to a consumer that is cancelled meanwhile",
    task(function ()
      local log = support.recorder()
      local s = neap.merge(stuck(1, log, "a"), marbles "#")
      assert.is_false((neap.move_on_after(0.5, s)))
      assert.equal("#", error_of(s))
      assert.same({ "a unwound@1", "a closed@2" }, log())
      assert.is_nil(s())
    end))

  it("STR-07 a break closes all, the last first", task(function ()
    local log = support.recorder()
    leave(1, neap.merge(stuck(2, log, "a"), stuck(1, log, "b")))
    log "after"
    assert.same({ "a unwound@1", "b unwound@1", "b closed@2", "a closed@3",
      "after@3" }, log())
  end))

  it("STR-07 a break closes also those never read", task(function ()
    local a, b = numbers(), numbers()
    neap.merge(a, b):close()
    assert.same({ 1, 1 }, { a.closed, b.closed })
    leave(1, neap.merge(a, b))
    assert.same({ 2, 2 }, { a.closed, b.closed })
  end))

  it("STR-07 the first error of closing comes out, the others are told of",
    task(function ()
      local function failing (err)
        return setmetatable({}, {
          __call = function () return 1 end,
          __neap_close = function () error(err, 0) end,
        })
      end
      local told = {}
      neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
      local s = neap.merge(numbers(), failing "b", numbers())
      assert.equal("b", error_of(s.close, s))
      s = neap.merge(failing "a", failing "b", numbers())
      assert.equal("b", error_of(s.close, s))
      neap.hooks { on_suppressed = false }
      assert.same({ "a" }, told)
    end))

  it("STR-07 an error that nobody came to is told of", task(function ()
    local told = {}
    neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
    local s = neap.merge(marbles "ab|", marbles "-#")
    assert.equal("a", s())
    neap.sleep(2)
    s:close()
    neap.hooks { on_suppressed = false }
    assert.same({ "#" }, told)
  end))

  it("CHN-07 a cancel of the consumer loses no item", task(function ()
    local s = neap.merge(marbles "a--b|", marbles "--c--d|")
    local got = {}
    while #got < 4 do
      local ok, item = neap.move_on_after(0.7, s)
      if ok then got[#got + 1] = item end
    end
    assert.same({ "a", "c", "b", "d" }, got)
    assert.is_nil(s())
  end))

  it("is told of by name where tasks are listed", task(function ()
    local s = neap.merge(neap.channel(), {})
    neap.move_on_after(1, s)
    assert.matches("neap.merge: waiting for its children", neap.dump())
    s:close()
  end))

  it("CNV-13 ignores the tail of a generator call", task(function ()
    local gen = neap.generator(function (yield) yield(1) yield(2) end)
    assert.same({ 1, 2, 1, 2 }, list(neap.merge(gen(), gen())))
    assert.same({ 1, 2 }, list(neap.merge(gen())))
    assert.same({ 1, 2, 1, 2 }, list(neap.merge({ 1, 2 }, (gen()))))
  end))

  it("CNV-08 passes all values of an item, and false", task(function ()
    local s = neap.merge(neap.iter(ipairs { false }))
    assert.same({ 1, false }, { s() })
    assert.same({ false }, list(neap.merge { false }))
  end))

  it("may be read by several tasks", task(function ()
    local s, log = neap.merge(marbles "a--|", marbles "-b|"), support.recorder()
    for name in ("xyz"):gmatch "." do
      neap.spawn(function () log(name, (s())) end)
    end
    neap.sleep(9)
    assert.same({ "x a@0", "y b@1", "z nil@3" }, log())
  end))

end)


describe("zip", function ()

  it("STR-08 gives items side by side", task(function ()
    local got = {}
    for a, b, c in neap.zip({ 1, 2 }, { "a", "b" }, { true, false }) do
      got[#got + 1] = { a, b, c }
    end
    assert.same({ { 1, "a", true }, { 2, "b", false } }, got)
  end))

  it("STR-08 asks its sources at the same time", task(function ()
    local log = support.recorder()
    for a, b in neap.zip(marbles "a--b|", marbles "-c---d|") do log(a, b) end
    assert.same({ "a c@1", "b d@5" }, log())
  end))

  it("STR-08 reads nothing ahead", task(function ()
    local a, b = numbers(), numbers()
    local s = neap.zip(a, b)
    neap.sleep(1)
    assert.equal(0, a.taken)
    for i = 1, 3 do
      s()
      neap.sleep(1)
      assert.same({ i, i }, { a.taken, b.taken })
    end
    s:close()
  end))

  it("STR-08 ends with the shortest, and closes the others", task(function ()
    local log = support.recorder()
    local s = neap.zip(stuck(2, log, "a"), marbles "-x-|", stuck(2, log, "c"))
    assert.same({ 1, "x", 1 }, { s() })
    assert.is_nil(s())
    assert.same({ "a unwound@4", "c unwound@4", "c closed@5", "a closed@6" },
      log())
    assert.is_nil(s())
  end))

  it("STR-08 an error in one closes the others", task(function ()
    local log = support.recorder()
    local s = neap.zip(stuck(1, log, "a"), marbles "-#")
    assert.equal("#", error_of(s))
    assert.same({ "a unwound@2", "a closed@3" }, log())
    assert.is_nil(s())
  end))

  it("a break closes all", task(function ()
    local a, b = numbers(), numbers()
    leave(2, neap.zip(a, b))
    neap.zip(a, b):close()
    assert.same({ 2, 2 }, { a.closed, b.closed })
  end))

  it("CHN-07 a cancel of the consumer loses no item", task(function ()
    local s = neap.zip(marbles "a--b--c|", marbles "--d-e-f|")
    local got = {}
    while #got < 6 do
      local ok, a, b = neap.move_on_after(0.7, s)
      if ok then got[#got + 1], got[#got + 2] = a, b end
    end
    assert.same({ "a", "d", "b", "e", "c", "f" }, got)
    assert.is_nil(s())
  end))

  it("needs no run when nothing waits", function ()
    local a, b = numbers(), numbers(2)
    local got = {}
    for x, y in neap.zip(a, b) do got[#got + 1] = x + y end
    assert.same({ 2, 4 }, got)
    assert.same({ 1, 0 }, { a.closed, b.closed })
    a = numbers()
    assert.equal("no", error_of(neap.zip(a, function () error("no", 0) end)))
    assert.equal(1, a.closed)
    assert.is_nil(neap.zip()())
  end)

  it("CNV-13 ignores the tail of a generator call", task(function ()
    local gen = neap.generator(function (yield) yield(1) end)
    assert.same({ 1, 1 }, { neap.zip(gen(), gen())() })
  end))

  it("goes on with fn(a, b, index)", function ()
    local s = neap.zip({ 1, 2 }, { 3, 4 }):map(function (a, b, i)
      return a * b * i
    end)
    assert.same({ 3, 16 }, list(s))
  end)

end)


describe("concat", function ()

  local function both (claim)
    return function ()
      claim()
      run(claim)
    end
  end

  it("gives one source after the other", both(function ()
    assert.same({ 1, 2, 3 }, list(neap.concat({ 1 }, {}, { 2, 3 }, {})))
    assert.same({}, list(neap.concat()))
    local s = neap.concat(neap.iter(ipairs { "a" }))
    assert.same({ 1, "a" }, { s() })
  end))

  it("waits for each", task(function ()
    assert.equal("ab--c-|", diagram(neap.concat(marbles "ab|",
      marbles "--c-|")))
  end))

  it("reads the next only when the one before has ended", both(function ()
    local a, b = numbers(2), numbers(2)
    local s = neap.concat(a, b)
    s() s()
    assert.equal(0, b.taken)
    s()
    assert.equal(1, b.taken)
    s:close()
  end))

  it("closes all that have not ended", both(function ()
    local log = support.recorder()
    leave(2, neap.concat(numbers(1, log, "a"), numbers(2, log, "b"),
      numbers(1, log, "c")))
    assert.same({ "c@0", "b@0" }, log())
  end))

  it("an error in one closes those behind it", both(function ()
    local b = numbers(1)
    local s = neap.concat({ 1 }, function () error("no", 0) end, b)
    assert.equal(1, s())
    assert.equal("no", error_of(s))
    assert.equal(1, b.closed)
    assert.is_nil(s())
  end))

  it("goes on after a cancel of the consumer", task(function ()
    local ch = neap.channel(1)
    local s = neap.concat(ch, { 2 })
    assert.is_false((neap.move_on_after(1, s)))
    ch:send(1)
    ch:close()
    assert.same({ 1, 2 }, list(s))
  end))

  it("CNV-13 ignores the tail of a generator call", both(function ()
    local gen = neap.generator(function (yield) yield(1) end)
    assert.same({ 1, 1 }, list(neap.concat(gen(), gen())))
  end))

end)


describe("merge, zip and concat", function ()

  for _, name in ipairs { "merge", "zip", "concat" } do

    it("CNV-01 are checked: " .. name, function ()
      local s = neap.stream { 1 }
      assert.matches("merge_spec.lua:%d+: bad argument #2 to '" .. name
        .. "' %(items must be a table, an iterator or a stream, got 3%)",
        error_of(function () neap[name](s, 3) end))
      assert.matches("bad argument #2 to '" .. name .. "' %(items must be",
        error_of(function () neap[name](s, nil, {}) end))
      for i = 2, 3 do -- no tail of a generator call, which has two nils
        local items = { s, s, s, s, n = 4 }
        items[i] = nil
        assert.matches(("bad argument #%d to '%s'"):format(i, name),
          error_of(function () neap[name](table.unpack(items, 1, 4)) end))
      end
      assert.equal(1, s()) -- it was not taken over
      assert.matches("merge_spec.lua:%d+: '" .. name .. "' of a stream that "
        .. "was handed on", error_of(function ()
          neap[name](s, s)
        end))
    end)

    it("take nothing over before all are checked: " .. name, task(function ()
      local s, other = neap.stream { 1, 2 }, neap.stream { 1 }
      local handed_on = neap.stream { 1 }
      neap.map(handed_on, print)
      local reads_itself
      reads_itself = neap.stream(function ()
        error_of(neap[name], s, reads_itself)
      end)
      for bad, message in pairs {
        [s] = "was handed on", [handed_on] = "was handed on",
        [neap.generator(print)] = "what a generator function gives",
      } do
        assert.matches(message, error_of(neap[name], s, other, bad), nil, true)
      end
      reads_itself()
      assert.equal(1, s())
      assert.equal(1, other())
      s:close()
      assert.equal(nil, neap[name](s, s)()) -- ended, so nothing is missing
    end))

    it("BUG-18 leave nothing in memory: " .. name, task(function ()
      support.assert_flat(5, function ()
        for _ = 1, 10 do
          leave(2, neap[name](numbers(3), numbers(3)))
          list(neap[name](numbers(3), numbers(3)))
          pcall(list, neap[name](numbers(3), function () error("no", 0) end))
          neap[name](numbers(3), numbers(3)):close()
        end
      end, 8192) -- of 200 streams
    end))

    it("SCP-06 hear of a cancel, at any time: " .. name, task(function ()
      for at = 0, 6, 0.5 do
        local a, b = marbles "a-b-c|", marbles "-d--e-f|"
        neap.move_on_after(at, function ()
          for _ in neap[name](a, b) do neap.sleep(0.3) end
        end)
        local before = neap.now()
        neap.sleep(3)
        assert.equal(before + 3, neap.now())
        assert.is_true(a.closed <= 1 and b.closed <= 1)
      end
    end))

  end

end)
