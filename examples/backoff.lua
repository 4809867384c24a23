--- A flaky service and retries, on the virtual clock: a minute in no time.
--
-- example-test: neap

local neap = require "neap"

neap.clock "virtual" -- when all wait, time jumps to the next deadline


local function say (text, ...)
  print(("%6.2f s  " .. text):format(neap.now(), ...))
end


-- what the service does when it is asked for the first time, the second ...
local moods = {
  function () error("connection refused", 0) end,
  function () neap.sleep(3600) end, -- no answer at all
  function () error(neap.error("Busy", "busy", { retry_after = 30 })) end,
  function () return "the weather is fine" end,
}


local answer = neap.retry(function (attempt)
  say("attempt %d", attempt)
  return moods[attempt]()
end, {
  attempts = 5,
  delay = 1,           -- then 2, 4, 8: it doubles
  attempt_timeout = 10,
  delay_from = function (err) -- some services say when to come back
    return type(err) == "table" and err.retry_after or nil
  end,
  on_retry = function (failure)
    say("  %s; again in %g s", failure.err, failure.delay)
  end,
})
say(answer)
assert(neap.now() == 1 + 10 + 2 + 30)

-- what no retry can help says so, and is raised at once
local ok, err = pcall(neap.retry, function ()
  error(neap.permanent "no such place")
end)
say("%s", err)
assert(not ok and neap.now() == 43)
