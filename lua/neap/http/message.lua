--- What an HTTP/1 server sends, read from a stream of bytes.
--
-- A reader takes its bytes from anything with a method `read` that gives the
-- next piece, or nil at the end, and raises a string when it cannot. Whatever
-- pieces the bytes come in, the result is the same. Nothing is read that is not
-- asked for, and nothing that is held is larger than a piece and `HEAD` bytes.
--
-- What is no HTTP raises a ResponseError, an end that comes too early or a lost
-- connection a NetworkError. What could be read in two ways is refused: each
-- way would be that of somebody between here and the server.
--
-- @module neap.http.message

local core = require "neap.core"
local headers = require "neap.http.headers"

local new_error = core.error
local byte, find, lower, match = string.byte, string.find, string.lower,
  string.match
local sub = string.sub

local HEAD = 65536    -- bytes of a response's headers, or of its trailers
local NO_MEMORY = "not enough memory" -- Lua's own words, no connection's

local SIZE_LINE = 4096 -- bytes of a chunk's size and what else stands there

local message = {}


-- ------------------------------------------------------------------------
-- Errors


-- an error that says which request it is about
function message.error (name, request, text)
  return new_error(name, ("%s %s: %s"):format(request.method, request.url,
    text), { url = tostring(request.url), method = request.method })
end


local function fail (reader, text)
  error(message.error("ResponseError", reader.request, text), 0)
end


local function lost (reader, text)
  error(message.error("NetworkError", reader.request, text), 0)
end


