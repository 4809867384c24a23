--- Producers and consumers over a channel, on the virtual clock: two minutes of
-- work in no time.
--
-- example-test: neap

local neap = require "neap"

neap.clock "virtual" -- when all wait, time jumps to the next deadline

local orders = neap.channel(2) -- whoever sends a third one waits

neap.spawn(function ()
  neap.scope(function (waiters)
    for _, name in ipairs { "Ann", "Ben" } do
      waiters:spawn(function ()
        for i = 1, 5 do
          orders:send(("%s's order %d"):format(name, i))
        end
      end)
    end
  end)
  orders:close() -- all orders are in: the cooks' loops will end
end)

local served = 0
neap.scope(function (cooks)
  for cook = 1, 3 do
    cooks:spawn(function ()
      for order in orders do
        neap.sleep(30)
        served = served + 1
        print(("%3d s  cook %d: %s"):format(neap.now(), cook, order))
      end
    end)
  end
end)
assert(served == 10 and neap.now() == 120)
