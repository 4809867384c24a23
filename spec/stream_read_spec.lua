--- Streams of what is written by hand: `iter`, `read`.
-- luacheck: ignore 512 (loops that are left in the first round)

local neap = require "neap"
local streams = require "spec.streams"
local support = require "spec.support"

local list = support.list
local task, error_of = support.task, support.error_of
local both = streams.both


local function fails () error("no", 0) end


describe("stream", function ()

  describe("iter", function ()

    it("gives all values of a for", both(function ()
      local seen = {}
      for k, v in neap.iter(pairs { a = 1, b = 2 }) do seen[k] = v end
      assert.same({ a = 1, b = 2 }, seen)
      assert.same({ 1, 2 }, list(neap.iter(ipairs { "a", "b" })))
      local words = neap.iter(("k=v, l=w"):gmatch "(%w+)=(%w+)")
        :map(function (k, v, i) return k .. v .. i end)
      assert.same({ "kv1", "lw2" }, list(words))
    end))

    -- a quadruple, and how often it was closed
    local function quadruple (n, err)
      local closed = setmetatable({ times = 0 }, { __close = function (c)
        c.times = c.times + 1
      end })
      return closed, function (limit, i)
        if i == limit and err then error(err, 0) end
        if i < limit then return i + 1 end
      end, n, 0, closed
    end

    it("closes what a for would close, whatever happens", both(function ()
      local closed, fn, s, ctl, closing = quadruple(2)
      assert.same({ 1, 2 }, list(neap.iter(fn, s, ctl, closing)))
      assert.equal(1, closed.times)

      closed, fn, s, ctl, closing = quadruple(2, "no")
      assert.equal("no", error_of(list, neap.iter(fn, s, ctl, closing)))
      assert.equal(1, closed.times)

      closed, fn, s, ctl, closing = quadruple(2)
      for _ in neap.iter(fn, s, ctl, closing) do break end
      assert.equal(1, closed.times)

      local times = 0 -- it raises when it is closed at the end
      local stream = neap.iter(next, {}, nil, setmetatable({}, {
        __close = function ()
          times = times + 1
          error("closing", 0)
        end,
      }))
      assert.equal("closing", error_of(stream))
      stream:close()
      assert.equal(1, times)
    end))

    it("may wait", task(function ()
      local s = neap.iter(function (_, i)
        neap.sleep(1)
        return i < 2 and i + 1 or nil
      end, nil, 0)
      assert.same({ 1, 2 }, list(s))
      assert.equal(3, neap.now())
    end))

    it("is checked", function ()
      assert.matches("bad argument #1 to 'iter' %(fn must be a function or "
        .. "callable, got nil%)", error_of(neap.iter))
      assert.matches("bad argument #4 to 'iter' %(closing must be a value with "
        .. "__close, got 1%)", error_of(neap.iter, next, {}, nil, 1))
    end)

  end)

  describe("read", function ()

    -- gives these, and notes what is called
    local function reader (values, methods, err)
      local i = 0
      local object = { log = {} }
      function object:read ()
        assert.equal(object, self)
        i = i + 1
        if i > #values and err then error(err, 0) end
        return values[i]
      end
      for _, name in ipairs(methods) do
        object[name] = function (self)
          assert.equal(object, self)
          self.log[#self.log + 1] = name
        end
      end
      return object
    end

    it("STR-13 ends at nil only", both(function ()
      local source = reader({ false, "", 0 }, { "close" })
      assert.same({ false, "", 0, n = 3 }, neap.read(source):collect())
      assert.same({ "close" }, source.log)
    end))

    it("STR-13 releases once: at the end, break, error", both(function ()
      for _, case in ipairs { { "release", "close" }, { "close" },
                              { "release" } } do
        local source = reader({ 1, 2 }, case)
        local s = neap.read(source)
        assert.same({ 1, 2 }, list(s))
        s:close()
        assert.same({ case[1] }, source.log)

        source = reader({ 1, 2 }, case)
        for _ in neap.read(source) do break end
        assert.same({ case[1] }, source.log)

        source = reader({ 1 }, case, "no")
        assert.equal("no", error_of(list, neap.read(source)))
        assert.same({ case[1] }, source.log)

        source = reader({ 1 }, case)
        assert.equal("no", error_of(neap.each, neap.read(source), fails))
        assert.same({ case[1] }, source.log)
      end
      assert.same({ 1 }, list(neap.read(reader({ 1 }, {}))))
    end))

    it("STR-13 releases once, also when that raises", both(function ()
      for _, values in ipairs { {}, { 1 } } do
        local times = 0
        local source = reader(values, {})
        function source.release ()
          times = times + 1
          error("release", 0)
        end
        local s = neap.read(source)
        assert.equal("release", error_of(list, s))
        s:close()
        assert.equal(1, times)
      end
    end))

    it("STR-13 has ended when its release was cut by a cancel",
      task(function ()
        local times = 0
        local source = reader({}, {})
        function source.release ()
          times = times + 1
          neap.sleep(5)
        end
        local s = neap.read(source)
        assert.is_false((neap.move_on_after(1, s.next, s)))
        assert.is_nil(s:next())
        s:close()
        assert.equal(1, times)
      end))

    it("STR-13 releases on cancel", task(function ()
      local source = reader({ 1 }, { "release" })
      function source.read () neap.sleep(5) return 1 end
      neap.move_on_after(7, function ()
        for _ in neap.read(source) do end
      end)
      assert.same({ "release" }, source.log)
    end))

    it("reads files", function ()
      local path = os.tmpname()
      local out <close> = assert(io.open(path, "w"))
      out:write("one\ntwo\n")
      out:close()
      local file = assert(io.open(path))
      assert.same({ "one", "two" }, list(neap.read(file)))
      assert.equal("closed file", io.type(file))
      os.remove(path)
      file = io.open "/"
      if file ~= nil then -- a directory cannot be read
        assert.matches("directory", error_of(list, neap.read(file)))
        assert.equal("closed file", io.type(file))
      end
    end)

    it("is checked", function ()
      for _, bad in ipairs { 1, "text", {}, print } do
        assert.matches("bad argument #1 to 'read' %(source must be an object "
          .. "with a method 'read', got ", error_of(neap.read, bad))
      end
    end)

  end)

end)
