--- Random pools against a model: the same items run in the same order, at the
-- same times, and the same comes of it.
--
-- Items wait, or do not, may leave themselves out, stop the pool or fail, clean
-- up for some time when they are cancelled, and then pass the cancellation on,
-- swallow it or fail. The pool may have a slow source, which may fail, a
-- deadline for each item, errors that are kept, and a signal that is aborted.
-- No two things happen at the same time but those that must.

local neap = require "neap"
local support = require "spec.support"

local huge = math.huge


-- what a pool of these items should do, from one moment to the next at which
-- something happens
local function model (case)
  local m = { starts = {}, results = {}, suppressed = {}, done = 0 }
  local time, taken, stop, full = 0, 0, huge, case.group or huge
  local running, active, errors = {}, 0, {}
  local pull_ends, exhausted, source_over, first, aborted
  local end_item

  local function suppress (err) table.insert(m.suppressed, err) end
  local fail

  -- its deadline has come, or the pool or, by STOP, its worker is cancelled
  local function cut (item, by)
    if by == "pool" then item.outer = true end
    if item.cleans or item.shield then return end
    item.cleans, item.cut, item.deadline = true, by, huge
    item.wakes = time + (item.cleanup or 0)
    if not item.cleanup then end_item(item) end
  end

  local function cut_from (index)
    local pulling = pull_ends
    pull_ends = nil
    for i = index, taken do
      if running[i] then cut(running[i], "pool") end
    end
    if pulling and case.swallows then -- it goes on: an item would be dropped
      source_over = taken + 1 == case.source_fails or taken == #case.items
      if taken + 1 == case.source_fails then fail "source" end
    end
  end

  function fail (err)
    if first then return suppress(err) end
    first, exhausted = { err = err }, true
    if not aborted then cut_from(1) end
  end

  local function value_of (item)
    if item.what == "stop" then
      stop, exhausted = math.min(stop, item.index), true
      for i, err in pairs(errors) do
        if i > stop then
          suppress(err)
          errors[i] = nil
        end
      end
      cut_from(stop + 1)
    elseif item.what ~= "skip" then
      m.results[item.index] = item.index
    end
  end

  -- "values", "cancelled", or an error
  local function outcome (item)
    if not item.cleans then
      return item.what == "fail" and "fail " .. item.index or "values"
    elseif item.after == "fail" then
      return "clean " .. item.index
    elseif item.cut == "item" then
      return item.outer and "cancelled" or "Timeout"
    end
    return item.after == "pass" and "cancelled" or "values"
  end

  function end_item (item)
    local how = outcome(item)
    running[item.index], active = nil, active - 1
    if how == "cancelled" then return end
    if how == "values" then
      value_of(item)
    elseif item.index > stop then
      suppress(how)
    elseif case.stop_on_error then
      return fail(how)
    else
      errors[item.index] = how
    end
    m.done = m.done + 1
  end

  local function start (index)
    local item = setmetatable({ index = index },
      { __index = case.items[index] })
    taken, running[index], active = index, item, active + 1
    m.starts[index] = time
    item.wakes = time + item.takes
    item.deadline = time + case.item_timeout
    if item.takes == 0 then end_item(item) end
  end

  -- whoever is free takes what can be taken now
  local function take ()
    while not (exhausted or pull_ends) and active < case.concurrency do
      if taken >= full then
        if active > 0 then return end
        full = full + case.group
      end
      if case.pulls then
        pull_ends = time + case.pulls[taken + 1]
      elseif taken == #case.items then
        exhausted = true
      else
        start(taken + 1)
      end
    end
  end

  local function pulled ()
    pull_ends = nil
    if taken + 1 == case.source_fails then
      source_over = true
      fail "source"
    elseif taken == #case.items then
      source_over, exhausted = true, true
    else
      start(taken + 1)
    end
  end

  take()
  while active > 0 or pull_ends do
    local next_item
    time = pull_ends or huge
    for i = 1, taken do
      local item = running[i]
      local at = item and math.min(item.wakes, item.deadline)
      if item and at < time then next_item, time = item, at end
    end
    if case.abort_at < time and not aborted then
      time, aborted, exhausted = case.abort_at, true, true
      if not first then cut_from(1) end
    elseif not next_item then
      pulled()
    elseif next_item.wakes <= next_item.deadline then
      end_item(next_item)
    else
      next_item.deadline = huge
      cut(next_item, "item")
    end
    take()
  end

  local closes = case.pulls and not source_over
  m.closed = closes and 1 or 0
  m.time = time + (closes and case.closing or 0)
  local kept = {}
  for i = 1, taken do kept[#kept + 1] = errors[i] end
  if first or aborted then
    m.err = first and first.err or "This operation was aborted"
    for _, err in ipairs(kept) do suppress(err) end
  elseif kept[1] then
    m.err = table.concat(kept, ", ")
  elseif closes and case.close_fails then
    m.err = "closing"
  else
    local packed = {}
    for i = 1, math.min(taken, stop - 1) do
      packed[#packed + 1] = m.results[i]
    end
    m.results = packed
  end
  if closes and case.close_fails and m.err ~= "closing" then
    suppress "closing"
  end
  table.sort(m.suppressed)
  return m
end


local function random_case (seed)
  math.randomseed(seed)
  local function chance (p) return math.random() < p end
  local function one_of (list) return list[math.random(#list)] end
  local kind = one_of { "pool", "pool", "pool", "pool", "parallel",
    "sequential", "batched" }
  local case = { kind = kind, items = {}, concurrency = math.random(1, 5),
    stop_on_error = true, item_timeout = huge, abort_at = huge }
  local calm = chance(0.3) -- few things go wrong
  local stops = chance(0.3) and 0.25 or 0.08
  local children = chance(0.3)
  local distinct = children or chance(0.3) -- no two items begin at once
  for i = 1, math.random(0, 15) do
    local item = { child = children,
      takes = chance(0.2) and not distinct and 0 or math.random() * 10 }
    local what = math.random() * (calm and 3 or 1)
    item.what = what < stops and "stop" or what < stops + 0.1 and "fail"
      or what < stops + 0.27 and "skip" or "value"
    item.shield = item.takes > 0 and chance(0.1)
    if chance(0.5) then item.cleanup = math.random() * 5 end
    item.after = item.cleanup and chance(0.5) and one_of { "return", "fail" }
      or "pass"
    case.items[i] = item
  end
  if distinct or chance(0.5) then
    case.pulls = {}
    for i = 1, #case.items + 1 do
      case.pulls[i] = chance(0.3) and not distinct and 0
        or math.random() * 3
    end
    if chance(0.2) then case.source_fails = math.random(#case.items + 1) end
    case.swallows = chance(0.3)
    case.closing = chance(0.3) and math.random() or 0
    case.close_fails = chance(0.1)
  end
  if chance(0.2) then case.abort_at = math.random() * 20 end
  if kind == "pool" then
    case.stop_on_error = chance(0.5)
    if distinct then case.item_timeout = 1 + math.random() * 8 end
  elseif kind == "batched" then
    case.group = case.concurrency
  else
    case.concurrency = kind == "sequential" and 1 or huge
  end
  return case
end


-- an iterator over the items, each of which takes its time
local function slow_source (case, got)
  local pulled, pulling = 0, false
  return setmetatable({}, {
    __call = function ()
      assert(not pulling, "pulled twice at a time")
      pulling = true
      local _ <close> = setmetatable({}, { __close = function ()
        pulling = false
      end })
      local seconds = case.pulls[pulled + 1]
      if seconds > 0 then
        if case.swallows then pcall(neap.sleep, seconds)
        else neap.sleep(seconds) end
      end
      pulled = pulled + 1
      if pulled == case.source_fails then error("source", 0) end
      return case.items[pulled]
    end,
    __neap_close = function ()
      got.closed = got.closed + 1
      if case.closing > 0 then neap.sleep(case.closing) end
      if case.close_fails then error("closing", 0) end
    end,
  })
end


local answers = { stop = neap.STOP, skip = neap.SKIP }

local function do_work (item, index)
  local ok, err = true, nil
  if item.shield then
    neap.shield(neap.sleep, item.takes)
  elseif item.takes > 0 then
    ok, err = pcall(neap.sleep, item.takes)
  end
  if not ok then
    if item.cleanup then neap.shield(neap.sleep, item.cleanup) end
    if item.after == "fail" then error("clean " .. index, 0) end
    if item.after == "pass" then error(err, 0) end
  elseif item.what == "fail" then
    error("fail " .. index, 0)
  end
end

-- in a task of its own, it may be, for which the item's scope waits
local function work (item, index, got)
  got.starts[index] = neap.now()
  if item.child then
    neap.spawn(do_work, item, index)
  else
    do_work(item, index)
  end
  return answers[item.what] or index
end


-- what an error says, or all those that were kept
local function words (err)
  if type(err) ~= "table" then return err end
  if err.name ~= "AggregateError" then return err.message end
  local list = {}
  for i = 1, err.n do list[i] = words(err.errors[i]) end
  return table.concat(list, ", ")
end


local function play (case)
  local got = { starts = {}, suppressed = {}, closed = 0, done = 0 }
  local items = case.pulls and slow_source(case, got) or case.items
  local controller = neap.abort_controller()
  local options = { signal = controller.signal }
  local arguments = { items }
  if case.kind == "pool" then
    options.stop_on_error = case.stop_on_error
    options.item_timeout = case.item_timeout
    function options.on_progress (done, total)
      assert.equal(got.done + 1, done)
      assert.equal(not case.pulls and #case.items or nil, total)
      got.done = done
    end
  end
  if case.kind == "pool" or case.kind == "batched" then
    table.insert(arguments, case.concurrency)
  end
  table.insert(arguments, function (item, i) return work(item, i, got) end)
  table.insert(arguments, options)
  neap.hooks { on_suppressed = function (err)
    table.insert(got.suppressed, words(err))
  end }
  local abort = neap.async(function ()
    neap.sleep(case.abort_at)
    controller:abort()
  end)
  local ok, results = pcall(neap[case.kind], table.unpack(arguments))
  got.time = neap.now()
  abort:cancel()
  neap.hooks { on_suppressed = false }
  if ok then
    assert.equal(#results, results.n)
    results.n = nil
    got.results = results
  else
    got.err = words(results)
  end
  table.sort(got.suppressed)
  return got
end


describe("pool, parallel, batched, sequential and a model", function ()

  local compared = { "err", "time", "starts", "suppressed", "closed" }

  it("POOL-09 POOL-10 POOL-12 POOL-15 POOL-16 POOL-18 POOL-19 agree on "
    .. "random items, sources and endings", function ()
    for seed = 1, support.seeds(1000) do
      local case = random_case(seed)
      local expected, got = model(case), support.run(play, case)
      for _, what in ipairs(compared) do
        assert.same(expected[what], got[what], "seed " .. seed .. ": " .. what)
      end
      if not expected.err then
        assert.same(expected.results, got.results, "seed " .. seed)
      end
      if case.kind == "pool" then
        assert.equal(expected.done, got.done, "seed " .. seed)
      end
    end
  end)

end)
