--- Several sources as one stream: merge, zip, concat.
--
-- @module neap.merge

local ahead = require "neap.ahead"
local args = require "neap.args"
local core = require "neap.core"

local new_channel, scope = core.channel, core.scope
local check_over, read = core.internal.check_over, core.internal.read
local close_all, pump = ahead.close_all, ahead.pump
local current, new_event = core.current, core.event
local stream_of, take_over = core.internal.stream_of, core.internal.take_over
local unpack = table.unpack


-- The streams of a kind over some items; to be called by the public function.
-- What the call of a generator function gives besides the generator is no item.
local function streams_over (fname, kind, ...)
  local all, n = { ... }, select("#", ...)
  if n > 3 and all[n - 1] == nil and all[n - 2] == nil then n = n - 3 end
  for i = 1, n do
    if not args.are_items(all[i]) then
      args.fail(i, fname, "items", "a table, an iterator or a stream", all[i])
    end
  end
  local streams, seen = {}, {}
  for i = 1, n do args.items(all[i], i, fname, check_over, seen) end
  for i = 1, n do
    streams[i] = args.items(all[i], i, fname, take_over, kind)
  end
  return streams
end


-- ------------------------------------------------------------------------
-- Merge: a task for each source, all send to one channel


local function merge_all (work)
  scope(function (s)
    for _, stream in ipairs(work.streams) do
      s:spawn(pump, work, stream, work.channel, read)
    end
  end)
end


local Merged = ahead.class("neap.merge", function (work)
  return ahead.receive(work, work.channel)
end)


--- Give the items of all sources as they come, in order for each source. The
-- first error, when the consumer comes to it, ends all: the others are
-- cancelled and closed, and it is raised. At most one item of each source is
-- read ahead. Does not suspend.
-- @param ... tables, iterators or streams
-- @treturn stream
local function merge (...)
  return ahead.stream(Merged, {
    streams = streams_over("merge", "whole", ...),
    run = merge_all,
    channel = new_channel(),
  })
end


-- ------------------------------------------------------------------------
-- Zip: a task for each source, all are asked for an item of the next row


-- the task of source `i`
local function give_values (work, i)
  local asked, stream = work.asked[i], work.streams[i]
  while not work.over do
    asked:wait()
    asked:clear()
    local ok, value = read(stream)
    if not ok then error(value, 0) end
    if value == nil then work.over = true end
    work.row[i] = value -- first: there may be no memory for it
    work.missing = work.missing - 1
    if work.over or work.missing == 0 then work.changed:set() end
  end
end


local function zip_all (work)
  scope(function (s)
    for i in ipairs(work.streams) do s:spawn(give_values, work, i) end
  end)
end


-- the row is whole, or there is none
local function row_of (work)
  if work.over then return ahead.stop(work) end
  local row = work.row
  work.row = nil
  return unpack(row, 1, #work.streams)
end


local function take_row (work)
  if work.row == nil then
    work.row, work.missing = {}, #work.streams
    for _, asked in ipairs(work.asked) do asked:set() end
  end
  while not work.over and work.missing > 0 do
    if ahead.has_ended(work) then return ahead.finish(work) end
    ahead.wait(work)
  end
  return row_of(work)
end


-- where nothing can wait: one after the other
local function take_row_here (work)
  work.row = work.row or {}
  for i = #work.row + 1, #work.streams do
    local value = work.streams[i]()
    work.row[i] = value
    if value == nil then work.over = true break end
  end
  return row_of(work)
end


local Zipped = ahead.class("neap.zip", take_row)
local call = Zipped.__call

function Zipped.__call (source)
  local work = source.work
  if current() == nil and work.task == nil then return take_row_here(work) end
  return call(source)
end


--- Give the items of several sources side by side: the first of each, then the
-- second of each, as the values of one item. The sources are asked at the same
-- time. When the first of them has ended the others are closed; so they are
-- when one raises an error. Does not suspend.
-- @param ... tables, iterators or streams
-- @treturn stream
local function zip (...)
  local streams = streams_over("zip", "plain", ...)
  local asked = {}
  for i in ipairs(streams) do asked[i] = new_event() end
  return ahead.stream(Zipped, {
    streams = streams,
    run = zip_all,
    asked = asked, -- events: of which source a value is wanted
    row = nil, -- values, while some are missing
    missing = nil, -- how many
    over = #streams == 0, -- a source has ended
  }, true)
end


-- ------------------------------------------------------------------------
-- Concat: one after the other, in the task of the consumer


local Concatenated = {
  __name = "neap.concat",
  __neap_close = function (concat) close_all(concat.streams) end,
}


local function go_on (concat, item, ...)
  if item ~= nil then return item, ... end
  concat.at = concat.at + 1
  local stream = concat.streams[concat.at]
  if stream ~= nil then return go_on(concat, stream()) end
end


function Concatenated.__call (concat)
  local stream = concat.streams[concat.at]
  if stream ~= nil then return go_on(concat, stream()) end
end


--- Give the items of the first source, then those of the second, and so on.
-- When the stream ends early, also those are closed that it has not come to.
-- Does not suspend.
-- @param ... tables, iterators or streams
-- @treturn stream
local function concat (...)
  return stream_of(setmetatable({
    streams = streams_over("concat", "plain", ...),
    at = 1, -- the one that is read
  }, Concatenated))
end


return { concat = concat, merge = merge, zip = zip }
