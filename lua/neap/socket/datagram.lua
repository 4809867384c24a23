--- Sockets that carry datagrams: UDP, and Unix sockets of that kind.
--
-- A datagram is received and sent as a whole, or not at all; so LuaSocket does
-- the work, and only the waiting is ours.
--
-- @module neap.socket.datagram

local address = require "neap.socket.address"
local base = require "neap.socket.base"
local luasocket = require "socket"

local attempt, check = base.attempt, base.check
local rewire, stopped = base.rewire, base.stopped

local methods = {}


-- what LuaSocket gave, or what an operation that did not come to that raises
local function result (self, fname, first, second, third)
  rewire(self)
  -- what LuaSocket receives of a socket that is not open is no datagram
  if first == "" and self.fd < 0 then return nil, "closed" end
  if first == nil and second ~= nil then return stopped(second, fname) end
  return first, second, third
end


local function operation (name, for_writing)
  methods[name] = function (self, ...)
    check(self, name)
    return result(self, name, attempt(self, for_writing, name, ...))
  end
end


--- Receive a datagram, of the peer if one was set. Suspends.
-- @function udp:receive
-- @tparam[opt=8192] integer size what is longer is cut
-- @treturn string|nil the datagram
-- @treturn string|nil "closed", "timeout", or what the system says
operation("receive", false)


--- Receive a datagram, and whose it is. Suspends.
-- @function udp:receivefrom
-- @tparam[opt=8192] integer size what is longer is cut
-- @treturn string|nil the datagram
-- @treturn string the sender's address, or why there is none
-- @treturn integer|nil the sender's port
operation("receivefrom", false)


--- Send a datagram to the peer. Suspends.
-- @function udp:send
-- @tparam string datagram
-- @treturn integer|nil how many bytes it has
-- @treturn string|nil "closed", "timeout", "connection refused" (nobody has
-- taken an earlier one), or what the system says
operation("send", true)


--- Send a datagram. Suspends.
-- @function udp:sendto
-- @tparam string datagram
-- @tparam string host an address in numbers, or the path of a Unix socket
-- @tparam[opt] integer port
-- @treturn integer|nil how many bytes it has
-- @treturn string|nil "closed", "timeout", or what the system says
operation("sendto", true)


-- with an address of the host instead of its name
local function by_address (name)
  methods[name] = function (self, host, port, ...)
    check(self, name)
    address.check_host(host, name)
    if port ~= nil and not address.is_numeric(host) then
      local list, message = base.resolve(self, host, name)
      if list == nil then return nil, message end
      host = list[1].addr
    end
    return result(self, name, base.call(self, name, host, port, ...))
  end
end


--- Choose whom `send` sends to and `receive` receives from; "*" for nobody and
-- anybody. Suspends if it is the name of a host.
-- @function udp:setpeername
-- @tparam string host
-- @tparam integer port
-- @treturn integer|nil 1
-- @treturn string|nil why not
by_address "setpeername"


--- Take an address of this machine. Suspends if it is the name of a host.
-- @function udp:setsockname
-- @tparam string host or the path of a Unix socket
-- @tparam[opt] integer port 0: any that is free
-- @treturn integer|nil 1
-- @treturn string|nil why not
by_address "setsockname"


local function make (example)
  local class
  class = base.class("neap.socket.datagram", example, methods)
  return function (raw, family)
    local self = base.new(class, raw)
    self.family = family
    return self
  end
end


return { wrap = make(luasocket.udp()), make = make }
