--- What all kinds of sockets share: timeouts, waiting, closing, and the methods
-- that need no waiting, which go on to LuaSocket's object.
--
-- A socket is a table with that object, `raw`, whose own timeout is always 0,
-- and with the core's `wire` over the same descriptor. What waits ends in one
-- of LuaSocket's words ("timeout", "closed"), or in one of the core's that are
-- raised as errors: "cancelled", "forgotten" (closed by another task) and
-- "outside" (of tasks).
--
-- @module neap.socket.base

local address = require "neap.socket.address"
local args = require "neap.args"
local core = require "neap.core"

local internal = core.internal
local checkpoint, now = core.checkpoint, core.now
local move_on_after, semaphore = core.move_on_after, core.semaphore
local wire, wire_close = internal.wire, internal.wire_close
local wire_enter, wire_wait = internal.wire_enter, internal.wire_wait
local max, min = math.max, math.min

local base = {}

local classes = {} -- those of sockets

local IN <const>, OUT <const> = 1, 2 -- the sides of a socket

-- `self[side]` says who is at that side: `false`, nobody; the wire, nobody, and
-- no timeout, TLS or read-ahead is in the way, so the core has a short way for
-- whoever comes; `true`, somebody; a semaphore, somebody, for whom others wait.


local function at_rest (self, side)
  local in_the_way = self.limit or self.ssl
    or side == IN and (self.ahead or self.parts)
  return not in_the_way and self.wire
end


local function is_busy (self, side)
  local turn = self[side]
  return turn and turn ~= self.wire
end


-- the semaphore of a side that somebody is at
local function semaphore_of (self, side)
  local turn = self[side]
  if turn == true then
    turn = semaphore(1)
    turn:try_acquire() -- for the one who is at it
    self[side] = turn
  end
  return turn
end


-- The object of a method.
function base.check (self, fname)
  if not classes[getmetatable(self)] then
    args.bad_self(self, fname, "a socket")
  end
  return self
end


-- Is somebody at either side?
function base.is_busy (self)
  return is_busy(self, IN) or is_busy(self, OUT)
end


-- Something may have come into the way, or out of it.
function base.refresh (self)
  for side = IN, OUT do
    if is_busy(self, side) then
      semaphore_of(self, side) -- so that this is looked at again
    else
      self[side] = at_rest(self, side)
    end
  end
end


-- Make the socket know the descriptor that LuaSocket's object has now.
function base.rewire (self)
  local fd = self.raw:getfd()
  if fd == self.fd then return end
  for side = IN, OUT do
    if not is_busy(self, side) then self[side] = false end
  end
  self.fd = fd
  self.wire = wire(fd)
  base.refresh(self)
end


function base.new (class, raw)
  raw:settimeout(0)
  raw:settimeout(-1, "t")
  local self = setmetatable({
    [IN] = false, [OUT] = false,
    raw = raw, fd = nil, wire = nil, -- of the descriptor
    block = false, total = false, limit = false, each = false, -- seconds
    -- bytes that were received but not handed out: see neap.socket.stream
    parts = false, ahead = false, pos = 1,
    turns = false, -- what ends a turn at either side, once somebody had one
    ssl = false, -- LuaSec's object
    closed = false, -- or how often it was: it may have been opened again
  }, class)
  base.rewire(self)
  return self
end


-- When an operation that begins now is to end; nil: never; 0: without waiting.
function base.deadline (self)
  local seconds = self.limit
  if seconds then return seconds > 0 and now() + seconds or 0 end
end


-- When a single wait in it is to end, if these are limited, too.
function base.wait_until (self, deadline)
  return min(deadline, now() + self.each)
end


-- Raise what is no result of method `fname`, or return the word as one.
function base.stopped (word, fname)
  if word == "cancelled" then
    checkpoint() -- raises the cancellation
  elseif word == "outside" then
    args.enter(fname) -- says what to do
  elseif word == "forgotten" then
    error(core.error("ClosedError", "the socket was closed"), 0)
  end
  return nil, word
end


-- The addresses of a host, for a socket that is to be opened at one of them.
-- Suspends, as `address.resolve`.
function base.resolve (self, host, fname)
  local closed = self.closed
  local list, message = address.resolve(host, fname, self.family)
  -- LuaSocket would open it again
  if self.closed ~= closed then base.stopped("forgotten") end
  return list, message
end


-- what `pcall` gave for a method of LuaSocket's object: its results, or its
-- complaint of an argument, raised for our caller. It has counted the object.
local function outcome (raw, name, ok, ...)
  if ok then return ... end
  local arg, what = tostring(...):match "^bad argument #(%d+) to '.-' %((.*)%)$"
  if arg == nil then error(..., 0) end
  if arg == "1" then
    args.blame(("calling '%s' on a bad self (%s, got %s)"):format(name, what,
      tostring(raw):match "^[^:]*"))
  end
  args.blame(("bad argument #%d to '%s' (%s)"):format(arg - 1, name, what))
end


-- Call a method of LuaSocket's object as soon as it can be done, and give what
-- it gave; or nil and a word for `stopped`. Suspends.
function base.attempt (self, for_writing, name, ...)
  local deadline = base.deadline(self)
  local ok, word = wire_enter(self.wire, deadline)
  -- one that is not open yet is opened by LuaSocket
  if not ok and (word ~= "closed" or self.closed) then return nil, word end
  while true do
    local raw = self.raw
    local first, second, third = outcome(raw, name, pcall(raw[name], raw, ...))
    if first ~= nil or second ~= "timeout" then return first, second, third end
    base.rewire(self)
    ok, word = wire_wait(self.wire, for_writing, deadline)
    if not ok then return nil, word end
  end
