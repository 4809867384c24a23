--- Sockets that carry a stream of bytes: TCP and Unix, clients and servers.
--
-- Bytes are received in pieces as large as they come. What was received stays
-- with the socket until all that was asked for can be handed out, so that
-- nothing is lost when a receive is cancelled, or has no memory for its result:
-- in `parts`, pieces that were not enough, `n` of them, and behind these in
-- `ahead`, from `pos` on. `pull` and `push` move the bytes; TLS has its own
-- (neap.socket.tls).
--
-- @module neap.socket.stream

local args = require "neap.args"
local base = require "neap.socket.base"
local connecting = require "neap.socket.connect"
local core = require "neap.core"
local luasocket = require "socket"
local tls = require "neap.socket.tls"

local internal = core.internal
local attempt, begin, go_on = base.attempt, base.begin, base.go_on
local breathe = internal.breathe
local check = base.check
local deadline_of, rewire, stopped = base.deadline, base.rewire, base.stopped
local wait_until = base.wait_until
local stream_of = internal.stream_of
local wire_receive, wire_send = internal.wire_receive, internal.wire_send
local concat = table.concat
local byte, find = string.byte, string.find
local gsub, sub = string.gsub, string.sub

local IN <const>, OUT <const> = 1, 2 -- see base.begin

local BACKLOG = 1024 -- connections that wait to be accepted; the system has a
-- limit of its own

local methods, Stream = { starttls = tls.starttls }, nil

for name, fn in pairs(connecting) do methods[name] = fn end


-- `family`: the only one that it can have, if that is so
local function wrap (raw, family)
  local self = base.new(Stream, raw)
  self.family = family
  return self
end


-- ------------------------------------------------------------------------
-- Receiving


-- the next piece, at least one byte; or nil, a word, and "broken" if it is no
-- proper end
function methods:pull (deadline)
  if self.each then deadline = wait_until(self, deadline) end
  return wire_receive(self.wire, deadline)
end


-- have something ahead; true, or nil and why not
local function fill (self, deadline)
  if self.ahead then return true end
  local data, word, broken = self:pull(deadline)
  if data == nil then return nil, word, broken end
  self.ahead, self.pos = data, 1
  return true
end


-- what is ahead becomes one of the parts
local function keep (self)
  local parts = self.parts
  if not parts then
    parts = { n = 0 }
    self.parts = parts
  end
  parts[parts.n + 1] = sub(self.ahead, self.pos)
  parts.n = parts.n + 1
  self.ahead = false
end


-- the parts, and a last one
local function joined (self, last)
  local parts = self.parts
  if not parts then return last end
  parts[parts.n + 1] = last
  return concat(parts, "", 1, parts.n + 1)
end


-- make what an earlier receive has left one piece again
local function join (self)
  local ahead = self.ahead
  ahead = joined(self, ahead and sub(ahead, self.pos) or "")
  self.parts, self.ahead, self.pos = false, ahead, 1
end


-- what was received is handed out; `pos`: but for what is ahead from there on
local function hand_out (self, pos)
  self.parts = false
  if self.ahead and pos <= #self.ahead then
    self.pos = pos
  else
    self.ahead = false
  end
end


-- Each of these gives what was asked for, and from where on `ahead` is left of
-- it; or nil and a word.


-- exactly n bytes
local function receive_bytes (self, n, deadline)
  while true do
    local ok, word = fill(self, deadline)
    if not ok then return nil, word end
    local ahead, pos = self.ahead, self.pos
    local left = #ahead - pos + 1
    if left >= n then
      if left == n and pos == 1 then return joined(self, ahead), n + 1 end
      return joined(self, sub(ahead, pos, pos + n - 1)), pos + n
    end
    keep(self)
    n = n - left
  end
end


-- a line and its end
local function receive_line (self, deadline)
  while true do
    local ok, word, broken = fill(self, deadline)
    if not ok then return nil, word, broken end
    local ahead, pos = self.ahead, self.pos
    local stop = find(ahead, "\n", pos, true)
    if stop then return joined(self, sub(ahead, pos, stop)), stop + 1 end
    keep(self)
  end
end


-- all until the end
local function receive_all (self, deadline)
  while true do
    local ok, word, broken = fill(self, deadline)
    if not ok then
      if word == "closed" and not broken and self.parts then
        return joined(self, ""), 1
      end
      return nil, word
    end
    keep(self)
  end
end


-- LuaSocket's lines have neither their end nor any carriage return. Nearly all
-- have one at most, before their end; patterns would cost more than the rest.
local function bare (line)
  local last = byte(line, -1) == 10 and #line - 1 or #line
  local cr = find(line, "\r", 1, true)
  if cr and cr < last then return (gsub(line, "[\r\n]+", "")) end
  return sub(line, 1, cr and last - 1 or last)
