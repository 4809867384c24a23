--- One task is cancelled by its handle, of those that work for a pool, a race
-- or a stream: that is the error of its item, and nothing is left out.

local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of


-- item 2 is cancelled while it is worked on
local function work (item)
  if item == 2 then neap.current():cancel "gone" end
  neap.sleep(1)
  return item * 10
end

local function gone () return work(2) end


describe("a cancelled worker", function ()

  it("fails the pool, as an error of the item", task(function ()
    local items = { 1, 2, 3, 4 }
    for name, call in pairs {
      pool = function () neap.pool(items, 1, work) end,
      ["a wider pool"] = function () neap.pool(items, 3, work) end,
      batched = function () neap.batched(items, 1, work) end,
      parallel = function () neap.parallel(items, work) end,
      all = function () neap.all { gone } end,
      all_settled = function () neap.all_settled { gone } end,
      race = function () neap.race { gone, function () neap.sleep(2) end } end,
      map = function ()
        neap.map(items, work, { concurrency = 2 }):collect()
      end,
      flat_map = function ()
        neap.flat_map(items, function (item) return { work(item) } end,
          { concurrency = 2 }):collect()
      end,
    } do
      local err = error_of(call)
      assert.equal("AbortError", err.name, name)
      assert.equal("gone", err.reason, name)
    end
  end))


  it("goes on with the next item, where errors are kept", task(function ()
    local err = error_of(neap.pool, { 1, 2, 3, 4 }, 1, work,
      { stop_on_error = false })
    assert.equal(4, neap.now() // 1 + 1) -- item 2 took no time
    assert.equal(1, err.n)
    assert.same({ 2 }, err.keys)
    assert.equal("gone", err.errors[1].reason)
    assert.equal("gone", error_of(neap.any, { gone }).errors[1].reason)
    assert.equal(30, neap.any { gone, function () return work(3) end })
  end))


  it("that has a result all the same is not cancelled for the next item",
    task(function ()
      local results = neap.pool({ 1, 2, 3 }, 1, function (item)
        if item == 2 then neap.current():cancel() else neap.sleep(1) end
        return item
      end)
      assert.same({ n = 3, 1, 2, 3 }, results)
    end))


  it("is cancelled with what it is in", task(function ()
    local log = support.recorder()
    local ok = neap.move_on_after(2.5, neap.pool, { 1, 3, 5 }, 1,
      function (item)
        local _ <close> = setmetatable({}, { __close = function ()
          log(item)
        end })
        neap.current():cancel()
        pcall(neap.sleep, 1)
        neap.shield(neap.sleep, 1)
        return item
      end, { stop_on_error = false })
    assert.is_false(ok)
    assert.same({ "1@1", "3@2", "5@3" }, log())
  end))

end)


describe("a source that cancels the task which reads it", function ()

  -- 1 and 2, then an error
  local source = neap.generator(function ()
    for i = 1, 3 do
      neap.sleep(1)
      coroutine.yield(i)
      if i == 2 then gone() end
    end
  end)

  it("has failed, for those who read what was read ahead", task(function ()
    local function same (x) return x end
    local endless = neap.stream(function () neap.sleep(1) return 0 end)
    for name, stream in pairs {
      buffer = neap.buffer(source(), 2),
      chunk = neap.chunk(source(), 1, { timeout = 9 })
        :map(function (chunk) return chunk[1] end),
      debounce = neap.stream(source()):debounce(0),
      throttle = neap.stream(source()):throttle(0),
      merge = neap.merge(source()),
      ["merge of two"] = neap.merge(source(), endless)
        :filter(function (x) return x > 0 end),
      zip = neap.zip(source(), { 1, 2, 3 }),
      map = neap.map(source(), same, { concurrency = 2 }),
      ["map in any order"] = neap.map(source(), same,
        { concurrency = 2, ordered = false }),
      flat_map = neap.flat_map(source(), function (x) return { x } end,
        { concurrency = 2 }),
      ["flat_map, in a result"] = neap.flat_map({ source }, source,
        { concurrency = 2 }),
      ["flat_map in any order, in a result"] = neap.flat_map({ source }, source,
        { concurrency = 2, ordered = false }),
    } do
      local items = {}
      local err = error_of(function ()
        for item in stream do items[#items + 1] = item end
      end)
      assert.same({ "AbortError", "gone" }, { err.name, err.reason }, name)
      assert.same({ 1, 2 }, items, name)
      assert.is_nil(stream(), name)
    end
  end))


  it("keeps the item that it gives all the same", task(function ()
    local stream = neap.merge(neap.stream(coroutine.wrap(function ()
      neap.current():cancel()
      coroutine.yield(1)
      coroutine.yield(2)
    end)))
    assert.same({ 1, 2 }, { stream(), stream(), stream() })
  end))

end)
