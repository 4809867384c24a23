--- How sockets of streams come to an address: their own, or another's.
--
-- @module neap.socket.connect

local address = require "neap.socket.address"
local base = require "neap.socket.base"
local core = require "neap.core"
local dial = require "neap.socket.dial"
local luasocket = require "socket"

local internal = core.internal
local check, rewire = base.check, base.rewire
local deadline_of, stopped = base.deadline, base.stopped
local wire_close, wire_wait = internal.wire_close, internal.wire_wait
local now, sleep = core.now, core.sleep

-- what makes a socket of that family only
local families = { inet = "tcp4", inet6 = "tcp6" }

local FULL = 0.005 -- seconds until a Unix server is asked again

local methods = {}


local function connect_to (self, addr, port, deadline)
  local raw = self.raw
  local ok, message = raw:connect(addr, port)
  rewire(self)
  if not ok and message == "timeout" then
    ok, message = wire_wait(self.wire, true, deadline)
    if not ok then return nil, message end
    ok, message = raw:connect(addr, port) -- how did it end?
  end
  if ok or message == "already connected" then return 1 end
  return nil, message
end


-- noted, for the socket may be another one when it is connected
function methods:setoption (name, value)
  local ok, message = base.call(self, "setoption", name, value)
  if ok then
    self.options = self.options or {}
    self.options[name] = value
  end
  return ok, message
end


-- a socket of LuaSocket's like the one that `self` has, made by `make`
local function another (self, make)
  local raw, message = make()
  if raw == nil then return nil, message end
  for name, value in pairs(self.options or {}) do raw:setoption(name, value) end
  return raw
end


local function another_tcp (self)
  return another(self, luasocket[families[self.family] or "tcp"])
end


-- the socket is that one from now on
local function become (self, raw)
  wire_close(self.wire)
  self.raw:close()
  self.raw = raw
  raw:settimeout(0)
  self.fd = nil -- it may be another one by the same number
  rewire(self)
end


-- A Unix server that has no place in its line is asked again and again. Each
-- time LuaSocket closes the socket, so the next one takes the near end's path,
-- if it had one, from it.
local function connect_to_path (self, path, deadline, closed)
  while true do
    local ok, message = self.raw:connect(path)
    rewire(self)
    if ok or message ~= "timeout" then return ok, message end
    if deadline and deadline <= now() then return nil, "timeout" end
    sleep(FULL)
    if self.closed ~= closed then return nil, "forgotten" end
    local raw
    raw, message = another(self, require("socket.unix").stream)
    if raw == nil then return nil, message end
    become(self, raw)
    if self.path then
      os.remove(self.path)
      ok, message = raw:bind(self.path)
      if not ok then return nil, message end
    end
  end
end


-- the same address, or another one, by a socket of its own
local function try_another (self, addr, port, deadline)
  local raw, message = another_tcp(self)
  if raw == nil then return nil, message end
  local guard <close> = base.guard(base.new(getmetatable(self), raw))
  local sock = guard.sock
  local ok, word = connect_to(sock, addr, port, deadline)
  if not ok then return nil, word end
  guard.sock = nil
  return sock
end


-- several addresses at a time; the first one by the socket itself
local function try_at_once (self, addresses, port, deadline)
  local closed = self.closed
  local won, word = dial.first(dial.in_turn(addresses), function (a, i)
    if i > 1 then return try_another(self, a.addr, port, deadline) end
    if self.closed ~= closed then return nil, "forgotten" end
    local ok, why = connect_to(self, a.addr, port, deadline)
    return ok and self, why
  end, function (sock)
    if sock ~= self then sock:close() end
  end)
  if not won then return nil, word end
  if self.closed ~= closed then
    won:close()
    return nil, "forgotten"
  end
  if won ~= self then become(self, won.raw) end
  return 1
end


-- One after the other, where nobody can wait, or they must all be tried from
-- the same near end. A socket that has tried an address of one family is of
-- that family from then on: one that has tried in vain makes room for another.
local function try_in_turn (self, addresses, port, deadline)
  local ok, word
  for i, a in ipairs(addresses) do
    if i > 1 and a.family ~= addresses[i - 1].family then
      local raw
      raw, word = another_tcp(self)
      if raw == nil then return nil, word end
      become(self, raw)
    end
    ok, word = connect_to(self, a.addr, port, deadline)
    if ok then return 1 end
    if dial.FINAL[word] then break end
    self.fd = nil -- the next one may get another socket by the same number
  end
  return nil, word
end


-- connect to the first of the addresses that answers; 1, or nil and a word
local function try_all (self, host, port, deadline)
  local closed = self.closed -- one that was closed may be connected again
  local ok, word = internal.wire_enter(self.wire, deadline)
  if not ok and word ~= "closed" then return nil, word end
  if self.closed ~= closed then return nil, "forgotten" end
  if port == nil then return connect_to_path(self, host, deadline, closed) end
  local addresses
  addresses, word = base.resolve(self, host, "connect")
  if addresses == nil then return nil, word end
  local how = try_in_turn
  if #addresses > 1 and not self.bound and internal.may_go_on() then
    how = try_at_once
  end
  return how(self, addresses, port, deadline)
end


-- a host and a port, or the path of a Unix socket
local function check_address (self, host, port, fname)
  check(self, fname)
  if port == nil and tostring(self.raw):find "^unix" then
    address.check_host(host, fname)
  else
    address.check(host, port, fname)
  end
end


--- Connect to a host, or to a Unix socket. Of the addresses that the name of
-- the host stands for, each is tried in turn; in a task the next one also when
-- there was no answer for 0.25 seconds, and the first that answers is taken
-- (RFC 8305). Suspends.
-- @function sock:connect
-- @tparam string host a name, an address, or the path of a Unix socket
-- @tparam[opt] integer|string port
-- @treturn integer|nil 1
-- @treturn string|nil "connection refused", "timeout", or what the system says
function methods:connect (host, port)
  check_address(self, host, port, "connect")
  local ok, word = try_all(self, host, port, deadline_of(self))
  if ok then
    self.host = host
    return 1
  end
  return stopped(word, "connect")
end


methods.setpeername = methods.connect


--- Take an address of this machine, for a server ("*": all of them) or for the
-- near end of a connection. Suspends if it is the name of a host.
-- @function sock:bind
-- @tparam string host or the path of a Unix socket
-- @tparam[opt] integer|string port 0: any that is free
-- @treturn integer|nil 1
-- @treturn string|nil why not
function methods:bind (host, port)
  check_address(self, host, port, "bind")
  local ok, message
  if port == nil then
    ok, message = self.raw:bind(host)
    self.path = ok and host
  else
    local list
    list, message = base.resolve(self, host, "bind")
    if list == nil then return nil, message end
    ok, message = self.raw:bind(list[1].addr, port)
    self.bound = ok ~= nil
  end
  rewire(self)
  return ok, message
end


methods.setsockname = methods.bind


return methods
