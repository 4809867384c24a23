--- Error objects, tracebacks across tasks, hooks.

local neap = require "neap"
local support = require "spec.support"

local run, task, error_of = support.run, support.task, support.error_of


-- a value that calls fn(...) when it is closed
local function closing (fn, ...)
  local args = table.pack(...)
  return setmetatable({}, { __close = function ()
    fn(table.unpack(args, 1, args.n))
  end })
end


-- the words stand in the text, in this order
local function assert_in_order (text, words)
  local place = 1
  for _, word in ipairs(words) do
    local _, last = text:find(word, place, true)
    assert.is_truthy(last, word .. " is not in its place in " .. text)
    place = last + 1
  end
end


describe("errors", function ()

  it("neap.error makes one with a name, a message and fields", function ()
    local err = neap.error("MyError", "it broke", { code = 7 })
    assert.equal("MyError", err.name)
    assert.equal("it broke", err.message)
    assert.equal(7, err.code)
    assert.equal("MyError: it broke", tostring(err))
    assert.error_matches(function () neap.error(5) end,
      "#1 to 'error' %(name must be a string")
    assert.error_matches(function () neap.error("E", {}) end, "message")
    assert.error_matches(function () neap.error("E", "m", 5) end, "fields")
  end)


  it("neap.error can do without a message, and fields win", function ()
    assert.equal("", neap.error("E").message)
    assert.equal("E: ", tostring(neap.error("E")))
    local fields = { message = "mine", [1] = false }
    local err = neap.error("E", "message", fields)
    assert.equal("mine", err.message)
    assert.is_false(err[1])
    assert.not_equal(fields, err)
    assert.equal("false: 5", tostring(neap.error("E", nil,
      { name = false, message = 5 })))
  end)


  it("keeps texts with zero bytes whole", task(function ()
    assert.same({ name = "a\0b", message = "c\0d" },
      neap.error("a\0b", "c\0d"))
    assert.equal("a\0b: c\0d", tostring(neap.error("a\0b", "c\0d")))
    assert.equal("late\0ly",
      error_of(neap.timeout, neap.sleep, 1, "late\0ly", 2).message)
    local controller = neap.abort_controller()
    controller:abort "why\0not"
    assert.equal("why\0not", controller.signal.reason.message)
    assert.equal("AbortError: why\0not", tostring(controller.signal.reason))
    assert.equal("E: m (reason: m\0n)",
      tostring(neap.error("E", "m", { reason = "m\0n" })))
    local many = neap.error("AggregateError", "2 failed",
      { errors = { [ "k\0" ] = "v\0w" } })
    assert.equal("AggregateError: 2 failed; the error of 'k\0': v\0w",
      tostring(many))
  end))

  it("says why, as text: with a reason that its message does not have",
    function ()
      local function text (reason)
        return tostring(neap.error("AbortError", "stopped by 7", {
          reason = reason,
        }))
      end
      assert.equal("AbortError: stopped by 7 (reason: the user)",
        text "the user")
      assert.equal("AbortError: stopped by 7 (reason: false)", text(false))
      assert.equal("AbortError: stopped by 7 (reason: E: m)",
        text(neap.error("E", "m")))
      assert.equal("AbortError: stopped by 7", text(7))
      assert.equal("AbortError: stopped by 7", text {})
      assert.equal("AbortError: stopped by 7", text(print))
      assert.equal("AbortError: stopped by 7",
        text(setmetatable({}, { __tostring = error })))
    end)


  it("says why, as text: with the first of several, or one and its key",
    function ()
      local function text (errors)
        return tostring(neap.error("AggregateError", "all failed", {
          errors = errors,
        }))
      end
      assert.equal("AggregateError: all failed; the first error: E: m",
        text { neap.error("E", "m"), "other", n = 2 })
      assert.equal("AggregateError: all failed; the error of 'left': x",
        text { left = "x" })
      assert.equal("AggregateError: all failed; one error: x",
        text { [print] = "x" })
      assert.equal("AggregateError: all failed; the error of 2.5: x",
        text { [2.5] = "x" })
      assert.equal("AggregateError: all failed", text { nil, "second", n = 2 })
      assert.equal("AggregateError: all failed", text { {}, n = 1 })
      assert.equal("AggregateError: all failed", text { n = 0 })
      assert.equal("AggregateError: all failed", text())
      local err = neap.error("AggregateError", "m", { errors = {} })
      err.errors[1] = err -- of itself
      assert.matches("^AggregateError: m; the first error: Aggr",
        tostring(err))
    end)


  it("is_abort and is_timeout know them by name", function ()
    assert.is_true(neap.is_abort(neap.error("AbortError", "x")))
    assert.is_true(neap.is_timeout(neap.error("TimeoutError", "x")))
    assert.is_false(neap.is_abort(neap.error("TimeoutError", "x")))
    for _, other in ipairs { "AbortError", 5, {}, print } do
      assert.is_false(neap.is_abort(other))
      assert.is_false(neap.is_timeout(other))
    end
    assert.is_false(neap.is_abort(nil))
  end)


  it("CNV-07 may be nil and false, everywhere", task(function ()
    local mine
    local function fails () error(mine) end
    local function waits ()
      neap.sleep(1)
      error(mine)
    end
    local ways = {
      function (fn) neap.async(fn):await() end,
      function (fn) neap.scope(fn) end,
      function (fn) neap.scope(function (s) s:spawn(fn) end) end,
      function (fn) neap.shield(fn) end,
      function (fn) neap.timeout(fn, 9) end,
      function (fn) neap.move_on_after(9, fn) end,
      function (fn) neap.with_signal(neap.abort_controller().signal, fn) end,
      function (fn) neap.cancellable(fn):await() end,
      function (fn) neap.pool({ 1 }, 1, fn) end,
      function (fn) neap.all { fn } end,
      function (fn) neap.race { fn } end,
      function (fn) neap.retry(fn) end,
      function (fn) neap.limiter {}(fn) end,
      function (fn) neap.semaphore(1):with_permit(fn) end,
      function (fn) neap.debounce(fn, 1)() end,
      function (fn) neap.throttle(fn, 1)() end,
      function (fn) neap.collect(neap.map({ 1 }, fn)) end,
      function (fn) neap.collect(neap.map({ 1 }, fn, { concurrency = 2 })) end,
      function (fn) neap.collect(neap.filter({ 1 }, fn)) end,
      function (fn) neap.collect(neap.buffer(fn, 1)) end,
      function (fn) neap.collect(neap.merge(fn, {})) end,
      function (fn) neap.collect(neap.chunk(fn, 2, { timeout = 1 })) end,
      function (fn) neap.each({ 1 }, fn) end,
      function (fn) neap.generator(fn)()() end,
    }
    for i, way in ipairs(ways) do
      for _, fn in ipairs { fails, waits } do
        for _, err in ipairs { n = 2, false, "nil" } do
          mine = err
          if err == "nil" then mine = nil end
          local outcome = table.pack(pcall(way, fn))
          assert.same({ n = 2, false, mine }, outcome, "way " .. i)
        end
      end
    end
  end))


  it("CNV-09 cross every layer by identity; strings get no second position",
    task(function ()
      local mine = setmetatable({}, { __tostring = function () return "m" end })
      for _, err in ipairs { mine, "spec.lua:1: text", "plain" } do
        local function layers ()
          return neap.scope(function (s)
            local t = s:async(function ()
              neap.timeout(function ()
                neap.shield(function ()
                  neap.pool({ 1 }, 1, function ()
                    neap.sleep(1)
                    error(err, 0)
                  end)
                end)
              end, 100)
            end)
            return t:await()
          end)
        end
        assert.is_true(rawequal(err, error_of(layers)))
      end
    end))


  it("SCP-16 an AbortError that comes from elsewhere is an ordinary one",
    task(function ()
      local cancelled = neap.async(neap.sleep, 100)
      cancelled:cancel "why"
      local dead
      local err = error_of(neap.scope, function (s)
        dead = s:spawn(function () cancelled:await() end)
        s:spawn(neap.sleep, 100)
      end)
      assert.equal("failed", dead:status())
      assert.equal("why", err.reason)
      assert.equal(err, error_of(cancelled.await, cancelled))
      assert.equal(0, neap.now())
    end))

end)


