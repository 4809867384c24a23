--- Three ways to call something less often, on the virtual clock: a debounce
-- waits for quiet, a throttle takes the latest, a limiter drops nothing.
--
-- example-test: neap

local neap = require "neap"

neap.clock "virtual" -- when all wait, time jumps to the next deadline

local start, runs


-- what is called too often: it notes when it was really run
local function run (what)
  runs[#runs + 1] = ("%s at %.1f s"):format(what, neap.now() - start)
  neap.sleep(0.1)
  return what
end


-- ten calls of `fn`, one in a tenth of a second; each waits for its result
local function call_often (title, fn)
  start, runs = neap.now(), {}
  local results = neap.parallel({ "n", "ne", "nea", "neap", "neap ", "neap t",
    "neap ti", "neap tid", "neap tide", "neap tides" }, function (word, i)
      neap.sleep((i - 1) / 10)
      return fn(word)
    end)
  print(("%s: %d calls, %d runs\n  %s"):format(title, results.n, #runs,
    table.concat(runs, "\n  ")))
  return results
end


-- a search box: one run, when nobody has typed for 0.3 s; all get its result
local found = call_often("debounce",
  neap.debounce(run, 0.3, { superseded = "share" }))
assert(#runs == 1 and found[1] == "neap tides")

-- a draft that is saved: at once, then twice a second, the latest one
call_often("throttle", neap.throttle(run, 0.5))
assert(#runs == 3 and runs[3]:find "^neap tides ")

-- an API that allows five calls a second: all of them, in turn
local limited = neap.limiter { rate = 5, per = 1 }
found = call_often("limiter", function (word) return limited(run, word) end)
assert(#runs == 10 and found[1] == "n")
