--- Lines of a text that comes in pieces: a program's output, a response.
--
-- @module neap.lines

local args = require "neap.args"
local core = require "neap.core"
local split = require "neap.split"

local take_over = core.internal.take_over

local CR <const> = 13


--- Give the lines of a text that comes in pieces, whatever the pieces are,
-- without their ends (LF, or CR LF). The last line need not have one. Does not
-- suspend.
-- @param items strings: a table, an iterator or a stream; stream:lines() is
-- the same
-- @treturn stream
local function lines (items)
  return split(args.items(items, -1, "lines", take_over), CR)
end


return { lines = lines }
