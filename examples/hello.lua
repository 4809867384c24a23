--- First steps: tasks, scopes, a pool with retries, a timeout.
--
--   bin/neap examples/hello.lua
--
-- The command 'neap' runs a file as a task, so it may wait at its top level.
-- Under plain lua, all that waits is inside neap.run(function () ... end).
--
-- example-test: neap

local neap = require "neap"


-- stands for something that takes a while and sometimes fails
local function fetch (name)
  neap.sleep(0.05)
  if math.random() < 0.3 then error("no luck with " .. name, 0) end
  return name:upper()
end


-- two things at once: a task is a function that may wait
local tea = neap.async(function ()
  neap.sleep(0.2)
  return "tea"
end)
print "the kettle is on"
print(tea:await() .. " is ready")

-- a scope ends when all that was started in it has ended
neap.scope(function ()
  neap.spawn(function ()
    neap.sleep(0.1)
    print "tick"
  end)
  neap.spawn(function ()
    neap.sleep(0.2)
    print "tock"
  end)
end)

-- at most three at a time, results in the order of the input; each is tried up
-- to ten times, with growing pauses between
local names = { "ada", "bob", "cy", "dee", "eve" }
local results = neap.pool(names, 3, function (name)
  return neap.retry(function () return fetch(name) end,
    { attempts = 10, delay = 0.01 })
end)
print(table.concat(results, " "))

-- what takes too long is stopped: its clean-up runs, then the error comes
local ok, err = pcall(neap.timeout, function ()
  local _ <close> = setmetatable({}, { __close = function ()
    print "cleaned up"
  end })
  neap.sleep(60)
end, 0.1)
print(ok, err)
