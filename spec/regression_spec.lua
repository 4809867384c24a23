--- Bugs that there were, and that belong to no other spec.

local neap = require "neap"
local support = require "spec.support"

local task = support.task


describe("regressions", function ()

  it("acquire names the number that is too large", task(function ()
    local err = support.error_of(function () neap.semaphore(0):acquire() end)
    assert.matches("at most 0, the size of the semaphore, got 1", err, 1, true)
  end))


  it("a scope waits for what is spawned into it when its last child has ended",
    task(function ()
      local scope
      local ended = false
      neap.async(function ()
        neap.checkpoint()
        neap.sleep(1) -- runs right after the child has ended
        scope:spawn(function ()
          neap.sleep(1)
          ended = true
        end)
      end)
      neap.scope(function (s)
        scope = s
        s:spawn(neap.sleep, 1)
      end)
      assert.is_true(ended)
      assert.equal(2, neap.now())
    end))


  it("what the hook on_suppressed spawns belongs to the scope around",
    task(function ()
      local ended = 0
      neap.hooks { on_suppressed = function ()
        neap.spawn(function ()
          neap.sleep(1)
          ended = ended + 1
        end)
      end }
      neap.scope(function ()
        pcall(neap.scope, function (s)
          s:spawn(error, "first")
          pcall(neap.sleep, 1)
          error "second"
        end)
        assert.equal(0, ended)
      end)
      neap.hooks { on_suppressed = false }
      assert.equal(1, ended)
    end))

end)
