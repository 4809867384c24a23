--- Bugs that there were, and that belong to no other spec.

local neap = require "neap"
local support = require "spec.support"

local task = support.task


describe("regressions", function ()

  it("acquire names the number that is too large", task(function ()
    local err = support.error_of(function () neap.semaphore(0):acquire() end)
    assert.matches("at most 0, the size of the semaphore, got 1", err, 1, true)
  end))

end)
