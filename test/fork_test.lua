-- The programs of test/fork_test.c.

local neap = require "neap"
local host = host -- luacheck: ignore 113
local interrupts = require("neap.core").internal.interrupts
local programs = {}


-- Run 'body(fork)' on the real clock. When it has called 'fork', which tells
-- whether this is the child, there are two of it; the parent then waits for
-- the child to end well.
local function run_twice (body)
  local pid
  local ok, err = pcall(neap.run, body, function ()
    pid = host.fork()
    return pid == 0
  end)
  if pid == 0 then
    if not ok then io.stderr:write("in the child: ", tostring(err), "\n") end
    host.exit(ok)
  end
  assert(ok, err)
  assert(host.wait(pid), "the child failed")
end


-- a task that reads so many bytes
local function reader (pipe, n)
  return neap.async(function ()
    for _ = 1, n do
      neap.readable(pipe.r)
      assert(host.get(pipe.r))
    end
  end)
end


local function new_pipe ()
  local r, w = host.pipe()
  return { r = r, w = w }
end


-- Both processes wait for two pipes, then each gives one up and goes on with
-- the other. The child does so first: what it takes out of its loop must still
-- be in the parent's.
function programs.waits_go_on ()
  local pipes, done = { new_pipe(), new_pipe() }, new_pipe()
  local began, slept = neap.now(), 0
  run_twice(function (fork)
    local readers = { reader(pipes[1], 3), reader(pipes[2], 3) }
    for i = 1, 5 do
      neap.spawn(function ()
        neap.sleep(0.005 * i)
        assert(neap.now() >= began + 0.005 * i)
        slept = slept + 1
      end)
    end
    for _, pipe in ipairs(pipes) do host.put(pipe.w) end
    neap.sleep(0.001)
    local is_child = fork()
    local own = is_child and 2 or 1
    if not is_child then host.get(done.r) end
    readers[3 - own]:cancel()
    for _ = 1, 2 do
      neap.sleep(0.001)
      host.put(pipes[own].w)
    end
    readers[own]:await()
    neap.writable(pipes[own].w)
    while slept < 5 do neap.sleep(0.001) end
    if is_child then host.put(done.w) end
  end)
end


-- the child closes its state, in the middle of a task
function programs.child_is_closed ()
  local pipe = new_pipe()
  run_twice(function (fork)
    local reading = reader(pipe, 2)
    host.put(pipe.w)
    neap.sleep(0.001)
    if fork() then os.exit(true, true) end
    neap.sleep(0.001)
    host.put(pipe.w)
    reading:await()
  end)
end


function programs.grandchild ()
  local pipe, done = new_pipe(), new_pipe()
  run_twice(function (fork)
    local reading = reader(pipe, 1)
    neap.sleep(0.001)
    if fork() then
      local pid = host.fork()
      if pid ~= 0 then
        assert(host.wait(pid), "the grandchild failed")
        reading:cancel()
        host.put(done.w)
        return
      end
      neap.sleep(0.001)
      host.put(pipe.w)
      reading:await()
      return
    end
    host.get(done.r)
    neap.sleep(0.001)
    host.put(pipe.w)
    reading:await()
  end)
end


-- what the child closes while its loop does not yet know that it is one
function programs.descriptors_closed_at_once ()
  local pipes = {}
  for i = 1, 20 do pipes[i] = new_pipe() end
  run_twice(function (fork)
    local readers = {}
    for i, pipe in ipairs(pipes) do readers[i] = reader(pipe, 1) end
    neap.sleep(0.001)
    local last = fork() and #pipes or 1
    for i = 1, last do host.close(pipes[i].r) end
    for i = 1, last do
      local ok, err = pcall(readers[i].await, readers[i])
      assert(not ok and err.name == "ClosedError", err)
    end
    for i = last + 1, #pipes do
      host.put(pipes[i].w)
      readers[i]:await()
    end
  end)
end


-- neap.fd, too, is each process's own
function programs.descriptor_for_the_host ()
  local pipe, done = new_pipe(), new_pipe()
  run_twice(function (fork)
    local fd = neap.fd()
    local reading = reader(pipe, 1)
    neap.sleep(0.001)
    local is_child = fork()
    if not is_child then host.get(done.r) end
    neap.sleep(0.001)
    assert(not host.is_readable(fd))
    host.put(pipe.w)
    assert(host.is_readable(fd))
    reading:await()
    neap.sleep(0.001)
    assert(not host.is_readable(fd))
    if is_child then host.put(done.w) end
  end)
end


-- what the child does is not in the parent's trace; the child may begin its own
function programs.trace ()
  local names = { os.tmpname(), os.tmpname() }
  local trace = neap.trace(names[1])
  run_twice(function (fork)
    neap.current().name = "before"
    local is_child = fork()
    neap.current().name = is_child and "child" or "parent"
    if not is_child then return end
    neap.trace(names[2])
    for _ = 1, 1000 do neap.checkpoint() end
    os.exit(true, true)
  end)
  assert(trace:stop())
  for i, name in ipairs(names) do
    local file <close> = io.open(name)
    local text = file:read "a"
    os.remove(name)
    assert(text:find "^%[\n{.*}\n%]\n$")
    assert((text:find '"parent"' ~= nil) == (i == 1))
    assert((text:find '"child"' ~= nil) == (i == 2))
  end
end


-- what interrupts the child does not interrupt the parent
function programs.interrupts ()
  local go, done = new_pipe(), new_pipe()
  interrupts()
  run_twice(function (fork)
    neap.sleep(0.001)
    local is_child = fork()
    neap.sleep(0.001)
    if not is_child then
      host.get(done.r)
      neap.sleep(0.001)
      host.put(go.w)
      return
    end
    host.interrupt()
    host.put(done.w)
    host.get(go.r) -- by now the parent has looked
    local ok, err = pcall(neap.sleep, 9)
    assert(not ok and err.reason == "interrupted")
    host.exit(true)
  end)
end


-- what wakes the parent is not taken by the child
function programs.posts ()
  local go, done = new_pipe(), new_pipe()
  local poster = host.poster()
  local future, resolve = neap.future()
  posted = resolve -- luacheck: ignore 111
  run_twice(function (fork)
    local fd = neap.fd()
    neap.sleep(0.001)
    if fork() then
      host.get(go.r)
      neap.sleep(0.001)
      host.put(done.w)
      host.post(poster)
    else
      host.post(poster)
      host.put(go.w)
      host.get(done.r)
      assert(host.is_readable(fd))
    end
    future:await()
  end)
  host.release(poster)
end


return programs
