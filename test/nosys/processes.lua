-- Scenes for test/nosys.c: programs that are run. Each starts one, for the more
-- calls a scene makes, the more often it is played.

local stage = ...
local host = host -- luacheck: ignore 113


local function play (name, run, use_pidfd)
  stage.play(name, function (neap, file)
    neap.internal.use_pidfd = use_pidfd
    return function ()
      neap.run(run, neap, file.process)
    end, function ()
      neap.internal.use_pidfd = nil
      assert(not host.has_children(), "a child is left")
    end
  end, "neap.process")
end


-- did it end like that? If somebody else has reaped it, nobody knows.
local function check_end (code, signal, expected)
  if signal == "unknown" then return stage.expect "No child processes" end
  assert((code or signal) == expected)
end


play("a process", function (_, process)
  local text = ("text"):rep(5000)
  local out, err, code, signal = process({ "cat" }):output(text)
  -- a program that does not read all is no error
  if out ~= text then stage.expect "Broken pipe" end
  assert(err == "")
  check_end(code, signal, 0)
end)


play("a process without pipes", function (_, process)
  local p = process({ "sh", "-c", "exit 3" },
    { stdin = "null", stdout = "null", stderr = "inherit", cwd = "/" })
  local code, signal = p:wait()
  check_end(code, signal, 3)
end)


play("a process that is cancelled", function (neap, process)
  neap.scope(function (s)
    local p = process({ "sleep", "60" }, { env = { A = "1" } })
    s:spawn(p.wait, p)
    s:spawn(p.stdin.write, p.stdin, ("x"):rep(100000))
    neap.sleep(0)
    s:cancel()
  end)
end)


play("a group of processes", function (neap, process)
  neap.scope(function (s)
    process({ "sh", "-c", "sleep 60 & sleep 60" }, { group = true,
      stdin = "null", stdout = "null", stderr = "null" })
    s:cancel()
  end)
end)


play("a process that is killed", function (_, process)
  local p = process({ "sleep", "60" }, { stdin = "null" })
  assert(p:kill "KILL")
  local code, signal = p:wait()
  check_end(code, signal, "KILL")
end)


play("no process", function (_, process)
  local ok, message = pcall(process, { "no-such-program" })
  assert(not ok)
  if not message:find "No such file" then stage.expect(message) end
end)


-- where there is no pidfd, a thread waits
play("a process and a thread", function (_, process)
  local _, _, code, signal = process({ "true" }):output()
  check_end(code, signal, 0)
end, false)


play("a thread that is cancelled", function (neap, process)
  neap.scope(function (s)
    process { "sleep", "60" }
    s:cancel()
  end)
end, false)
