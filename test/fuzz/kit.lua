-- What the steps of test/fuzz.lua are made of. A program is a state: its bytes,
-- the objects that its tasks share, and the books that are kept of them.

local neap = require "neap"

local kit = {
  block = nil, -- (state, depth): goes on with the program; set by test/fuzz.lua
}


--- Something is broken: raised, to no avail if the program catches it, so it
-- is also noted for whoever plays the program.
function kit.broken (state, what)
  state.broken = state.broken or debug.traceback(what, 2)
  error(state.broken, 0)
end


--- Errors are what programs are made of, but no accidents.
function kit.judge (state, err)
  local text = tostring(err)
  if text:find "attempt to" or text:find "check: not" or text:find "overflow"
    or text:find "memory" or text:find "bad argument"
  then
    kit.broken(state, text)
  end
end


--- The next byte as a number from 1 to n; without bytes 1.
function kit.byte (state, n)
  state.at = state.at + 1
  return (state.bytes:byte(state.at) or 0) % n + 1
end

local byte = kit.byte


--- The next byte as a yes or, without bytes, a no.
function kit.yes (state) return byte(state, 2) == 2 end


--- Something of a list; nil if it is empty.
function kit.any (state, list)
  return #list > 0 and list[byte(state, #list)] or nil
end


--- Put something on a list, in place of an earlier one if it gets long: what
-- programs drop is then collected.
function kit.keep (state, list, thing)
  if #list < 8 then
    list[#list + 1] = thing
  else
    list[byte(state, #list)] = thing
  end
  return thing
end


local times = { 0, 1, 1, 2, 3, 0.5, 10 }

function kit.seconds (state) return times[byte(state, #times)] end


--- Counts who is inside of something, as a `<close>` variable; `leave` is
-- called when it is left.
function kit.enter (state, leave)
  local left = false
  state.inside = state.inside + 1
  return setmetatable({}, { __close = function (_, err)
    if left then kit.broken(state, "closed twice") end
    left = true
    state.inside = state.inside - 1
    if err ~= nil then kit.judge(state, err) end
    if leave then leave() end
  end })
end

local enter = kit.enter


--- A function that goes on with the program.
function kit.body (state, depth)
  return function (...)
    local _ <close> = enter(state)
    kit.block(state, depth + 1)
    return ...
  end
end


--- A function of an item that takes its time, may go on with the program, and
-- may fail.
function kit.work (state, depth)
  local inner, pause = byte(state, 4) == 4, kit.seconds(state)
  return function (item)
    local _ <close> = enter(state)
    neap.sleep(pause)
    if inner then kit.block(state, depth + 2) end
    if item == 4 then error("the fourth item", 0) end
    return item
  end
end


-- each gives items of a source that has n of them and takes `pause` for each
local sources = {
  function (_, n, pause)
    local i = 0
    return function ()
      if i == n then return nil end
      i = i + 1
      neap.sleep(pause)
      return i
    end
  end,
  function (_, n)
    local list = {}
    for i = 1, n do list[i] = i end
    return list
  end,
  function (state, n, pause)
    return (neap.generator(function (yield)
      local _ <close> = enter(state)
      for i = 1, n do
        yield(i)
        neap.sleep(pause)
      end
    end)())
  end,
  function (state, n, pause)
    local i, released = 0, false
    return neap.read {
      read = function ()
        if released then kit.broken(state, "read after its release") end
        neap.sleep(pause)
        i = i + 1
        return i <= n and i or nil
      end,
      release = function ()
        if released then kit.broken(state, "released twice") end
        released = true
        neap.shield(neap.sleep, pause)
      end,
    }
  end,
  function (_, n, pause) return neap.ticker(pause + 1):take(n) end,
}

--- Items that come from somewhere, a few.
function kit.source (state)
  local n, pause = byte(state, 5) - 1, kit.seconds(state)
  return kit.any(state, sources)(state, n, pause)
end


return kit
