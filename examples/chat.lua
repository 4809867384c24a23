--- A chat server:  neap examples/chat.lua PORT, then  nc 127.0.0.1 PORT
--
-- Each guest is a task that receives what the guest says, and one that sends
-- what the others say. In between is a channel, so that nobody waits for a
-- guest who reads slowly; when it is full, that guest has to go. Without
-- arguments three guests come to a server of their own.
--
-- example-test: neap

local neap = require "neap"
local socket = require "neap.socket"

local LINES = 100 -- that may wait for a slow guest

local guests = {} -- their channels, by name


local function tell_all (line, except)
  for name, lines in pairs(guests) do
    if name ~= except and not lines:try_send(line) then
      lines:close "too slow"
      guests[name] = nil
    end
  end
end


-- the guest is in the room until this is closed
local function enter (name)
  local lines = neap.channel(LINES)
  guests[name] = lines
  tell_all(name .. " has come")
  return lines, setmetatable({}, { __close = function ()
    if guests[name] == lines then guests[name] = nil end
    tell_all(name .. " has left")
  end })
end


local function attend (client)
  local sock <close> = client
  sock:send "Your name? "
  local name = sock:receive()
  while name and (name == "" or guests[name]) do
    sock:send "Another name? "
    name = sock:receive()
  end
  if name == nil then return end
  local lines, _ <close> = enter(name)
  neap.scope(function (scope)
    scope:spawn(function ()
      for line in lines do sock:send(line .. "\n") end
    end)
    for line in sock:lines() do tell_all(name .. ": " .. line, name) end
    scope:cancel() -- gone: nothing more is to be sent
  end)
end


-- until the server is closed, or Ctrl-C; then all guests go, too
local function serve (server)
  neap.scope(function (scope)
    for client in server:incoming() do
      scope:spawn(function ()
        local ok, err = neap.pcall(attend, client)
        if not ok then print(err) end
      end)
    end
    scope:cancel()
  end)
end


-- ------------------------------------------------------------------------
-- Three guests


-- comes, waits until `wanted` was said, says something, and goes
local function guest (port, name, wanted, answer)
  local sock <close> = assert(socket.connect("127.0.0.1", port))
  sock:send(name .. "\n")
  for line in sock:lines() do
    line = line:gsub("^Your name%? ", "")
    print(("%-6s reads  %s"):format(name, line))
    if line == wanted then break end
  end
  sock:send(answer .. "\n")
end


local server = assert(socket.bind("127.0.0.1", arg[1] or 0))
local _, port = server:getsockname()
print(("chat at 127.0.0.1 port %s; Ctrl-C ends it"):format(port))
if arg[1] then return serve(server) end

neap.spawn(serve, server)
neap.scope(function (scope)
  local last
  for _, who in ipairs {
    { "Ada", "Carl has come", "hello" },
    { "Bea", "Ada: hello", "hello, Ada" },
    { "Carl", "Bea: hello, Ada", "bye" },
  } do
    while last and not guests[last] do neap.sleep(0.001) end -- one by one
    scope:spawn(guest, port, table.unpack(who))
    last = who[1]
  end
end)
server:close()
