--- What specs of generators share.

local neap = require "neap"

local generators = {}


--- A variable to close: notes `note` when it is closed.
function generators.closing (log, note)
  return setmetatable({}, { __close = function () log(note) end })
end


--- A variable to close whose closing takes a second, in a shield.
function generators.closing_slowly (log, note)
  return setmetatable({}, { __close = function ()
    log(note .. " begins")
    neap.shield(neap.sleep, 1)
    log(note .. " ends")
  end })
end


--- 1 ... n
generators.count = neap.generator(function (yield, n)
  for i = 1, n do yield(i) end
end)


--- 1 ... n, a second before each
generators.slow_count = neap.generator(function (yield, n)
  for i = 1, n do
    neap.sleep(1)
    yield(i)
  end
end)


return generators