end


-- which of these, and how many bytes
local function pattern_of (pattern)
  if pattern == nil or pattern == "*l" or pattern == "l" then
    return receive_line
  elseif pattern == "*a" or pattern == "a" then
    return receive_all
  end
  local n = tonumber(pattern)
  if n == nil or n < 0 or n >= 2 ^ 53 then
    args.fail(1, "receive", "pattern", "'*l', '*a' or a number of bytes",
      pattern)
  end
  return receive_bytes, n // 1 | 0
end


-- what a receive raises, which leaves what it had got to the next one, or
-- returns
local function received_nothing (self, word, prefix, is_line)
  if word == "cancelled" or word == "forgotten" or word == "outside" then
    stopped(word, "receive")
  end
  if self.parts then join(self) end
  local partial = self.ahead and sub(self.ahead, self.pos) or ""
  if is_line then partial = bare(partial) end
  partial = prefix .. partial
  self.ahead = false
  return nil, word, partial
end


local function receive (self, pattern, prefix)
  check(self, "receive")
  local take, n = pattern_of(pattern)
  prefix = prefix or ""
  if n and prefix ~= "" then
    n = n - #prefix
    if n <= 0 then return prefix end
  end
  local deadline = deadline_of(self)
  if self.ahead then breathe() end -- else the core sees to it
  local turn <close> = begin(self, IN, deadline)
  if not turn then return nil, "timeout", prefix end
  if self.parts then join(self) end
  local data, pos
  if n then
    data, pos = take(self, n, deadline)
  else
    data, pos = take(self, deadline)
  end
  local is_line = take == receive_line
  if not data then return received_nothing(self, pos, prefix, is_line) end
  if is_line then data = bare(data) end
  if prefix ~= "" then data = prefix .. data end
  hand_out(self, pos)
  return data
end


-- the rest of a receive of n bytes that the core has begun; `word`: it was
-- stopped
local function receive_rest (self, n, word)
  local _ <close> = go_on(self, IN)
  if word then return received_nothing(self, word, "") end
  local data, pos = receive_bytes(self, n)
  if not data then return received_nothing(self, pos, "") end
  hand_out(self, pos)
  return data
end


local function send (self, data, i, j)
  check(self, "send")
  local kind = type(data)
  if kind == "number" then
    data = tostring(data)
  elseif kind ~= "string" then
    args.fail(1, "send", "data", "a string", data)
  end
  local size = #data
  i, j = i or 1, j or size
  if i < 0 then i = math.max(size + i + 1, 1) elseif i == 0 then i = 1 end
  if j < 0 then j = size + j + 1 elseif j > size then j = size end
  local deadline = deadline_of(self)
  local turn <close> = begin(self, OUT, deadline)
  if not turn then return nil, "timeout", i - 1 end
  local last, word, partial = self:push(data, i, j, deadline)
  if last then return last end
  stopped(word, "send")
  return nil, word, partial or i - 1
end


local quick_receive, quick_send = internal.wire_quick(receive, receive_rest,
  send)


--- Receive from the connection. Suspends. When it is cancelled, what it had got
-- is kept for the next one. Of several tasks that receive at once, each has its
-- turn, in order.
-- @function sock:receive
-- @tparam[opt="*l"] string|integer pattern "*l": a line, without its end;
-- "*a": all until the connection is closed; a number: so many bytes
-- @tparam[opt=""] string prefix put before what is received; with a number, it
-- counts
-- @treturn string|nil what was received
-- @treturn string|nil "closed", "timeout", or what the system says
-- @treturn string|nil what there was until then, with the prefix
methods.receive = quick_receive


-- raise why nothing came, unless the other side has ended
local function must_be_end (word, broken, fname)
  stopped(word, fname)
  if broken then error("connection lost", 0) end
  if word ~= "closed" then error(word, 0) end
end


