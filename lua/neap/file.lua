--- Files, read and written without holding up other tasks.
--
-- Reading and writing a file on a disk blocks whoever does it, so helper
-- threads do it while the task waits; a pipe or a terminal is waited for in the
-- loop. Whatever ends a call, an error, a cancel, a `break`, closes its file.
--
-- Errors are `FileError` objects with `path`, `reason` (what the system said)
-- and `errno`.
--
-- @module neap.file

local args = require "neap.args"
local core = require "neap.core"
local split = require "neap.split"
local streams = require "neap.stream"

local find, open, rename = core.internal.file_find, core.internal.file_open,
  core.internal.file_rename
local file_of = core.internal.file_of
local make_error, reading = core.error, core.internal.reading
local readable, writable = core.readable, core.writable
local with_signal = core.with_signal

local BLOCK = 65536
local MOST = 0x7fffffff -- bytes that one step may read
local EEXIST = 17 -- on every Unix

-- That there can be no file beside another one, or none of its owner: EPERM,
-- ENOENT (in /proc), EACCES, EINVAL (an owner whom a container lacks), EROFS.
local DENIED = {
  [1] = true, [2] = true, [13] = true, [22] = true, [30] = true,
}

local file = {}


-- ------------------------------------------------------------------------
-- Errors and arguments


local function fail (path, reason, errno)
  error(make_error("FileError", ("%s: %s"):format(path, reason),
    { path = path, reason = reason, errno = errno }), 0)
end


-- raise what the core said of a failure, with the name that it lacks
local function must (path, value, ...)
  if value == nil then fail(path, ...) end
  return value, ...
end


local function is_handle (value) return io.type(value) ~= nil end


-- a path, or an open file of Lua's own library
local function check_source (value, fname)
  if is_handle(value) then
    if io.type(value) == "closed file" then
      args.fail(1, fname, "path", "a path or an open file", "closed file")
    end
  elseif type(value) ~= "string" then
    args.fail(1, fname, "path", "a path or an open file", value)
  elseif value == "" or value:find("\0", 1, true) then
    args.fail(1, fname, "path", "a path", value)
  end
end


-- ------------------------------------------------------------------------
-- Reading


local function open_source (source)
  if is_handle(source) then return file_of(source), tostring(source) end
  return must(source, open(source, "r")), source
end


-- the next bytes; "" at the end
local function next_block (f, path, size)
  if not f:is_waitable() then return must(path, f:read(size)) end
  local bytes
  repeat
    readable(f)
    bytes = must(path, f:take(size))
  until bytes
  return bytes
end


