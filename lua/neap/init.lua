--- neap: structured concurrency for Lua.
--
-- One table with everything that is public. The core is in C; each pattern
-- that reads better in Lua is a file of its own, on the public functions.
--
-- @module neap

local core = require "neap.core"

local neap = {}

for name, value in pairs(core) do neap[name] = value end

return neap
