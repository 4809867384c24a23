-- The programs of test/wallclock_test.c.

local neap = require "neap"
local host = host -- luacheck: ignore 113
local programs = {}

local DAY = 86400


-- CNV-05 sleeps, deadlines and intervals do not know that the clock was set,
-- by so many seconds, while they lasted
local function set (seconds)
  local log = {}
  local r, w = host.pipe()
  neap.run(function ()
    neap.scope(function (s)
      local began = neap.now()
      local function sleeper (delay, name)
        s:spawn(function ()
          neap.sleep(delay)
          log[#log + 1] = name
        end)
      end
      sleeper(3600, "an hour")
      sleeper(0.02, "second")
      sleeper(0.01, "first")
      s:spawn(neap.readable, r) -- libev has something to wait for
      neap.sleep(0.001)
      host.set_clock(seconds)
      assert(not neap.move_on_after(0.03, neap.sleep, 3600))
      assert(neap.now() - began < 3600)
      s:cancel()
    end)
  end)
  host.set_clock(0)
  host.close(r)
  host.close(w)
  assert(table.concat(log, ", ") == "first, second", table.concat(log, ", "))
end


function programs.set_forward ()
  set(DAY)
end


function programs.set_back ()
  set(-DAY)
end


return programs
