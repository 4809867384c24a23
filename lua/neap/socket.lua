--- LuaSocket for tasks.
--
-- A module in place of LuaSocket's own: what would block waits as a task, and
-- whatever scope the task is in can cancel that. Functions and methods have
-- LuaSocket's names, arguments and results (`nil, message, partial`), so code
-- that was written for it runs on this one. Cancellation raises, as everywhere
-- in neap.
--
--     local socket = require "neap.socket"
--     local server = assert(socket.bind("127.0.0.1", 8080))
--     for client in server:incoming() do
--       neap.spawn(serve, client)
--     end
--
-- What is not listed here is LuaSocket's: `gettime`, `newtry`, `protect`,
-- `skip`, `sink`, `source`, `try`.
--
-- @module neap.socket

local address = require "neap.socket.address"
local args = require "neap.args"
local base = require "neap.socket.base"
local core = require "neap.core"
local datagram = require "neap.socket.datagram"
local luasocket = require "socket"
local stream = require "neap.socket.stream"

require "neap" -- gives streams their methods

local readable, scope, sleep = core.readable, core.scope, core.sleep
local writable = core.writable
local wrap_stream = stream.wrap

---@class neap.socket
local socket = {}

for name, value in pairs(luasocket) do socket[name] = value end


-- ------------------------------------------------------------------------
-- Making sockets


-- a constructor of LuaSocket's, and what its objects become
local function maker (make, wrap, family)
  return function (...)
    local raw, message = make(...)
    if raw == nil then return nil, message end
    return wrap(raw, family)
  end
end


local families = {
  tcp4 = "inet", tcp6 = "inet6", udp4 = "inet", udp6 = "inet6",
}


--- A TCP socket, to connect or to serve with; for IPv4, for IPv6, or for
-- whatever the address is that it gets. Does not suspend.
-- @function socket.tcp
-- @treturn sock|nil
-- @treturn string|nil why not
for _, name in ipairs { "tcp", "tcp4", "tcp6" } do
  socket[name] = maker(luasocket[name], wrap_stream, families[name])
end


--- A UDP socket; the same for `udp4` and `udp6`. Does not suspend.
-- @function socket.udp
-- @treturn udp|nil
-- @treturn string|nil why not
for _, name in ipairs { "udp", "udp4", "udp6" } do
  socket[name] = maker(luasocket[name], datagram.wrap, families[name])
end


-- LuaSocket has them as a module of its own
local ok, luaunix = pcall(require, "socket.unix")
if ok and type(luaunix) == "table" then
  local wrap_datagram = datagram.make(luaunix.dgram())
  local make_stream = maker(luaunix.stream, wrap_stream)
  local make_datagram = maker(luaunix.dgram, wrap_datagram)

  --- Unix sockets: `socket.unix()` is one for a stream of bytes, like TCP, and
  -- so is `socket.unix.stream()`; `socket.unix.dgram()` is one for datagrams.
  -- Does not suspend.
  -- @function socket.unix
  -- @treturn sock|nil
  -- @treturn string|nil why not
  socket.unix = setmetatable({
    stream = make_stream, tcp = make_stream,
    dgram = make_datagram, udp = make_datagram,
  }, { __call = function () return make_stream() end })
end


--- Make one of LuaSocket's own objects wait as a task. The object belongs to
-- the new one from then on. Does not suspend.
-- @tparam userdata raw a TCP or Unix socket, or a UDP socket
-- @treturn sock
function socket.wrap (raw)
  local kind = tostring(raw):match "^(%l+){"
  if kind == "udp" then return datagram.wrap(raw) end
  if kind ~= "tcp" and kind ~= "unixstream" then
    args.fail(1, "wrap", "raw", "a socket of LuaSocket", raw)
  end
  local sock = wrap_stream(raw)
  if raw:dirty() then -- it has bytes that the system knows no more of
    local data, _, partial = raw:receive("*a")
    sock.ahead = data or partial
    base.refresh(sock)
  end
  return sock
end


-- the socket of that family
local function of_family (family)
  if family == "inet" then return socket.tcp4() end
  if family == "inet6" then return socket.tcp6() end
  return socket.tcp()
end


--- Connect to a host by TCP. Its addresses are tried as by `sock:connect`.
-- Suspends.
-- @tparam string host a name or an address
-- @tparam integer|string port
-- @tparam[opt] string from_host the near end's address
-- @tparam[opt] integer from_port the near end's port
-- @tparam[opt] string family "inet" or "inet6", for only those
-- @treturn sock|nil
-- @treturn string|nil why not
function socket.connect (host, port, from_host, from_port, family)
  address.check(host, port, "connect")
  local sock, message = of_family(family)
  if sock == nil then return nil, message end
  local guard <close> = base.guard(sock)
  if from_host then
    local bound
    bound, message = sock:bind(from_host, from_port or 0)
    if not bound then return nil, message end
  end
  local connected
  connected, message = sock:connect(host, port)
  if not connected then return nil, message end
  guard.sock = nil
  return sock
