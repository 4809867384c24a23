--- Generators and streams that several tasks read and close: against a model in
-- which there is one line of calls, each of which has its turn.
--
-- Each item takes its time, and so does the clean-up. A reader that is
-- cancelled in its turn ends a generator, whose body is unwound; of a stream
-- nothing is lost. Who has had its turn may cancel another one at once, even
-- the one that has the turn now. No other two things happen at once.

local neap = require "neap"
local support = require "spec.support"


local function model (case)
  local outcomes, line, time, given = {}, {}, 0, 0
  local active, ended, begun = nil, false, false
  local begin, cancel

  local function settle (call, what)
    outcomes[call.id] = ("%s@%.9g"):format(what, time)
    if what ~= "cancelled" then cancel(case.victims[call.id]) end
  end

  local function leave ()
    active = nil
    while line[1] and not active do begin(table.remove(line, 1)) end
  end

  local function finish ()
    if active.how == "read" then
      given = given + 1
      ended = given > case.items or given == case.fails
      settle(active.call, given == case.fails and "failed"
        or ended and "end" or "item " .. given)
    else -- it is closed now
      ended = true
      settle(active.call, active.how)
    end
    leave()
  end

  local function work (call, how, seconds)
    active = { call = call, how = how, ends = time + seconds }
    if seconds == 0 then finish() end
  end

  function begin (call)
    if ended then
      settle(call, call.what == "close" and "closed" or "end")
    elseif call.what == "next" then
      begun = true
      work(call, "read", case.takes[given + 1])
    else
      local cleans = case.kind == "stream" or begun
      work(call, "closed", cleans and case.cleanup or 0)
    end
  end

  function cancel (id)
    if ended then return end -- all have been told
    if active and active.call.id == id and active.how == "read" then
      if case.kind == "generator" then
        work(active.call, "cancelled", case.cleanup)
      else
        local call = active.call
        active = nil
        settle(call, "cancelled")
        leave()
      end
    end
    for i, call in ipairs(line) do
      if call.id == id and call.what == "next" then
        settle(table.remove(line, i), "cancelled")
        break
      end
    end
  end

  for _, event in ipairs(case.events) do
    while active and active.ends < event.at do
      time = active.ends
      finish()
    end
    time = event.at
    if event.what == "cancel" then
      cancel(event.id)
    elseif active then
      table.insert(line, event)
    else
      begin(event)
    end
  end
  while active do
    time = active.ends
    finish()
  end
  return outcomes
end


local function random_case (seed, kind)
  math.randomseed(seed)
  local case = { kind = kind, items = math.random(0, 12), takes = {},
    cleanup = math.random(2) == 1 and math.random() or 0,
    events = {}, victims = {} }
  for i = 1, case.items + 1 do
    case.takes[i] = math.random(3) == 1 and 0 or math.random() * 2
  end
  if math.random(4) == 1 then case.fails = math.random(case.items + 1) end
  local at = 0
  for id = 1, math.random(20) do
    at = at + math.random() ^ 3 * 3
    local closes = math.random(20) == 1
    table.insert(case.events, { at = at, id = id,
      what = closes and "close" or "next" })
    if math.random(4) == 1 then
      table.insert(case.events, { at = at + math.random() * 2, id = id,
        what = "cancel" })
    end
    if math.random(4) == 1 then case.victims[id] = id + math.random(3) end
  end
  table.sort(case.events, function (a, b) return a.at < b.at end)
  return case
end


local make = {}

function make.generator (case)
  return neap.generator(function (yield)
    local _ <close> = setmetatable({}, { __close = function ()
      if case.open and case.cleanup > 0 then
        neap.shield(neap.sleep, case.cleanup)
      end
    end })
    case.open = true
    for i = 1, case.items + 1 do
      if case.takes[i] > 0 then neap.sleep(case.takes[i]) end
      case.open = i ~= case.fails and i <= case.items
      if i == case.fails then error "failed" end
      if i <= case.items then yield(i) end
    end
  end)()
end

function make.stream (case)
  local given = 0
  return neap.stream(setmetatable({}, {
    __call = function ()
      local seconds = case.takes[given + 1]
      if seconds > 0 then neap.sleep(seconds) end
      given = given + 1
      if given == case.fails then error "failed" end
      return given <= case.items and given or nil
    end,
    __neap_close = function ()
      if case.cleanup > 0 then neap.shield(neap.sleep, case.cleanup) end
    end,
  }))
end


local function play (case)
  local object, tasks, outcomes = make[case.kind](case), {}, {}

  local function call (id, what)
    local ok, value = pcall(object[what], object)
    local outcome
    if ok then
      outcome = value and "item " .. value
        or what == "close" and "closed" or "end"
    else
      outcome = neap.is_abort(value) and "cancelled" or "failed"
    end
    outcomes[id] = ("%s@%.9g"):format(outcome, neap.now())
    local victim = tasks[case.victims[id]]
    if victim and outcome ~= "cancelled" then victim:cancel() end
  end

  for _, event in ipairs(case.events) do
    neap.sleep_until(event.at)
    if event.what == "cancel" then
      tasks[event.id]:cancel()
    else
      tasks[event.id] = neap.async(call, event.id, event.what)
      neap.sleep(0)
    end
  end
  for _, task in pairs(tasks) do task:pawait() end
  object:close()
  return outcomes
end


describe("several tasks that read and close one", function ()

  for kind in pairs(make) do
    it("GEN-06 " .. kind .. " are served in turn, as in a model", function ()
      for seed = 1, support.seeds(500) do
        local case = random_case(seed, kind)
        local expected, got = model(case), support.run(play, case)
        assert.same(expected, got, "seed " .. seed)
      end
    end)
  end

end)
