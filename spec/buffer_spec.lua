-- luacheck: ignore 512 (loops that are left in the first round)

local neap = require "neap"
local support = require "spec.support"

local run, task, error_of = support.run, support.task, support.error_of
local marbles, diagram = support.marbles, support.diagram


local function numbers (n)
  return setmetatable({ taken = 0, closed = 0 }, {
    __call = function (source)
      if source.taken == n then return nil end
      source.taken = source.taken + 1
      return source.taken
    end,
    __neap_close = function (source) source.closed = source.closed + 1 end,
  })
end


describe("buffer", function ()

  it("STR-05 reads ahead at most n items", task(function ()
    for _, n in ipairs { 1, 2, 5 } do
      local source = numbers()
      local s = neap.buffer(source, n)
      neap.sleep(1)
      assert.equal(0, source.taken)
      for i = 1, 5 do
        assert.equal(i, s())
        neap.sleep(1)
        assert.equal(i + n, source.taken)
      end
      s:close()
      assert.equal(1, source.closed)
    end
  end))

  it("STR-05 lets a slow source and a slow consumer overlap", task(function ()
    assert.equal("a--b--c--|", diagram(neap.stream(marbles "abc|")
      :buffer(2), 3))
    assert.equal("a---b--c--|", diagram(neap.stream(marbles "a---bc|")
      :buffer(1), 3))
  end))

  it("STR-05 an error comes behind the items before it", task(function ()
    assert.equal("a--b--c--#", diagram(neap.buffer(marbles "abc#", 9), 3))
    local s = neap.buffer(marbles "a#", 9)
    assert.equal("a", s())
    assert.equal("#", error_of(s))
    assert.is_nil(s())
  end))

  it("STR-05 nil and false are errors, false is an item", task(function ()
    for _, err in ipairs { { false }, {} } do
      local s = neap.concat({ false }, function () error(err[1], 0) end)
        :buffer(3)
      assert.is_false(s())
      local ok, got = pcall(s)
      assert.is_false(ok)
      assert.equal(err[1], got)
      assert.is_nil(s())
    end
  end))

  it("can read all there is", task(function ()
    local source = numbers(100)
    local s = neap.buffer(source, math.huge)
    s()
    neap.sleep(1)
    assert.equal(100, source.taken)
    assert.equal(99, s:collect().n)
  end))

  it("CNV-08 passes all values of an item", task(function ()
    local s = neap.iter(ipairs { "a" }):buffer(1)
    assert.same({ 1, "a" }, { s() })
  end))

  it("STR-02 a break ends it and closes the source", task(function ()
    local log = support.recorder()
    local source = setmetatable({}, {
      __call = function () neap.sleep(1) return 1 end,
      __neap_close = function ()
        neap.shield(neap.sleep, 1)
        log "closed"
      end,
    })
    for _ in neap.buffer(source, 2) do break end
    log "after"
    assert.same({ "closed@2", "after@2" }, log())
  end))

  it("ends when all has ended that the source has spawned", task(function ()
    local s = neap.buffer(neap.generator(function (yield)
      neap.spawn(function ()
        neap.sleep(3)
        error("of the child", 0)
      end)
      yield(1)
    end)(), 2)
    assert.equal(1, s())
    assert.equal("of the child", error_of(s))
    assert.equal(3, neap.now())
  end))

  it("CHN-07 a cancel of the consumer loses no item", task(function ()
    local s, got = neap.buffer(marbles "a---b-c|", 2), {}
    while #got < 3 do
      local ok, item = neap.move_on_after(0.7, s)
      if ok then got[#got + 1] = item end
    end
    assert.same({ "a", "b", "c" }, got)
  end))

  it("an error that nobody came to is told of", function ()
    local told = {}
    neap.hooks { on_suppressed = function (e) told[#told + 1] = e end }
    run(function ()
      local s = neap.buffer(marbles "ab#", 5)
      s()
      neap.sleep(5)
      s:close()
      s = neap.buffer(marbles "ab#", 5)
      s()
      neap.sleep(5)
      s = nil -- luacheck: ignore (dropped)
      collectgarbage()
      collectgarbage()
    end)
    neap.hooks { on_suppressed = false }
    assert.same({ "#", "#" }, told)
  end)

  it("CNV-01 is checked", function ()
    for _, bad in ipairs { 0, -1, 1.5, 0 / 0, "2" } do
      assert.matches("buffer_spec.lua:%d+: bad argument #2 to 'buffer' %(n "
        .. "must be a whole number >= 1 or math.huge, got ",
        error_of(function () neap.buffer({}, bad) end))
    end
    assert.matches("bad argument #1 to 'buffer' %(n must be",
      error_of(function () neap.stream({}):buffer() end))
    assert.matches("bad argument #1 to 'buffer' %(items must be",
      error_of(neap.buffer, 1, 1))
  end)

end)
