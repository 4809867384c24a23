--- Connecting to one of several addresses, as RFC 8305 ("Happy Eyeballs") says.
--
-- They are tried in turn. But a network may drop without a word what it does
-- not carry, so the next one is tried when one has failed, and also when it has
-- not answered for a while. The first connection that is there wins; the other
-- attempts have been given up, and what they had is closed, when this returns.
--
-- @module neap.socket.dial

local core = require "neap.core"

local event, move_on_after, scope = core.event, core.move_on_after, core.scope

local ALONE = 0.25 -- seconds that an attempt has before the next one begins

local dial = {}


--- The words after which no other address is tried.
dial.FINAL = {
  timeout = true, cancelled = true, forgotten = true, outside = true,
}


--- The addresses with their families in turn, beginning with the first one: if
-- one family does not work at all, little time is lost.
function dial.in_turn (list)
  local first, others, result = {}, {}, {}
  for _, a in ipairs(list) do
    local same = a.family == list[1].family
    table.insert(same and first or others, a)
  end
  for i = 1, #list do
    result[#result + 1] = first[i]
    result[#result + 1] = others[i]
  end
  return result
end


--- Try one address after the other. Suspends.
-- @tparam table list of addresses
-- @tparam function try called as `try(a, i)` in a task of its own; gives
-- what it has got, or nil and a word
-- @tparam function drop takes back what is not needed
-- @return what the winner has got, or nil
-- @treturn string|nil why there is none: what the last one to fail said
function dial.first (list, try, drop)
  local decided, won, word
  scope(function (attempts)
    local failed = event()

    local function attempt (a, i)
      local got, why = try(a, i)
      if decided then
        if got ~= nil then drop(got) end
        return
      end
      won, word = got, why
      decided = got ~= nil or dial.FINAL[why]
      if decided then attempts:cancel() else failed:set() end
    end

    for i, a in ipairs(list) do
      failed:clear()
      attempts:spawn(attempt, a, i)
      if i < #list then move_on_after(ALONE, failed.wait, failed) end
    end
  end)
  return won, word
end


return dial
