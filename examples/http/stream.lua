--- A TCP connection that waits without blocking: LuaSocket, made aware of
-- coroutines.
--
-- The whole trick: a socket with timeout 0 never blocks but says "timeout";
-- then the task waits until the descriptor is ready, and tries again. Whatever
-- scope the task is in can cancel that wait; so there are no timeouts here.
--
-- Names are resolved by LuaSocket, which blocks; numbers such as 127.0.0.1
-- are not.

local neap = require "neap"
local socket = require "socket"

local Stream = {}
Stream.__index = Stream


local function wrap (sock)
  sock:settimeout(0)
  return setmetatable({ sock = sock, ahead = "" }, Stream)
end


-- one address; the stream, or nil and why not
local function try_connect (address, port)
  local stream = wrap(assert(socket.tcp()))
  local ok, message = stream.sock:connect(address, port)
  if not ok and message == "timeout" then
    local opened, err = pcall(neap.writable, stream.sock)
    if not opened then -- cancelled
      stream:close()
      error(err, 0)
    end
    ok, message = stream.sock:connect(address, port) -- how did it end?
  end
  if ok or message == "already connected" then return stream end
  stream:close()
  return nil, message
end


--- Connect to a host: to the first of its addresses that answers ("localhost"
-- has often two). Suspends.
-- @return a stream; close it, or let `<close>` do so
function Stream.connect (host, port)
  local addresses, message = socket.dns.getaddrinfo(host)
  for _, address in ipairs(addresses or {}) do
    local stream
    stream, message = try_connect(address.addr, port)
    if stream then return stream end
  end
  error(("cannot connect to %s port %d: %s"):format(host, port, message), 0)
end


--- Listen on a port (0: any free one).
-- @return a listener with `port` and `accept`
function Stream.listen (host, port)
  local sock, message = socket.bind(host, port, 128)
  if sock == nil then
    error(("cannot listen on %s port %d: %s"):format(host, port, message), 0)
  end
  local listener = wrap(sock)
  local _, number = sock:getsockname()
  listener.port = math.tointeger(tonumber(number))
  return listener
end


--- The next connection. Suspends.
function Stream:accept ()
  while true do
    local sock, message = self.sock:accept()
    if sock then return wrap(sock) end
    if message ~= "timeout" then error("accept: " .. message, 0) end
    neap.readable(self.sock)
  end
end


--- Send all of `data`. Suspends.
function Stream:write (data)
  local sent, message, partly = self.sock:send(data)
  while not sent do
    if message ~= "timeout" then error("send: " .. message, 0) end
    neap.writable(self.sock)
    sent, message, partly = self.sock:send(data, partly + 1)
  end
end


--- What has arrived, at least one byte; nil at the end. Suspends.
function Stream:read ()
  if self.ahead ~= "" then
    local data = self.ahead
    self.ahead = ""
    return data
  end
  while true do
    local data, message, partly = self.sock:receive(16384)
    data = data or partly
    if data ~= "" then return data end
    if message == "closed" then return nil end
    if message ~= "timeout" then error("receive: " .. message, 0) end
    neap.readable(self.sock)
  end
end


--- A line without its end, of at most `limit` bytes; nil at the end. Suspends.
function Stream:line (limit)
  local line = ""
  while true do
    local data = self:read()
    if data == nil then
      if line == "" then return nil end
      error("the connection ended within a line", 0)
    end
    line = line .. data
    local stop = line:find("\n", 1, true)
    if (stop or #line) > limit then error("a line is too long", 0) end
    if stop then
      self.ahead = line:sub(stop + 1)
      return (line:sub(1, stop - 1):gsub("\r$", ""))
    end
  end
end


--- Exactly `n` bytes, as a list of strings. Suspends.
function Stream:bytes (n)
  local parts = {}
  while n > 0 do
    local data = self:read()
    if data == nil then error("the connection ended too early", 0) end
    if #data > n then
      self.ahead = data:sub(n + 1)
      data = data:sub(1, n)
    end
    parts[#parts + 1] = data
    n = n - #data
  end
  return parts
end


--- Header lines up to the empty one, as a table with names in lower case.
-- Suspends.
function Stream:headers ()
  local headers = {}
  for _ = 1, 100 do
    local line = self:line(8192)
    if line == nil then error("the connection ended within headers", 0) end
    if line == "" then return headers end
    local name, value = line:match "^([^:%s]+):%s*(.-)%s*$"
    if name == nil then error("a header makes no sense: " .. line, 0) end
    headers[name:lower()] = value
  end
  error("too many headers", 0)
end


function Stream:close ()
  self.sock:close()
end


Stream.__close = Stream.close


return Stream
