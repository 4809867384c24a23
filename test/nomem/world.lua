-- Scenes for test/nomem.c: the outside world, and hosts.

local stage = ...
local counter, expect = stage.counter, stage.expect
local play = stage.play
local host = host -- luacheck: ignore 113


play("descriptors", function (neap)
  local r, w = host.pair()
  local other_r, other_w = host.pair()
  return function ()
    neap.run(function ()
      neap.scope(function (s)
        s:spawn(neap.readable, r)
        s:spawn(function ()
          neap.writable(w)
          neap.sleep(1)
          host.put(w)
        end)
        s:async(function ()
          local ok, err = pcall(neap.readable, other_r)
          assert(not ok)
          expect(err, "closed")
        end)
        assert(neap.dump():find "readable" or true)
        assert(neap.fd() >= 0)
        neap.sleep(2)
        neap.forget(other_r)
      end)
      neap.move_on_after(1, neap.readable, other_r)
      neap.internal.interrupts()
    end)
    assert(not pcall(neap.run, function ()
      host.interrupt()
      neap.readable(other_r)
    end))
  end, function ()
    neap.run(neap.writable, w)
    for _, fd in ipairs { r, w, other_r, other_w } do
      neap.forget(fd)
      host.close(fd)
    end
  end
end)


play("traces", function (neap)
  local name = os.tmpname()
  return function ()
    neap.run(function ()
      neap.current().name = "root"
      local channel = neap.channel()
      neap.spawn(channel.recv, channel)
      local trace <close> = neap.trace(name)
      neap.async(function () neap.sleep(1) end).name = "late"
      neap.async(error, neap.error("MyError", "boom")):pawait()
      neap.sleep(2)
      channel:close()
      neap.sleep(0)
      assert(trace:stop())
    end)
    neap.trace "/dev/null" -- until the state is closed
    neap.run(neap.sleep, 1)
  end, function (ok)
    local file <close> = io.open(name)
    assert(not ok or file:read "a":find "^%[\n{.*}\n%]\n$")
    os.remove(name)
  end
end)


play("hosts", function (neap)
  local bodies, tickets, posted = counter(), {}, 0
  _G.posted = function () posted = posted + 1 end
  local undone = host.undone()
  neap.hooks { on_unhandled = function () end }
  local function waiting (name)
    local _ <close> = bodies:enter()
    return host.suspend(function (ticket) tickets[name] = ticket end)
  end
  local function step (n) for _ = 1, n do neap.step() end end
  return function ()
    host.spawn(function () assert(select("#", waiting "several") == 3) end)
    host.spawn(function () assert(waiting "one" == 1) end)
    host.spawn(function ()
      local ok, err = pcall(waiting, "failed")
      assert(not ok)
      expect(err, "expected")
    end)
    neap.spawn(waiting, "cancelled"):cancel()
    local cancelled = neap.spawn(waiting, "cancelled")
    step(2)
    if not (tickets.several and tickets.one and tickets.failed) then
      error "not enough memory to wait"
    end
    assert(host.resume(tickets.several, 1, 2, 3))
    assert(host.resume(tickets.one, 1))
    assert(not host.resume(tickets.one, 2))
    assert(host.fail(tickets.failed, "expected"))
    cancelled:cancel()
    host.post()
    step(3)
  end, function (ok, failed)
    -- who still waits is told to go
    for _, ticket in pairs(tickets) do host.fail(ticket, "the end") end
    while neap.step() do neap.now() end
    assert(bodies.inside == 0)
    assert(not ok or failed or posted == 1)
    assert(host.undone() == undone, host.undone())
  end
end)


play("processes", function (neap, file)
  local process = file.process
  local function descriptors ()
    local n = 0
    for fd = 0, 63 do
      if neap.internal.descriptor(fd) then n = n + 1 end
    end
    return n
  end
  neap.fd() -- opens all that stays open
  local before = descriptors()
  local function use_them ()
    neap.run(function ()
      local out, err, code = process({ "cat" }):output("text")
      assert(out == "text" and err == "" and code == 0)
      neap.scope(function (s)
        local p = process({ "sleep", "60" }, { env = { A = "1" } })
        s:spawn(p.wait, p)
        s:spawn(p.stdin.write, p.stdin, ("x"):rep(100000))
        neap.sleep(0)
        s:cancel()
      end)
      neap.scope(function (s)
        process { "sleep", "60" }
        s:cancel()
      end)
      local p = process { "cat" }
      p.stdin:write "one\ntwo\n"
      for text in p.stdout do
        assert(text == "one\ntwo\n")
        assert(p:kill "TERM")
      end
      for _ in p.stderr do error "nothing was expected" end
      assert(select(2, p:wait()) == "TERM")
      local ok, message = pcall(process, { "no-such-program" })
      assert(not ok)
      expect(message, "cannot run")
    end)
  end
  return function ()
    local ok, err = pcall(use_them)
    if ok then return end
    -- a program whose owner lacks memory is ended, and reads no more
    if type(err) == "table" and rawget(err, "name") == "ClosedError" then
      err = "not enough memory for the owner"
    end
    error(err, 0)
  end, function ()
    collectgarbage()
    collectgarbage()
    assert(not host.has_children(), "a child is left")
    assert(descriptors() == before, "a descriptor is left")
  end
end, "neap.process")


play("signals", function (neap, file)
  local heard = {}
  return function ()
    neap.run(function ()
      local a <close> = file.os_signal "USR1"
      local b <close> = file.os_signal "USR1"
      neap.spawn(function () heard.b = b:next() end)
      neap.sleep(0)
      host.hear()
      heard.a = a:next()
    end)
  end, function (ok)
    assert(not ok or (heard.a == "USR1" and heard.b == "USR1"))
  end
end, "neap.os_signal")


play("helpers", function (neap)
  local internal = neap.internal
  return function ()
    neap.run(function ()
      for _ = 1, 2 do
        neap.async(function ()
          local f <close> = assert(internal.file_open("LICENSE", "r"))
          assert(f:read(1000):find "MIT")
        end)
      end
      assert(not internal.file_open("no such file", "r"))
      assert(internal.resolve("127.0.0.1"))
      neap.async(internal.resolve, "127.0.0.1"):cancel()
    end)
  end, function ()
    neap.run(function ()
      local f <close> = assert(internal.file_open("LICENSE", "r"))
      assert(f:read(1000):find "MIT")
    end)
  end
end)


play("files", function (neap, patterns)
  local file, random = patterns.file, math.random
  local path = os.tmpname()
  math.random = function () return 7 end -- luacheck: ignore 122
  return function ()
    neap.run(function ()
      local size = 0
      for line in file.lines "LICENSE" do size = size + #line + 1 end
      for chunk in file.chunks("LICENSE", 100) do size = size - #chunk end
      assert(size == 0)
      for _ in file.lines "LICENSE" do break end -- luacheck: ignore 512
      file.write("/dev/null", "text")
      file.write(path, "text")
    end)
  end, function ()
    math.random = random -- luacheck: ignore 122
    collectgarbage()
    assert(not io.open(path:match "^.*/" .. ".neap-00000007"),
      "a file was left behind")
    os.remove(path)
  end
end, "neap.file")
