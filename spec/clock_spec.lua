local neap = require "neap"
local support = require "spec.support"


describe("clock", function ()
  it("CLK-06 a sleep without end that is all that is left is a deadlock",
    function ()
      local err = support.error_of(support.run, function ()
        neap.sleep(math.huge)
      end)
      assert.equal("DeadlockError", err.name)
    end)
end)
