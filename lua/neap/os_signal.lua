--- Signals of the operating system as streams.
--
-- @module neap.os_signal

local args = require "neap.args"
local core = require "neap.core"

local readable = core.readable
local listen, stream_of = core.internal.listen, core.internal.stream_of


local Signals = {
  __name = "neap.os_signal",
  __neap_close = function (source) source.listener:close() end,
}


function Signals.__call (source)
  local listener = source.listener
  args.enter "next"
  while not listener:take() do readable(listener) end
  return source.name
end


--- Make a stream of a signal that this process gets, with an item, the name,
-- for each time that it comes: `for _ in neap.os_signal "HUP" do reload() end`.
-- Those that come while the consumer is busy are one, as everywhere in POSIX.
-- From this call on, until the last stream of the signal is closed or
-- collected, the signal has no other effect; then what it did before is back.
-- Any number of streams, also of several Lua states, can hear one signal. Does
-- not suspend.
-- @tparam string name "INT", "TERM", "HUP", "USR1", ...; "SIGINT" is the same.
-- Not those that cannot be caught (KILL, STOP), and not those that tell of a
-- fault of the program itself (SEGV, BUS, FPE, ILL)
-- @treturn stream
local function os_signal (name)
  local listener, known = listen(name)
  if listener == nil then
    args.fail(1, "os_signal", "name", "a signal that can be heard, such as "
      .. "'INT'", name)
  end
  return stream_of(setmetatable({ listener = listener, name = known }, Signals))
end


return { os_signal = os_signal }