describe("a traceback", function ()

  it("crosses tasks, from where the error was raised", task(function ()
    local mine = {}
    local function raise () error(mine) end
    local function wait (t) t:await() end
    pcall(neap.scope, function ()
      local t = neap.async(function ()
        wait(neap.async(function () raise() end))
      end)
      t:await()
    end)
    -- from where it was raised, by way of each task that it came through
    assert_in_order(neap.traceback(mine), { "in upvalue 'raise'",
      "[awaited by task", "in upvalue 'wait'", "[awaited by task",
      "in function 'pcall'" })
  end))


  it("of a string is known as long as it is the last error", task(function ()
    local function failing () error("a string", 0) end
    local _, err = pcall(neap.scope, function () failing() end)
    assert.matches("^a string\nstack traceback:.*in upvalue 'failing'",
      neap.traceback(err))
    assert.is_nil(neap.traceback("another string"))
  end))


  it("names the tasks that it crossed, and the scopes of their children",
    task(function ()
      local mine = {}
      neap.current().name = "main"
      local function fail ()
        neap.sleep(1)
        error(mine)
      end
      local function open ()
        neap.scope(function (s)
          s:spawn(function () fail() end)
          neap.sleep(5)
        end)
      end
      pcall(function () open() end)
      assert_in_order(neap.traceback(mine), { "in upvalue 'fail'",
        "[child of a scope of task 'main']", "in upvalue 'open'" })
    end))


  it("of a string that is raised anew shows the new place", task(function ()
    local function first () error("same", 0) end
    local function second () error("same", 0) end
    pcall(neap.scope, first)
    neap.sleep(1)
    pcall(neap.scope, second)
    local trace = neap.traceback "same"
    assert.matches("error_spec.lua:" .. debug.getinfo(second, "S").linedefined
      .. ":", trace)
    assert.is_nil(trace:find("error_spec.lua:"
      .. debug.getinfo(first, "S").linedefined .. ":", 1, true))
  end))


  it("of a string that a scope keeps until all have unwound, too",
    task(function ()
      local function failing () error("kept", 0) end
      pcall(neap.scope, function ()
        neap.scope(function (s)
          s:spawn(function ()
            local _ <close> = closing(neap.shield, neap.sleep, 3)
            neap.sleep(100)
          end)
          neap.sleep(1)
          failing()
        end)
      end)
      assert.equal(4, neap.now())
      assert.matches("in upvalue 'failing'", neap.traceback "kept")
    end))


  it("RUN-01 of what 'run' raises is there afterwards", function ()
    local mine = {}
    local function deep () error(mine) end
    error_of(run, function ()
      neap.spawn(function () deep() end)
      neap.sleep(5)
    end)
    assert.matches("in upvalue 'deep'", neap.traceback(mine))
  end)


  describe("of a stack", function ()

    local function deep (n)
      if n == 0 then string.rep() end
      deep(n - 1)
      return n -- for a tail call would leave no level
    end

    -- the levels of the stack on which fn fails, as neap and as Lua tell of it
    local function levels (fn)
      local co = coroutine.create(fn)
      local _, err = coroutine.resume(co)
      local lua = debug.traceback(co)
      neap.async(fn):pawait()
      local ours = neap.traceback(err):match "\n(stack traceback:.*)"
      return ours:gsub("\n%s%[C%]: in %?$", ""), lua
    end


    for title, fn in pairs {
      ["a function of a library"] = function () string.rep() end,
      ["a local one"] = function () deep(0) end,
      ["a tail call"] = function () return deep(0) end,
      ["a metamethod"] = function ()
        return setmetatable({}, { __index = function () error "no" end }).x
      end,
      ["an iterator"] = function ()
        for _ in function () error "no" end do deep(0) end
      end,
      ["a method and a field"] = function ()
        local object = { fail = function () error "no" end }
        function object:method () self.fail(1) end
        object:method()
      end,
      ["a chunk"] = load "error 'no'",
    } do
      it("looks as Lua's own: " .. title, task(function ()
        local ours, lua = levels(fn)
        assert.equal(lua, ours)
      end))
    end


    it("leaves out the middle if it is deep", task(function ()
      for n = 10, 30 do
        local ours = levels(function () deep(n) end)
        local left_out = tonumber(ours:match "skipping (%d+) levels" or 0)
        local _, shown = ours:gsub("in upvalue 'deep'", "")
        assert.equal(n + 1, left_out + shown)
        if n < 18 then assert.equal(0, left_out) end
        assert.is_true(shown <= 19)
      end
    end))


    it("calls a function by the shortest of its names", task(function ()
      local trace = levels(function () neap.sleep "no" end)
      assert.matches("in function 'neap.sleep'", trace, 1, true)
    end))


    it("knows the functions of modules that were loaded meanwhile, or anew",
      task(function ()
        for _, name in ipairs { "first", "second" } do
          local module = { [name] = function () error "no" end }
          package.loaded.a_module = module
          local trace = levels(function () module[name]() end)
          assert.matches(("in function 'a_module.%s'"):format(name), trace)
        end
        package.loaded.a_module = nil
      end))


    it("does not keep functions of modules alive", task(function ()
      local kept = setmetatable({}, { __mode = "k" })
      do
        local function fail () error "no" end
        kept[fail] = true
        package.loaded.a_module = { fail = fail }
        levels(function () fail() end)
        package.loaded.a_module = nil
      end
      support.memory()
      assert.is_nil(next(kept))
    end))

  end)


  it("does not keep the error alive", task(function ()
    local kept = setmetatable({}, { __mode = "k" })
    do
      local mine = {}
      kept[mine] = true
      pcall(neap.scope, error, mine)
    end
    support.memory()
    assert.is_nil(next(kept))
  end))


  it("of a task tells where it is, or where it failed", task(function ()
    local function napping () neap.sleep(1) end
    local function failing () error("bad", 0) end
    local fresh = neap.async(function () napping() end)
    assert.equal("", neap.traceback(fresh))
    neap.sleep(0)
    assert.matches("in upvalue 'napping'", neap.traceback(fresh))
    assert.matches("error_spec.lua", neap.traceback(neap.current()))
    fresh:await()
    assert.equal("", neap.traceback(fresh))
    local bad = neap.async(function () failing() end)
    bad:pawait()
    assert.matches("in upvalue 'failing'", neap.traceback(bad))
    assert.equal(bad:traceback(), neap.traceback(bad))
    local nothing = neap.async(error)
    nothing:pawait()
    assert.equal("", neap.traceback(nothing))
  end))


  it("is not made of what nobody raised", function ()
    assert.is_nil(neap.traceback {})
    assert.is_nil(neap.traceback(nil))
    assert.is_nil(neap.traceback(false))
    assert.matches("got no value", error_of(neap.traceback))
  end)

end)


