--- Lines of a stream of text, for those that have one: neap.lines, files.
--
-- Of a line that is not yet whole the pieces are kept in a table and joined
-- once, so a line of many pieces costs no more than its length.
--
-- @module neap.split

local args = require "neap.args"
local core = require "neap.core"

local byte, find, sub = string.byte, string.find, string.sub
local concat, stream_of = table.concat, core.internal.stream_of


-- what there is of a line, without the CR of a CR LF
local function whole (reader)
  local line = concat(reader.pieces, "", 1, reader.n)
  reader.n, reader.pieces = 0, {}
  if byte(line, -1) == reader.cr then return sub(line, 1, -2) end
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
        if byte(text, at - 1) == reader.cr and at > from then at = at - 1 end
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
        args.shown(text)), 0)
    end
    reader.text = text
  end
end


-- The lines of a stream of text; `cr`: the byte that goes with the end of a
-- line, if any does.
return function (stream, cr)
  return stream_of(setmetatable({
    stream = stream, cr = cr or false,
    text = "", from = 1, -- the piece, what is next of it
    pieces = {}, n = 0, -- of the line that is not yet whole
  }, Lines))
end
