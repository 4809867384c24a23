--- Progress: how far a long piece of work is, as a bar on a terminal and as
-- plain lines elsewhere.
--
-- @module neap.progress

local args = require "neap.args"
local core = require "neap.core"

local columns = core.internal.columns
local now = core.now
local floor, huge, max, min = math.floor, math.huge, math.max, math.min

-- seconds between two drawings, and between two plain lines where tenths of
-- the whole do not come faster
local REDRAW, LINE = 0.05, 10

-- columns: the longest bar, the shortest one, and what is left to the numbers,
-- at least: a bar is not to change its length when they get one digit more
local LONGEST, SHORTEST = 40, 7
local NUMBERS = { items = 36, bytes = 48 }

local SIZES = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" }

local Progress = { __name = "neap.progress" }
Progress.__index = Progress

local valid = {
  label = "string", unit = { "items", "bytes" }, file = "file",
  width = "natural", enabled = "boolean", terminal = "boolean",
  ascii = "boolean",
}


-- ------------------------------------------------------------------------
-- Numbers


local function count (n)
  return n == floor(n) and ("%.0f"):format(n) or ("%.1f"):format(n)
end


-- which of SIZES a number of bytes is shown in
local function size_of (bytes)
  local i = 1
  while bytes >= 1023.95 and i < #SIZES do
    bytes, i = bytes / 1024, i + 1
  end
  return i
end


local function in_size (bytes, i)
  return (i == 1 and "%.0f" or "%.1f"):format(bytes / 1024 ^ (i - 1))
end


local function duration (seconds)
  local s = floor(seconds + 0.5)
  if s < 3600 then return ("%d:%02d"):format(s // 60, s % 60) end
  if s >= 360000 then return ("%.0f d"):format(s / 86400) end
  return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60)
end


-- nil when the whole is not known, or has no end
local function whole (bar)
  return bar.total ~= huge and bar.total or nil
end


-- "31/50", "15.5/25.0 MiB"; "31" when the whole is not known
local function amount (bar)
  local done, total = bar.done, whole(bar)
  if bar.unit == "bytes" then
    local i = size_of(total or done)
    local text = total and in_size(done, i) .. "/" .. in_size(total, i)
      or in_size(done, i)
    return text .. " " .. SIZES[i]
  end
  return total and count(done) .. "/" .. count(total) or count(done)
end


local function rate (bar, per_second)
  local time = "s"
  if per_second < 1 then per_second, time = per_second * 60, "min" end
  if bar.unit == "bytes" then
    local i = size_of(per_second)
    return ("%s %s/%s"):format(in_size(per_second, i), SIZES[i], time)
  end
  local format = per_second >= 99.5 and "%.0f/%s" or "%.1f/%s"
  return format:format(per_second, time)
end


-- between 0 and 1, nil when the whole is not known
local function fraction (bar)
  local total = whole(bar)
  if total == nil then return nil end
  return total <= 0 and 1 or min(bar.done / total, 1)
end


