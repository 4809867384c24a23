-- The stage on which test/nosys.c plays the scenes of test/nosys/*.lua, which
-- use all that asks something of the system. The files of scenes are called
-- with this table.

local stage = { told = {} } -- of what errors the hooks were told
local host = host -- luacheck: ignore 113


-- A scene on the virtual clock. 'make' is called with the core and what is
-- named behind it, and makes, while nothing fails, what it is to play with. It
-- returns 'run', during which calls fail, and 'check', called when nothing
-- fails any more, whatever became of 'run': with true if it came to its end.
function stage.play (name, make, ...)
  local names = { ... }
  stage[#stage + 1] = { name = name, make = function ()
    local neap = require "neap.core"
    neap.clock "virtual"
    local function note (err) stage.told[#stage.told + 1] = err end
    neap.hooks { on_suppressed = note, on_unhandled = note }
    local rooms = {}
    for i, file in ipairs(names) do rooms[i] = require(file) end
    return make(neap, table.unpack(rooms))
  end }
end


-- what else the reason may be called, by LuaSocket and its manual
local other_words = {
  ["Connection refused"] = { "connection refused", "refused" },
  ["Connection reset by peer"] = { "closed", "connection lost" },
  ["Broken pipe"] = { "closed", "nobody reads", "refused" },
  ["Cannot allocate memory"] = { "does not watch it" },
  ["No space left on device"] = { "does not watch it" },
  ["Address already in use"] = { "address already in use" },
  ["Permission denied"] = { "permission denied" },
  ["Temporary failure in name resolution"] = { "temporary failure" },
  ["Memory allocation failure"] = { "memory" },
  ["Name or service not known"] = { "not provided, or not known",
    "host not found" },
}


-- does the error say what has failed?
local function is_clear (err)
  local harmless, reason = host.failure()
  if reason == nil or harmless then return false end
  local text = tostring(err)
  if text:find(reason, 1, true) then return true end
  for _, word in ipairs(other_words[reason] or {}) do
    if text:find(word, 1, true) then return true end
  end
  return false
end


-- raise the error, unless it says what has failed
function stage.expect (err)
  if not is_clear(err) then error(err, 0) end
end


-- call `fn(...)`, which may fail for that reason; the error if it was another
function stage.try (fn, ...)
  local ok, err = pcall(fn, ...)
  if not ok and not is_clear(err) then return err end
end


-- is it what comes of another task having failed before?
local function is_consequence (err)
  local text = tostring(err)
  return text:find "Broken pipe" or text:find "nobody reads"
    or text:find "closed"
end


-- a program that shows that the state is whole
local function another_program (neap)
  local r, w = host.pair()
  local order = {}
  local result = neap.run(function ()
    neap.scope(function (s)
      s:spawn(function ()
        neap.readable(r)
        order[#order + 1] = "readable"
      end)
      neap.writable(w)
      order[#order + 1] = "writable"
      neap.sleep(1)
      host.put(w)
    end)
    return neap.async(function () return "whole" end):await()
  end)
  assert(result == "whole")
  assert(table.concat(order, " ") == "writable readable")
  neap.forget(r)
  neap.forget(w)
  host.close(r)
  host.close(w)
end


-- after each play of a scene
function stage.finish (check, ok, err)
  if not ok then stage.expect(err) end
  for _, other in ipairs(stage.told) do
    if not is_consequence(other) then stage.expect(other) end
  end
  local neap = require "neap.core"
  check(ok)
  assert(not host.has_children(), "a child is left")
  another_program(neap)
  collectgarbage()
  collectgarbage()
  another_program(neap)
end


return stage
