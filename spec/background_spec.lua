--- Work that serves several tasks and belongs to none (internal.background).

local neap = require "neap"
local support = require "spec.support"

local background = require("neap.core").internal.background
local run, task = support.run, support.task


describe("background", function ()

  it("outlives the scope that it was begun in, not the run", function ()
    local log = support.recorder()
    run(function ()
      neap.timeout(function ()
        background(function ()
          local _ <close> = setmetatable({}, { __close = function ()
            neap.shield(neap.sleep, 2)
            log "closed"
          end })
          neap.sleep(100)
        end)
      end, 1)
      log "scope left"
      neap.sleep(5)
      log "root ends"
    end)
    assert.same({ "scope left@0", "root ends@5", "closed@7" },
      log())
  end)


  it("does not begin what was not begun when the run ends", function ()
    local began = false
    run(function () background(function () began = true end) end)
    assert.is_false(began)
    run(function ()
      background(function () began = true end)
      neap.sleep(0)
    end)
    assert.is_true(began)
  end)


  it("gives its outcome to those who await it", task(function ()
    local work = background(function () neap.sleep(1) return 1, nil end)
    assert.same(table.pack(1, nil), table.pack(work:await()))
  end))


  it("fails nobody; an error that nobody saw is reported", function ()
    local told
    neap.hooks { on_unhandled = function (err) told = err end }
    run(function ()
      background(error, "mine", 0)
      neap.sleep(1)
    end)
    neap.hooks { on_unhandled = false }
    assert.equal("mine", told)
  end)


  it("is ended by force if nothing can wake it", function ()
    local ended = false
    run(function ()
      background(function ()
        local _ <close> = setmetatable({}, { __close = function ()
          ended = true
        end })
        neap.shield(function () neap.event():wait() end)
      end)
      neap.sleep(1)
    end)
    assert.is_true(ended)
  end)


  it("lives as long as the host when a task of the host began it", function ()
    neap.clock "manual"
    local ended = false
    neap.spawn(function ()
      background(function ()
        neap.sleep(3)
        ended = true
      end)
    end)
    assert.equal(0, neap.step())
    assert.equal(3, neap.step())
    neap.advance(3)
    assert.is_nil(neap.step())
    assert.is_true(ended)
  end)

end)
