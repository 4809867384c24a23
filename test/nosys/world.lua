-- Scenes for test/nosys.c: descriptors, hosts, signals, several states.

local stage = ...
local play = stage.play
local host = host -- luacheck: ignore 113

local function nothing () end


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
        s:spawn(function ()
          local ok, err = pcall(neap.readable, other_r)
          assert(not ok)
          if err.name ~= "ClosedError" then stage.expect(err) end
        end)
        neap.sleep(2)
        neap.forget(other_r)
      end)
      neap.move_on_after(1, neap.readable, other_r)
    end)
  end, function ()
    for _, fd in ipairs { r, w, other_r, other_w } do
      neap.forget(fd)
      host.close(fd)
    end
  end
end)


play("a loop of the host", function (neap)
  local r, w = host.pair()
  local task
  local came, posted = false, 0
  _G.posted = function () posted = posted + 1 end
  return function ()
    neap.clock "real"
    task = neap.spawn(function ()
      neap.readable(r)
      came = true
    end)
    local fd = neap.fd()
    neap.step()
    host.put(w)
    host.wait_for(fd)
    host.post()
    for _ = 1, 100 do
      if (came or stage.told[1]) and posted == 1 then break end
      neap.step()
      host.wait_for(fd)
    end
    assert(posted == 1)
    assert(came or stage.told[1])
  end, function ()
    task:cancel()
    while neap.step() do nothing() end
    neap.clock "virtual"
    host.close(r)
    host.close(w)
  end
end)


play("interrupts", function (neap)
  local r, w = host.pair()
  local heard = false
  return function ()
    neap.run(neap.internal.interrupts)
    heard = not pcall(neap.run, function ()
      host.interrupt()
      neap.readable(r)
    end)
    assert(heard)
  end, function ()
    neap.forget(r)
    host.close(r)
    host.close(w)
  end
end)


play("signals", function (neap, file)
  local heard = {}
  return function ()
    neap.run(function ()
      local a <close> = file.os_signal "USR1"
      local b <close> = file.os_signal "USR1"
      neap.scope(function (s)
        s:spawn(function () heard.b = b:next() end)
        neap.sleep(0)
        host.hear()
        heard.a = a:next()
      end)
    end)
  end, function (ok)
    assert(not ok or (heard.a == "USR1" and heard.b == "USR1"))
  end
end, "neap.os_signal")


play("states", function (neap)
  local r, w = host.pair()
  local program = ([[
    local neap = require "neap.core"
    neap.run(function ()
      neap.writable(%d)
      assert(neap.internal.resolve "127.0.0.1")
    end)
  ]]):format(w)
  return function ()
    neap.run(function ()
      neap.scope(function (s)
        s:spawn(neap.readable, r)
        s:spawn(function ()
          host.in_another_state(program)
          host.put(w)
        end)
        neap.writable(w)
      end)
    end)
  end, function ()
    for _, fd in ipairs { r, w } do
      neap.forget(fd)
      host.close(fd)
    end
  end
end)


-- both sides go on with what they have: threads, signals, Ctrl-C
play("a fork", function (neap, file)
  local resolve = neap.internal.resolve
  local function go_on (signals)
    assert(resolve "127.0.0.1")
    host.hear()
    assert(signals:next() == "USR1")
  end
  return function ()
    neap.fd()
    neap.internal.interrupts()
    neap.run(function ()
      assert(resolve "127.0.0.1")
      local signals <close> = file.os_signal "USR1"
      if host.fork() then
        local err = stage.try(go_on, signals)
        host.exit(err and tostring(err))
      end
      host.wait()
      go_on(signals)
    end)
  end, function () end
end, "neap.os_signal")