--- The whole of a file. Suspends.
-- @function neap.file.read
-- @tparam string|file path its name, or an open file, which is read from where
-- it stands to its end and not closed: `io.stdin`. (Of a pipe, what Lua's own
-- functions have read ahead is not seen, nor do they see what was read here.)
-- @treturn string
-- @raise a `FileError`
function file.read (path)
  check_source(path, "file.read")
  args.enter("file.read")
  local f <close>, name = open_source(path)
  local size, blocks = BLOCK, {}
  while true do
    local bytes = next_block(f, name, size)
    if bytes == "" then return table.concat(blocks) end
    blocks[#blocks + 1] = bytes
    if #bytes == size and size < 16 * BLOCK then size = 2 * size end
  end
end


-- what a stream reads from: the file is opened when that is first asked
local Chunks = {}
Chunks.__index = Chunks


-- the next bytes, or nil at the end
function Chunks:read ()
  if self.f == nil then
    args.enter "next"
    self.f, self.name = open_source(self.source)
  end
  local bytes = next_block(self.f, self.name, self.size)
  if bytes ~= "" then return bytes end
end


function Chunks:close ()
  if self.f ~= nil then self.f:close() end
end


local function chunks (source, size)
  return streams.read(setmetatable({ source = source, size = size }, Chunks))
end


--- A file as a stream of strings. It is opened when the first one is asked for,
-- and read only as far as somebody asks. Does not suspend; the stream does.
-- @function neap.file.chunks
-- @tparam string|file path see `neap.file.read`
-- @tparam[opt=65536] integer size bytes to read at a time, at most 2147483647;
-- a pipe may give less
-- @treturn stream
-- @raise from the stream: a `FileError`
function file.chunks (path, size)
  check_source(path, "file.chunks")
  if size ~= nil then
    size = args.integer(size, 2, "file.chunks", "size", 1)
    if size > MOST then
      args.fail(2, "file.chunks", "size", "at most " .. MOST, size)
    end
  end
  return chunks(path, size or BLOCK)
end


--- A file as a stream of its lines, without their ends ("\n"), like `io.lines`;
-- the last one may lack its end. Opened and read as by `neap.file.chunks`. Does
-- not suspend; the stream does.
-- @function neap.file.lines
-- @tparam string|file path see `neap.file.read`
-- @treturn stream
-- @raise from the stream: a `FileError`
function file.lines (path)
  check_source(path, "file.lines")
  return split(chunks(path, BLOCK))
end


-- ------------------------------------------------------------------------
-- Writing


local function write_string (f, path, bytes)
  local at = 1
  while at <= #bytes do
    if f:is_waitable() then writable(f) end
    at = at + must(path, f:write(bytes, at))
  end
end


local function write_all (f, path, data)
  if type(data) == "string" then return write_string(f, path, data) end
  local source <close> = reading(data, "file.write")
  for item in source do
    if type(item) ~= "string" and type(item) ~= "number" then
      error(("bad item for 'file.write' (must be a string or a number, got "
        .. "%s)"):format(args.shown(item)), 0)
    end
    write_string(f, path, tostring(item))
  end
end


-- Write to a file of its own beside the target, which then takes its place;
-- nil, the reason and its number, if there can be none. What is to get certain
-- rights nobody else may open before.
local function replace (target, path, data, mode, uid, gid)
  local folder = target:match "^.*/" or ""
  local temporary, f, reason, errno
  local done = false
  -- there before the file is: else it might lack the memory
  local _ <close> = setmetatable({}, { __close = function ()
    if f then f:close() end
    if f and not done then os.remove(temporary) end
  end })
  for _ = 1, 100 do
    temporary = ("%s.neap-%08x"):format(folder, math.random(0, 0xffffffff))
    f, reason, errno = open(temporary, "x", mode and 384 or 438)
    if f or errno ~= EEXIST then break end
  end
  if not f then return nil, reason, errno end
  if mode then
    local ok
    ok, reason, errno = f:assign(mode, uid, gid)
    if not ok then return nil, reason, errno end
  end
  write_all(f, path, data)
  must(path, f:finish())
  must(path, rename(temporary, target))
  done = true
  return true
end


local function write (path, data, opts)
  local append = opts.append
  local target, kind, mode, uid, gid = must(path, find(path))
  if not append and (kind == "file" or kind == "none") then
    local done, reason, errno = replace(target, path, data, opts.mode or mode,
      uid, gid)
    if done then return end
    if kind == "none" or opts.mode or not DENIED[errno] then
      fail(path, reason, errno)
    end
  end
  local how = append and "a" or kind == "link" and "w" or "o"
  local f <close> = must(path, open(path, how, opts.mode))
  write_all(f, path, data)
  must(path, f:finish())
end


local valid = { append = "boolean", mode = "natural", signal = "signal" }


--- Write a file. The data goes to a file beside it, which takes its place when
-- all has been written: others see the old contents or the new ones, and on an
-- error or a cancel the old ones stay. Links are followed, and owner, group and
-- rights of a file that is there are kept. What is no plain file (a device, a
-- pipe) is written in place, and so is what is appended, what a link leads to
-- that has no name or is not there yet, and a file beside which none can be
-- made, or none of its owner (with `mode`, that fails). Suspends.
-- @function neap.file.write
-- @tparam string path
-- @tparam string|items data a string, or items that are strings or numbers
-- @tparam[opt] table options as follows
-- @tparam[opt=false] boolean options.append add to the end of the file
-- @tparam[opt] integer options.mode rights as for chmod, `tonumber("644", 8)`;
-- those of a new file are 666, less the process's umask
-- @tparam[opt] signal options.signal ends it with the signal's reason
-- @raise a `FileError`, or what the items raise
function file.write (path, data, options)
  if type(path) ~= "string" or path == "" or path:find("\0", 1, true) then
    args.fail(1, "file.write", "path", "a path", path)
  end
  if type(data) ~= "string" and not args.are_items(data) then
    args.fail(2, "file.write", "data", "a string or items", data)
  end
  local opts = args.options(options, 3, "file.write", valid)
  args.enter("file.write")
  if opts.signal == nil then return write(path, data, opts) end
  return with_signal(opts.signal, write, path, data, opts)
end


return { file = file }
