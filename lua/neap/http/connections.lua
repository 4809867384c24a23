--- Connections to servers: made, kept for the next request, closed.
--
-- A connection is in use by one request, or idle, or closed. Idle ones wait in
-- a list for each origin, the latest last, which is also the first to be taken
-- again. One background task, the keeper, closes those that have been idle for
-- too long; it lives as long as there are connections. When the run ends it is
-- cancelled, as background tasks are, and closes all, also those of responses
-- that nobody read to the end.
--
-- @module neap.http.connections

local core = require "neap.core"
local message = require "neap.http.message"
local socket = require "neap.socket"

local background, cancelled = core.internal.background, core.cancelled
local move_on_after = core.move_on_after
local now, new_event = core.now, core.event
local huge, max, min = math.huge, math.max, math.min

local IDLE = 15    -- seconds that a connection is kept for the next request
local KEPT = 100   -- idle connections at most, of all origins

local ended = { done = true, failed = true, cancelled = true }

local connections = {}

local open = {} -- those that are not closed, as keys

local idle, idle_count = {}, 0 -- lists by origin
local keeper, keeper_looks -- the task, and when it looks next
local changed -- set when it is to look sooner


-- ------------------------------------------------------------------------
-- Idle ones


function connections.close (conn)
  if not open[conn] then return end
  open[conn] = nil
  conn.sock:close()
  if next(open) == nil and changed then changed:set() end
end


local Guard = {
  __close = function (guard)
    if guard.conn then connections.close(guard.conn) end
  end,
}


--- What closes a connection at the end of a block, unless its field `conn` has
-- been set to nil.
function connections.guard (conn)
  return setmetatable({ conn = conn }, Guard)
end


-- take the ith idle one of an origin out of its list
local function remove (origin, i)
  local list = idle[origin]
  local conn = table.remove(list, i)
  idle_count = idle_count - 1
  if list[1] == nil then idle[origin] = nil end
  return conn
end


-- close those that expire until then; when the next one does
local function expire (time)
  local soonest = huge
  for origin, list in pairs(idle) do
    for i = #list, 1, -1 do
      if list[i].expires <= time then
        connections.close(remove(origin, i))
      else
        soonest = min(soonest, list[i].expires)
      end
    end
  end
  return soonest
end


-- When it ends for lack of memory, those in use are not concerned: they are
-- closed by whoever uses them, or by the next keeper.
local at_end = setmetatable({}, { __close = function ()
  keeper, changed = nil, nil
  expire(huge)
  if cancelled() then
    for conn in pairs(open) do connections.close(conn) end
  end
end })


local function keep ()
  local _ <close> = at_end
  while next(open) ~= nil do
    changed:clear()
    keeper_looks = expire(now())
    move_on_after(max(0, keeper_looks - now()), changed.wait, changed)
  end
end


local function has_keeper ()
  return keeper ~= nil and not ended[keeper:status()]
end


local function employ_keeper ()
  if not has_keeper() then
    changed = new_event()
    keeper, keeper_looks = background(keep), -huge
    keeper.name = "http connections"
  end
end


-- Does the server still have it open, and has it sent nothing?
local function is_alive (conn)
  local sock = conn.sock
  sock:settimeout(0)
  local data, word = sock:receive(1)
  sock:settimeout(nil)
  return data == nil and (word == "timeout" or word == "wantread")
end


--- An idle connection to where a URL is, or nil. Does not suspend.
function connections.take (url, tls)
  local list = idle[url.origin]
  for i = list and #list or 0, 1, -1 do
    if list[i] ~= nil and list[i].tls == tls then
      local conn = remove(url.origin, i)
      local guard <close> = connections.guard(conn)
      if is_alive(conn) then
        guard.conn = nil
        return conn
      end
    end
  end
end


--- The request has ended, and the connection can take another one. Does not
-- suspend.
-- @tparam table conn
-- @tparam number seconds for how long the server keeps it
function connections.give_back (conn, seconds)
  local origin, expires = conn.origin, now() + min(IDLE, seconds)
  if not open[conn] or idle_count >= KEPT or not has_keeper() then
    return connections.close(conn)
  end
  conn.expires = expires
  idle[origin] = idle[origin] or {}
  table.insert(idle[origin], conn)
  idle_count = idle_count + 1
  if expires < keeper_looks then changed:set() end
end


-- ------------------------------------------------------------------------
-- New ones


local function connect (sock, url, tls)
  local ok, word = sock:connect(url.host, url.port)
  if not ok then return nil, word end
  sock:setoption("tcp-nodelay", true)
  if url.scheme == "https" then
    local options = { server_name = url.host }
    for key, value in pairs(tls or {}) do options[key] = value end
    ok, word = sock:starttls(options)
    if not ok then return nil, word end
  end
  return true
end


--- A new connection to where a URL is, or nil and why there is none. Suspends.
-- @tparam table url
-- @tparam table|nil tls options of `starttls`
-- @treturn table|nil
function connections.open (url, tls)
  employ_keeper()
  local sock <const>, word = socket.tcp()
  if sock == nil then return nil, word end
  local conn = {
    sock = sock,
    reader = message.reader(sock),
    origin = url.origin,
    tls = tls,
    expires = nil, -- while it is idle
  }
  open[conn] = true
  local guard <close> = connections.guard(conn)
  local ok
  ok, word = connect(sock, url, tls)
  if not ok then return nil, word end
  guard.conn = nil
  return conn
end


return connections