describe("hooks", function ()

  it("on_unhandled is told of the errors of host tasks", function ()
    neap.clock "virtual"
    local told = {}
    neap.hooks { on_unhandled = function (err, t)
      told[#told + 1] = { err, t }
    end }
    local bad = neap.spawn(error, "host", 0)
    local good = neap.spawn(function () return 1 end)
    assert.is_nil(neap.step())
    neap.hooks { on_unhandled = false }
    assert.same({ { "host", bad } }, told)
    assert.equal("done", good:status())
  end)


  it("are checked", function ()
    assert.error_matches(function () neap.hooks(5) end, "hooks must be a table")
    assert.error_matches(function () neap.hooks { on_supressed = print } end,
      "did you mean 'on_suppressed'")
    for _, bad in ipairs { 5, "x", true } do
      assert.error_matches(function () neap.hooks { on_unhandled = bad } end,
        "must be a function")
    end
  end)


  it("on_suppressed is told of the scope, too", task(function ()
    local told, scope = {}, nil
    neap.hooks { on_suppressed = function (...) told = table.pack(...) end }
    pcall(neap.scope, function (s)
      scope = s
      local _ <close> = closing(error, "second", 0)
      s:spawn(error, "first", 0)
      neap.sleep(1)
    end)
    neap.hooks { on_suppressed = false }
    assert.same({ n = 2, "second", scope }, told)
    assert.equal("first", select(2, pcall(neap.scope, function (s)
      s:spawn(error, "first", 0)
    end)))
  end))


  it("may begin and cancel work, but cannot wait", task(function ()
    local other = neap.async(neap.sleep, 100)
    local ok, err, begun
    neap.hooks { on_suppressed = function ()
      other:cancel()
      begun = neap.async(function () return "begun" end)
      ok, err = pcall(neap.sleep, 1)
    end }
    pcall(neap.scope, function ()
      local _ <close> = closing(error, "second", 0)
      neap.spawn(error, "first", 0)
      neap.sleep(1)
    end)
    neap.hooks { on_suppressed = false }
    assert.is_false(ok)
    assert.matches("'sleep' cannot wait here: .* a hook", err)
    assert.equal("begun", begun:await())
    assert.is_false((other:pawait()))
  end))


  it("that are not named stay as they are, and false brings the default back",
    function ()
      local told = {}
      neap.clock "virtual"
      neap.hooks { on_unhandled = function (err) told[#told + 1] = err end }
      neap.hooks { on_suppressed = print }
      neap.hooks {}
      neap.spawn(error, "a", 0)
      neap.step()
      assert.same({ "a" }, told)
      neap.hooks { on_unhandled = false, on_suppressed = false }
      assert.matches("^neap: b\nstack traceback:.*in function 'error'",
        support.printed_by [[
          neap.hooks { on_unhandled = print }
          neap.hooks { on_unhandled = false }
          neap.spawn(error, "b", 0)
          neap.step()]])
    end)


  it("write a line and the traceback to stderr by default", function ()
    local output = support.printed_by [[
      local function failing () error("host", 0) end
      neap.spawn(function () failing() end)
      neap.step()
      neap.run(function ()
        print(pcall(neap.scope, function (s)
          s:spawn(function ()
            local _ <close> = setmetatable({}, { __close = function ()
              error(neap.error("Second", "error"))
            end })
            neap.sleep(1)
          end)
          neap.sleep(0)
          error("first", 0)
        end))
      end)]]
    assert_in_order(output, { "neap: host\nstack traceback:",
      "in upvalue 'failing'", "neap: Second: error\nstack traceback:",
      "false\tfirst" })
  end)


  it("SCP-19 one may raise anything", function ()
    assert_in_order(support.printed_by [[
      neap.hooks { on_unhandled = function () error {} end }
      neap.spawn(error, "told all the same", 0)
      neap.step()]], { "neap: error in hook 'on_unhandled': (no string)\n",
      "neap: told all the same\n" })
  end)


  it("SCP-19 one that raises neither stops anything nor hides the error",
    function ()
      assert_in_order(support.printed_by [[
        local function hook () error("hook", 0) end
        neap.hooks { on_unhandled = hook, on_suppressed = hook }
        neap.spawn(error, "told all the same", 0)
        neap.spawn(error, setmetatable({}, { __tostring = error }))
        neap.spawn(print, "others run")
        neap.step()
        neap.run(function ()
          local scope
          print(pcall(neap.scope, function (s)
            scope = s
            local _ <close> = setmetatable({}, { __close = function ()
              error("second", 0)
            end })
            s:spawn(error, "first", 0)
            neap.sleep(1)
          end))
          print(scope.suppressed[1])
        end)]], { "neap: error in hook 'on_unhandled': hook\n",
        "neap: told all the same\n", "others run\n",
        "neap: error in hook 'on_suppressed': hook\n", "neap: second\n",
        "false\tfirst\n", "second\n" })
    end)

end)
