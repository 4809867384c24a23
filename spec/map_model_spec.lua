--- Maps against a model.

local neap = require "neap"
local support = require "spec.support"

local run = support.run


describe("map", function ()

  describe("against a model", function ()

    before_each(function ()
      neap.hooks { on_suppressed = function () end }
    end)

    after_each(function () neap.hooks { on_suppressed = false } end)

    -- What map must give, and when, with a consumer that takes every result
    -- at once. 'work[i]' is { seconds, what }: what fn does after that time.
    local function model (work, concurrency, ordered)
      local free, given, times = {}, {}, {}
      for i = 1, concurrency do free[i] = 0 end
      for i, item in ipairs(work) do -- each to the worker that is free first
        local first = 1
        for w = 2, concurrency do
          if free[w] < free[first] then first = w end
        end
        times[i] = free[first] + item[1]
        free[first] = times[i]
      end
      local order, last = {}, #work
      for i in ipairs(work) do order[i] = i end
      if not ordered then
        table.sort(order, function (a, b) return times[a] < times[b] end)
      end
      local now = 0
      for _, i in ipairs(order) do
        local what = work[i][2]
        now = math.max(now, times[i])
        if what == "stop" then last = math.min(last, i - 1) end
        if i <= last then
          if what == "error" then
            given[#given + 1] = "error"
            break
          end
          if what == "item" then given[#given + 1] = i .. "@" .. now end
        end
      end
      return given
    end

    -- the same by map itself
    local function reality (work, options)
      local given = {}
      run(function ()
        local ok, err = pcall(function ()
          for i in neap.map(work, function (item, i)
            neap.sleep(item[1])
            if item[2] == "error" then error("error", 0) end
            if item[2] == "skip" then return neap.SKIP end
            if item[2] == "stop" then return neap.STOP end
            return i
          end, options) do
            given[#given + 1] = i .. "@" .. neap.now()
          end
        end)
        if not ok then given[#given + 1] = err end
      end)
      return given
    end

    for _, ordered in ipairs { true, false } do
      it(("gives the same %sfor 150 random seeds"):format(
        ordered and "in order " or "in order of completion "), function ()
          for seed = 1, support.seeds(150) do
            math.randomseed(seed)
            local work, n = {}, math.random(0, 12)
            local kinds = { "item", "item", "item", "skip" }
            if seed % 3 == 1 then kinds[5] = "error" end
            if seed % 3 == 2 then kinds[5] = "stop" end
            for i = 1, n do
              -- no two sums of these are equal
              work[i] = { math.random(1, 8) + 2.0 ^ -(i + 4),
                          kinds[math.random(#kinds)] }
            end
            local concurrency = math.random(1, 4)
            local expected = model(work, concurrency, ordered)
            local buffer = concurrency + 12 -- never full
            local got = reality(work, { concurrency = concurrency,
              ordered = ordered, buffer = buffer })
            assert.same(expected, got, "seed " .. seed)
          end
        end)
    end

    it("gives the same values with any buffer, at any pace", function ()
      for seed = 1, support.seeds(200) do
        math.randomseed(seed)
        local work, n = {}, math.random(0, 20)
        for i = 1, n do
          work[i] = { math.random(0, 3), "item" }
        end
        local failing = seed % 4 == 0 and n > 0 and math.random(n)
        local concurrency = math.random(1, 4)
        local buffer = concurrency + math.random(0, 4)
        local pace, ordered = math.random(0, 3), seed % 2 == 0
        local got, running, most, taken = {}, 0, 0, 0
        local ok, err = pcall(run, function ()
          for i in neap.map(function ()
            taken = taken + 1
            neap.sleep(taken % 3)
            return work[taken]
          end, function (item, i)
            running = running + 1
            local _ <close> = setmetatable({}, { __close = function ()
              running = running - 1
            end })
            most = math.max(most, running)
            neap.sleep(item[1])
            if i == failing then error("failing", 0) end
            return i
          end, { concurrency = concurrency, buffer = buffer,
                 ordered = ordered }) do
            got[#got + 1] = i
            assert.is_true(taken - #got <= buffer + 1) -- the end is read, too
            neap.sleep(pace)
          end
        end)
        assert.is_true(most <= concurrency)
        assert.equal(0, running)
        if not ordered then table.sort(got) end
        local expected = {}
        if failing and ordered then
          for i = 1, failing - 1 do expected[i] = i end
        elseif not failing then
          for i = 1, n do expected[i] = i end
        end
        if failing then
          assert.is_false(ok)
          assert.equal("failing", err)
        end
        if ordered or not failing then assert.same(expected, got) end
      end
    end)

  end)

end)