end


-- the same, while the object was lent the descriptor that is LuaSec's
local function give_back (raw, name, ...)
  raw:setfd(-1)
  return outcome(raw, name, ...)
end


-- Call a method of LuaSocket's object.
function base.call (self, name, ...)
  local raw = base.check(self, name).raw
  if not self.ssl then return outcome(raw, name, pcall(raw[name], raw, ...)) end
  raw:setfd(self.ssl:getfd())
  return give_back(raw, name, pcall(raw[name], raw, ...))
end


-- ------------------------------------------------------------------------
-- Turns


-- needs no memory
local function finish (self, side)
  local sem = self[side]
  if sem ~= true and sem:waiting() > 0 then
    sem:release()
  else
    self[side] = at_rest(self, side)
  end
end


-- What ends a turn at the end of a block: also the error of somebody for whom
-- there is no memory must let the next one in.
local Turn = { __close = function (turn) finish(turn.sock, turn.side) end }


local function turn_of (self, side)
  if not self.turns then
    self.turns = {
      [IN] = setmetatable({ sock = self, side = IN }, Turn),
      [OUT] = setmetatable({ sock = self, side = OUT }, Turn),
    }
  end
  return self.turns[side]
end


-- Begin at a side, in one's turn, which a variable `<close>` ends; false when
-- the deadline has passed. Suspends.
function base.begin (self, side, deadline)
  local turn = turn_of(self, side)
  if not is_busy(self, side) then
    self[side] = true
    return turn
  end
  local sem, closed = semaphore_of(self, side), self.closed
  local wait = deadline and max(0, deadline - now()) or math.huge
  if not move_on_after(wait, sem.acquire, sem) then return false end
  if self.closed ~= closed then
    finish(self, side)
    base.stopped("forgotten")
  end
  return turn
end


-- Go on with what the core has begun: it is at that side, or nobody is.
function base.go_on (self, side)
  local turn = turn_of(self, side)
  if not is_busy(self, side) then self[side] = true end
  return turn
end


-- ------------------------------------------------------------------------
-- Methods of all kinds

local methods = {}


--- Limit how long operations may take, as LuaSocket does: "b", the default, and
-- "t" both limit each operation; when both are set, "b" limits single waits
-- within it. Does not suspend.
-- @function sock:settimeout
-- @tparam number|nil seconds 0: never wait; nil or negative: no limit
-- @tparam[opt="b"] string mode "b" or "t"
-- @treturn integer 1
function methods:settimeout (seconds, mode)
  base.check(self, "settimeout")
  if seconds ~= nil and type(seconds) ~= "number" then
    args.fail(1, "settimeout", "seconds", "a number or nil", seconds)
  end
  mode = mode or "b"
  if seconds and (seconds < 0 or seconds == math.huge) then seconds = nil end
  if mode == "b" then
    self.block = seconds or false
  elseif mode == "t" or mode == "r" then
    self.total = seconds or false
  else
    args.fail(2, "settimeout", "mode", "'b' or 't'", mode)
  end
  self.limit = self.total or self.block
  self.each = self.total and self.block
  base.refresh(self)
  return 1
end


--- The two limits, -1 for none. Does not suspend.
-- @function sock:gettimeout
-- @treturn number that of mode "b"
-- @treturn number that of mode "t"
function methods:gettimeout ()
  base.check(self, "gettimeout")
  return self.block or -1, self.total or -1
end


--- Close the socket. Tasks that wait for it get a ClosedError. Also done at
-- the end of a block by `local sock <close> = ...`. Does not suspend.
-- @function sock:close
-- @treturn integer 1
function methods:close ()
  base.check(self, "close")
  local can_write = wire_close(self.wire, self.ssl)
  self.closed = (self.closed or 0) + 1
  if not self.ssl then
    self.raw:close()
  else
    -- LuaSec says farewell, and would wait until it can
    if not can_write and self.ssl:getfd() >= 0 then
      base.call(self, "shutdown")
    end
    self.ssl:close()
  end
  return 1
end


function methods:getfd ()
  base.check(self, "getfd")
  return (self.ssl or self.raw):getfd()
end


function methods:setfd (fd)
  base.check(self, "setfd").raw:setfd(fd)
  base.rewire(self)
end


function methods:dirty ()
  return base.check(self, "dirty").raw:dirty()
end


local Guard = {
  __close = function (guard) if guard.sock then guard.sock:close() end end,
}


-- What closes a socket at the end of a block, as long as `guard.sock` is there.
function base.guard (sock)
  return setmetatable({ sock = sock }, Guard)
end


local function as_text (self)
  return tostring(self.raw)
end


-- A class: the methods `own` on top of those above, and these on top of what
-- else the example, an object of LuaSocket's, can do.
function base.class (name, example, own)
  local class = { __name = name, __tostring = as_text }
  for key in pairs(getmetatable(example).__index) do
    class[key] = function (self, ...) return base.call(self, key, ...) end
  end
  example:close()
  class.setstats, class.getstats = nil, nil -- they would know of nothing
  for key, fn in pairs(methods) do class[key] = fn end
  for key, fn in pairs(own) do class[key] = fn end
  class.__index = class
  class.__close = class.close
  classes[class] = true
  return class
end


return base
