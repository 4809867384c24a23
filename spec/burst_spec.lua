local neap = require "neap"
local support = require "spec.support"

local internal = require("neap.core").internal
local task, error_of = support.task, support.error_of


-- what debounce and throttle are made of, where they do not reach
describe("runs", function ()

  it("a task that was cancelled takes a run along that it was going to share",
    task(function ()
      local begun = false
      local runs = internal.runs()
      neap.scope(function (scope)
        local run = runs:start(function () begun = true end)
        scope:cancel() -- as a finalizer can at any time
        assert.is_true(neap.is_abort(error_of(internal.share, run)))
      end)
      assert.is_false(begun)
      assert.same({}, runs:live())
    end))


  it("are there until they have ended, the oldest first", task(function ()
    local runs = internal.runs()
    local a, b = runs:start(neap.sleep, 3), runs:defer(2, neap.sleep, 2)
    assert.same({ a, b }, runs:live())
    assert.equal(b, runs:pending())
    internal.share(a)
    assert.same({ b }, runs:live())
    internal.share(b)
    assert.same({}, runs:live())
    assert.equal(4, neap.now())
  end))


  it("last as long as they run, though nobody knows them any more",
    task(function ()
      local ended = false
      internal.runs():start(function ()
        neap.sleep(1)
        ended = true
      end)
      collectgarbage()
      neap.sleep(0)
      collectgarbage()
      neap.sleep(2)
      assert.is_true(ended)
    end))


  it("an error of unwinding is raised where the last caller was cancelled",
    task(function ()
      local function work ()
        local _ <close> = setmetatable({}, { __close = function ()
          error("disk full", 0)
        end })
        neap.sleep(10)
      end
      for _, d in ipairs {
        neap.debounce(work, 1, { superseded = "share" }),
        neap.throttle(work, 1, { trailing = false }),
      } do
        assert.equal("disk full", error_of(neap.move_on_after, 2, d))
        local callers = { neap.async(d), neap.async(d) }
        neap.sleep(1.5)
        for i, name in ipairs { "AbortError", "disk full" } do
          callers[i]:cancel()
          local _, err = callers[i]:pawait()
          assert.equal(name, type(err) == "table" and err.name or err)
        end
      end
    end))


  it("refuse what they cannot do", task(function ()
    local runs = internal.runs()
    assert.error_matches(function () runs.start({}, neap.now) end, "neap.runs")
    assert.error_matches(function () runs:put_off(1) end, "no run is pending")
    assert.error_matches(function ()
      internal.share(neap.async(neap.now))
    end, "a run expected, got neap.task")
  end))

end)
