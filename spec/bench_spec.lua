--- bench: what is measured can be measured; speed is no matter here.

local support = require "spec.support"

package.path = package.path .. ";bench/?.lua"
local catalog = require "catalog"


local function measure (program, workload)
  return (support.printed_by(([[
    arg = { [0] = "bench/measure.lua", "%s", "%s", "quick" }
    dofile(arg[0])
  ]]):format(program, workload)):gsub("%s+$", ""))
end


describe("bench #slow", function ()

  it("measures every workload in neap or in a rival", function ()
    for _, w in ipairs(catalog.workloads) do
      if (w.size or 0) <= 1000 then
        local figure = measure("neap", w[1])
        assert(tonumber(figure) or (figure == "-" and w[1]:find "^pool_p"),
          w[1] .. ": " .. figure)
      end
    end
  end)


  it("has the switches of a rival", function ()
    assert.number(tonumber(measure("lua", "switch2")))
  end)


  it("claims only what is measured", function ()
    local known = {}
    for _, w in ipairs(catalog.workloads) do known[w[1]] = true end
    for _, claim in ipairs(catalog.claims) do
      assert.is_true(known[claim[1]], claim[1])
      assert.is_true(known[claim[4] or claim[1]], claim[4])
    end
  end)

end)
