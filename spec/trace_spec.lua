--- neap.trace: what is in the file, and what becomes of it when things fail.

local assert = require "luassert"
local json = require "dkjson"
local neap = require "neap"
local support = require "spec.support"

local run, error_of = support.run, support.error_of

local path


-- the bytes of the file
local function text_of (name)
  local file <close> = assert(io.open(name, "rb"))
  return file:read "a"
end


-- the events of a whole file, in the order of time
local function events_of (name)
  local text = text_of(name)
  assert.is_truthy(utf8.len(text), "no UTF-8")
  local events, _, message = json.decode(text)
  assert.is_nil(message)
  for i, e in ipairs(events) do e.place = i end
  table.sort(events, function (a, b)
    local x, y = a.ts or 0, b.ts or 0
    return x < y or (x == y and a.place < b.place)
  end)
  return events
end


-- Check that on each track slices lie within one another, and are ended. What
-- becomes of it: tracks by name, with 'id', 'parent', 'outcome', 'error',
-- 'steps', 'waits' (each with 'name', and 'on', 'at', 'now', 'until').
local function tracks_of (events)
  local by_id, by_name = {}, {}
  for _, e in ipairs(events) do
    local track = by_id[e.tid]
    if track == nil then
      track = { id = e.tid, open = {}, steps = 0, waits = {}, last = 0 }
      by_id[e.tid] = track
    end
    local args = e.args or {}
    if e.ph == "M" and e.name == "thread_name" then
      track.name = args.name
    elseif e.ph == "B" then
      assert.is_true(e.ts >= track.last, "begins within what was before")
      track.open[#track.open + 1] = e
      if e.cat == "task" then
        assert.equal(1, #track.open)
        track.parent, track.born = args.parent, args.now
      else
        assert.equal(2, #track.open)
        track.waits[#track.waits + 1] = {
          name = e.name, on = args.on, at = args.at, now = args.now,
        }
      end
    elseif e.ph == "E" then
      assert.is_true(e.ts >= track.last)
      local begun = table.remove(track.open)
      if begun.cat == "task" then
        track.outcome, track.error = args.outcome, args.error
        track.died = args["until"]
      else
        local wait = track.waits[#track.waits]
        wait["until"], wait.cancelled = args["until"], args.cancelled
        track.last = e.ts
      end
    elseif e.ph == "X" then
      assert.equal(1, #track.open, "a step outside of its task, or in a wait")
      assert.is_true(e.ts >= track.last)
      track.last = e.ts + e.dur - 0.0015 -- numbers are decimal there
      track.steps = track.steps + 1
    end
  end
  for _, track in pairs(by_id) do
    assert.equal(0, #track.open, "not ended")
    if track.name then by_name[track.name] = track end
  end
  return by_name, by_id
end


-- run on the virtual clock with a trace around it: its tracks and events
local function traced (fn)
  local trace = neap.trace(path)
  local ok, err = pcall(run, fn)
  assert.is_true(trace:stop())
  if not ok then error(err, 0) end
  local events = events_of(path)
  return tracks_of(events), events
end


local function named (name, task)
  task.name = name
  return task
end


describe("trace", function ()

  before_each(function () path = os.tmpname() end)

  after_each(function () os.remove(path) end)

  it("has each task's life, steps and waits, one within another", function ()
    local tracks = traced(function ()
      neap.current().name = "root"
      named("child", neap.spawn(function ()
        neap.sleep(1)
        neap.checkpoint()
        neap.sleep(2)
      end))
    end)
    local child = tracks.child
    assert.equal("done", child.outcome)
    assert.equal(tracks.root.id, child.parent)
    assert.is_nil(tracks.root.parent)
    assert.equal(4, child.steps)
    assert.equal(2, #child.waits)
    assert.same({ 0.0, 1.0 }, { child.waits[1].now, child.waits[1]["until"] })
    assert.same({ 1.0, 3.0 }, { child.waits[2].now, child.waits[2]["until"] })
    assert.same({ 0.0, 3.0 }, { child.born, child.died })
    assert.equal("its children", tracks.root.waits[1].name)
  end)

  it("tells what is waited for, and where", function ()
    local tracks = traced(function ()
      local sem, channel = neap.semaphore(1), neap.channel()
      sem:acquire()
      named("sem", neap.spawn(function () sem:acquire() end))
      named("channel", neap.spawn(function () channel:recv() end))
      named("sleep", neap.spawn(neap.sleep, 1.5))
      neap.sleep(1)
      sem:release()
      channel:send(1)
    end)
    local wait = tracks.sem.waits[1]
    assert.same({ "semaphore", "semaphore: 1 wanted, 0 of 1 free" },
      { wait.name, wait.on })
    assert.matches("trace_spec.lua:%d+$", wait.at)
    assert.matches("a value of a channel", tracks.channel.waits[1].on)
    assert.equal("sleep, 1.500 s more", tracks.sleep.waits[1].on)
    assert.is_nil(tracks.sleep.waits[1].at) -- there is only C
  end)

  it("tells how tasks ended, and of what", function ()
    local tracks = traced(function ()
      named("cancelled", neap.async(neap.sleep, 9)):cancel()
      named("waiting", neap.async(neap.sleep, 9))
      named("string", neap.async(error, "boom")):pawait()
      named("table", neap.async(function ()
        error(neap.error("MyError", "why"))
      end)):pawait()
      named("number", neap.async(error, 7)):pawait()
      named("other", neap.async(error, print)):pawait()
      local last = named("cut", neap.async(neap.sleep, 9))
      neap.sleep(1)
      last:cancel()
    end)
    local function of (name) return tracks[name].outcome, tracks[name].error end
    assert.same({ "cancelled", "This operation was aborted" },
      { of "cancelled" })
    assert.same({ "failed", "boom" }, { of "string" })
    assert.same({ "failed", "why" }, { of "table" })
    assert.same({ "failed", "number" }, { of "number" })
    assert.same({ "failed", "function" }, { of "other" })
    assert.is_true(tracks.cut.waits[1].cancelled)
    assert.is_nil(tracks.waiting.waits[1].cancelled)
    assert.equal("done", tracks.waiting.outcome)
  end)

  it("draws an arrow from the step that spawned a task", function ()
    local tracks, events = traced(function ()
      neap.current().name = "root"
      local scope
      named("owner", neap.spawn(function ()
        neap.scope(function (s)
          scope = s
          neap.sleep(5)
        end)
      end))
      named("other", neap.spawn(function ()
        neap.sleep(1)
        named("adopted", scope:spawn(neap.sleep, 1))
      end))
    end)
    local ends = {}
    for _, e in ipairs(events) do
      if e.ph == "s" or e.ph == "f" then
        ends[e.id] = ends[e.id] or {}
        ends[e.id][e.ph] = e.tid
      end
    end
    local adopted = tracks.adopted
    assert.equal(tracks.owner.id, adopted.parent)
    assert.same({ s = tracks.other.id, f = adopted.id }, ends[adopted.id])
    assert.is_nil(ends[tracks.root.id]) -- no task spawned it
  end)

  it("calls a task without a name after a place of the user's: that of its "
    .. "function, or where it was spawned, or its owner is", function ()
      local items = neap.channel(3)
      for i = 1, 3 do items:try_send(i) end
      items:close()
      local line = debug.getinfo(1, "l").currentline
      local tracks = traced(function ()
        neap.spawn(function () end)
        neap.spawn(neap.sleep, 0)
        named("x", neap.spawn(neap.sleep, 0)).name = nil
        neap.pool(items, 3, neap.sleep) -- a worker spawns the next one
        neap.debounce(neap.sleep, 0)(0) -- a function of neap's runs that
      end)
      for _, i in ipairs { 1, 2, 3, 5, 6 } do
        assert.is_truthy(tracks["spec/trace_spec.lua:" .. line + i])
      end
      local numbers = 0
      for name, track in pairs(tracks) do
        if name == "task " .. track.id then numbers = numbers + 1 end
      end
      assert.equal(1, numbers)
    end)

  it("is JSON whatever bytes a name has", function ()
    local all = {}
    for i = 0, 255 do all[i] = string.char(i) end
    local names = {
      ["\"\\\0\n\127</script>"] = "\"\\\0\n\127</script>",
      ["\xe4\xf6"] = "\u{fffd}\u{fffd}",
      ["é€\u{10ffff}"] = "é€\u{10ffff}",
      ["\xc0\x80\xed\xa0\x80"] = ("\u{fffd}"):rep(5), -- too long, a surrogate
      ["\xf4\x90\x80\x80\xe2\x82"] = ("\u{fffd}"):rep(6), -- too much, cut off
      [("é"):rep(300)] = ("é"):rep(100) .. "...",
      [("\0"):rep(300)] = ("\0"):rep(200) .. "...",
    }
    local tracks = traced(function ()
      for name in pairs(names) do named(name, neap.spawn(neap.sleep, 1)) end
      named(table.concat(all), neap.spawn(neap.sleep, 1))
    end)
    for name, shown in pairs(names) do
      assert.is_truthy(tracks[shown], ("%q"):format(name))
    end
    assert.is_nil(text_of(path):find("</script", 1, true))
  end)

  it("begun within a task has those that live already", function ()
    local tracks
    run(function ()
      neap.current().name = "root"
      named("waits", neap.spawn(neap.scope, function ()
        neap.sleep(4)
      end))
      neap.sleep(1)
      named("fresh", neap.spawn(neap.sleep, 1))
      local trace = neap.trace(path)
      neap.sleep(2)
      assert.is_true(trace:stop())
      tracks = tracks_of(events_of(path))
    end)
    assert.same({ "sleep", 1.0, 3.0 }, { tracks.waits.waits[1].name,
      tracks.waits.waits[1].now, tracks.waits.waits[1]["until"] })
    assert.equal(tracks.root.id, tracks.waits.parent)
    assert.is_nil(tracks.waits.outcome) -- it lives
    assert.equal("done", tracks.fresh.outcome)
    assert.equal(2, tracks.root.steps)
  end)

  it("follows the clock from one to the other", function ()
    neap.clock "real"
    local trace = neap.trace(path)
    neap.run(function ()
      neap.current().name = "root"
      neap.sleep(0.001)
      neap.clock "virtual"
      neap.sleep(3)
    end)
    assert.is_true(trace:stop())
    local events = events_of(path)
    local waits = tracks_of(events).root.waits
    assert.is_nil(waits[1].now)
    assert.is_nil(waits[1]["until"])
    assert.equal(3.0, waits[2]["until"] - waits[2].now)
    for _, e in ipairs(events) do
      if e.ph == "X" and e.args then
        assert.is_true(e.args.now >= waits[2].now)
      end
    end
  end)

  it("knows nothing of one that failed before", function ()
    if not io.open "/dev/full" then pending "no /dev/full" end
    local text = support.printed_by(([[
      neap.clock "virtual"
      neap.run(function ()
        local event = neap.event()
        local waits = neap.spawn(event.wait, event)
        waits.name = "waits"
        local failed = neap.trace "/dev/full"
        neap.sleep(1)
        for _ = 1, 2000 do neap.checkpoint() end
        event:set()
        assert(not failed:stop())
        local trace <close> = neap.trace %q
        waits:await()
      end)
    ]]):format(path))
    assert.matches("^neap: cannot write the trace [^\n]*\n$", text)
    assert.equal(0, #tracks_of(events_of(path)).waits.waits)
  end)

  it("can be stopped and begun again at any time", function ()
    run(function ()
      local other = named("other", neap.spawn(neap.sleep, 10))
      for i = 1, 3 do
        local trace = neap.trace(path)
        neap.sleep(1)
        assert.is_true(trace:stop())
        assert.is_true(trace:stop())
        local tracks = tracks_of(events_of(path))
        assert.same({ i - 1.0, i + 0.0 }, { tracks.other.waits[1].now,
          tracks.other.waits[1]["until"] })
      end
      other:cancel()
    end)
  end)

  it("is stopped where a <close> variable ends", function ()
    do
      local _ <close> = neap.trace(path)
      run(neap.sleep, 1)
    end
    tracks_of(events_of(path))
    neap.trace(path):stop()
  end)

  it("goes on when nobody holds it, until the state is closed", function ()
    local text = support.printed_by(([[
      neap.trace %q
      collectgarbage()
      collectgarbage()
      neap.run(function ()
        neap.current().name = "late"
        neap.sleep(0)
      end)
      neap.spawn(neap.sleep, 1).name = "host's"
      print(pcall(neap.trace, "/dev/null"))
    ]]):format(path))
    assert.equal("false\t'trace': there is a trace already, to '" .. path
      .. "'; stop it first\n", text)
    local tracks = tracks_of(events_of(path))
    assert.equal("done", tracks.late.outcome)
    assert.equal("cancelled", tracks["host's"].outcome)
  end)

  it("ends the lives of tasks that are ended by force", function ()
    local trace = neap.trace(path)
    named("parent", neap.spawn(function ()
      named("stubborn", neap.spawn(function ()
        while true do pcall(neap.sleep, 1) end
      end))
    end))
    neap.step()
    neap.step()
    require("neap.core").internal.end_all()
    assert.is_true(trace:stop())
    local tracks = tracks_of(events_of(path))
    assert.equal("cancelled", tracks.stubborn.outcome)
    assert.equal("killed", tracks.stubborn.error)
    assert.equal("its children", tracks.parent.waits[1].name)
  end)

  it("has tasks that wait within generators and in deep places", function ()
    local tracks = traced(function ()
      local count = neap.generator(function (yield)
        for i = 1, 3 do
          neap.sleep(1)
          yield(i)
        end
      end)
      named("reader", neap.spawn(function () for _ in count() do end end))
    end)
    assert.equal(3, #tracks.reader.waits)
    assert.matches("trace_spec", tracks.reader.waits[3].at)
  end)

  it("is written in whole events, before the program has a rest", function ()
    neap.clock "real"
    local trace <close> = neap.trace(path)
    neap.run(function ()
      named("sleeper", neap.spawn(neap.sleep, 0.02))
      neap.sleep(0.02)
    end)
    local text = text_of(path)
    assert.is_truthy(text:find("^%[\n{.*}$"))
    assert.matches('"name":"sleep"', text)
    assert.matches("sleeper", text)
    assert.not_nil(json.decode(text .. "]"))
    assert.is_true(trace:stop())
  end)

  describe("that cannot be", function ()

    it("raises for a bad path, naming function, argument and value",
      function ()
        assert.matches("bad argument #1 to 'trace' %(path must be a string, "
          .. "got 3%)", error_of(neap.trace, 3))
        assert.matches("bad argument #1 to 'trace' %(path must be a string, "
          .. "got no value%)", error_of(neap.trace))
        assert.matches("path must be a string without zeros",
          error_of(neap.trace, path .. "\0"))
        assert.matches("bad argument #1 to 'trace' %(cannot open "
          .. "'/no/such/x.json': No such file or directory%)",
          error_of(neap.trace, "/no/such/x.json"))
        assert.matches("^[^\n]*trace_spec.lua:%d+: ",
          error_of(function () neap.trace(3) end))
        neap.trace(path):stop()
      end)

    it("is no trace to stop", function ()
      local trace <close> = neap.trace(path)
      assert.matches("calling 'stop' on a bad self %(must be a trace, got 1%)",
        error_of(trace.stop, 1))
    end)

    it("ends when the disk is full, and the program goes on", function ()
      if not io.open "/dev/full" then pending "no /dev/full" end
      local text = support.printed_by [[
        io.stderr:setvbuf "no"
        local trace = neap.trace "/dev/full"
        neap.run(function ()
          for i = 1, 2000 do neap.checkpoint() end
        end)
        print(trace:stop())
        print(pcall(function ()
          local again <close> = neap.trace "/dev/full"
          neap.run(neap.checkpoint)
        end))
        neap.trace "/dev/full"
        neap.run(neap.checkpoint)
      ]]
      assert.equal("neap: cannot write the trace '/dev/full': "
        .. "No space left on device\n"
        .. "nil\tcannot write '/dev/full': No space left on device\n"
        .. "neap: cannot write the trace '/dev/full': "
        .. "No space left on device\n"
        .. "true\n"
        .. "neap: cannot write the trace '/dev/full': "
        .. "No space left on device\n", text)
    end)

    it("that a finalizer has opened meanwhile is the one that there is",
      function ()
        local mode = collectgarbage "generational"
        local trace
        collectgarbage "stop"
        setmetatable({}, { __gc = function ()
          trace = neap.trace "/dev/null"
        end })
        collectgarbage "restart" -- what is allocated next collects it
        local ok, err = pcall(neap.trace, "/dev/full")
        collectgarbage(mode)
        assert.is_false(ok)
        assert.matches("there is a trace already, to '/dev/null'", err)
        assert.is_true(trace:stop())
      end)

    it("as a pipe without a reader hurts nobody", function ()
      local text = support.printed_by [[
        local name = os.tmpname()
        os.remove(name)
        os.execute("mkfifo " .. name)
        os.execute("head -c 1 <" .. name .. " >/dev/null &")
        local trace = neap.trace(name)
        os.remove(name)
        neap.run(function ()
          for i = 1, 20000 do neap.checkpoint() end
        end)
        print(trace:stop())
      ]]
      assert.matches("^neap: cannot write the trace '[^\n]*': Broken pipe\n"
        .. "nil\tcannot write '[^\n]*': Broken pipe\n$", text)
    end)

  end)

end)