-- the part after the label: "62 %", "31/50", "12.4/s", "0:02 left"
local function facts (bar)
  local list = {}
  local elapsed = now() - bar.start
  local part = fraction(bar)
  if part ~= nil then list[1] = ("%3d %%"):format(floor(part * 100)) end
  list[#list + 1] = amount(bar)
  if elapsed > 0 and bar.done > 0 then
    local speed = bar.done / elapsed
    list[#list + 1] = rate(bar, speed)
    if part ~= nil and part < 1 and not bar.finished then
      list[#list + 1] = duration((bar.total - bar.done) / speed) .. " left"
    end
  end
  if bar.finished then list[#list + 1] = "in " .. duration(elapsed) end
  return list
end


-- ------------------------------------------------------------------------
-- On a terminal


local eighths = { "▏", "▎", "▍", "▌", "▋", "▊", "▉" }


-- a bar of so many columns, its ends included
local function drawn (bar, part, width)
  local inner = width - 2
  if bar.ascii then
    local full = floor(part * inner)
    return "[" .. ("#"):rep(full) .. (" "):rep(inner - full) .. "]"
  end
  local full = floor(part * inner * 8)
  local rest = eighths[full % 8] or ""
  full = full // 8
  return "▕" .. ("█"):rep(full) .. rest
    .. (" "):rep(inner - full - (rest ~= "" and 1 or 0)) .. "▏"
end


-- the first 'n' characters of a text in UTF-8
local function cut (text, n)
  local stop = utf8.offset(text, n + 1)
  return stop ~= nil and text:sub(1, stop - 1) or text
end


-- as many of the facts as fit in so many columns, at least the first
local function fitting (list, room)
  local text = table.concat(list, "  ")
  while #text > room and #list > 1 do
    list[#list] = nil
    text = table.concat(list, "  ")
  end
  return text
end


local function draw (bar)
  local label = bar.label and bar.label .. " " or ""
  -- a full line would wrap
  local width = (bar.width or columns(bar.file) or 80) - 1
  local room = width - (utf8.len(label) or #label)
  local list = facts(bar)
  local line = table.concat(list, "  ")
  local part = fraction(bar)
  bar.numbers = max(bar.numbers, #line + 1)
  if part ~= nil and room - bar.numbers >= SHORTEST then
    line = drawn(bar, part, min(room - bar.numbers, LONGEST)) .. " " .. line
  else
    line = fitting(list, room)
  end
  bar.file:write("\r", cut(label .. line, width), "\27[K")
  bar.file:flush()
  bar.shown = true
end


local function wipe (bar)
  if bar.shown then bar.file:write "\r\27[K" end
  bar.shown = false
end


-- ------------------------------------------------------------------------
-- Elsewhere


local function write_line (bar)
  local prefix = bar.label and bar.label .. ": " or ""
  local words = table.concat(facts(bar), ", "):gsub("^%s+", "")
  bar.file:write(prefix, words, "\n")
  bar.file:flush()
end


-- has another tenth been done, or has it been long? The last line is left to
-- 'finish'.
local function line_is_due (bar, time)
  local part = fraction(bar) or 0
  local tenth = floor(part * 10)
  if part == 1 then return false end
  if tenth <= bar.tenth and time < bar.due then return false end
  bar.tenth = max(tenth, bar.tenth)
  bar.due = time + LINE
  return true
end


-- ------------------------------------------------------------------------
-- The object


local function check (bar, fname)
  args.self(bar, Progress, fname, "a progress bar")
end


local function update (bar, done, total)
  if bar.finished then return end
  bar.done, bar.total = done, total or bar.total
  if not bar.enabled then return end
  local time = now()
  if not bar.terminal then
    if line_is_due(bar, time) then write_line(bar) end
  elseif time >= bar.due then
    bar.due = time + REDRAW
    draw(bar)
  end
end


local function check_counts (done, total, fname)
  args.seconds(done, 1, fname, "done")
  if total ~= nil then args.seconds(total, 2, fname, "total") end
end


--- Tell how much is done. Draws at most twenty times a second; elsewhere
-- writes a line for each tenth, or after ten seconds. `bar(done, total)` does
-- the same, so that a bar can be the `on_progress` of a pool. Does not
-- suspend.
-- @function bar:update
-- @tparam number done
-- @tparam[opt] number total from now on; nil leaves it as it is
function Progress:update (done, total)
  check(self, "update")
  check_counts(done, total, "update")
  update(self, done, total)
end


function Progress:__call (done, total)
  check_counts(done, total, "bar")
  update(self, done, total)
end


--- Write a line above the bar. Does not suspend.
-- @function bar:print
-- @param ... what `print` takes
function Progress:print (...)
  check(self, "print")
  if not self.enabled then return end
  local words = table.pack(...)
  for i = 1, words.n do words[i] = tostring(words[i]) end
  local shown = self.shown
  wipe(self)
  self.file:write(table.concat(words, "\t"), "\n")
  if shown then draw(self) else self.file:flush() end
end


--- Show the last state and end the line; what comes later is ignored. This is
-- also what happens at the end of a block with `local bar <close> = ...`, so
-- that an error's message begins a line. Does not suspend.
-- @function bar:finish
function Progress:finish ()
  check(self, "finish")
  if self.finished then return end
  self.finished = true
  if not self.enabled then return end
  if self.terminal then
    draw(self)
    self.file:write "\n"
    self.file:flush()
    self.shown = false
  else
    write_line(self)
  end
end


function Progress:__close ()
  self:finish()
end


local function is_utf8 ()
  local locale = os.getenv "LC_ALL" or ""
  if locale == "" then locale = os.getenv "LC_CTYPE" or "" end
  if locale == "" then locale = os.getenv "LANG" or "" end
  return locale:lower():find "utf%-?8" ~= nil
end


--- Show the progress of something. Does not suspend.
-- @tparam[opt] number total how much there is to do; nil when that is not
-- known: then only count and rate are shown
-- @tparam[opt] table options as follows
-- @tparam[opt] string options.label what it is that makes progress
-- @tparam[opt="items"] string options.unit what is counted: "items", or
-- "bytes", which are shown as KiB (1024 bytes), MiB and so on
-- @tparam[opt=io.stderr] file options.file anything with `write` and `flush`
-- @tparam[opt] boolean options.terminal draw a bar; by default if `file` is a
-- terminal
-- @tparam[opt] integer options.width columns; by default those of the terminal
-- @tparam[opt] boolean options.ascii draw with plain characters; by default
-- unless the locale is one of UTF-8
-- @tparam[opt=true] boolean options.enabled false shows nothing at all
-- @treturn bar with `bar:update(done, total)`, `bar(done, total)`,
-- `bar:print(...)` and `bar:finish()`
local function progress (total, options)
  if total ~= nil then args.seconds(total, 1, "progress", "total") end
  options = args.options(options, 2, "progress", valid)
  local file = options.file or io.stderr
  local terminal, ascii, enabled =
    options.terminal, options.ascii, options.enabled
  if terminal == nil then terminal = columns(file) ~= nil end
  if ascii == nil then ascii = not is_utf8() end
  local time = now()
  return setmetatable({
    total = total,
    done = 0,
    start = time,
    due = terminal and time or time + LINE, -- when to show it next
    tenth = 0, -- for how many of them there was a line
    label = options.label,
    unit = options.unit or "items",
    numbers = NUMBERS[options.unit or "items"],
    file = file,
    width = options.width,
    terminal = terminal,
    ascii = ascii,
    enabled = enabled ~= false,
    shown = false, -- is there a bar on the screen?
    finished = false,
  }, Progress)
end


return { progress = progress }
