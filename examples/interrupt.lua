--- Ctrl-C:  neap examples/interrupt.lua
--
-- The command 'neap' turns Ctrl-C into a cancellation, so whatever is under
-- way is cleaned up; a second Ctrl-C ends the program at once. With the
-- argument 'test' it sends itself the signal.
--
-- example-test: neap test

local neap = require "neap"

local path = os.tmpname()


local function work ()
  local file <close> = assert(io.open(path, "w"))
  local _ <close> = setmetatable({}, { __close = function ()
    -- clean-up that waits does so in a shield, for everything else is
    -- cancelled now
    neap.shield(neap.sleep, 0.1)
    os.remove(path)
    print "the half-written file is gone"
  end })
  print("writing " .. path .. "; press Ctrl-C")
  for i = 1, 100 do
    file:write(i, "\n")
    neap.sleep(1)
  end
end


if arg[1] == "test" then
  os.execute "(sleep 0.2; kill -INT $PPID) &"
  local ok, err = pcall(work)
  assert(not ok and err.reason == "interrupted")
  assert(io.open(path) == nil, "it is still there")
else
  work()
end
