--- A few of the days of `make soak`.

local soak = dofile "test/soak.lua"


describe("a server that runs for days", function ()

  it("needs no more memory on the third than on the second #slow", function ()
    local days = 0
    local counts = soak(3, function () days = days + 1 end)
    assert.equal(3, days)
    assert.is_true(counts.served > 1000 and counts.failed > 100)
  end)

end)
