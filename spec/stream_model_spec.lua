--- Streams against a model.

local neap = require "neap"
local streams = require "spec.streams"
local support = require "spec.support"

local list = support.list
local run = support.run
local numbers = streams.numbers


describe("stream", function ()

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

end)
