--- What specs share: runs on the virtual clock that must leave nothing behind.

local assert = require "luassert"
local busted = require "busted"
local neap = require "neap"

local internal = require("neap.core").internal
local stats = internal.stats

local support = {}


--- Raise if the scheduler is not as empty as it was made.
function support.assert_empty ()
  local left = stats()
  assert.equal(0, left.live, "tasks left:\n" .. neap.dump())
  assert.equal(0, left.ended, "tasks that have ended are kept")
  assert.equal(0, left.scopes, "scopes left")
  assert.equal(0, left.timers, "timers left")
  assert.equal(0, left.external, "tasks waiting for descriptors left")
  assert.same({}, neap.tasks())
end


-- After each spec the scheduler must be empty, and is made so: one that fails
-- must not make the next one fail. (This file is loaded anew for each file of
-- specs.)
local function tidy (element, parent, status)
  local left
  if status == "success" and not pcall(support.assert_empty) then
    collectgarbage() -- a signal that was dropped may still have its alarm
    collectgarbage()
    local ok, message = pcall(support.assert_empty)
    if not ok then left = message end
  end
  neap.hooks { on_suppressed = false, on_unhandled = false }
  internal.end_all()
  if left then
    busted.publish({ "failure", "it" }, element, parent,
      "left behind: " .. tostring(left))
  end
  return nil, true
end

if not rawget(busted, "neap_tidy") then
  busted.subscribe({ "test", "end" }, tidy)
  rawset(busted, "neap_tidy", true)
end


--- Run `fn(...)` on a fresh virtual clock, check that nothing is left, and
-- return its results or raise its error unchanged.
function support.run (fn, ...)
  neap.clock "virtual"
  local results = table.pack(pcall(neap.run, fn, ...))
  support.assert_empty()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end


--- `it` with the body run by `support.run`: the usual way to write a spec.
function support.task (fn)
  return function () support.run(fn) end
end


--- The error that `fn(...)` raises; fails if it raises none.
function support.error_of (fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "an error was expected")
  return err
end


--- What a program prints, to stdout and stderr, that is run by itself, perhaps
-- in another folder; `neap` is there, but not yet for what is to come `before`.
-- It must end well.
function support.printed_by (text, before, folder)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(before or "", '\nlocal neap = require "neap"\n',
    "io.stdout:setvbuf 'no'\n", text)
  file:close()
  local command = "cd '%s'; LUA_PATH='%s' LUA_CPATH='%s' %s %s </dev/null 2>&1"
  local pipe = io.popen(command:format(folder or ".", package.path,
    package.cpath, os.getenv "LUA" or "lua5.4", name))
  local output = pipe:read "a"
  local ended_well = pipe:close()
  os.remove(name)
  assert.is_true(ended_well, output)
  return output
end


--- Call `fn` with the name of a new folder, which is then removed.
function support.with_folder (fn)
  local pipe <close> = io.popen "mktemp -d"
  local folder = pipe:read "l"
  local _ <close> = setmetatable({}, { __close = function ()
    os.execute("rm -r '" .. folder .. "'")
  end })
  return fn(folder)
end


