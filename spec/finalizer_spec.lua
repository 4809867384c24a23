--- Finalizers may do everything: __gc, which Lua calls wherever something is
-- allocated, calls each function and each method that neap exports
-- (spec/calls.lua). What would have to wait raises and changes nothing, all
-- else works.

local assert = require "luassert"
local calls = require "spec.calls"
local neap = require "neap"
local support = require "spec.support"

local internal = require("neap.core").internal


local function nothing () end


-- the calls of ranks 'first' to 'last'
local function only (list, first, last)
  local some = {}
  for _, call in ipairs(list) do
    if first <= call.rank and call.rank <= last then some[#some + 1] = call end
  end
  return some
end


-- have them made in this order by one collection
local function collect (list)
  collectgarbage "stop"
  for i = #list, 1, -1 do -- the last one to be marked is the first
    setmetatable({}, { __gc = function () calls.make(list[i]) end })
  end
  collectgarbage()
  collectgarbage "restart"
  for _, call in ipairs(list) do
    assert(call.made, call.name .. " was not called")
  end
end


-- what goes on in the scheduler
local function state ()
  local now = internal.stats()
  now.tasks = neap.dump():gsub("running, at [^\n]*", "")
  return now
end


-- make all calls here, and look at them
local function make_all (list)
  local waiting, others = only(list, 1, 1), only(list, 2, 3)
  assert(#waiting > 50 and #others > 50)
  collectgarbage()
  local before = state()
  collect(waiting)
  assert.same(before, state())
  collect(others)
  for _, call in ipairs(list) do calls.check(call) end
end


-- after it, nobody holds what the calls made
local function tidy (list)
  for _, call in ipairs(list) do
    if call.name == "neap.trace" and call.ok then call.result:stop() end
    call.run, call.result = nil, nil
  end
  for _ = 1, 3 do collectgarbage() end
end


-- what a listener begins is the host's, which does not wait for it; and a real
-- program takes its time
local function await_programs ()
  local function is_there ()
    for _, t in ipairs(neap.tasks()) do
      if t.name == "true" then return true end
    end
  end
  while is_there() do neap.sleep(0) end
end


-- in a task, with 'fn(list)' in a scope, in which others wait; the calls cancel
-- the scope
local function in_company (fn)
  local ok, err
  support.run(function ()
    local sem, ch, event = neap.semaphore(1), neap.channel(), neap.event()
    neap.scope(function (scope)
      local list = calls.all(scope)
      sem:acquire()
      scope:spawn(sem.acquire, sem)
      scope:spawn(ch.recv, ch)
      scope:spawn(event.wait, event)
      scope:spawn(neap.sleep, 1000)
      neap.sleep(0)
      ok, err = pcall(fn, list)
      tidy(list)
      scope:cancel()
    end)
  end)
  assert(ok, err)
end


describe("a finalizer can call everything", function ()

  it("in a task, while others are suspended", function ()
    in_company(make_all)
  end)


  it("in the body of a generator", function ()
    in_company(function (list)
      local ok, err
      local gen = neap.generator(function ()
        ok, err = pcall(make_all, list)
      end)()
      pcall(gen)
      assert(ok, err)
    end)
  end)


  it("in a plain coroutine, and in one of neap's", function ()
    for _, library in ipairs { coroutine, neap.coroutine } do
      in_company(function (list)
        library.wrap(function () make_all(list) end)()
      end)
    end
  end)


  it("in an abort listener, in the scheduler's own round", function ()
    in_company(function (list)
      local ok, err
      local signal = neap.abort_signal.timeout(1)
      signal:on_abort(function () ok, err = pcall(make_all, list) end)
      pcall(neap.sleep, 2)
      neap.shield(await_programs)
      assert(ok, err)
    end)
  end)


  it("in the main program", function ()
    local list
    neap.clock "virtual"
    neap.run(function ()
      neap.scope(function (scope) list = calls.all(scope) end)
    end)
    local ok, err = pcall(make_all, list)
    tidy(list)
    while neap.step() do nothing() end -- what they have spawned
    neap.run(nothing)
    assert(ok, err)
  end)


  it("in a task of the host, inside a step", function ()
    local ok, err
    neap.clock "virtual"
    neap.spawn(function ()
      neap.scope(function (scope)
        local list = calls.all(scope)
        ok, err = pcall(make_all, list)
        tidy(list)
      end)
    end)
    while neap.step() do nothing() end
    assert(ok, err)
  end)


  -- what is allocated next collects (the young ones)
  local function shake () collectgarbage "restart" end


  -- some of everything, to be interrupted
  local function work ()
    shake()
    local ch, sem = neap.channel(1), neap.semaphore(1)
    local sum = 0
    shake()
    neap.scope(function (scope)
      for i = 1, 3 do
        shake()
        scope:spawn(function ()
          shake()
          sem:with_permit(neap.sleep, 0.1)
          shake()
          ch:send(i)
        end)
      end
      shake()
      local gen = neap.generator(function (yield)
        for _ = 1, 3 do yield(ch:recv()) end
      end)
      for i in gen() do
        shake()
        sum = sum + i
      end
    end)
    shake()
    assert(not neap.move_on_after(1, neap.sleep, 2))
    shake()
    for _, n in ipairs(neap.pool({ 1, 2 }, 2, function (n) return n end)) do
      sum = sum + n
    end
    assert.equal(9, sum)
  end


  it("wherever something is allocated", function ()
    local list, done
    support.run(function ()
      neap.scope(function (scope)
        list, done = only(calls.all(scope), 1, 2), 0
        local again = {}
        function again.__gc ()
          if done == #list then return end
          done = done + 1
          calls.make(list[done])
          setmetatable({}, again)
        end
        for _ = 1, 10 do setmetatable({}, again) end
        local mode = collectgarbage "generational"
        for _ = 1, 1000 do
          if done == #list then break end
          work()
        end
        collectgarbage(mode)
        local made, ok, err = done, true, nil
        for i = 1, made do
          if ok then ok, err = pcall(calls.check, list[i]) end
        end
        tidy(list)
        scope:cancel()
        assert(ok, err)
        assert.equal(#list, made)
      end)
    end)
  end)


  it("while the Lua state is closed, before neap and after it", function ()
    local output = support.printed_by([[
      local calls = require "spec.calls"
      neap.clock "virtual"
      local function make (call, closed)
        calls.make(call)
        local ok, err = pcall(calls.check, call, closed)
        if not ok then print(err) end
      end
      neap.run(function ()
        neap.scope(function (scope)
          local early, late = calls.all(scope), calls.all(scope)
          Keep = {}
          for i = #early, 1, -1 do -- the last one made is the first
            Keep[i] = setmetatable({}, { __gc = function ()
              make(early[i])
              if i == #early then print "before" end
            end })
          end
          function Too_late ()
            for _, call in ipairs(late) do make(call, true) end
            print "after"
          end
        end)
      end)]], [[
      Older = setmetatable({}, { __gc = function () Too_late() end })]])
    assert.equal("before\nafter\n", output)
  end)

end)
