--- Two times on the manual clock: that of the game and that of the player.

local neap = require "neap"
local support = require "spec.support"


describe("real_sleep", function ()

  it("goes on while the manual clock stands still", function ()
    neap.clock "manual"
    local log = support.recorder()
    neap.spawn(function ()
      neap.real_sleep(2)
      log("menu", neap.real_now())
    end)
    neap.spawn(function ()
      neap.sleep(2)
      log("game", neap.real_now())
    end)
    neap.step()
    for _ = 1, 3 do
      neap.advance(0, 1)
      neap.step()
    end
    assert.same({ "menu 2.0@0" }, log())
    neap.advance(1.5, 3)
    neap.step()
    neap.advance(0.5)
    assert.is_nil(neap.step())
    assert.same({ "menu 2.0@0", "game 6.5@2" }, log())
  end)


  it("is cancelled like any wait", function ()
    neap.clock "manual"
    local task = neap.spawn(neap.real_sleep, 5)
    neap.step()
    task:cancel()
    assert.is_nil(neap.step())
    assert.equal("cancelled", task:status())
  end)


  it("is sleep on the other clocks", support.task(function ()
    neap.real_sleep(3)
    assert.equal(3, neap.now())
    assert.equal(3, neap.real_now())
  end))


  it("rejects what is no duration", support.task(function ()
    assert.error_matches(function () neap.real_sleep(-1) end,
      "#1 to 'real_sleep' %(seconds must be a number >= 0, got %-1%)")
    neap.sleep(0)
  end))


  it("advance rejects a real time that is none, and moves nothing",
    function ()
      neap.clock "manual"
      assert.error_matches(function () neap.advance(1, math.huge) end,
        "#2 to 'advance' %(real_seconds must be a finite number, got inf%)")
      assert.error_matches(function () neap.advance(1, -1) end, "got %-1")
      assert.equal(0, neap.now())
      assert.equal(0, neap.real_now())
    end)

end)
