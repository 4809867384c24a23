local neap = require "neap"
local support = require "spec.support"

local task, error_of = support.task, support.error_of
local huge = math.huge


-- a file that keeps what is written to it
local function fake_file ()
  return {
    text = "",
    write = function (self, ...)
      self.text = self.text .. table.concat { ... }
      return self
    end,
    flush = function (self) self.flushed = self.text end,
  }
end


-- a bar, and a function that gives what it has written since the last time
local function bar_on (total, options)
  local file = fake_file()
  options = options or {}
  options.file = file
  local bar = neap.progress(total, options)
  return bar, function ()
    local text = file.text
    assert.equal(text, file.flushed or "")
    file.text, file.flushed = "", ""
    return text
  end
end


local function terminal (total, options)
  options = options or {}
  options.terminal = true
  if options.ascii == nil then options.ascii = true end
  return bar_on(total, options)
end


describe("progress", function ()

  describe("on a terminal", function ()

    it("draws bar, part, count, rate and time left", task(function ()
      local bar, written = terminal(50, { label = "pages", width = 80 })
      neap.sleep(10)
      bar:update(20)
      assert.equal("\rpages [" .. ("#"):rep(14) .. (" "):rep(21)
        .. "]  40 %  20/50  2.0/s  0:15 left\27[K", written())
    end))

    it("draws in eighths of a character", task(function ()
      local bar, written = terminal(80, { ascii = false, width = 49 })
      bar:update(21)
      assert.equal("\r▕██▋       ▏  26 %  21/80\27[K", written())
      neap.sleep(1)
      bar:update(80)
      assert.equal("\r▕██████████▏ 100 %  80/80  80.0/s\27[K", written())
    end))

    it("draws at most twenty times a second", task(function ()
      local bar, written = terminal(1000)
      local drawn = 0
      for i = 1, 100 do
        bar:update(i)
        if written() ~= "" then drawn = drawn + 1 end
        neap.sleep(1 / 64)
      end
      assert.equal(25, drawn)
    end))

    it("never fills the line, which would wrap", task(function ()
      for width = 2, 100 do
        local bar, written = terminal(10, { width = width, ascii = false,
          label = "naïve" })
        neap.sleep(1)
        bar:update(5)
        local text = written():match "^\r(.*)\27%[K$"
        assert.is_true(utf8.len(text) < width)
      end
    end))

    it("leaves the bar out where there is no room", task(function ()
      local bar, written = terminal(10, { width = 40 })
      bar:update(5)
      assert.equal("\r 50 %  5/10\27[K", written())
    end))

    it("has a bar of seven columns, or none", task(function ()
      local bar, written = terminal(10, { width = 44 })
      bar:update(4)
      assert.equal("\r[##   ]  40 %  4/10\27[K", written())
      bar, written = terminal(10, { width = 43 })
      bar:update(4)
      assert.equal("\r 40 %  4/10\27[K", written())
    end))

    it("counts its time from when it was made", task(function ()
      neap.sleep(100)
      local bar, written = terminal(10, { width = 40 })
      neap.sleep(5)
      bar:update(5)
      assert.equal("\r 50 %  5/10  1.0/s  0:05 left\27[K", written())
    end))

    it("uses every column but the last, for what fits there as a whole",
      task(function ()
        for width, line in pairs {
          [36] = "tasks  50 %  5/10  1.0/s  0:05 left",
          [35] = "tasks  50 %  5/10  1.0/s", [25] = "tasks  50 %  5/10  1.0/s",
          [24] = "tasks  50 %  5/10", [18] = "tasks  50 %  5/10",
          [17] = "tasks  50 %", [12] = "tasks  50 %", [11] = "tasks  50 ",
        } do
          local bar, written = terminal(10, { label = "tasks", width = width })
          neap.sleep(5)
          bar:update(5)
          assert.equal("\r" .. line .. "\27[K", written())
        end
      end))

    it("makes room for long numbers, and keeps it", task(function ()
      local bar, written = terminal(9999999, { width = 70 })
      local function length_of_bar ()
        return #written():match "%b[]"
      end
      bar:update(1)
      assert.equal(33, length_of_bar())
      neap.sleep(1)
      bar:update(1000000)
      --   " 10 %  1000000/9999999  1000000/s  0:09 left"
      assert.equal(69 - 45, length_of_bar())
      neap.sleep(1)
      bar:update(1)
      assert.equal(69 - 45, length_of_bar())
    end))

    it("draws bytes in the unit of the whole", task(function ()
      local bar, written = terminal(25 * 1024 ^ 2, { width = 70,
        unit = "bytes" })
      neap.sleep(10)
      bar:update(15.5 * 1024 ^ 2)
      assert.equal("\r[###########        ]  62 %  15.5/25.0 MiB  1.6 MiB/s  "
        .. "0:06 left\27[K", written())
    end))

    it("is of plain characters unless the locale is one of UTF-8",
      task(function ()
        local getenv = os.getenv
        finally(function () os.getenv = getenv end) -- luacheck: ignore
        for _, case in ipairs {
          { "#####" }, { "█████", LANG = "de_DE.utf8" },
          { "#####", LANG = "C.UTF-8", LC_CTYPE = "C" },
          { "█████", LANG = "C", LC_CTYPE = "C.UTF-8", LC_ALL = "" },
          { "#####", LC_CTYPE = "C.UTF-8", LC_ALL = "C" },
          { "█████", LC_CTYPE = "C", LC_ALL = "C.UTF-8" },
        } do
          os.getenv = function (name) return case[name] end -- luacheck: ignore
          local bar, written = bar_on(1, { terminal = true, width = 44 })
          bar:update(1)
          assert.matches(case[1], written(), 1, true)
        end
      end))

    it("with a label that is no UTF-8 draws, too", task(function ()
      local bar, written = terminal(10, { width = 60, label = "\xff" })
      bar:update(5)
      assert.matches("^\r\xff %[####", written())
    end))

    it("shows count and rate when the whole is not known", task(function ()
      local bar, written = terminal(nil, { label = "rows" })
      neap.sleep(2)
      bar:update(500)
      assert.equal("\rrows 500  250/s\27[K", written())
    end))

    it("finish shows the last state, and ends the line once",
      task(function ()
        local bar, written = terminal(10, { width = 50 })
        bar:update(1)
        bar:update(10)
        written()
        neap.sleep(4000)
        bar:finish()
        assert.equal("\r[###########] 100 %  10/10  0.1/min  in 1:06:40\27[K\n",
          written())
        bar:finish()
        bar:update(3)
        assert.equal("", written())
      end))

    it("a block that fails ends the line", task(function ()
      local bar, written = terminal(10, { width = 30 })
      local err = error_of(function ()
        local _ <close> = bar
        bar:update(3)
        error("oops", 0)
      end)
      assert.equal("oops", err)
      assert.equal("\r 30 %  3/10\27[K\r 30 %  3/10  in 0:00\27[K\n", written())
    end))

    it("print writes above the bar", task(function ()
      local bar, written = terminal(10, { width = 30 })
      bar:print("first", 1, nil)
      assert.equal("first\t1\tnil\n", written())
      bar:update(3)
      written()
      bar:print "second"
      assert.equal("\r\27[Ksecond\n\r 30 %  3/10\27[K", written())
      bar:finish()
      written()
      bar:print "third"
      assert.equal("third\n", written())
    end))

  end)

  describe("elsewhere", function ()

    it("writes a line for each tenth, and one at the end", task(function ()
      local bar, written = bar_on(100, { label = "pages" })
      for i = 1, 100 do
        neap.sleep(0.01)
        bar:update(i)
      end
      bar:finish()
      local lines = {}
      for line in written():gmatch "(.-)\n" do lines[#lines + 1] = line end
      assert.equal(10, #lines)
      assert.equal("pages: 10 %, 10/100, 100/s, 0:01 left", lines[1])
      assert.equal("pages: 90 %, 90/100, 100/s, 0:00 left", lines[9])
      assert.equal("pages: 100 %, 100/100, 100/s, in 0:01", lines[10])
    end))

    it("writes a line after ten seconds", task(function ()
      local bar, written = bar_on(1000)
      for i = 1, 25 do
        neap.sleep(1)
        bar:update(i)
      end
      assert.equal("1 %, 10/1000, 1.0/s, 16:30 left\n"
        .. "2 %, 20/1000, 1.0/s, 16:20 left\n", written())
    end))

    it("writes no tenth twice when the whole grows", task(function ()
      local bar, written = bar_on(10)
      bar:update(5)
      bar:update(6, 20)
      assert.equal("50 %, 5/10\n", written())
      neap.sleep(10)
      bar:update(8)
      assert.equal("40 %, 8/20, 48.0/min, 0:15 left\n", written())
      bar:update(10)
      assert.equal("", written())
      bar:update(12)
      assert.equal("60 %, 12/20, 1.2/s, 0:07 left\n", written())
    end))

    it("shows count and rate when the whole is not known", task(function ()
      local bar, written = bar_on(nil)
      neap.sleep(10)
      bar:update(5)
      assert.equal("5, 30.0/min\n", written())
    end))

    it("print writes a line", task(function ()
      local bar, written = bar_on(10)
      bar:print "hello"
      assert.equal("hello\n", written())
    end))

  end)

  it("a file that is no terminal gets lines", function ()
    local name = os.tmpname()
    do
      local file <close> = assert(io.open(name, "w"))
      local bar <close> = neap.progress(2, { file = file })
      bar:update(1)
    end
    local file <close> = assert(io.open(name))
    assert.matches("^50 %%, 1/2.*\n50 %%, 1/2", file:read "a")
    os.remove(name)
  end)

  it("enabled = false shows nothing", task(function ()
    for _, on_terminal in ipairs { true, false } do
      local bar, written = bar_on(10, { enabled = false,
        terminal = on_terminal })
      bar:update(5)
      bar:print "hello"
      bar:finish()
      assert.equal("", written())
    end
  end))

  it("can be the on_progress of a pool", task(function ()
    local bar, written = bar_on(nil)
    neap.pool({ 1, 2, 3, 4 }, 1, neap.sleep, { on_progress = bar })
    bar:finish()
    assert.equal("25 %, 1/4, 1.0/s, 0:03 left\n50 %, 2/4, 40.0/min, 0:03 left\n"
      .. "75 %, 3/4, 30.0/min, 0:02 left\n100 %, 4/4, 24.0/min, in 0:10\n",
      written())
  end))

  it("keeps its total where a pool does not know one", task(function ()
    local bar, written = bar_on(4)
    local items = { 1, 2 }
    neap.pool(function () return table.remove(items) end, 1, neap.sleep,
      { on_progress = bar })
    assert.equal("25 %, 1/4, 30.0/min, 0:06 left\n"
      .. "50 %, 2/4, 40.0/min, 0:03 left\n", written())
  end))

  it("bytes are shown in a unit of their size", task(function ()
    for _, case in ipairs {
      { 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1.0 KiB" },
      { 1023.9 * 1024, "1023.9 KiB" }, { 1023.96 * 1024, "1.0 MiB" },
      { 5 * 1024 ^ 3, "5.0 GiB" }, { 1024 ^ 4, "1.0 TiB" },
      { 2048 * 1024 ^ 5, "2048.0 PiB" }, { huge, "inf PiB" },
    } do
      local bar, written = bar_on(nil, { unit = "bytes" })
      bar:update(case[1])
      bar:finish()
      assert.equal(case[2] .. ", in 0:00\n", written())
    end
    local bar, written = bar_on(1000, { unit = "bytes", label = "x" })
    neap.sleep(60)
    bar:update(30)
    assert.equal("x: 3 %, 30/1000 B, 30 B/min, 32:20 left\n", written())
    bar:update(600 * 1024, 1000 * 1024)
    assert.equal("x: 60 %, 600.0/1000.0 KiB, 10.0 KiB/s, 0:40 left\n",
      written())
  end))

  it("a time without end is shown", task(function ()
    local bar, written = bar_on(1e300)
    neap.sleep(10)
    bar:update(1)
    assert.matches("^0 %%, 1/%d+, 6.0/min, %d+ d left\n$", written())
    neap.sleep(10)
    bar:update(4, huge)
    assert.equal("4, 12.0/min\n", written())
  end))

  it("of nothing is complete", task(function ()
    local bar, written = bar_on(0)
    bar:finish()
    assert.equal("100 %, 0/0, in 0:00\n", written())
  end))

  it("counts of more than the whole, and fractions, are shown",
    task(function ()
      local bar, written = terminal(2.5, { width = 50 })
      bar:update(3)
      assert.equal("\r[###########] 100 %  3/2.5\27[K", written())
    end))

  it("checks its arguments", task(function ()
    assert.error_matches(function () neap.progress("5") end,
      "bad argument #1 to 'progress' %(total must be a number >= 0, got '5'%)")
    assert.error_matches(function () neap.progress(5, { title = "x" }) end,
      "bad option 'title' to 'progress'")
    assert.error_matches(function () neap.progress(5, { unit = "kB" }) end,
      "bad option 'unit' to 'progress' %(must be 'items' or 'bytes', got 'kB'")
    assert.error_matches(function () neap.progress(5, { file = "x" }) end,
      "bad option 'file' to 'progress' %(must be a file, or an object with a "
      .. "method 'write', got 'x'%)")
    local bar = bar_on(5)
    for _, call in ipairs {
      function () bar:update() end, function () bar() end,
      function () bar:update(0 / 0) end,
    } do
      local _, err = pcall(call)
      assert.matches("^spec/progress_spec.lua:%d+: bad argument #1 to '", err)
      assert.matches("%(done must be a number >= 0, got ", err)
    end
    local _, err = pcall(function () bar(1, -1) end)
    assert.matches("^spec/progress_spec.lua:%d+: bad argument #2 to 'bar'", err)
    _, err = pcall(function () bar.finish(7) end)
    assert.matches("^spec/progress_spec.lua:%d+: calling 'finish' on a bad",
      err)
    for _, name in ipairs { "update", "print" } do
      assert.error_matches(function () bar[name](7, 1) end,
        "calling '" .. name .. "' on a bad self %(must be a progress bar, got")
    end
  end))

end)