--- What has come, at least one byte; so `neap.read(sock)` is a stream of
-- pieces, which closes the socket at its end. Suspends.
-- @function sock:read
-- @tparam[opt=math.huge] integer max bytes at most
-- @treturn string|nil nil at the end
-- @raise a string when the connection was lost, or a timeout has passed
function methods:read (max)
  check(self, "read")
  if max ~= nil then args.limit(max, 1, "read", "max", 1) end
  local deadline = deadline_of(self)
  local turn <close> = begin(self, IN, deadline)
  if not turn then error("timeout", 0) end
  if self.parts then join(self) end
  local ok, word, broken = fill(self, deadline)
  if ok then
    local data, pos = self.ahead, self.pos
    if pos > 1 or max and #data > max then
      data = sub(data, pos, max and #data - pos >= max and pos + max - 1 or -1)
    end
    hand_out(self, pos + #data)
    return data
  end
  must_be_end(word, broken, "read")
end


-- the next line, nil at the end; what it raises leaves all that has come
local function next_line (self)
  local deadline = deadline_of(self)
  if self.ahead then breathe() end
  local turn <close> = begin(self, IN, deadline)
  if not turn then error("timeout", 0) end
  if self.parts then join(self) end
  local line, pos, broken = receive_line(self, deadline)
  if line then
    line = bare(line)
    hand_out(self, pos)
    return line
  end
  must_be_end(pos, broken, "lines")
  local _, _, rest = received_nothing(self, pos, "", true)
  if rest ~= "" then return rest end
end


local Lines = {
  __name = "neap.socket.lines",
  __call = function (lines) return next_line(lines.sock) end,
  __neap_close = function () end, -- whoever stops taking may go on later
}


--- The lines that come, without their ends, as a stream: `for line in
-- sock:lines() do`. It ends when the other side has ended; what that has sent
-- behind the last end of a line is a line, too. Whoever leaves the loop can go
-- on with the socket: it is not closed. When the connection is lost, or a
-- timeout has passed, a string is raised, and what has come of a line is left
-- for the next one. Does not suspend.
-- @function sock:lines
-- @treturn stream
function methods:lines ()
  check(self, "lines")
  return stream_of(setmetatable({ sock = self }, Lines))
end


function methods:dirty ()
  check(self, "dirty")
  return (self.ahead or self.parts) and true or (self.ssl or self.raw):dirty()
end


-- ------------------------------------------------------------------------
-- Sending


-- send bytes i to j; j, or nil, a word, and which was the last one sent
function methods:push (data, i, j, deadline)
  return wire_send(self.wire, data, i, j, deadline)
end


--- Send all of `data`, or its bytes `i` to `j`, which are counted as
-- `string.sub` does. Suspends. Of several tasks that send at once, each has its
-- turn, in order, so what they send is not mixed. When it is cancelled, some of
-- it may have been sent.
-- @function sock:send
-- @tparam string data
-- @tparam[opt=1] integer i
-- @tparam[opt=-1] integer j
-- @treturn integer|nil the number of the last byte that was sent
-- @treturn string|nil "closed", "timeout", or what the system says
-- @treturn integer|nil the number of the last byte that was sent
methods.send = quick_send


--- Say that no more is sent ("send", a half-close: the other side sees the
-- end), or received ("receive"), or neither. Does not suspend. Raises on a TLS
-- connection: that can only be closed as a whole.
-- @function sock:shutdown
-- @tparam[opt="both"] string how
-- @treturn integer 1
function methods:shutdown (how)
  check(self, "shutdown")
  if self.ssl then -- LuaSec has no farewell for one direction
    args.blame "'shutdown' of a TLS connection, which can only be closed"
  end
  return base.call(self, "shutdown", how)
end


-- ------------------------------------------------------------------------
-- Servers


--- Begin to serve: connections are taken from now on. Does not suspend.
-- @function sock:listen
-- @tparam[opt=1024] integer backlog how many may wait to be accepted; the
-- system has a limit of its own
-- @treturn integer|nil 1
-- @treturn string|nil why not
function methods:listen (backlog)
  local ok, message = base.call(self, "listen", backlog or BACKLOG)
  rewire(self)
  return ok, message
end


--- Wait for the next connection. Suspends.
-- @function sock:accept
-- @treturn sock|nil the connection
-- @treturn string|nil "timeout", or what the system says
function methods:accept ()
  check(self, "accept")
  local raw, word = attempt(self, false, "accept")
  if raw then return wrap(raw) end
  return stopped(word, "accept")
end


local Incoming = {
  __name = "neap.incoming",
  __call = function (incoming)
    local server = incoming.server
    while not server.closed do
      local raw, word = attempt(server, false, "accept")
      if raw then return wrap(raw) end
      -- a connection that is lost before it is accepted is nobody's business
      if word ~= "closed" and word ~= "forgotten" then
        stopped(word, "incoming")
        error(word, 0)
      end
    end
  end,
  __neap_close = function () end, -- whoever stops taking may go on later
}


--- A server's connections, as a stream: `for client in server:incoming() do`.
-- It ends when the server is closed, not the other way round. Does not suspend.
-- @function sock:incoming
-- @treturn stream
function methods:incoming ()
  check(self, "incoming")
  return stream_of(setmetatable({ server = self }, Incoming))
end


Stream = base.class("neap.socket.stream", luasocket.tcp(), methods)

return { class = Stream, wrap = wrap }
