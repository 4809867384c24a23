--- neap: structured concurrency for Lua.
--
-- One table with everything that is public. The core is in C; each pattern
-- that reads better in Lua is a file of its own, on the public functions.
-- Editors know its names from the files in types/.
--
-- @module neap

local core = require "neap.core"

---@class neap
local neap = {}

core.internal.home()

for name, value in pairs(core) do
  if name ~= "internal" then neap[name] = value end -- for neap's own files only
end

-- each of these files returns the function, or a table of functions
for _, file in ipairs {
  "cancellable",
  "collective",
  "debounce",
  "file",
  "merge",
  "os_signal",
  "process",
  "progress",
  "retry",
  "simulate",
  "stream",
  "throttle",
} do
  for name, fn in pairs(require("neap." .. file)) do neap[name] = fn end
end

return neap
