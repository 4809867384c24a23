--- Many at once: all, race, any, all_settled.
--
-- Each takes a list of functions, which are started and owned, and of
-- awaitables (tasks, futures, operations), which are only observed. All are
-- pools or scopes, so a loser has been cancelled and has unwound before the
-- call returns, and whoever only waited for an awaitable leaves it as it was.
--
-- Each function runs in a scope of its own: its outcome is there when all that
-- it spawned has ended, and what fails inside is the error of that one entry.
--
-- @module neap.collective

local args = require "neap.args"
local core = require "neap.core"

local attempt, cancelled = core.internal.attempt, core.cancelled
local make_error = core.error
local together = core.internal.all
local protected = core.pcall -- cancellation passes
local scope, suppress = core.scope, core.internal.suppress
local timeout = core.timeout -- takes what an entry may be
local is_callable = args.is_callable
local huge, pack, unpack = math.huge, table.pack, table.unpack


local function is_awaitable (entry)
  local meta = getmetatable(entry)
  return type(meta) == "table" and rawget(meta, "__neap_await") ~= nil
end


-- is it what `timeout` takes?
local function is_entry (value)
  return type(value) == "function" or is_callable(value) or is_awaitable(value)
end


local function check (entry, fname, key)
  if is_entry(entry) then return end
  args.fail(1, fname, ("list[%s]"):format(key),
    "a function, a task, a future or an operation", entry)
end


-- how many entries a sequence has; nil for a table with other keys
local function length (list)
  local n = list.n
  if math.type(n) == "integer" and n >= 0 then return n end
  n = rawlen(list)
  if n > 0 or next(list) == nil then return n end
end


-- A copy of the list, each entry checked, for nobody knows what becomes of the
-- list before all have begun; how many there are, and whether it is a sequence.
local function entries (list, fname)
  if type(list) ~= "table" or is_callable(list) then
    args.fail(1, fname, "list", "a table", list)
  end
  local copy, n = {}, length(list)
  if n ~= nil then
    for i = 1, n do
      local entry = list[i]
      -- a function is what an entry mostly is, and a call is not for nothing
      if type(entry) ~= "function" then check(entry, fname, i) end
      copy[i] = entry
    end
    return copy, n, true
  end
  n = 0
  for key, entry in pairs(list) do
    check(entry, fname, key)
    copy[key] = entry
    n = n + 1
  end
  return copy, n, false
end


--- Wait for all. Suspends.
-- @tparam table list functions, which are started in order, and awaitables; a
-- sequence, or a table with keys
-- @treturn table the first value of each, in the order of the list (with `n`)
-- or with its keys
-- @raise the first error; the other functions are cancelled and have unwound
local function all (list)
  local copy, n, is_sequence = entries(list, "all")
  args.enter "all"
  return together(copy, n, is_sequence)
end


-- An error that the result of a call is to tell, as any other value may be. It
-- is kept in `errors`, in case that the call raises.
local function keep (errors, err)
  errors.n = errors.n + 1
  errors[errors.n] = err
end


-- what a protected call gave; if it has raised, nobody else tells of what is
-- kept in `errors`
local function telling (errors, ok, ...)
  if ok then return ... end
  for i = 1, errors.n do suppress(errors[i]) end
  error((...), 0)
end


-- What pcall gave, as an entry of all_settled. What clean-up raised when all is
-- being cancelled is raised, as everywhere.
local function settled (errors, ok, ...)
  if ok then
    return { status = "fulfilled", value = (...), values = pack(...) }
  elseif cancelled() then
    error((...), 0)
  end
  keep(errors, (...))
  return { status = "rejected", reason = (...) }
end


local function settling (errors, entry)
  return function () return settled(errors, protected(timeout, entry, huge)) end
end


--- Wait for all to end, well or not. Suspends.
-- @tparam table list as for `neap.all`
-- @treturn table for each `{ status = "fulfilled", value =, values = }` (all
-- values, with `n`) or `{ status = "rejected", reason = }`. When the call is
-- cancelled, the hook on_suppressed is told of the errors that there are
local function all_settled (list)
  local copy, n, is_sequence = entries(list, "all_settled")
  args.enter "all_settled"
  local errors = { n = 0 }
  for key, entry in pairs(copy) do copy[key] = settling(errors, entry) end
  return telling(errors, pcall(together, copy, n, is_sequence))
end


-- Run all entries, in order, until `decide(key, ok, ...)` says that it is
-- decided; then what runs is cancelled, and errors that come after that belong
-- to nobody. If it raises, that decides, too: the scope raises it as the error
-- of a child.
local function contest (copy, n, is_sequence, decide)
  local decided = false

  local function judge (s, key, ok, ...)
    if decided then
      if not ok then suppress((...)) end
    elseif not ok and cancelled() then
      error((...), 0) -- of clean-up, when all is being cancelled
    elseif decide(key, ok, ...) then
      decided = true
      s:cancel()
    end
  end

  local function contend (s, key, entry)
    judge(s, key, attempt(timeout, entry, huge))
  end

  scope(function (s)
    if is_sequence then
      for i = 1, n do s:spawn(contend, s, i, copy[i]) end
    else
      for key, entry in pairs(copy) do s:spawn(contend, s, key, entry) end
    end
  end)
end


--- Wait for the first one to end, well or not. Suspends.
-- @tparam table list as for `neap.all`, with at least one entry
-- @return all that the first one returned
-- @raise the error of the first one
local function race (list)
  local copy, n, is_sequence = entries(list, "race")
  if n == 0 then
    args.blame("bad argument #1 to 'race' (list must be a list with at least "
      .. "one entry, got an empty table)")
  end
  args.enter "race"
  local first
  contest(copy, n, is_sequence, function (_, ok, ...)
    if not ok then error((...), 0) end
    first = pack(...)
    return true
  end)
  return unpack(first, 1, first.n)
end


--- Wait for the first one to succeed. Suspends.
-- @tparam table list as for `neap.all`
-- @return all that it returned
-- @raise an AggregateError when all have failed, or there are none; its
-- `errors` in the order of the list (with `n`) or with its keys, and `n`, how
-- many there are. When the call is cancelled, the hook on_suppressed is told of
-- the errors that there are
local function any (list)
  local copy, n, is_sequence = entries(list, "any")
  args.enter "any"
  local first
  local failures, errors = { n = is_sequence and n or nil }, { n = 0 }
  telling(errors, pcall(contest, copy, n, is_sequence, function (key, ok, ...)
    if ok then
      first = pack(...)
    else
      failures[key] = (...)
      keep(errors, (...))
    end
    return ok
  end))
  if first ~= nil then return unpack(first, 1, first.n) end
  error(make_error("AggregateError", ("none of %d succeeded"):format(n),
    { errors = failures, n = n }), 0)
end


return { all = all, all_settled = all_settled, any = any, race = race }
