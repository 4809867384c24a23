--- lines: a text that comes in pieces, line by line.

local neap = require "neap"
local support = require "spec.support"

local error_of, list, task = support.error_of, support.list, support.task


-- the text in pieces of so many bytes
local function pieces (text, size)
  local parts = {}
  for i = 1, #text, size do parts[#parts + 1] = text:sub(i, i + size - 1) end
  return parts
end


describe("lines", function ()

  it("are the same, whatever the pieces are", task(function ()
    local text = "one\n\ntwo words\r\nthree\n"
    for size = 1, #text do
      assert.same({ "one", "", "two words", "three" },
        list(neap.lines(pieces(text, size))))
    end
  end))


  it("the last one need not have an end", task(function ()
    for size = 1, 6 do
      assert.same({ "a", "bc" }, list(neap.lines(pieces("a\nbc", size))))
      assert.same({ "a", "b" }, list(neap.lines(pieces("a\r\nb\r", size))))
    end
  end))


  it("of nothing there are none; of an empty line, one", task(function ()
    assert.same({}, list(neap.lines {}))
    assert.same({}, list(neap.lines { "", "" }))
    assert.same({ "" }, list(neap.lines { "\n" }))
    assert.same({ "", "a" }, list(neap.lines { "\n", "", "a" }))
  end))


  it("only CR before LF is part of the end", task(function ()
    assert.same({ "a\rb", "\r" }, list(neap.lines { "a\rb\n\r\r\n" }))
  end))


  it("is a method of streams, and gives a stream", task(function ()
    local lengths = neap.stream({ "a\nb", "b\n" }):lines()
      :map(function (line) return #line end)
    assert.same({ 1, 2 }, list(lengths))
  end))


  it("nothing is read before it is needed, nor behind the last line wanted",
    task(function ()
      local n = 0
      local lines = neap.lines(function ()
        n = n + 1
        return "a\nb\n"
      end)
      assert.equal(0, n)
      assert.equal("a", lines:next())
      assert.equal("b", lines:next())
      assert.equal(1, n)
      lines:close()
    end))


  it("closes its source when it is left, or the source raised",
    task(function ()
      local source = support.marbles "ab|"
      local lines = neap.lines(neap.stream(source)
        :map(function (item) return item .. "\n" end))
      for line in lines do
        if line == "a" then break end
      end
      lines:close()
      assert.equal(1, source.closed)
      assert.equal("#", error_of(list, neap.lines(support.marbles "a#")))
    end))


  it("an item that is no string raises", task(function ()
    assert.equal("bad item for 'lines' (must be a string, got 1)",
      error_of(list, neap.lines { "a", 1 }))
    assert.matches("bad argument #1 to 'lines' %(items must be",
      error_of(neap.lines, 1))
  end))


  it("a long line in many pieces costs no more than its length",
    task(function ()
      local n = 20000
      local lines = neap.lines(neap.iter(function (_, i)
        return i < n and i + 1 or nil
      end, nil, 0):map(function () return "x" end))
      assert.equal(n, #lines:next())
    end))

end)