--- A stranger's bytes, as they may stand in a message.
local function quoted (text)
  local shown = sub(text, 1, 60):gsub("[^\32-\126]", function (char)
    return ("\\x%02X"):format(byte(char))
  end)
  return "'" .. shown .. (#text > 60 and "...'" or "'")
end


message.quoted = quoted


-- ------------------------------------------------------------------------
-- Bytes


--- A reader of what `source` gives.
function message.reader (source)
  return {
    source = source,
    request = nil, -- that is being answered
    began = false, -- has something come of the answer?
    fields = nil,  -- those of a head that is not complete
    buffer = "",   -- from here on, from `pos` on, it is to be read
    pos = 1,
  }
end


--- Begin to read the answer to a request: a table with url and method.
function message.expect (reader, request)
  reader.request, reader.began = request, false
end


-- the next piece, nil at the end
local function pull (reader)
  local source = reader.source
  local ok, piece = pcall(source.read, source)
  if ok then
    reader.began = reader.began or piece ~= nil
    return piece
  end
  if type(piece) == "string" and piece ~= NO_MEMORY then
    lost(reader, piece)
  end
  error(piece, 0) -- also a cancellation
end


-- at most `max` bytes, nil at the end
local function take (reader, max)
  local piece, pos = reader.buffer, reader.pos
  if pos > #piece then
    piece, pos = pull(reader), 1
    if piece == nil then return nil end
  end
  if #piece - pos >= max then
    reader.buffer, reader.pos = piece, pos + max
    return sub(piece, pos, pos + max - 1)
  end
  reader.buffer, reader.pos = "", 1
  return pos == 1 and piece or sub(piece, pos)
end


-- A line without its end; `where` says in messages where it stands. It counts
-- against the reader's budget.
local function line (reader, where)
  local buffer, pos = reader.buffer, reader.pos
  local stop = find(buffer, "\n", pos, true)
  while not stop do
    local held = #buffer - pos + 1
    if held > reader.budget then break end
    local piece = pull(reader)
    if piece == nil then
      lost(reader, "the connection was closed "
        .. (reader.began and "in " .. where or "without a response"))
    end
    buffer, pos = sub(buffer, pos) .. piece, 1
    reader.buffer, reader.pos = buffer, pos -- the next wait may be cancelled
    stop = find(buffer, "\n", held + 1, true)
  end
  reader.budget = reader.budget - ((stop or #buffer) - pos + 1)
  if reader.budget < 0 then fail(reader, "too many bytes in " .. where) end
  reader.buffer, reader.pos = buffer, stop + 1
  if byte(buffer, stop - 1) == 13 and stop > pos then stop = stop - 1 end
  return sub(buffer, pos, stop - 1)
end


--- Is there something that nobody asked for?
function message.has_more (reader)
  return reader.pos <= #reader.buffer
end


-- ------------------------------------------------------------------------
-- Heads


-- a header line's name and value; nothing if it is none
local function field (reader, text)
  -- nearly all are like this
  local name, value = match(text, "^([%w-]+): ([^%c ][^%c]*)$")
  if name and byte(value, -1) ~= 32 then return name, value end
  if find(text, "[%z\1-\8\10-\31\127]") then
    fail(reader, "an invalid byte in the header " .. quoted(text))
  end
  name, value = match(text, "^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.*)$")
  -- without the blanks behind it, which may be many
  if name then return name, match(value, "^.*[^ \t]") or "" end
end


-- header fields up to the empty line; what was read stays with the reader, for
-- whoever goes on when this was cancelled
local function fields (reader, where)
  local list = reader.fields or { names = {}, values = {} }
  reader.fields = list
  local names, values = list.names, list.values
  while true do
    local text, n = line(reader, where), #names
    if text == "" then
      reader.fields = nil
      return headers.new(names, values)
    end
    local name, value = field(reader, text)
    if name then
      names[n + 1], values[n + 1] = lower(name), value
    elseif n > 0 and find(text, "^[ \t]") then -- an old way to go on
      values[n] = values[n] .. " " .. (match(text, "^[ \t]*(.*[^ \t])") or "")
    else
      fail(reader, "bad header " .. quoted(text))
    end
  end
end


--- The head of a response: version ("1.0", ...), status, its text, headers.
-- May suspend.
function message.read_head (reader)
  reader.budget = HEAD
  local text = line(reader, "the headers")
  local version, status, rest = match(text, "^HTTP/(1%.%d) ([1-9]%d%d)(.*)$")
  if not version or find(rest, "^[^ ]")
      or find(rest, "[%z\1-\8\10-\31\127]") then
    fail(reader, "bad status line " .. quoted(text))
  end
  return version, math.tointeger(tonumber(status)), sub(rest, 2),
    fields(reader, "the headers")
end


-- the length that the headers tell; nil if they do not
local function length_of (reader, head)
  local text, length = head:get "content-length", nil
  if text == nil then return nil end
  for word in text:gmatch "[^,]*" do -- the same may have been said twice
    local digits = match(word, "^[ \t]*(%d+)[ \t]*$")
    if digits == nil or #digits > 15 or length and length ~= digits then
      fail(reader, "bad content-length " .. quoted(text))
    end
    length = digits
  end
  return math.tointeger(tonumber(length))
end


--- The body that is to come after a head. It is read by `message.read_body`;
-- once it has ended, `ended` is set, and `trailers` if there were any.
-- @treturn table
function message.body (reader, status, head)
  local coding = head:get "transfer-encoding"
  local length = length_of(reader, head)
  local body = { reader = reader, kind = "close", left = math.huge }
  if coding ~= nil then
    if lower(coding) ~= "chunked" then
      fail(reader, "unknown transfer-encoding " .. quoted(coding))
    elseif length ~= nil then
      fail(reader, "both transfer-encoding and content-length")
    end
    body.kind, body.left, body.step = "chunked", 0, "size"
  elseif length ~= nil then
    body.kind, body.left, body.length = "length", length, length
  end
  if reader.request.method == "HEAD" or status < 200 or status == 204
      or status == 304 then
    body.kind, body.left = "length", 0
  end
  body.ended = body.kind == "length" and body.left == 0
  return body
end


-- ------------------------------------------------------------------------
-- Bodies


-- The size of the next chunk, or the trailers behind the last one. Each step
-- is noted when it is done, for the next one may be cancelled.
local function next_chunk (body)
  local reader = body.reader
  if body.step == "data" then
    reader.budget = SIZE_LINE
    if line(reader, "a chunk") ~= "" then
      fail(reader, "a chunk is longer than its size")
    end
    body.step = "size"
  end
  if body.step == "size" then
    reader.budget = SIZE_LINE
    local text = line(reader, "a chunk's size")
    local size, rest = match(text, "^(%x+)[ \t]*(.*)$")
    if not size or #size > 15 or find(rest, "^[^;]") then
      fail(reader, "bad chunk size " .. quoted(text))
    end
    body.left = math.tointeger(tonumber(size, 16))
    body.step = body.left > 0 and "data" or "trailers"
    reader.budget = HEAD
  end
  if body.step == "trailers" then
    local trailers = fields(reader, "the trailers")
    if next(trailers.names) then body.trailers = trailers end
    body.ended = true
  end
end


--- The next piece of a body, at least one byte; nil at the end. Suspends.
function message.read_body (body)
  if body.ended then return nil end
  local kind, reader = body.kind, body.reader
  if kind == "chunked" and body.left == 0 then
    next_chunk(body)
    if body.ended then return nil end
  end
  local piece = take(reader, body.left)
  if piece then
    body.left = body.left - #piece
    body.ended = kind == "length" and body.left == 0
  elseif kind == "close" then
    body.ended = true
  elseif kind == "length" then
    lost(reader, ("the connection was closed after %d of %d bytes of the body")
      :format(body.length - body.left, body.length))
  else
    lost(reader, "the connection was closed in a chunk")
  end
  return piece
end


return message
