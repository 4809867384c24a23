--- The limiter against a model.

local neap = require "neap"
local support = require "spec.support"

local huge = math.huge


describe("limiter and model", function ()

  -- A plain list of what has started, of who waits, and of what is to happen;
  -- gone through from one moment at which anything can change to the next.
  local function model (events, durations, options)
    local outcomes, starts, queue, running, idlers = {}, {}, {}, {}, {}
    local concurrency = options.concurrency or huge
    local gap = options.spread and options.per / options.rate or 0

    local function allowed (time)
      local recent, busy = 0, 0
      for _, start in ipairs(starts) do
        if start + options.per > time then recent = recent + 1 end
        if start + gap > time then return false end
      end
      for _ in pairs(running) do busy = busy + 1 end
      return busy < concurrency and recent < (options.rate or huge)
    end

    local function leave_queue (i)
      for place, waiter in ipairs(queue) do
        if waiter == i then return table.remove(queue, place) end
      end
    end

    local function happen (event)
      local i = event.call
      if event.kind == "resize" then
        concurrency = event.n
      elseif event.kind == "cancel all" then
        for _, waiter in ipairs(queue) do outcomes[waiter] = "cancelled" end
        queue = {}
      elseif event.kind == "idle" then
        table.insert(idlers, i)
      elseif event.kind == "end" then
        running[i] = nil
      elseif event.kind == "cancel" then
        if leave_queue(i) then outcomes[i] = "cancelled" end
        running[i] = nil
      elseif #queue == 0 and allowed(event.time) then
        table.insert(queue, i)
      elseif #queue >= (options.max_queue or huge) then
        outcomes[i] = "full"
      else
        table.insert(queue, i)
      end
    end

    local time = -1
    while true do
      local moment = huge
      for _, event in ipairs(events) do
        if event.time > time then moment = math.min(moment, event.time) end
      end
      for _, start in ipairs(starts) do
        local window = start + options.per
        if window > time then moment = math.min(moment, window) end
        if start + gap > time then moment = math.min(moment, start + gap) end
      end
      if moment == huge then return outcomes end
      time = moment
      for k = 1, #events do
        if events[k].time == time then happen(events[k]) end
      end
      while #queue > 0 and allowed(time) do
        local i = table.remove(queue, 1)
        outcomes[i] = time
        starts[#starts + 1] = time
        running[i] = true
        events[#events + 1] = { time = time + durations[i], kind = "end",
          call = i }
      end
      if #queue == 0 and next(running) == nil then
        for _, i in ipairs(idlers) do outcomes[i] = time end
        idlers = {}
      end
    end
  end


  local function random_case (seed)
    math.randomseed(seed)
    local options = { per = math.random(1, 4) }
    if math.random() < 0.7 then options.concurrency = math.random(1, 4) end
    if math.random() < 0.7 then options.rate = math.random(1, 4) end
    if math.random() < 0.3 then options.max_queue = math.random(0, 5) end
    options.spread = options.rate and math.random() < 0.3 or nil
    local events, durations, time, serial = {}, {}, 0, 0
    -- each time is another one, so that no two things happen at once
    local function add (at, kind, call, n)
      serial = serial + 1
      events[#events + 1] = { time = at + serial / 2 ^ 20, kind = kind,
        call = call, n = n }
    end
    for i = 1, 20 do
      time = time + math.random(0, 64) / 64
      durations[i] = math.random(1, 256) / 64 + i / 2 ^ 15
      add(time, "call", i)
      if math.random() < 0.3 then
        add(time + math.random(1, 256) / 64, "cancel", i)
      end
      if math.random() < 0.15 then
        add(time, "resize", nil, math.random(1, 4))
      end
      if math.random() < 0.05 then add(time, "cancel all") end
      if math.random() < 0.1 then add(time, "idle", 20 + i) end
    end
    return options, events, durations
  end


  -- when each call started, or why it did not
  local function play (options, events, durations)
    local limiter, outcomes, tasks = neap.limiter(options), {}, {}
    table.sort(events, function (a, b) return a.time < b.time end)
    local function call (i)
      local ok, err = pcall(limiter, function ()
        outcomes[i] = neap.now()
        neap.sleep(durations[i])
      end)
      if not ok and outcomes[i] == nil then
        outcomes[i] = err.name == "FullError" and "full" or "cancelled"
      end
    end
    for _, event in ipairs(events) do
      neap.sleep_until(event.time)
      if event.kind == "call" then
        tasks[event.call] = neap.async(call, event.call)
      elseif event.kind == "cancel" then
        tasks[event.call]:cancel()
      elseif event.kind == "cancel all" then
        limiter:cancel()
      elseif event.kind == "idle" then
        neap.spawn(function ()
          limiter:idle()
          outcomes[event.call] = neap.now()
        end)
      else
        limiter:resize(event.n)
      end
    end
    limiter:idle()
    assert.equal(0, limiter.running + limiter.waiting)
    return outcomes
  end


  it("LIM-09 LIM-11 LIM-12 agree on random calls and cancels", function ()
    for seed = 1, support.seeds(300) do
      local options, events, durations = random_case(seed)
      local played = support.run(play, options, events, durations)
      local expected = model(events, durations, options)
      for i = 1, 40 do
        local a, b = expected[i], played[i]
        local same = a == b
          or type(a) == "number" and type(b) == "number"
            and math.abs(a - b) < 1e-9
        assert.is_true(same,
          ("seed %d, call %d: %s instead of %s"):format(seed, i, b, a))
      end
    end
  end)

end)