--- A function that always fails, and a list of the times of its calls.
function support.failing (err)
  local times = {}
  return function ()
    times[#times + 1] = neap.now()
    error(err, 0)
  end, times
end


--- A function that notes its arguments, as one string with the time; called
-- without any it returns the notes. (log "a" at 2 s: "a@2")
function support.recorder ()
  local notes = {}
  return function (...)
    if select("#", ...) == 0 then return notes end
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    notes[#notes + 1] = ("%s@%g"):format(table.concat(words, " "), neap.now())
  end
end


--- A function that notes what happens, as words in order; called without one
-- it returns them as one string.
function support.notes ()
  local words = {}
  return function (word)
    if not word then return table.concat(words, " ") end
    words[#words + 1] = word
  end
end


--- A function that notes a word (`log` is `notes`).
function support.noter (log, word)
  return function () log(word) end
end


--- A function that notes when it runs and with what (`log` is a recorder),
-- takes `seconds`, and returns its arguments.
function support.noting (log, seconds)
  return function (...)
    log(...)
    if seconds then neap.sleep(seconds) end
    return ...
  end
end


--- Call `d` at these times, each with the time as its argument, and give what
-- came of it: "value@time" or "message@time", in the order of the calls
function support.calls (d, times)
  local outcomes, start = {}, neap.now()
  neap.scope(function (scope)
    for i, time in ipairs(times) do
      scope:spawn(function ()
        neap.sleep(time)
        local ok, value = pcall(d, time)
        if not ok and type(value) == "table" then value = value.message end
        outcomes[i] = ("%s@%g"):format(value, neap.now() - start)
      end)
    end
  end)
  return outcomes
end


--- A list of what a loop over an iterator gives: `list(stream)`.
function support.list (...)
  local result = {}
  for v in ... do result[#result + 1] = v end
  return result
end


--- How many random programs to play: `n`, or fewer where NEAP_SEEDS says so,
-- as it does under valgrind.
function support.seeds (n)
  return math.min(n, tonumber(os.getenv "NEAP_SEEDS") or n)
end


--- How deep or how many: `n`, or a tenth of it while the collector never rests
-- (NEAP_GC), for it looks at all coroutines again and again, and under valgrind
-- (NEAP_SEEDS).
function support.amount (n)
  local slow = os.getenv "NEAP_GC" or os.getenv "NEAP_SEEDS"
  return slow and n // 10 or n
end


--- Bytes in use when all that can be collected has been.
function support.memory ()
  for _ = 1, 4 do collectgarbage() end
  return collectgarbage "count" * 1024
end


--- Fail if `fn`, called twice to warm up, then needs more memory after `n`
-- further calls than `slack` bytes, and again after `n` more: what is kept to
-- be used again may become more once, what leaks does so every time.
function support.assert_flat (n, fn, slack)
  for _ = 1, 2 do fn() end
  local grown
  for _ = 1, 2 do
    local before = support.memory()
    for _ = 1, n do fn() end
    grown = support.memory() - before
    if grown <= (slack or 2048) then return end
  end
  error(("%d calls left %d bytes behind"):format(n, grown), 2)
end


-- "a-[b|]" -> { { 0, "a" }, { 2, "b" }, { 2, "|" } }
local function marble_events (diagram)
  local events, time, at_once = {}, 0, false
  for sign in diagram:gmatch "." do
    if sign == "[" or sign == "]" then
      at_once = sign == "["
    elseif sign ~= "-" then
      events[#events + 1] = { time, sign }
    end
    if not at_once then time = time + 1 end
  end
  return events
end


--- A source of items that come as a marble diagram says, a second for each
-- sign: `-` nothing, a letter an item, `|` the end, `#` the error "#"; what is
-- in brackets comes at once. Counts how often it is closed: `closed`.
function support.marbles (diagram)
  local events, i, start = marble_events(diagram), 0, nil
  return setmetatable({ closed = 0 }, {
    __call = function ()
      start = start or neap.now()
      i = i + 1
      local time, sign = table.unpack(events[i])
      if start + time > neap.now() then neap.sleep_until(start + time) end
      if sign == "#" then error("#", 0) end
      return sign ~= "|" and sign or nil
    end,
    __neap_close = function (source) source.closed = source.closed + 1 end,
  })
end


--- The diagram of what an iterator gives from now on, to its end or error. With
-- `busy` the consumer takes as many seconds over each item.
function support.diagram (iterator, busy)
  local times, start = {}, neap.now()
  local function note (sign)
    local t = neap.now() - start
    times[t] = (times[t] or "") .. sign
    times.last = t
  end
  repeat
    local ok, item = pcall(iterator)
    note(not ok and "#" or item == nil and "|" or tostring(item))
    if busy and item ~= nil then neap.sleep(busy) end
  until not ok or item == nil
  local signs = {}
  for t = 0, times.last do
    local sign = times[t] or "-"
    signs[#signs + 1] = #sign > 1 and "[" .. sign .. "]" or sign
  end
  return table.concat(signs)
end


return support
