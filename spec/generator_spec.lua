-- luacheck: ignore 512 (loops that are left in the first round)

local neap = require "neap"
local support = require "spec.support"

local run, task, error_of = support.run, support.task, support.error_of
local internal = require("neap.core").internal


-- a variable to close: notes `note` when it is closed
local function closing (log, note)
  return setmetatable({}, { __close = function () log(note) end })
end


-- a variable to close whose closing takes a second, in a shield
local function closing_slowly (log, note)
  return setmetatable({}, { __close = function ()
    log(note .. " begins")
    neap.shield(neap.sleep, 1)
    log(note .. " ends")
  end })
end


-- 1 ... n
local count = neap.generator(function (yield, n)
  for i = 1, n do yield(i) end
end)


-- 1 ... n, a second before each
local slow_count = neap.generator(function (yield, n)
  for i = 1, n do
    neap.sleep(1)
    yield(i)
  end
end)


local function list (...)
  local result = {}
  for v in ... do result[#result + 1] = v end
  return result
end


describe("generator", function ()

  describe("values", function ()

    it("reach the loop inside and outside of run", function ()
      assert.same({ 1, 2, 3 }, list(count(3)))
      run(function () assert.same({ 1, 2, 3 }, list(count(3))) end)
    end)

    it("may be waited for", task(function ()
      assert.same({ 1, 2, 3 }, list(slow_count(3)))
      assert.equal(3, neap.now())
    end))

    it("GEN-01 are made when they are asked for", task(function ()
      local log = support.recorder()
      local gen = neap.generator(function (yield)
        log "begins"
        yield(1)
        log "goes on"
        yield(2)
      end)()
      neap.sleep(1)
      assert.same({}, log())
      assert.equal(1, gen())
      neap.sleep(1)
      assert.same({ "begins@1" }, log())
      assert.equal(2, gen:next())
      assert.same({ "begins@1", "goes on@2" }, log())
      gen:close()
    end))

    it("GEN-11 arrive all; false does not end the loop", function ()
      local gen = neap.generator(function (yield)
        yield(false, nil, 3, nil)
        yield(1)
      end)
      local all = {}
      for a, b, c, d in gen() do all[#all + 1] = { a, b, c, d } end
      assert.same({ { false, nil, 3, nil }, { 1 } }, all)
      assert.equal(4, select("#", gen():next()))
    end)

    it("GEN-12 come from helpers, pcall and coroutine.yield", function ()
      local function helper (yield, depth)
        if depth > 0 then helper(yield, depth - 1) else yield "deep" end
      end
      local gen = neap.generator(function (yield)
        helper(yield, 100)
        assert(pcall(yield, "protected"))
        coroutine.yield("plain", 1)
        neap.coroutine.yield("neap's", 2)
      end)
      local expected = { "deep", "protected", "plain", "neap's" }
      assert.same(expected, list(gen()))
      run(function () assert.same(expected, list(gen())) end)
    end)

    it("end with nil, for ever", function ()
      local gen = count(1)
      assert.equal(1, gen())
      for _ = 1, 3 do assert.same({ n = 1 }, table.pack(gen())) end
    end)

  end)


  describe("a loop that is left early", function ()

    local function loops (log)
      local gen = neap.generator(function (yield)
        local _ <close> = closing(log, "closed")
        while true do yield(1) end
      end)
      return {
        ["break"] = function () for _ in gen() do break end end,
        ["return"] = function () for _ in gen() do return end end,
        ["goto"] = function ()
          for _ in gen() do goto out end
          ::out::
        end,
        ["error"] = function () for _ in gen() do error "loop" end end,
      }
    end

    for _, how in ipairs { "break", "return", "goto", "error" } do
      it("GEN-08 closes the body first: " .. how, function ()
        local log = support.recorder()
        local function leave ()
          neap.pcall(loops(log)[how])
          log "after"
        end
        neap.clock "virtual"
        leave()
        run(leave)
        assert.same({ "closed@0", "after@0", "closed@0", "after@0" }, log())
      end)
    end

    it("GEN-08 waits for what the body's closing waits for", task(function ()
      local log = support.recorder()
      local gen = neap.generator(function (yield)
        local _ <close> = closing_slowly(log, "closing")
        yield(1)
      end)
      for _ in gen() do break end
      log "after"
      assert.same({ "closing begins@0", "closing ends@1", "after@1" }, log())
    end))

  end)


  it("has a close function for those who take items", task(function ()
    local log = support.recorder()
    local gen = neap.generator(function (yield)
      local _ <close> = closing(log, "closed")
      yield(1)
    end)()
    gen()
    getmetatable(gen).__neap_close(gen)
    assert.same({ "closed@0" }, log())
    assert.is_nil(gen())
  end))


  it("finds its methods in a table that can be added to", function ()
    local methods = internal.generator_methods
    function methods.first_two (gen) return gen(), gen() end
    local a, b = count(3):first_two()
    methods.first_two = nil
    assert.same({ 1, 2 }, { a, b })
  end)


  it("is checked", function ()
    assert.matches("bad argument #1 to 'generator' %(fn must be a function or "
      .. "callable, got 1%)", error_of(neap.generator, 1))
    local gen = count(1)
    assert.matches("calling 'next' on a bad self %(must be a generator, got "
      .. "a table%)", error_of(gen.next, {}))
    assert.matches("calling 'close' on a bad self", error_of(gen.close))
  end)

end)
