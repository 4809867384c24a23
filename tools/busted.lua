-- Start busted on the Lua that runs this file. (The command 'busted' picks a
-- Lua by itself, and where LuaRocks installed it, it is a shell script.)

-- what was written must be seen even if the process is ended abruptly
io.stdout:setvbuf "line"

-- Ubuntu 22.04 has busted for Lua 5.4, but has what busted needs only for
-- 5.3: those Lua files run here as well, and LuaSocket knows the time.
if not pcall(require, "system") then
  local socket = require "socket"
  local dir = "/usr/share/lua/5.3/"
  package.path = package.path .. ";" .. dir .. "?.lua;" .. dir .. "?/init.lua"
  package.loaded.system = {
    gettime = socket.gettime,
    monotime = socket.gettime,
    sleep = socket.sleep,
  }
end

-- NEAP_GC=incremental: a little of a collection with every allocation, one
-- after the other without a pause; generational: a young one as often as can be
local mode = os.getenv "NEAP_GC"
if mode == "incremental" then
  collectgarbage("incremental", 1, 400, 4)
elseif mode == "generational" then
  collectgarbage("generational", 1, 1)
elseif mode then
  error(("bad NEAP_GC '%s'"):format(mode), 0)
end

require "busted.runner" { standalone = false }