end


function socket.connect4 (host, port, from_host, from_port)
  return socket.connect(host, port, from_host, from_port, "inet")
end


function socket.connect6 (host, port, from_host, from_port)
  return socket.connect(host, port, from_host, from_port, "inet6")
end


--- Serve at an address: `sock:accept()` and `sock:incoming()` give the
-- connections. Suspends if it is the name of a host.
-- @tparam string host "*" for all addresses of this machine (IPv4)
-- @tparam integer|string port 0: any that is free (see `sock:getsockname`)
-- @tparam[opt=1024] integer backlog how many connections may wait
-- @treturn sock|nil
-- @treturn string|nil why not
function socket.bind (host, port, backlog)
  address.check(host, port, "bind")
  if host == "*" then host = "0.0.0.0" end
  local list, message = address.resolve(host, "bind")
  for _, a in ipairs(list or {}) do
    local sock
    sock, message = of_family(a.family)
    if sock == nil then return nil, message end
    sock:setoption("reuseaddr", true)
    local bound
    bound, message = sock:bind(a.addr, port)
    if bound then bound, message = sock:listen(backlog) end
    if bound then return sock end
    sock:close()
  end
  return nil, message
end


-- ------------------------------------------------------------------------
-- The rest of the module


--- Sleep. Suspends.
-- @tparam number seconds
function socket.sleep (seconds)
  if type(seconds) ~= "number" then
    args.fail(1, "sleep", "seconds", "a number", seconds)
  end
  sleep(math.max(seconds, 0))
end


local function check_list (list, arg, what)
  if list ~= nil and type(list) ~= "table" then
    args.fail(arg, "select", what, "a list of sockets or nil", list)
  end
end


--- Wait until one of several sockets is ready, as LuaSocket's `select` does.
-- Tasks seldom need it: each waits for one socket. Suspends.
-- @tparam table|nil receivers a list of sockets
-- @tparam table|nil senders a list of sockets
-- @tparam[opt] number timeout seconds; nil or negative: no limit
-- @treturn table those that can be received from; also by themselves as keys
-- @treturn table those that can be sent to
-- @treturn string|nil "timeout"
function socket.select (receivers, senders, timeout)
  check_list(receivers, 1, "receivers")
  check_list(senders, 2, "senders")
  if timeout ~= nil and type(timeout) ~= "number" then
    args.fail(3, "select", "timeout", "a number or nil", timeout)
  end
  local function look () return luasocket.select(receivers, senders, 0) end
  local r, s, message = look()
  if message ~= "timeout" or timeout == 0 then return r, s, message end
  args.enter "select"
  scope(function (waiting)
    local function wait (list, how)
      for _, sock in ipairs(list or {}) do
        waiting:spawn(function ()
          how(sock)
          waiting:cancel()
        end)
      end
    end
    if timeout and timeout >= 0 then
      waiting:spawn(function ()
        sleep(timeout)
        waiting:cancel()
      end)
    end
    wait(receivers, readable)
    wait(senders, writable)
  end)
  return look()
end


local dns = {}
for name, value in pairs(luasocket.dns) do dns[name] = value end
socket.dns = dns


--- All addresses of a host. Suspends if it is a name.
-- @function socket.dns.getaddrinfo
-- @tparam string host
-- @treturn table|nil a list of `{ family = "inet" or "inet6", addr = ... }`
-- @treturn string|nil why not
function dns.getaddrinfo (host)
  address.check_host(host, "getaddrinfo")
  return address.resolve(host, "getaddrinfo")
end


--- The first IPv4 address of a host. Suspends if it is a name.
-- @function socket.dns.toip
-- @tparam string host
-- @treturn string|nil the address, or nil
-- @treturn table|string all of them: `{ name =, alias = {}, ip = { ... } }`, or
-- why there is none
function dns.toip (host)
  address.check_host(host, "toip")
  local list, message = address.resolve(host, "toip")
  if list == nil then return nil, message end
  local ip = {}
  for _, a in ipairs(list) do
    if a.family == "inet" then ip[#ip + 1] = a.addr end
  end
  if ip[1] == nil then return nil, "host not found" end
  return ip[1], { name = host, alias = {}, ip = ip }
end


-- sinks and sources call methods of whatever socket they are given, and get
-- others added (by LuaSocket's http): ours are tables of their own
for _, name in ipairs { "sink", "source" } do
  local kinds = {}
  for key, value in pairs(luasocket[name .. "t"]) do kinds[key] = value end
  socket[name .. "t"] = kinds
  socket[name] = luasocket.choose(kinds)
end


return socket
