--- Cancellation: shields, `pcall`, `cancelled`.

local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of


describe("shield", function ()

  it("SCP-14 keeps outer cancels out; the first wait after it raises",
    task(function ()
      local log = support.recorder()
      local t = neap.async(function ()
        local result = neap.shield(function (x)
          neap.sleep(5)
          return x, "shielded"
        end, 1)
        log(result)
        neap.sleep(0)
        log "never"
      end)
      neap.sleep(1)
      t:cancel()
      t:pawait()
      assert.same({ "1@5" }, log())
    end))


  it("SCP-14 own scopes and timeouts inside still work", task(function ()
    neap.scope(function (s)
      s:cancel()
      neap.shield(function ()
        assert.is_true(neap.is_timeout(error_of(neap.timeout, neap.sleep, 1,
          nil, 5)))
        neap.scope(function (inner)
          inner:spawn(neap.sleep, 100)
          neap.sleep(1)
          inner:cancel()
        end)
      end)
      assert.equal(2, neap.now())
    end)
  end))


  it("is no cancellation point, and its children are shielded too",
    task(function ()
      local done = false
      neap.scope(function (s)
        s:cancel()
        neap.shield(function ()
          neap.spawn(function ()
            neap.sleep(3)
            done = true
          end)
        end)
      end)
      assert.is_true(done)
    end))


  it("raises what it is given to raise, be it the error of a cancellation",
    task(function ()
      local cancellation
      local t = neap.async(function ()
        cancellation = error_of(neap.sleep, 100)
        return error_of(neap.shield, error, cancellation)
      end)
      neap.sleep(1)
      t:cancel "why"
      local raised = t:await()
      assert.equal("why", raised.reason)
      assert.equal(cancellation, raised)
    end))


  it("passes errors and checks its argument", task(function ()
    assert.equal("mine", error_of(neap.shield, error, "mine", 0))
    assert.matches("#1 to 'shield'", error_of(neap.shield, nil))
  end))

end)


describe("neap.pcall", function ()

  it("SCP-16 catches errors, but not the cancellation of its own scope",
    task(function ()
      assert.same({ n = 2, false, "e" },
        table.pack(neap.pcall(error, "e", 0)))
      assert.same({ n = 2, false, nil }, table.pack(neap.pcall(error)))
      assert.same({ n = 4, true, 1, nil, nil },
        table.pack(neap.pcall(function () return 1, nil, nil end)))
      local passed = false
      neap.scope(function (s)
        s:cancel()
        neap.pcall(neap.sleep, 1)
        passed = true
      end)
      assert.is_false(passed)
    end))


  it("an AbortError that came otherwise is an ordinary error",
    task(function ()
      local t = neap.async(neap.sleep, 100)
      t:cancel()
      local ok, err = neap.pcall(t.await, t)
      assert.is_false(ok)
      assert.is_true(neap.is_abort(err))
    end))


  it("works outside of tasks", function ()
    assert.same({ n = 2, false, "x" }, table.pack(neap.pcall(error, "x", 0)))
  end)

end)


describe("cancelled", function ()

  it("SCP-16 tells without suspending", task(function ()
    assert.is_false(neap.cancelled())
    neap.scope(function (s)
      s:cancel()
      assert.is_true(neap.cancelled())
      neap.shield(function () assert.is_false(neap.cancelled()) end)
    end)
    assert.is_false(neap.cancelled())
  end))


  it("is false outside of tasks", function ()
    assert.is_false(neap.cancelled())
  end)

end)
