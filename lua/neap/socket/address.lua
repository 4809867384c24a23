--- Names of hosts, without blocking.
--
-- @module neap.socket.address

local args = require "neap.args"
local core = require "neap.core"
local luasocket = require "socket"

local address = {}


--- The name or the address of a host, that a function was given.
function address.check_host (host, fname)
  if type(host) ~= "string" then
    args.fail(1, fname, "host", "a string", host)
  end
end


--- The same, and a port.
function address.check (host, port, fname)
  address.check_host(host, fname)
  if type(port) ~= "number" and type(port) ~= "string" then
    args.fail(2, fname, "port", "a number or a string", port)
  end
end


--- Is it an address in numbers, which nobody needs to be asked about?
function address.is_numeric (host)
  return host == "*" or host:find(":", 1, true) ~= nil
    or host:find "^%d+%.%d+%.%d+%.%d+$" ~= nil
end


-- those of one family
local function only (list, family)
  local result = {}
  for _, a in ipairs(list) do
    if a.family == family then result[#result + 1] = a end
  end
  if result[1] == nil then return nil, "no " .. family .. " address" end
  return result
end


--- All addresses of a host, in the order in which they are to be tried.
-- Suspends, if the host is a name and a task is running.
-- @tparam string host
-- @tparam string fname the public function that asks
-- @tparam[opt] string family "inet" or "inet6", for only those
-- @treturn table|nil a list of `{ family = "inet" or "inet6", addr = ... }`
-- @treturn string|nil why there is none
function address.resolve (host, fname, family)
  if address.is_numeric(host) then
    local own = host:find(":", 1, true) and "inet6" or "inet"
    return { { family = own, addr = host } }
  end
  local list, message
  if core.current() ~= nil then
    args.enter(fname)
    list, message = core.internal.resolve(host)
  else
    list, message = luasocket.dns.getaddrinfo(host)
  end
  if list == nil then return nil, message end
  if family then return only(list, family) end
  return list
end


return address
