--- A response: its head, and its body as it comes.
--
-- The body is read by whoever asks for it and no faster. It holds the
-- connection until it has ended, and gives it back then; whatever else ends the
-- reading (an error, a cancellation, a signal, `close`) closes the connection,
-- for what would come next on it is the rest of this body.
--
-- @module neap.http.response

local args = require "neap.args"
local connections = require "neap.http.connections"
local core = require "neap.core"
local lines = require("neap.lines").lines
local message = require "neap.http.message"

local cancelled, new_error = core.cancelled, core.error
local now, timeout = core.now, core.timeout
local stream_of = core.internal.stream_of
local read_body = message.read_body
local concat = table.concat
local huge, max = math.huge, math.max

-- tried in this order
local JSON = { "cjson", "rapidjson", "dkjson", "lunajson", "json" }

local Body, Response = {}, { __name = "neap.http.response" }

local response = {}


-- ------------------------------------------------------------------------
-- The body


-- let go of the connection
local function leave (body, reusable)
  local conn = body.conn
  if conn == nil then return end
  body.conn = nil
  if body.forget_signal then body.forget_signal() end
  if reusable and body.kept > 0 and not message.has_more(conn.reader) then
    connections.give_back(conn, body.kept)
  else
    connections.close(conn)
  end
end


-- end it with an error, which who reads it gets from now on
local function fail (body, err)
  if body.conn == nil then return end
  body.err = { err }
  leave(body, false)
end


-- the next piece, nil at the end
local function next_piece (body)
  if body.conn == nil then
    if body.err then error(body.err[1], 0) end
    return nil
  end
  local ok, piece
  if body.deadline < huge then
    ok, piece = pcall(timeout, read_body, max(0, body.deadline - now()),
      body.late, body.rest)
  else
    ok, piece = pcall(read_body, body.rest)
  end
  if ok then
    if body.rest.ended then leave(body, true) end
    return piece
  end
  -- it was closed by a signal; or its reader is cancelled, and as with every
  -- stream another one may go on; or this is its end
  if body.err == nil then
    if cancelled() then error(piece, 0) end
    fail(body, piece)
  end
  error(body.err[1], 0)
end


local function hear (body, signal)
  local weak = setmetatable({ body = body }, { __mode = "v" })
  body.forget_signal = signal:on_abort(function (reason)
    if weak.body then fail(weak.body, reason) end
  end)
  if signal.aborted then fail(body, signal.reason) end
end


-- a body that was dropped is nobody's any more
function Body:__gc ()
  leave(self, false)
end


Body.__close = Body.__gc


-- all that is left of it
local function read_all (body)
  local _ <close> = body -- it has no use for anybody else when this fails
  local parts = {}
  for piece in next_piece, body do parts[#parts + 1] = piece end
  return concat(parts)
end


-- ------------------------------------------------------------------------
-- A stream of it


local Chunks = {
  __name = "neap.http.chunks",
  __call = function (chunks) return next_piece(chunks.body) end,
  __neap_close = function (chunks) leave(chunks.body, false) end,
}


local function chunks_of (body)
  return stream_of(setmetatable({ body = body }, Chunks))
end


-- ------------------------------------------------------------------------
-- The object


local function check (self, fname)
  return args.self(self, Response, fname, "a response").body
end


-- the body, for the first who wants it
local function begin (self, fname)
  local body = self.body
  if self.body_used then
    args.blame(("'%s': the body of %s has been read already"):format(fname,
      self.url))
  end
  self.body_used = true
  return body
end


--- The whole body. Suspends.
-- @function response:text
-- @treturn string
-- @raise a NetworkError when the connection was lost before the body's end, a
-- ResponseError when what came is no HTTP; the signal's reason; a TimeoutError
function Response:text ()
  check(self, "text")
  return read_all(begin(self, "text"))
end


local function json_decoder ()
  for _, name in ipairs(JSON) do
    local ok, library = pcall(require, name)
    if ok and type(library) == "table" and library.decode then
      return library.decode, name
    end
  end
end


--- The body as a value, by the first JSON library that is there, of `cjson`,
-- `rapidjson`, `dkjson`, `lunajson`, `json`; that says how null is given.
-- Suspends.
-- @function response:json
-- @return what the library makes of it
-- @raise an error if there is no such library, before anything is read; a
-- ResponseError if the body is not JSON; else what `text` raises
function Response:json ()
  check(self, "json")
  local decode, name = json_decoder()
  if decode == nil then
    args.blame("'json' needs a JSON library, and none of "
      .. concat(JSON, ", ") .. " is installed")
  end
  local text = read_all(begin(self, "json"))
  local ok, value, _, problem = pcall(decode, text)
  if ok and (name ~= "dkjson" or problem == nil) then return value end
  error(new_error("ResponseError", ("%s: the body is not JSON: %s"):format(
    self.url, tostring(not ok and value or problem)), { url = self.url }), 0)
end


--- The body as a stream of pieces, as they come: the next one is received when
-- it is asked for, so a body of any size needs the memory of one piece. Leaving
-- the stream early closes the connection. Does not suspend.
-- @function response:chunks
-- @treturn stream the pieces, strings of at least one byte
function Response:chunks ()
  check(self, "chunks")
  return chunks_of(begin(self, "chunks"))
end


--- The body as a stream of lines, without their ends ("\n" or "\r\n"). Does not
-- suspend.
-- @function response:lines
-- @treturn stream the lines, strings
function Response:lines ()
  check(self, "lines")
  return lines(chunks_of(begin(self, "lines")))
end


--- Let go of the response: if its body has not ended, the connection is closed.
-- Also done at the end of a block by `local response <close> = ...`. Does not
-- suspend.
-- @function response:close
function Response:close ()
  local body = check(self, "close")
  self.body_used = true
  leave(body, false)
end


Response.__close = Response.close


function Response:__index (key)
  if key == "trailers" then return self.body.rest.trailers end
  return Response[key]
end


function Response:__tostring ()
  return ("neap.http.response: %d %s"):format(self.status, self.url)
end


-- Skip a body that is not wanted: to its end if that is near, so that the
-- connection can be used again. May suspend.
function response.skip (self, most)
  local body = self.body
  if (body.rest.length or huge) > most then return leave(body, false) end
  for _ in next_piece, body do end
end


-- Make one, of what `read_head` gave. `kept`: the seconds for which the server
-- keeps the connection; 0: it does not.
function response.new (conn, req, kept, status, text, head)
  local rest = message.body(conn.reader, status, head)
  local body = setmetatable({
    conn = conn,
    rest = rest,
    kept = rest.kind == "close" and 0 or kept,
    deadline = req.deadline,
    late = req.late,
    forget_signal = nil, -- takes the listener back
    err = nil, -- { what it ended with }
  }, Body)
  if rest.ended then leave(body, true)
  elseif req.signal then hear(body, req.signal) end
  return setmetatable({
    status = status,
    status_text = text,
    ok = status >= 200 and status < 300,
    url = tostring(req.url),
    redirected = req.redirects > 0,
    headers = head,
    body = body,
    body_used = false,
  }, Response)
end


return response
