--- What specs share: runs on the virtual clock that must leave nothing behind.

local assert = require "luassert"
local neap = require "neap"

local stats = require("neap.core").internal.stats

local support = {}


--- Raise if the scheduler is not as empty as it was made.
function support.assert_empty ()
  local left = stats()
  assert.equal(0, left.live, "tasks left:\n" .. neap.dump())
  assert.equal(0, left.timers, "timers left")
  assert.equal(0, left.external, "tasks waiting for descriptors left")
  assert.same({}, neap.tasks())
end


--- Run `fn(...)` on a fresh virtual clock, check that nothing is left, and
-- return its results or raise its error unchanged.
function support.run (fn, ...)
  neap.clock "virtual"
  local results = table.pack(pcall(neap.run, fn, ...))
  support.assert_empty()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end


--- `it` with the body run by `support.run`: the usual way to write a spec.
function support.task (fn)
  return function () support.run(fn) end
end


--- The error that `fn(...)` raises; fails if it raises none.
function support.error_of (fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "an error was expected")
  return err
end


--- A function that notes its arguments, as one string with the time; called
-- without any it returns the notes. (log "a" at 2 s: "a@2")
function support.recorder ()
  local notes = {}
  return function (...)
    if select("#", ...) == 0 then return notes end
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    notes[#notes + 1] = ("%s@%g"):format(table.concat(words, " "), neap.now())
  end
end


--- Bytes in use when all that can be collected has been.
function support.memory ()
  for _ = 1, 4 do collectgarbage() end
  return collectgarbage "count" * 1024
end


--- Fail if `fn`, called twice to warm up, then needs more memory after `n`
-- further calls than `slack` bytes.
function support.assert_flat (n, fn, slack)
  for _ = 1, 2 do fn() end
  local before = support.memory()
  for _ = 1, n do fn() end
  local grown = support.memory() - before
  assert.is_true(grown <= (slack or 2048),
    ("%d calls left %d bytes behind"):format(n, grown))
end


return support
