--- Bad arguments: refused in the call, at the caller's line, by name, number
-- and value, before anything has happened.
--
-- One entry for each function, with what its arguments are called and of what
-- kind they are; each argument is given each bad value of its kind, the others
-- being good. To add a function, add an entry.

local neap = require "neap"
local support = require "spec.support"

local internal = require("neap.core").internal
local error_of, stats = support.error_of, internal.stats
local huge = math.huge
local thread = coroutine.create(print)
local object = setmetatable({}, { __index = { getfd = 5 } })


-- a list of values that may hold nil, and what messages call each
local function bad (...)
  local list, n = {}, 0
  local args = table.pack(...)
  for i = 1, args.n, 2 do
    n = n + 1
    list[n] = { value = args[i], shown = args[i + 1] }
  end
  return list
end


local no_numbers = { "x", "'x'", "1", "'1'", "", "''", {}, "a table",
  true, "true", print, "a function", thread, "a thread" }

local function and_no_numbers (...)
  local list = bad(table.unpack(no_numbers))
  for _, b in ipairs(bad(...)) do list[#list + 1] = b end
  return list
end


local kinds = {
  seconds = {
    must = "a number >= 0",
    bad = and_no_numbers(-1, "%-1", -0.5, "%-0.5", -huge, "%-inf",
      0 / 0, "%-?nan"),
  },
  finite = {
    must = "a number >= 0",
    bad = and_no_numbers(-1, "%-1", 0 / 0, "%-?nan"),
  },
  time = { must = "a number", bad = and_no_numbers(0 / 0, "%-?nan") },
  whole = {
    must = "a whole number >= %d",
    bad = and_no_numbers(-1, "%-1", 1.5, "1.5", 0 / 0, "%-?nan",
      -huge, "%-inf"),
  },
  limit = {
    must = "a whole number >= 1 or math.huge",
    bad = and_no_numbers(0, "0", -1, "%-1", 1.5, "1.5", 0 / 0, "%-?nan",
      -huge, "%-inf"),
  },
  items = {
    must = "a table, an iterator or a stream",
    bad = bad("x", "'x'", 5, "5", true, "true", thread, "a thread"),
  },
  callable = {
    must = "a function or callable",
    bad = bad("x", "'x'", 5, "5", {}, "a table", true, "true",
      object, "a table", thread, "a thread"),
  },
  awaitable = {
    must = "a function, a task or a future",
    bad = bad("x", "'x'", 5, "5", {}, "a table", true, "true"),
  },
  string = {
    must = "a string",
    bad = bad(5, "5", {}, "a table", true, "true", print, "a function"),
  },
  table = {
    must = "a table",
    bad = bad(5, "5", "x", "'x'", true, "true", print, "a function"),
  },
  clock = {
    must = "'real', 'virtual' or 'manual'",
    bad = bad(5, "5", "fast", "'fast'", {}, "a table", "", "''"),
  },
  signal = {
    must = "an abort signal",
    bad = bad(5, "5", "x", "'x'", {}, "a table", print, "a function"),
  },
}


-- ---------------------------------------------------------------------------

local effects = 0

local function effect () effects = effects + 1 end

local signal = neap.abort_controller().signal

-- function, then for each argument its name, its kind, a good value; `optional`
-- ones may be nil; `on` makes the object of a method
local functions = {
  { "run", { "fn", "callable", effect }, outside = true },
  { "step", { "budget", "seconds", 0, optional = true }, outside = true },
  { "spawn", { "fn", "callable", effect } },
  { "async", { "fn", "callable", effect } },
  { "sleep", { "seconds", "seconds", 1 } },
  { "real_sleep", { "seconds", "seconds", 1 } },
  { "sleep_until", { "time", "time", 1 } },
  { "clock", { "name", "clock", "virtual", optional = true }, outside = true },
  { "advance", { "seconds", "finite", 1 },
    { "real_seconds", "finite", 1, optional = true }, clock = "manual" },
  { "scope", { "fn", "callable", effect } },
  { "shield", { "fn", "callable", effect } },
  { "timeout", { "fn", "awaitable", effect }, { "seconds", "seconds", 1 } },
  { "move_on_after", { "seconds", "seconds", 1 },
    { "fn", "awaitable", effect } },
  { "error", { "name", "string", "E" },
    { "message", "string", "m", optional = true },
    { "fields", "table", {}, optional = true } },
  { "hooks", { "hooks", "table", {} } },
  { "with_signal", { "signal", "signal", signal },
    { "fn", "callable", effect } },
  { "semaphore", { "permits", "whole", 1, least = 0 } },
  { "generator", { "fn", "callable", effect } },
  { "pool", { "items", "items", {} }, { "concurrency", "limit", 1 },
    { "fn", "callable", effect },
    { "options", "table", {}, optional = true } },
  { "parallel", { "items", "items", {} }, { "fn", "callable", effect },
    { "options", "table", {}, optional = true } },
  { "sequential", { "items", "items", {} }, { "fn", "callable", effect },
    { "options", "table", {}, optional = true } },
  { "batched", { "items", "items", {} }, { "size", "limit", 1 },
    { "fn", "callable", effect },
    { "options", "table", {}, optional = true } },
}

local methods = {
  { "spawn", { "fn", "callable", effect }, on = "scope" },
  { "async", { "fn", "callable", effect }, on = "scope" },
  { "cancel", on = "scope" },
  { "await", on = "task" },
  { "pawait", on = "task" },
  { "result", on = "task" },
  { "cancel", on = "task" },
  { "status", on = "task" },
  { "traceback", on = "task" },
  { "waiting_on", on = "task" },
  { "acquire", { "n", "whole", 1, least = 0, optional = true },
    on = "semaphore" },
  { "try_acquire", { "n", "whole", 1, least = 0, optional = true },
    on = "semaphore" },
  { "permit", { "n", "whole", 1, least = 0, optional = true },
    on = "semaphore" },
  { "release", { "n", "whole", 1, least = 0, optional = true },
    on = "semaphore" },
  { "resize", { "n", "whole", 1, least = 0 }, on = "semaphore" },
  { "with_permit", { "fn", "callable", effect }, on = "semaphore" },
  { "close", on = "semaphore" },
  { "available", on = "semaphore" },
  { "waiting", on = "semaphore" },
  { "send", on = "channel" },
  { "try_send", on = "channel" },
  { "recv", on = "channel" },
  { "try_recv", on = "channel" },
  { "close", on = "channel" },
  { "set", on = "event" },
  { "clear", on = "event" },
  { "is_set", on = "event" },
  { "wait", on = "event" },
  { "await", on = "future" },
  { "pawait", on = "future" },
  { "result", on = "future" },
  { "is_done", on = "future" },
  { "wait", on = "signal" },
  { "on_abort", { "fn", "callable", effect }, on = "signal" },
  { "throw_if_aborted", on = "signal" },
  { "abort", on = "controller" },
}

local make = {
  scope = function ()
    local scope
    neap.scope(function (s) scope = s end)
    return scope
  end,
  task = function () return neap.current() end,
  semaphore = function () return neap.semaphore(1) end,
  channel = function () return neap.channel(1) end,
  event = neap.event,
  future = function () return (neap.future()) end,
  signal = function () return neap.abort_controller().signal end,
  controller = neap.abort_controller,
}


-- what calls made here look like from outside: file and line
local here = "^spec/args_spec.lua:%d+: "

-- call fn, not as a tail call, and give its error
local function refusal (fn, ...)
  local args = table.pack(...)
  return error_of(function ()
    fn(table.unpack(args, 1, args.n))
    return nil
  end)
end


local function state ()
  local s = stats()
  return { s.live, s.timers, s.scopes, effects, neap.now(), neap.clock() }
end


-- each bad value of argument `i`, the other arguments being good
local function check_argument (entry, fn, i, self)
  local arg = entry[i + 1]
  local kind = kinds[arg[2]]
  local must = kind.must:format(arg.least)
  local list = { table.unpack(kind.bad) }
  if not arg.optional then list[#list + 1] = { value = nil, shown = "n.*" } end
  for _, b in ipairs(list) do
    local args = { n = i }
    for k = 1, i - 1 do args[k] = entry[k + 1][3] end
    args[i] = b.value
    if self then table.insert(args, 1, self) args.n = i + 1 end
    local before = state()
    local err = refusal(fn, table.unpack(args, 1, args.n))
    local words = ("bad argument #%d to '%s' (%s must be %s, got "):format(i,
      entry[1], arg[1], must)
    assert.is_string(err)
    assert.is_truthy(err:find(words, 1, true), err .. "\nis not: " .. words)
    err = err:gsub("; it is .*%)$", ")") -- a hint may follow the value
    assert.matches(here .. ".*, got " .. b.shown .. "%)$", err)
    assert.same(before, state())
  end
end


local function in_place (entry, fn)
  neap.clock(entry.clock or "virtual")
  if entry.outside or entry.clock then fn() else neap.run(fn) end
  support.assert_empty()
end


describe("arguments", function ()

  for _, entry in ipairs(functions) do
    for i = 1, #entry - 1 do
      it(("CNV-01 CNV-03 '%s' checks '%s'"):format(entry[1], entry[i + 1][1]),
        function ()
          in_place(entry, function ()
            check_argument(entry, neap[entry[1]], i)
          end)
        end)
    end
  end


  it("CNV-02 an argument that is missing has no value", support.task(function ()
    assert.matches("%(permits must be a whole number >= 0, got no value%)$",
      refusal(neap.semaphore))
    assert.matches("#2 .*%(n must be a whole number >= 0 or math.huge, got no "
      .. "value%)$", refusal(neap.take, {}))
  end))


  it("CNV-02 an object is called by its kind", support.task(function ()
    local task = neap.spawn(function () end)
    for _, call in ipairs { neap.race, neap.retry, neap.stream } do
      assert.matches("got a neap.task%)$", refusal(call, task))
    end
    assert.matches("got a FILE%*%)$", refusal(neap.sleep, io.stdout))
  end))


  it("CNV-02 options of a scope that come last are no silent mistake",
    support.task(function ()
      assert.matches(here .. "bad argument #2 to 'scope' %(options come first:"
        .. " ", refusal(neap.scope, effect, { timeout = 1 }))
      assert.equal(0, effects)
    end))


  it("CNV-02 a value that is not there is called by its name",
    support.task(function ()
      for _, call in ipairs {
        { "'pcall' %(fn must be a function or callable", neap.pcall },
        { "'traceback' %(err_or_task must be an error", neap.traceback },
        { "'wrap' %(fn must be a function", neap.coroutine.wrap },
      } do
        assert.matches(here .. "bad argument #1 to " .. call[1]
          .. ".*, got no value%)$", refusal(call[2]))
      end
    end))


  it("CNV-03 a check in Lua raises at the caller's line, through however many "
    .. "of neap's own functions", support.task(function ()
      for _, call in ipairs {
        { "file.read", neap.file.read }, { "file.lines", neap.file.lines, 5 },
        { "file.write", neap.file.write },
        { "file.write", neap.file.write, "x", 5 },
        { "simulate", neap.simulate, {} }, { "process", neap.process, {} },
        { "os_signal", neap.os_signal, "FOO" }, { "merge", neap.merge, 5 },
        { "race", neap.race, {} }, { "map", neap.map, {}, 5 },
      } do
        assert.matches(here .. "bad argument #%d to '" .. call[1] .. "' %(",
          refusal(table.unpack(call, 2)))
      end
      assert.matches(here .. "bad option 'env' to 'process' %(must be a table",
        refusal(neap.process, { "true" }, { env = { A = 5 } }))
      assert.matches(here .. "bad option 'cwd' to 'process' %(must be",
        refusal(neap.process, { "true" }, { cwd = "a\0b" }))
      local op = neap.cancellable(neap.sleep, 1)
      op:cancel()
      assert.matches(here .. "calling 'await' on a bad self", refusal(op.await))
      assert.matches(here .. "bad argument #1 to 'resolve' %(base must be a",
        refusal(require "neap.http".resolve))
      assert.matches(here .. ".*%(did you mean 'append'",
        refusal(neap.file.write, "x", "y", { apend = true }))
    end))


  it("CNV-03 are checked where a host has left the debug library out, too",
    function ()
      local host = setmetatable({}, { __index = function (_, name)
        if name ~= "debug" then return _G[name] end
      end })
      local path = package.searchpath("neap.args", package.path)
      local args = assert(loadfile(path, "t", host))()
      args.callable(effect, 1, "f", "fn")
      assert.matches("bad argument #1 to 'f' %(fn must be a function or call"
        .. "able, got a table%)$",
        support.error_of(args.callable, {}, -1, "f", "fn"))
      assert.matches("calling 'f' on a bad self %(must be a thing, got 5%)$",
        support.error_of(args.bad_self, 5, "f", "a thing"))
    end)


  it("CNV-06 anything callable is a function", support.task(function ()
    local fn = setmetatable({}, { __call = function (_, x) return x end,
      __metatable = false })
    assert.equal(1, neap.spawn(fn, 1):await())
    assert.equal(2, neap.shield(fn, 2))
    assert.equal(3, neap.timeout(fn, 1, nil, 3))
    assert.same({ true, 4 }, { neap.move_on_after(1, fn, 4) })
    assert.same({ true, 5 }, { neap.pcall(fn, 5) })
    assert.equal(6, neap.retry(fn) + 5)
    assert.same({ n = 1, 7 }, neap.pool({ 7 }, 1, fn))
  end))


  for _, entry in ipairs(methods) do
    it(("CNV-01 '%s' of a %s checks itself"):format(entry[1], entry.on),
      support.task(function ()
        local x = make[entry.on]()
        for other, maker in pairs(make) do
          if other ~= entry.on then
            local before = state()
            local err = refusal(x[entry[1]], maker())
            assert.matches(here .. "calling '" .. entry[1]
              .. "' on a bad self %(must be an? .*, got a neap%.[%l_]+%)$", err)
            assert.same(before, state())
          end
        end
        for _, no_object in ipairs { 5, "x", {}, print, io.stdout } do
          assert.matches("on a bad self", refusal(x[entry[1]], no_object))
        end
        assert.matches("on a bad self", refusal(x[entry[1]]))
      end))

    for i = 1, #entry - 1 do
      it(("CNV-01 '%s' of a %s checks '%s'"):format(entry[1], entry.on,
        entry[i + 1][1]), support.task(function ()
          local x = make[entry.on]()
          check_argument(entry, x[entry[1]], i, x)
        end))
    end
  end

end)


-- ---------------------------------------------------------------------------

describe("options", function ()

  -- a call with this options table
  local calls = {
    scope = function (options) neap.scope(options, effect) end,
    hooks = function (options) neap.hooks(options) end,
    pool = function (options) neap.pool({}, 1, effect, options) end,
    parallel = function (options) neap.parallel({}, effect, options) end,
    batched = function (options) neap.batched({}, 1, effect, options) end,
    sequential = function (options) neap.sequential({}, effect, options) end,
    map = function (options) neap.map({}, effect, options) end,
    limiter = function (options) neap.limiter(options) end,
    retry = function (options) neap.retry(effect, options) end,
    debounce = function (options) neap.debounce(effect, 1, options) end,
    throttle = function (options) neap.throttle(effect, 1, options) end,
    chunk = function (options) neap.chunk({}, 1, options) end,
    flat_map = function (options) neap.flat_map({}, effect, options) end,
    process = function (options) neap.process({ "true" }, options) end,
    progress = function (options) neap.progress(1, options) end,
    explore = function (options) neap.explore(effect, options) end,
    ["file.write"] = function (options) neap.file.write("x", "", options) end,
    fetch = function (options) require "neap.http".fetch("", options) end,
  }


  -- one of them, and which argument they are
  local one_of = {
    scope = { "timeout", 1 }, hooks = { "on_unhandled", 1 },
    pool = { "stop_on_error", 4 }, parallel = { "signal", 3 },
    batched = { "signal", 4 }, sequential = { "signal", 3 },
    map = { "ordered", 3 }, flat_map = { "concurrency", 3 },
    limiter = { "rate", 1 }, retry = { "attempts", 2 },
    debounce = { "leading", 3 }, throttle = { "trailing", 3 },
    chunk = { "weight", 3 }, process = { "grace", 2 },
    progress = { "width", 2 }, explore = { "runs", 2 },
    ["file.write"] = { "append", 3 }, fetch = { "method", 2 },
  }


  for name, call in pairs(calls) do
    it("CNV-02 '" .. name .. "' takes no others than its own",
      support.task(function ()
        local before = state()
        local err = refusal(call, { xyzzyxyzzyxyzzy = 1 })
        assert.matches("bad option 'xyzzyxyzzyxyzzy' to '" .. name
          .. "' %(its options: .*%f[%a]" .. one_of[name][1] .. "%f[^%a_]", err)
        assert.matches("bad option 1 to '" .. name .. "' %(options have names"
          .. "%)$", refusal(call, { 1 }))
        assert.matches(("bad argument #%d to '%s' %%(%%l+ must be a table, got "
          .. "5%%)$"):format(one_of[name][2], name), refusal(call, 5))
        assert.same(before, state())
      end))
  end


  it("CNV-02 a known synonym is suggested before the nearest spelling",
    support.task(function ()
      for _, try in ipairs {
        { "retry", "retries", "attempts" },
        { "retry", "factor", "backoff" },
        { "retry", "interval", "delay" },
        { "retry", "timeout", "attempt_timeout" },
        { "retry", "max_time", "max_elapsed" },
        { "pool", "timeout", "item_timeout" },
        { "pool", "abort_signal", "signal" },
        { "map", "limit", "concurrency" },
        { "limiter", "limit", "concurrency" },
        { "limiter", "interval", "per" },
        { "limiter", "rps", "rate" },
        { "scope", "deadline", "timeout" },
      } do
        assert.matches(("bad option '%s' to '%s' (did you mean '%s'?)"):format(
          try[2], try[1], try[3]), refusal(calls[try[1]], { [try[2]] = 1 }), 1,
          true)
      end
    end))


  it("CNV-02 else the nearest spelling", support.task(function ()
    for _, try in ipairs {
      { "scope", "tiemout", "timeout" },
      { "scope", "Signal", "signal" },
      { "scope", "nam", "name" },
      { "hooks", "onsuppressed", "on_suppressed" },
      { "pool", "stoponerror", "stop_on_error" },
      { "retry", "jiter", "jitter" },
      { "debounce", "leeding", "leading" },
      { "scope", "time", "timeout" },
      { "retry", "shouldRetry", "retry_if" },
      { "retry", "sig", "signal" },
    } do
      assert.matches(("bad option '%s' to '%s' (did you mean '%s'?)"):format(
        try[2], try[1], try[3]), refusal(calls[try[1]], { [try[2]] = 1 }), 1,
        true)
    end
    for _, far in ipairs { "x", "", ("long"):rep(40), "zzzz" } do
      assert.matches("bad option '" .. far .. "' to 'scope' %(its options: "
        .. "name, signal, timeout%)$",
        refusal(calls.scope, { [far] = 1 }))
    end
  end))


  it("CNV-02 fields that cannot be set are named", support.task(function ()
    local others = {
      stream = neap.stream {}, generator = neap.generator(print)(),
      limiter = neap.limiter {},
      permit = neap.semaphore(1):permit(),
    }
    for kind, create in pairs(make) do others[kind] = create() end
    for _, other in pairs(others) do
      assert.matches(here .. ".*field 'closed'.* set", refusal(function ()
        other.closed = true
      end))
    end
  end))


  it("CNV-03 those of 'scope' are checked like arguments",
    support.task(function ()
      for _, b in ipairs(kinds.seconds.bad) do
        assert.matches("'timeout' to 'scope' %(must be a number >= 0, got "
          .. b.shown .. "%)$", refusal(calls.scope, { timeout = b.value }))
      end
      for _, b in ipairs(kinds.signal.bad) do
        assert.matches("'signal' to 'scope' %(must be an abort signal, got "
          .. b.shown .. "%)$", refusal(calls.scope, { signal = b.value }))
      end
      assert.equal(0, effects)
      assert.equal("ran", neap.scope({ timeout = huge }, function ()
        return "ran"
      end))
      assert.equal("ran", neap.scope(nil, function () return "ran" end))
    end))


  it("may be inherited", support.task(function ()
    local defaults = setmetatable({}, { __index = { timeout = 1 } })
    assert.is_true(neap.is_timeout(error_of(neap.scope, defaults,
      function () neap.sleep(2) end)))
  end))

end)


describe("objects and arguments", function ()

  it("what is too much is ignored", support.task(function ()
    for kind, call in pairs {
      ["neap.semaphore"] = function (...) return neap.semaphore(1, ...) end,
      ["neap.channel"] = function (...) return neap.channel(1, ...) end,
      ["neap.event"] = neap.event,
      ["neap.future"] = neap.future,
      ["neap.limiter"] = function (...) return neap.limiter({}, ...) end,
      ["neap.stream"] = function (...) return neap.stream({}, ...) end,
      ["neap.abort_controller"] = neap.abort_controller,
      ["neap.abort_signal"] = function (...)
        return neap.abort_signal.timeout(huge, ...)
      end,
    } do
      assert.equal(kind, debug.getmetatable(call("x", 2)).__name)
    end
    assert.is_false(neap.abort_signal.any({}, 1, 2).aborted)
    local t = neap.async(function () return "result" end)
    assert.same({ n = 1, "result" }, table.pack(t:await("x", 2)))
  end))


  it("so are values behind an error or a reason", support.task(function ()
    local channel, sem = neap.channel(), neap.semaphore(1)
    local future, _, reject = neap.future()
    local controller, t = neap.abort_controller(), neap.async(print)
    channel:close("why", "more")
    assert.equal("why", error_of(channel.recv, channel))
    sem:close("why", "more")
    assert.equal("why", error_of(sem.acquire, sem))
    reject("why", "more")
    assert.equal("why", error_of(future.await, future))
    controller:abort("why", "more")
    assert.equal("why", controller.signal.reason.reason)
    assert.equal("why", neap.abort_signal.abort("why", "more").reason.reason)
    t:cancel("why", "more")
    assert.equal("why", error_of(t.await, t).reason)
    local _, cause
    neap.scope(function (scope)
      scope:cancel("why", "more")
      _, cause = pcall(neap.checkpoint)
    end)
    assert.equal("why", cause.reason)
    local without, _, reject_it = neap.future()
    reject_it()
    assert.same({ n = 2, false, nil }, table.pack(without:pawait()))
  end))


  local more = {
    generator = function ()
      return neap.generator(function (yield) yield(1) end)()
    end,
    limiter = function () return neap.limiter {} end,
    permit = function () return neap.semaphore(1):permit() end,
    stream = function () return neap.stream {} end,
  }

  it("what returns nothing does so the second time, too",
    support.task(function ()
      local function count (...) return select("#", ...) end
      local channel, event = neap.channel(2), neap.event()
      local limiter, sem = neap.limiter {}, neap.semaphore(1)
      local controller, permit = neap.abort_controller(), sem:permit()
      local generator, stream = more.generator(), neap.stream {}
      local remove = controller.signal:on_abort(print)
      local scope = neap.scope(function (s) return s end)
      local _, resolve, reject = neap.future()
      local ended = neap.async(print)
      for time = 1, 2 do
        for name, n in pairs {
          cancel = count(ended:cancel()),
          cancel_limiter = count(limiter:cancel()),
          cancel_scope = count(scope:cancel()),
          checkpoint = count(neap.checkpoint()),
          clear = count(event:clear()),
          close_generator = count(generator:close()),
          close_semaphore = count(sem:close()),
          close_stream = count(stream:close()),
          hooks = count(neap.hooks {}),
          idle = count(limiter:idle()),
          release = count(permit:release()),
          remove = count(remove()),
          resize = count(sem:resize(time)),
          resize_limiter = count(limiter:resize(time)),
          resolve = count(resolve(1)),
          reject = count(reject(1)),
          send = count(channel:send(1)),
          set = count(event:set()),
          sleep = count(neap.sleep(time)),
          sleep_until = count(neap.sleep_until(2)),
          throw_if_aborted = count(controller.signal:throw_if_aborted()),
          wait = count(event:wait()),
        } do
          assert.equal(0, n, name .. ", time " .. time)
        end
      end
      for _ = 1, 2 do
        assert.equal(0, count(channel:close()))
        assert.equal(0, count(controller:abort()))
      end
    end))


  for kind, maker in pairs(make) do more[kind] = maker end

  for kind, maker in pairs(more) do
    it(("a %s has nothing but what it is said to have"):format(kind),
      support.task(function ()
        local x = maker()
        for _, key in ipairs { "nonsense", 1, 0.5, true, {}, print } do
          assert.is_nil(x[key])
          error_of(function () x[key] = 1 end)
        end
      end))
  end


  -- neap's own files do not; but there must be no crash
  it("objects of the system check themselves", support.task(function ()
    for _, class in ipairs { "fd", "file", "child", "listener" } do
      local metatable = debug.getregistry()["neap." .. class]
      for name, method in pairs(metatable.__index) do
        local ends = name == "close" or name == "finish" -- metamethods, too
        for _, other in ipairs(ends and {} or { io.stdout, {}, print }) do
          assert.matches("was expected", error_of(method, other))
        end
      end
    end
    for _, name in ipairs { "wire_receive", "wire_send", "wire_wait" } do
      assert.matches("a wire was expected",
        error_of(internal[name], neap.event()))
    end
    local file = assert(internal.file_open("LICENSE", "r"))
    file:close()
    assert.matches("file is closed", error_of(file.read, file, 1))
    local handle = io.open "LICENSE"
    handle:close()
    assert.matches("file is closed", error_of(internal.file_of, handle))
  end))

end)
