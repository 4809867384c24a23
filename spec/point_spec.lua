--- Suspension points, all of them: what each does where its task is cancelled,
-- where it is shielded, and where it has run for long without waiting.

local neap = require "neap"
local socket = require "neap.socket"
local support = require "spec.support"

local error_of = support.error_of
local internal = require("neap.core").internal


-- A list of { name, call, what it gives }. None has to wait for anybody; none
-- leaves anything behind that the next one would notice. The last ones end what
-- others use.
local function points (dir)
  local path = dir .. "/file"
  local sem, ch, event = neap.semaphore(1), neap.channel(9), neap.event()
  local future, resolve = neap.future()
  local limiter, controller = neap.limiter {}, neap.abort_controller()
  local function values () return "a", nil, "c" end
  local done = neap.async(values)
  neap.settled()
  event:set()
  resolve(1, 2)
  ch:send "item"
  local file = assert(internal.file_open(path, "w"))
  assert(file:write("text", 1))
  local read = assert(internal.file_open(path, "r"))
  local cat = neap.process { "cat" }
  local input, output = cat.stdin, cat.stdout
  input:write "through"
  local gen = neap.generator(function (yield)
    while true do yield "value" end
  end)()
  local two = neap.generator(function (yield)
    yield(1)
    yield(2)
  end)
  local stream = neap.stream(function () return "value" end):map(function (v)
    return v
  end)
  local null = assert(io.open "/dev/null")
  local server = assert(socket.bind("127.0.0.1", 0))
  local _, port = server:getsockname()
  local near = assert(socket.connect("127.0.0.1", port))
  local far = assert(server:accept())
  return {
    { "checkpoint", neap.checkpoint },
    { "sleep", function () return neap.sleep(0) end },
    { "sleep_until", function ()
      return neap.sleep_until(neap.now() + 1e-4)
    end },
    { "real_sleep", function () return neap.real_sleep(0) end },
    { "settled", neap.settled, never = true }, -- others do not rest
    { "event:wait", function () return event:wait() end },
    { "future:await", function () return future:await() end, 1, 2 },
    { "future:pawait", function () return future:pawait() end, true, 1, 2 },
    { "task:await", function () return done:await() end, "a", nil, "c" },
    { "task:pawait", function () return done:pawait() end, true, "a", nil,
      "c" },
    { "with_permit", function () return sem:with_permit(values) end, "a", nil,
      "c" },
    { "acquire", function ()
      local result = table.pack(sem:acquire())
      sem:release()
      return table.unpack(result, 1, result.n)
    end },
    { "permit", function () sem:permit():release() end },
    { "recv", function ()
      local item = ch:recv()
      assert(ch:try_send(item))
      return item
    end, "item" },
    { "send", function ()
      ch:send "more"
      ch:try_recv()
      assert(ch:try_send "item")
      return select(2, ch:try_recv())
    end, "more" },
    { "limiter", function () return limiter(values) end, "a", nil, "c" },
    { "limiter:idle", function () return limiter:idle() end },
    { "scope", function () return neap.scope(values) end, "a", nil, "c" },
    { "timeout", function () return neap.timeout(values, 9) end, "a", nil,
      "c" },
    { "move_on_after", function () return neap.move_on_after(9, values) end,
      true, "a", nil, "c" },
    { "with_signal", function ()
      return neap.with_signal(controller.signal, values)
    end, "a", nil, "c" },
    { "pool", function () return #neap.pool({ 1, 2 }, 1, values) end, 2 },
    { "sequential", function () return #neap.sequential({ 1 }, values) end,
      1 },
    { "batched", function () return #neap.batched({ 1, 2 }, 1, values) end,
      2 },
    { "all", function () return neap.all({ values })[1] end, "a" },
    { "race", function () return neap.race { values } end, "a", nil, "c" },
    { "retry", function () return neap.retry(values) end, "a", nil, "c" },
    { "generator:next", function () return gen:next() end, "value" },
    { "stream:next", function () return stream:next() end, "value" },
    { "collect", function () return #neap.collect { 1, 2 } end, 2 },
    { "collect a generator", function () return #neap.collect(two()) end, 2 },
    { "collect a stream", function ()
      return #neap.stream(two()):map(function (v) return v end):collect()
    end, 2 },
    { "frame", neap.frame, never = true }, -- there is no host
    { "readable", function () return neap.readable(null) end },
    { "resolve", function ()
      return type(internal.resolve "127.0.0.1")
    end, "table" },
    { "socket:send", function () return near:send "text" end, 4 },
    { "socket:receive", function () return far:receive(4) end, "text" },
    { "process.stdin", function () return input:write "" end },
    { "file_open", function ()
      local f <close> = internal.file_open(path, "r")
      return f:is_waitable()
    end, false },
    { "file:read", function () return read:read(4) end, "text" },
    { "file:write", function () return file:write("!text", 2) end, 4 },
    { "file:assign", function () return file:assign(384) end, true },
    { "file_find", function ()
      return (select(3, internal.file_find(path)))
    end, 384 },
    { "file_rename", function ()
      return internal.file_rename(path, path)
    end, true },
    -- each of these once only
    { "process.stdout", function () return output:next() end, "through",
      once = true },
    { "file:finish", function () return file:finish() end, true },
    { "signal:wait", function ()
      controller:abort "reason"
      return controller.signal:wait().message
    end, "reason" },
  }, function ()
    assert.equal(1, sem:available())
    assert.equal(1, #ch)
    null:close()
    server:close()
    near:close()
    far:close()
    read:close()
    file:close()
    input:close()
    cat:wait()
    stream:close()
    gen:close()
    done:pawait()
  end
end


-- call it, and say if it does not give what it should
local function check (point, call)
  local got = table.pack((call or pcall)(point[2]))
  for i = 3, math.max(#point, got.n + 1) do
    assert.equal(point[i], got[i - 1], point[1])
  end
end


describe("every function that suspends", function ()
  local dir

  setup(function ()
    local pipe = io.popen "mktemp -d"
    dir = pipe:read "l"
    pipe:close()
  end)

  teardown(function () os.execute("rm -r '" .. dir .. "'") end)


  -- `fn(list, turns)` as a task beside another one that counts its turns
  local function beside (fn)
    neap.clock "real"
    local ok, err = pcall(neap.run, function ()
      local list, finish = points(dir)
      local turns, over = 0, false
      neap.scope(function (scope)
        scope:spawn(function ()
          while not over do
            neap.sleep(0)
            turns = turns + 1
          end
        end)
        neap.async(function ()
          local _ <close> = setmetatable({}, { __close = function ()
            over = true
          end })
          fn(list, function () return turns end)
        end):await()
      end)
      finish()
    end)
    support.assert_empty()
    if not ok then error(err, 0) end
  end


  local function check_raise (list, turns)
    for _, point in ipairs(list) do
      local before = turns()
      local err = error_of(point[2])
      assert.is_true(neap.is_abort(err), point[1])
      assert.equal("enough", err.reason, point[1])
      assert.is_true(turns() > before, point[1])
    end
  end


  it("SCP-06 lets others run, then raises before any effect, in a cancelled "
    .. "task", function ()
    beside(function (list, turns)
      neap.current():cancel "enough"
      check_raise(list, turns)
    end)
  end)


  it("SCP-06 ... and in a cancelled scope", function ()
    beside(function (list, turns)
      neap.scope(function (scope)
        scope:cancel "enough"
        check_raise(list, turns)
      end)
    end)
  end)


  it("works in a shield in a cancelled task", function ()
    beside(function (list)
      neap.current():cancel()
      for _, point in ipairs(list) do
        if not point.never then
          check(point, function (fn) return pcall(neap.shield, fn) end)
        end
      end
    end)
  end)


  it("gives what it should when it has let others run first", function ()
    beside(function (list, turns)
      local set = neap.event()
      set:set()
      -- how often can a task do something without waiting?
      neap.sleep(0)
      local steps, before = -1, turns()
      repeat
        set:wait()
        steps = steps + 1
      until turns() > before
      for _, point in ipairs(list) do
        if not point.never then
          neap.sleep(0)
          for _ = 1, steps do set:wait() end
          check(point)
        end
      end
    end)
  end)

end)
