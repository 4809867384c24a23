local neap = require "neap"
local support = require "spec.support"

local run, task, error_of = support.run, support.task, support.error_of
local failing, huge = support.failing, math.huge


-- the waits between the calls of a function that fails, under these options
local function waits (options)
  local fn, times = failing "no"
  assert.equal("no", error_of(neap.retry, fn, options))
  local result = {}
  for i = 2, #times do result[i - 1] = times[i] - times[i - 1] end
  return result
end


-- gives these numbers, again and again
local function sequence (...)
  local numbers, i = { ... }, 0
  return function ()
    i = i % #numbers + 1
    return numbers[i]
  end
end


describe("retry", function ()

  describe("attempts", function ()

    it("RET-01 counts calls: 1 never waits, never calls on_retry",
      task(function ()
        local fn, times = failing "no"
        local err = error_of(neap.retry, fn, {
          attempts = 1,
          on_retry = function () error "called" end,
        })
        assert.equal("no", err)
        assert.same({ 0 }, times)
        assert.equal(0, neap.now())
      end))

    it("RET-01 is 3 by default, and 3.0 is 3", task(function ()
      local fn, times = failing "no"
      error_of(neap.retry, fn)
      assert.same({ 0, 1, 3 }, times)
      assert.same({ 1, 2 }, waits { attempts = 3.0 })
    end))

    for _, bad in ipairs { 0, -1, 1.5, 0 / 0, "3" } do
      it("RET-02 cannot be " .. tostring(bad), task(function ()
        local fn, times = failing "no"
        local err = error_of(neap.retry, fn, { attempts = bad })
        assert.matches("bad option 'attempts' to 'retry' %(must be a whole "
          .. "number >= 1 or math.huge, got ", err)
        assert.same({}, times)
      end))
    end

    it("RET-02 can be math.huge", task(function ()
      local calls = neap.retry(function (n)
        if n < 500 then error "no" end
        return n
      end, { attempts = huge, delay = 0 })
      assert.equal(500, calls)
    end))

    it("RET-03 are told to fn: 1, 2, 3", task(function ()
      local seen = {}
      pcall(neap.retry, function (...)
        seen[#seen + 1] = table.pack(...)
        error "no"
      end)
      assert.same({ { 1, n = 1 }, { 2, n = 1 }, { 3, n = 1 } }, seen)
    end))

    it("RET-03 end with success, whatever the values", task(function ()
      local calls = 0
      local results = table.pack(neap.retry(function (n)
        calls = n
        if n == 2 then return nil, false, nil end
        error "no"
      end, { attempts = 5 }))
      assert.same({ nil, false, nil, n = 3 }, results)
      assert.equal(2, calls)
    end))

    it("each are a scope of their own", task(function ()
      local log = support.recorder()
      neap.retry(function (n)
        neap.spawn(function ()
          neap.sleep(5)
          log(n)
          if n == 1 then error "child" end
        end)
      end)
      assert.same({ "1@5", "2@11" }, log())
    end))

  end)

  describe("waits", function ()

    it("RET-04 are exact without jitter", task(function ()
      assert.same({ 1, 3, 9, 10, 10 },
        waits { attempts = 6, delay = 1, backoff = 3, max_delay = 10 })
    end))

    it("RET-04 with a delay above the cap are capped", task(function ()
      assert.same({ 2, 2 }, waits { delay = 5, max_delay = 2 })
    end))

    it("BUG-08 use the factor at every attempt", task(function ()
      assert.same({ 1, 5, 25, 125 }, waits { attempts = 5, backoff = 5 })
      assert.same({ 8, 4, 2, 1 },
        waits { attempts = 5, delay = 8, backoff = 0.5 })
      assert.same({ 2, 0, 0 }, waits { attempts = 4, delay = 2, backoff = 0 })
    end))

    it("RET-05 BUG-05 at attempt 3000 are still max_delay", task(function ()
      local result = waits { attempts = 3001, max_delay = 7 }
      assert.equal(7, result[3000])
      assert.equal(7, result[32])
      assert.equal(4, result[3])
    end))

    it("RET-05 at attempt 3000 are still 0 for delay = 0", task(function ()
      local fn, times = failing "no"
      error_of(neap.retry, fn, { attempts = 3001, delay = 0 })
      assert.equal(3001, #times)
      assert.equal(0, neap.now())
    end))

    it("RET-06 of 0 let others run once", task(function ()
      local log = {}
      neap.spawn(function ()
        for i = 1, 2 do
          log[#log + 1] = "other " .. i
          neap.sleep(0)
        end
      end)
      pcall(neap.retry, function (n)
        log[#log + 1] = "attempt " .. n
        error "no"
      end, { delay = 0 })
      assert.same({ "attempt 1", "other 1", "attempt 2", "other 2",
        "attempt 3" }, log)
    end))

    it("RET-06 of 0 let cancellation in", task(function ()
      local calls = 0
      neap.scope(function (scope)
        neap.spawn(scope.cancel, scope)
        neap.retry(function ()
          calls = calls + 1
          error "no"
        end, { attempts = 50, delay = 0 })
      end)
      assert.equal(1, calls)
    end))

  end)

  describe("jitter", function ()

    it("RET-07 full: rng() * d", task(function ()
      assert.same({ 0.25, 1, 3, 2 }, waits {
        attempts = 5, max_delay = 4, jitter = "full",
        rng = sequence(0.25, 0.5, 0.75, 0.5),
      })
    end))

    it("RET-07 equal: d/2 + rng() * d/2", task(function ()
      assert.same({ 0.5, 1.5, 3.5, 3 }, waits {
        attempts = 5, max_delay = 4, jitter = "equal",
        rng = sequence(0, 0.5, 0.75, 0.5),
      })
    end))

    it("RET-07 decorrelated: between delay and 3 times the last wait",
      task(function ()
        assert.same({ 2, 1, 2, 5.5 }, waits {
          attempts = 5, delay = 1, jitter = "decorrelated",
          rng = sequence(0.5, 0, 0.5, 0.9),
        })
      end))

    for _, jitter in ipairs { "full", "equal", "decorrelated" } do

      it("RET-07 " .. jitter .. " never goes beyond max_delay",
        task(function ()
          local result = waits {
            attempts = 50, delay = 2, max_delay = 10, jitter = jitter,
            rng = function () return 0.999 end,
          }
          for _, wait in ipairs(result) do assert.is_true(wait <= 10) end
          assert.is_true(result[49] > 9.9)
        end))

      it("RET-08 BUG-04 " .. jitter .. " still spreads at the cap",
        task(function ()
          local result = waits {
            attempts = 30, max_delay = 10, jitter = jitter,
            rng = sequence(0.9, 0.91, 0.92, 0.93, 0.94),
          }
          for i = 10, 29 do
            assert.not_equal(result[i - 1], result[i])
            assert.is_true(result[i] < 10)
          end
        end))

      it("RET-05 " .. jitter .. " of endless waits is endless",
        task(function ()
          local fits = neap.move_on_after(1e300, neap.retry, failing "no", {
            delay = huge, jitter = jitter, rng = function () return 0 end,
          })
          assert.is_false(fits)
          assert.equal(1e300, neap.now())
        end))

    end

    it("RET-08 is reproducible with rng", task(function ()
      local function rng () -- the same numbers for each call of it
        local x = 1
        return function ()
          x = x * 16807 % 2147483647
          return x / 2147483647
        end
      end
      local function told ()
        local list = {}
        waits {
          attempts = 9, jitter = "full", rng = rng(),
          on_retry = function (r) list[#list + 1] = r.delay end,
        }
        return list
      end
      local list = told()
      assert.equal(8, #list)
      assert.same(list, told())
    end))

    it("RET-08 leaves math.random alone when there is an rng",
      task(function ()
        math.randomseed(7)
        local expected = math.random()
        math.randomseed(7)
        waits { jitter = "full", rng = sequence(0.5) }
        assert.equal(expected, math.random())
      end))

    it("a bad number from rng raises", task(function ()
      for _, case in ipairs {
        { -1, "%-1" }, { 1, "1" }, { 0 / 0, "%-?nan" }, { "0.5", "'0.5'" },
      } do
        local bad, shown = table.unpack(case)
        assert.matches("^bad result of 'rng' of 'retry' %(must be a number in "
          .. "%[0, 1%), got " .. shown .. "%)$",
          error_of(neap.retry, failing "no", {
            jitter = "full", rng = function () return bad end,
          }))
      end
    end))

  end)

  describe("callbacks", function ()

    it("RET-09 come in order, on_retry with what will be waited",
      task(function ()
        local log = support.recorder()
        pcall(neap.retry, function (n) log("fn", n); error(n, 0) end, {
          attempts = 2,
          retry_if = function (...) log("retry_if", ...); return true end,
          delay_from = function (...) log("delay_from", ...); return 7 end,
          on_retry = function (r)
            log("on_retry", r.err, r.attempt, r.delay)
          end,
        })
        assert.same({ "fn 1@0", "retry_if 1 1@0", "delay_from 1 1@0",
          "on_retry 1 1 7@0", "fn 2@7" }, log())
      end))

    it("RET-09 on_retry is told the wait with its jitter", task(function ()
      local told = {}
      local waited = waits {
        attempts = 4, jitter = "full", rng = sequence(0.5, 0.25, 0.75),
        on_retry = function (r) told[#told + 1] = r.delay end,
      }
      assert.same({ 0.5, 0.5, 3 }, told)
      assert.same(told, waited)
    end))

    it("RET-10 retry_if giving false ends it with that error",
      task(function ()
        local mine = {}
        local fn, times = failing(mine)
        local err = error_of(neap.retry, fn, {
          retry_if = function (e, n) return e ~= mine or n < 2 end,
          on_retry = function (r) assert.equal(1, r.attempt) end,
        })
        assert.equal(mine, err)
        assert.same({ 0, 1 }, times)
        assert.equal(1, neap.now())
      end))

    it("RET-10 retry_if is not asked after the last attempt", task(function ()
      local asked = {}
      waits { retry_if = function (_, n) asked[#asked + 1] = n return true end }
      assert.same({ 1, 2 }, asked)
    end))

    for _, name in ipairs { "retry_if", "delay_from", "on_retry" } do

      it("RET-11 " .. name .. " may suspend, which counts for max_elapsed",
        task(function ()
          local fn, times = failing "no"
          local err = error_of(neap.retry, fn, {
            attempts = huge, max_elapsed = 10,
            [name] = function () neap.sleep(3) return 1 end,
          })
          assert.equal("no", err)
          assert.same({ 0, 4 }, { times[1], times[2] })
          assert.is_true(neap.now() <= 10)
        end))

      it("RET-11 " .. name .. " that takes too long is cut", task(function ()
        local fn, times = failing "no"
        assert.equal("no", error_of(neap.retry, fn, {
          max_elapsed = 2, [name] = function () neap.sleep(100) end,
        }))
        assert.same({ 0 }, times)
        assert.equal(2, neap.now())
      end))

      it("RET-11 an error of " .. name .. " is raised", task(function ()
        local mine = {}
        local fn, times = failing "no"
        assert.equal(mine, error_of(neap.retry, fn,
          { [name] = function () error(mine) end }))
        assert.same({ 0 }, times)
      end))

    end

    it("a wait that no longer fits after on_retry is not begun",
      task(function ()
        assert.equal("no", error_of(neap.retry, failing "no", {
          delay = 5, max_elapsed = 10,
          on_retry = function () neap.sleep(6) end,
        }))
        assert.equal(6, neap.now())
      end))

    it("RET-12 delay_from replaces the wait, nil falls back", task(function ()
      assert.same({ 1, 50, 4, 0, 16 }, waits {
        attempts = 6, max_delay = 20, jitter = "none",
        delay_from = function (err, n)
          assert.equal("no", err)
          return ({ [2] = 50, [4] = 0 })[n]
        end,
      })
    end))

    it("RET-12 delay_from is not jittered", task(function ()
      assert.same({ 8, 8 }, waits {
        jitter = "full", rng = function () error "asked" end,
        delay_from = function () return 8 end,
      })
    end))

    it("RET-12 a bad number from delay_from raises", task(function ()
      for _, bad in ipairs { 0 / 0, -1, "5", false } do
        local fn, times = failing "no"
        assert.matches("^bad result of 'delay_from' of 'retry' %(must be a "
          .. "number >= 0 or nil, got "
          .. (bad == "5" and "'5'%)$" or ""), error_of(neap.retry, fn,
            { delay_from = function () return bad end }))
        assert.same({ 0 }, times)
      end
    end))

  end)

  describe("permanent", function ()

    -- what retry raises for an error, and that it stops at once
    local function stopped (err)
      local fn, times = failing(err)
      local function never () error "called" end
      local raised = error_of(neap.retry, fn,
        { retry_if = never, delay_from = never, on_retry = never })
      assert.same({ neap.now() }, times)
      return raised
    end

    it("RET-13 stops at once and raises its error", task(function ()
      local mine = {}
      assert.equal(mine, stopped(neap.permanent(mine)))
      assert.equal("text", stopped(neap.permanent "text"))
      assert.is_false(stopped(neap.permanent(false)))
    end))

    it("RET-13 may hold nil", task(function ()
      assert.is_nil(stopped(neap.permanent(nil)))
    end))

    it("RET-13 may be nested", task(function ()
      assert.equal("text", stopped(neap.permanent(neap.permanent "text")))
    end))

    it("RET-13 at the last attempt, too", task(function ()
      assert.equal("text", error_of(neap.retry,
        failing(neap.permanent "text"), { attempts = 1 }))
    end))

    it("RET-13 counts for one retry only", task(function ()
      local calls = 0
      local err = error_of(neap.retry, function ()
        return neap.retry(function ()
          calls = calls + 1
          error(neap.permanent "text")
        end)
      end)
      assert.equal("text", err)
      assert.equal(3, calls)
    end))

    it("RET-13 may come from a child of the attempt", task(function ()
      local calls = 0
      assert.equal("text", error_of(neap.retry, function (n)
        calls = n
        neap.spawn(error, neap.permanent "text")
      end))
      assert.equal(1, calls)
    end))

    it("reads like its error when nothing retries it", function ()
      assert.equal("text", tostring(neap.permanent "text"))
    end)

  end)

  describe("the error", function ()

    it("RET-14 is the last one, unchanged", task(function ()
      local errors = { {}, {}, {} }
      assert.equal(errors[3],
        error_of(neap.retry, function (n) error(errors[n]) end))
    end))

    it("RET-14 may be nil or false", task(function ()
      assert.is_nil(error_of(neap.retry, failing(nil)))
      assert.is_false(error_of(neap.retry, failing(false)))
    end))

    local function first_place (err) error(err, 0) end
    local function second_place (err) error(err, 0) end

    local function alternate (err)
      return function (n)
        if n == 1 then first_place(err) end
        second_place(err)
      end
    end

    for kind, err in pairs { string = "same", table = {}, boolean = false } do
      it("RET-14 has the traceback of its own attempt, a " .. kind,
        task(function ()
          error_of(neap.retry, alternate(err), { attempts = 2 })
          assert.matches("second_place", neap.traceback(err))
          assert.not_matches("first_place", neap.traceback(err))
        end))
    end

    it("RET-14 keeps its traceback while a later attempt is cut",
      task(function ()
        error_of(neap.retry, function (n)
          if n == 1 then first_place "cut" end
          pcall(neap.timeout, second_place, 1, nil, "cut")
          neap.sleep(100)
        end, { max_elapsed = 5 })
        assert.matches("first_place", neap.traceback "cut")
      end))

    it("RET-14 keeps its traceback while a hook is cut", task(function ()
      for _, name in ipairs { "retry_if", "delay_from", "on_retry" } do
        local err = {}
        assert.equal(err, error_of(neap.retry, function ()
          first_place(err)
        end, { max_elapsed = 5, [name] = function () neap.sleep(9) end }))
        assert.matches("first_place", neap.traceback(err))
      end
    end))

  end)

  it("one inside another makes each of its attempts", task(function ()
    local calls = 0
    error_of(neap.retry, function ()
      neap.retry(function ()
        calls = calls + 1
        error "no"
      end, { attempts = 2, delay = 1 })
    end, { attempts = 3, delay = 10 })
    assert.equal(6, calls)
    assert.equal(3 * 1 + 10 + 20, neap.now())
  end))


  it("leaves an error object as it is", task(function ()
    local mine = setmetatable({}, { __newindex = function ()
      error "changed"
    end })
    assert.equal(mine, error_of(neap.retry, function () error(mine) end,
      { delay = 0 }))
    assert.is_nil(next(mine))
  end))


  it("RET-20 concurrent calls share no state", task(function ()
    local options = {
      attempts = 4, jitter = "decorrelated",
      rng = function () return 0.5 end,
    }
    local first, times1 = failing "no"
    local second, times2 = failing "no"
    local a = neap.async(neap.retry, first, options)
    neap.sleep(0.5)
    local b = neap.async(neap.retry, second, options)
    a:pawait()
    b:pawait()
    for i = 1, 4 do assert.equal(times1[i] + 0.5, times2[i]) end
    assert.equal(4, #times2)
  end))

  it("RET-20 options changed meanwhile change nothing", task(function ()
    local fn, times = failing "no"
    local options = { delay = 2 }
    options.retry_if = function ()
      options.delay, options.attempts = 9, 1
      return true
    end
    error_of(neap.retry, fn, options)
    assert.same({ 0, 2, 6 }, times)
  end))

  it("takes anything callable", task(function ()
    local fn = setmetatable({}, { __call = function (_, n) return n end })
    assert.equal(1, neap.retry(fn))
  end))

  it("leaves nothing behind", task(function ()
    support.assert_flat(100, function ()
      pcall(neap.retry, failing "no", { jitter = "full", max_elapsed = 100 })
    end)
  end))

  it("checks its arguments before the first call", task(function ()
    assert.error_matches(function () neap.retry(5) end,
      "bad argument #1 to 'retry' %(fn must be a function or callable, got 5%)")
    local fn, times = failing "no"
    assert.error_matches(function () neap.retry(fn, { retries = 5 }) end,
      "bad option 'retries' to 'retry' %(did you mean 'attempts'%?%)")
    assert.error_matches(function () neap.retry(fn, { delay = -1 }) end,
      "bad option 'delay' to 'retry' %(must be a number >= 0, got %-1%)")
    assert.error_matches(function () neap.retry(fn, { jitter = "half" }) end,
      "bad option 'jitter' to 'retry' %(must be 'none' or 'full' or 'equal' "
      .. "or 'decorrelated', got 'half'%)")
    local _, err = pcall(function () neap.retry(fn, 5) end)
    assert.matches("^spec/retry_spec.lua:%d+: bad argument #2 to 'retry'", err)
    assert.same({}, times)
  end))

  it("outside a task raises before it calls anything", function ()
    local fn, times = failing "no"
    local _, err = pcall(function () neap.retry(fn) end)
    assert.matches("^spec/retry_spec.lua:%d+: 'retry' must be called in a task",
      err)
    assert.same({}, times)
    run(function ()
      local ok, message = pcall(table.sort, { 1, 2 }, function ()
        neap.retry(fn)
      end)
      assert.is_false(ok)
      assert.matches("'retry' cannot wait here", message)
    end)
    assert.same({}, times)
  end)

end)
