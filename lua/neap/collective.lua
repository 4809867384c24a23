--- Many at once: all, race, any, all_settled.
--
-- Each takes a list of functions, which are started and owned, and of
-- awaitables (tasks, futures, operations), which are only observed. All are
-- pools or scopes, so a loser has been cancelled and has unwound before the
-- call returns, and whoever only waited for an awaitable leaves it as it was.
--
-- @module neap.collective

local args = require "neap.args"
local core = require "neap.core"

local make_error, parallel, scope = core.error, core.parallel, core.scope
local protected = core.pcall -- cancellation passes
local suppress = core.internal.suppress
local is_callable = args.is_callable
local pack, unpack = table.pack, table.unpack


-- what waits for an awaitable, or nil
local function awaiter (entry)
  local meta = getmetatable(entry)
  return type(meta) == "table" and rawget(meta, "__neap_await") or nil
end


-- the outcome of an entry
local function outcome (entry)
  local await = awaiter(entry)
  if await ~= nil then return await(entry) end
  return entry()
end


-- check the list before anything has begun; how many entries it has
local function check (list, fname)
  if type(list) ~= "table" or is_callable(list) then
    args.fail(1, fname, "list", "a table", list, 1)
  end
  local function check_entry (key, entry)
    if awaiter(entry) == nil and not is_callable(entry) then
      args.fail(1, fname, ("list[%s]"):format(key),
        "a function, a task, a future or an operation", entry, 2)
    end
  end
  local n = math.type(list.n) == "integer" and list.n or #list
  for i = 1, n do check_entry(i, list[i]) end
  if n == 0 then
    for key, entry in pairs(list) do
      if key ~= "n" then
        check_entry(key, entry)
        n = n + 1
      end
    end
  end
  return n
end


--- Wait for all. Suspends.
-- @tparam table list functions, which are started in order, and awaitables; a
-- sequence, or a table with keys
-- @treturn table the first value of each, in the order of the list (with `n`)
-- or with its keys
-- @raise the first error; the other functions are cancelled and have unwound
local function all (list)
  check(list, "all")
  args.enter "all"
  return parallel(list, outcome)
end


-- what pcall gave, as an entry of all_settled
local function settled (ok, ...)
  if ok then
    return { status = "fulfilled", value = (...), values = pack(...) }
  end
  return { status = "rejected", reason = (...) }
end


local function settle (entry)
  return settled(protected(outcome, entry))
end


--- Wait for all to end, well or not. Suspends.
-- @tparam table list as for `neap.all`
-- @treturn table for each `{ status = "fulfilled", value =, values = }` (all
-- values, with `n`) or `{ status = "rejected", reason = }`
local function all_settled (list)
  check(list, "all_settled")
  args.enter "all_settled"
  return parallel(list, settle)
end


-- Run all entries until `decide(key, ok, ...)` says that it is decided; then
-- what runs is cancelled. Errors that come after that belong to nobody.
local function contest (list, decide)
  local decided = false

  local function judge (s, key, ok, ...)
    if decided then
      if not ok then suppress((...)) end
    elseif decide(key, ok, ...) then
      decided = true
      s:cancel()
    end
  end

  local function contend (s, key, entry)
    judge(s, key, protected(outcome, entry))
  end

  scope(function (s)
    local n = math.type(list.n) == "integer" and list.n or #list
    for i = 1, n do s:spawn(contend, s, i, list[i]) end
    if n == 0 then
      for key, entry in pairs(list) do
        if key ~= "n" then s:spawn(contend, s, key, entry) end
      end
    end
  end)
end


local function deliver (ok, ...)
  if ok then return ... end
  error((...), 0)
end


--- Wait for the first one to end, well or not. Suspends.
-- @tparam table list as for `neap.all`, with at least one entry
-- @return all that the first one returned
-- @raise the error of the first one
local function race (list)
  if check(list, "race") == 0 then
    args.fail(1, "race", "list", "a list with at least one entry", list)
  end
  args.enter "race"
  local first
  contest(list, function (_, ...)
    first = pack(...)
    return true
  end)
  return deliver(unpack(first, 1, first.n))
end


--- Wait for the first one to succeed. Suspends.
-- @tparam table list as for `neap.all`
-- @return all that it returned
-- @raise an AggregateError when all have failed, or there are none; `errors`
-- in the order of the list (with `n`) or with its keys
local function any (list)
  local n = check(list, "any")
  args.enter "any"
  local first
  local failures, failed = {}, 0
  contest(list, function (key, ...)
    if ... then
      first = pack(...)
      return true
    end
    failures[key], failed = select(2, ...), failed + 1
  end)
  if first ~= nil then return unpack(first, 2, first.n) end
  failures.n = n
  error(make_error("AggregateError", ("all %d failed"):format(failed),
    { errors = failures, n = n }), 0)
end


return { all = all, all_settled = all_settled, any = any, race = race }
