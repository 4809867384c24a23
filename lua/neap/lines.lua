--- Lines of a text that comes in pieces: a program's output, a response.
--
-- Of a line that is not yet whole the pieces are kept in a table and joined
-- once, so a line of many pieces costs no more than its length.
--
-- @module neap.lines

local args = require "neap.args"
local core = require "neap.core"

local byte, find, sub = string.byte, string.find, string.sub
local concat = table.concat
local stream_of, take_over = core.internal.stream_of, core.internal.take_over

local CR <const> = 13


-- what there is of a line, without the CR of a CR LF
local function whole (reader)
  local line = concat(reader.pieces, "", 1, reader.n)
  reader.n, reader.pieces = 0, {}
  if byte(line, -1) == CR then return sub(line, 1, -2) end
  return line
end


local function keep (reader, piece)
  reader.n = reader.n + 1
  reader.pieces[reader.n] = piece
end


local Lines = {
  __name = "neap.lines",
  __neap_close = function (reader) reader.stream:close() end,
}


function Lines.__call (reader)
  while true do
    local text, from = reader.text, reader.from
    local at = find(text, "\n", from, true)
    if at ~= nil then
      reader.from = at + 1
      if reader.n == 0 then
        if byte(text, at - 1) == CR and at > from then at = at - 1 end
        return sub(text, from, at - 1)
      end
      keep(reader, sub(text, from, at - 1))
      return whole(reader)
    end
    if from <= #text then keep(reader, sub(text, from)) end
    reader.text, reader.from = "", 1
    text = reader.stream()
    if text == nil then return reader.n > 0 and whole(reader) or nil end
    if type(text) ~= "string" then
      error(("bad item for 'lines' (must be a string, got %s)"):format(
        tostring(text)), 0)
    end
    reader.text = text
  end
end


--- Give the lines of a text that comes in pieces, whatever the pieces are,
-- without their ends (LF, or CR LF). The last line need not have one. Does not
-- suspend.
-- @param items strings: a table, an iterator or a stream; stream:lines() is
-- the same
-- @treturn stream
local function lines (items)
  local stream = args.items(items, -1, "lines", take_over)
  return stream_of(setmetatable({
    stream = stream, text = "", from = 1, -- the piece, what is next of it
    pieces = {}, n = 0, -- of the line that is not yet whole
  }, Lines))
end


return { lines = lines }
