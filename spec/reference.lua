--- What scheduling, scopes and cancellation mean, said as plainly as possible.
--
-- The slow twin of the core, for comparison (see model_spec.lua). Nothing is
-- stored here that can be searched for: who is cancelled is found by walking
-- up the scopes at every wait, the next deadline by looking at all of them.
-- Every task has two scopes from the beginning: a shell, which is what
-- `task:cancel` cancels, and in it that of its body.
--
-- Only what the comparison needs: no checks of arguments, no host.

local function make_error (name, message, reason)
  return { name = name, message = message, reason = reason }
end


local function remove (list, x)
  for i, y in ipairs(list) do
    if x == y then return table.remove(list, i) end
  end
end


local Task, Scope = {}, {}
Task.__index = Task

function Scope:__index (key)
  if key == "cancelled" then
    return self.by ~= nil and self.by ~= "failed"
  end
  return Scope[key]
end


--- A scheduler of its own; `on_suppressed(err)` is told of errors that lost
-- against an earlier one.
return function (on_suppressed)
  local ref = {}
  local time, order = 0, 0
  local ready, settled, deadlines = {}, {}, {}
  local current


  -- -------------------------------------------------------------------------
  -- waiting

  -- of a sleeping task, or of a scope; nil or math.huge for none
  local function set_deadline (owner, at)
    remove(deadlines, owner)
    if not at or at == math.huge then return end
    order = order + 1
    owner.at, owner.order = at, order
    deadlines[#deadlines + 1] = owner
  end


  local function wake (task, why)
    if task.line then remove(task.line, task) end
    remove(deadlines, task)
    task.state, task.why, task.line = "ready", why, nil
    ready[#ready + 1] = task
  end


  -- wait in a line, or until a time, or both; says why it ended
  local function wait (line, at, uncancellable)
    local task = current
    task.state, task.line, task.uncancellable = "waiting", line, uncancellable
    if line then line[#line + 1] = task end
    set_deadline(task, at)
    coroutine.yield()
    return task.why
  end


  -- let everybody else who is ready run once
  local function pass ()
    wake(current, "done")
    coroutine.yield()
  end


  -- -------------------------------------------------------------------------
  -- cancellation

  -- the outermost cancelled scope from `scope` up to the first shield
  local function cause (scope)
    local found
    while scope do
      if scope.by then found = scope end
      if scope.shield then break end
      scope = scope.parent
    end
    return found
  end


  -- the error that a cancelled scope raises, always the same
  local function error_of (scope)
    local reason = scope.reason
    if scope.error ~= nil then return scope.error end
    if scope.by == "deadline" then
      scope.error = make_error("TimeoutError", scope.message or "Timeout")
    elseif scope.by ~= "failed" and type(reason) == "table" then
      scope.error = reason
    else
      local message = scope.by ~= "failed" and reason
      scope.error = make_error("AbortError",
        message or "This operation was aborted", reason)
    end
    return scope.error
  end


  local function raise ()
    local scope = cause(current.scope)
    scope.felt = true
    error(error_of(scope), 0)
  end


  -- every call that may wait begins with this
  local function enter ()
    if cause(current.scope) then
      pass()
      raise()
    end
  end


  -- does the error come from the cancellation of `scope` or one around it?
  local function is_cancellation (err, scope)
    while scope do
      if scope.by and rawequal(scope.error, err) then return true end
      if scope.shield then break end
      scope = scope.parent
    end
    return false
  end


  -- wake a task that waits inside `top`, and what it has spawned there: older
  -- scopes before younger ones, in each the older child first; `through` its
  -- shields, which break, if need be
  local function strike (task, top, through)
    local scopes, hidden, scope = {}, false, task.scope
    while scope ~= top do
      table.insert(scopes, 1, scope)
      if through then scope.shield = false end
      if scope.shield then scopes, hidden = {}, true end
      scope = scope.parent
    end
    table.insert(scopes, 1, top)
    if not hidden and task.state == "waiting" and not task.uncancellable then
      wake(task, "cancel")
    end
    for _, s in ipairs(scopes) do
      for _, child in ipairs(s.children) do
        strike(child, child.shell, through)
      end
    end
  end


  local function cancel (scope, by, reason)
    if cause(scope) or scope.over then return end
    scope.by, scope.reason = by, reason
    remove(deadlines, scope)
    strike(scope.owner, scope)
  end


  -- -------------------------------------------------------------------------
  -- scopes

  local function open (task)
    local scope = setmetatable({ parent = task.scope, owner = task,
      children = {}, failed = {}, suppressed = {}, left = {},
      deadline = math.huge }, Scope)
    task.scope = scope
    return scope
  end


  -- what an error of a task is known by: itself if it is a table, else the task
  -- that had it first
  local function origin (task, err)
    if type(err) == "table" then return err end
    local given = task.given
    return given and rawequal(given.err, err) and given.origin or task
  end


  -- `task` is given the error of another one
  local function give (task, err, from)
    if type(err) ~= "table" then
      task.given = { err = err, origin = origin(from, err) }
    end
  end


  -- has the scope failed, and by what? The first failure counts, of the body
  -- or of a child that must succeed, else of a child that nobody has asked;
  -- the others are suppressed, unless they are the same error once more.
  local function failure (scope, err)
    local body_failed = scope.ended == "failed"
    local first = scope.first or not body_failed and scope.failed[1]
    if scope.body_first then first = nil end
    local failed, known = {}, {}
    if body_failed then failed[1] = { scope.owner, err } end
    for _, task in ipairs(scope.failed) do
      table.insert(failed, task == first and 1 or #failed + 1,
        { task, task.value })
    end
    for i, pair in ipairs(failed) do
      local key, e = origin(table.unpack(pair)), pair[2]
      if i > 1 and not known[key] then
        table.insert(scope.suppressed, e)
        on_suppressed(e)
      end
      known[key] = true
    end
    if first then give(scope.owner, first.value, first) end
    if failed[1] then return true, failed[1][2] end
    return false
  end


  -- the body of a scope has ended: wait for the children, and say how it all
  -- ended: "values", "quiet", "expired" or "error", and the error
  local function leave (scope, ok, err)
    local task = scope.owner
    scope.ended = ok and "returned"
      or is_cancellation(err, scope) and "cancelled" or "failed"
    if scope.ended == "failed" then
      scope.body_first = not scope.first
      cancel(scope, "failed", err)
    end
    while #scope.children > 0 do wait(scope.left, nil, true) end
    task.scope = scope.parent
    remove(deadlines, scope)
    scope.over = true
    local failed, first = failure(scope, err)
    if failed then return "error", first end
    local felt = scope.felt or scope.ended == "cancelled"
    local outer = not scope.shield and cause(scope.parent)
    if outer then
      if not felt and not scope.touched then return "values" end
      if scope == task.body and not ok then return "error", err end
      outer.felt = true
      return "error", error_of(outer)
    elseif scope.by == "quiet" and scope.ended == "cancelled" then
      return "quiet"
    elseif scope.by == "deadline" and felt then
      return "expired", error_of(scope)
    end
    return "values"
  end


  -- run fn(...) in a scope
  local function within (scope, moves_on, fn, ...)
    local results = table.pack(pcall(fn, ...))
    local how, err = leave(scope, results[1], results[2])
    if moves_on and how == "expired" then return false end
    if how == "error" or how == "expired" then error(err, 0) end
    if how == "quiet" then results = { n = 1 } end
    if moves_on then return true, table.unpack(results, 2, results.n) end
    return table.unpack(results, 2, results.n)
  end


  -- -------------------------------------------------------------------------
  -- tasks

  local function ended (task, state, value)
    local scope = task.shell.parent
    task.state, task.value, task.over = state, value, true
    if task.awaiters[1] then task.observed = true end
    while task.awaiters[1] do wake(task.awaiters[1], "done") end
    if scope.world then return end
    remove(scope.children, task)
    if state == "failed" and not (task.async and task.observed) then
      table.insert(scope.failed, task)
      if not task.async then
        scope.first = scope.first or task
        cancel(scope, "failed", value)
      end
    elseif state == "cancelled" and cause(scope) then
      scope.touched = true
    end
    if #scope.children == 0 and scope.left[1] then
      wake(scope.left[1], "done")
    end
  end


  local function start (scope, async, fn, ...)
    local task = setmetatable({ scope = scope, async = async, awaiters = {} },
      Task)
    local args = table.pack(...)
    task.shell = open(task)
    task.body = open(task)
    task.co = coroutine.create(function ()
      if cause(task.body) then fn = raise end -- it never runs
      local results = table.pack(pcall(fn, table.unpack(args, 1, args.n)))
      local how, err = leave(task.body, results[1], results[2])
      task.shell.over = true
      if how ~= "error" then
        ended(task, "done", table.pack(table.unpack(results, 2, results.n)))
      elseif is_cancellation(err, task.shell) then
        ended(task, "cancelled", err)
      else
        ended(task, "failed", err)
      end
    end)
    if not scope.world then table.insert(scope.children, task) end
    wake(task, "done")
    return task
  end


  local function outcome (task)
    if task.state == "done" then
      return true, table.unpack(task.value, 1, task.value.n)
    end
    task.observed = true
    if task.async then remove(task.shell.parent.failed, task) end
    give(current, task.value, task)
    return false, task.value
  end


  function Task:pawait ()
    if self == current then error("a task cannot await itself", 0) end
    enter()
    if not self.over and wait(self.awaiters) == "cancel" then raise() end
    return outcome(self)
  end

  function Task:await ()
    local results = table.pack(self:pawait())
    if not results[1] then error(results[2], 0) end
    return table.unpack(results, 2, results.n)
  end

  function Task:cancel (reason) cancel(self.shell, "task", reason) end
  function Task:status () return self.state end


  -- -------------------------------------------------------------------------
  -- what programs call

  function ref.now () return time end
  function ref.current () return current end
  function ref.cancelled () return cause(current.scope) ~= nil end
  function ref.spawn (fn, ...) return start(current.scope, false, fn, ...) end
  function ref.async (fn, ...) return start(current.scope, true, fn, ...) end


  function ref.sleep (seconds)
    enter()
    if seconds == 0 then pass() else wait(nil, time + seconds) end
    if cause(current.scope) then raise() end
  end


  function ref.settled ()
    enter()
    wait(settled)
    if cause(current.scope) then raise() end
  end


  function ref.event ()
    local event, line, set = {}, {}, false
    function event.wait ()
      enter()
      if not set and wait(line) == "cancel" then raise() end
    end
    function event.set ()
      set = true
      while line[1] do wake(line[1], "done") end
    end
    function event.clear () set = false end
    return event
  end


  function Scope:spawn (fn, ...)
    if self.over then error("'spawn' in a scope that has ended", 0) end
    return start(self, false, fn, ...)
  end

  function Scope:cancel (reason) cancel(self, "quiet", reason) end

  function Scope:move_deadline (at)
    if self.by or self.over then return end
    self.deadline = at
    set_deadline(self, at)
    if at <= time then cancel(self, "deadline") end
  end


  local function arm (scope, seconds)
    if seconds == 0 then
      scope.deadline = time
      cancel(scope, "deadline")
    elseif seconds then
      scope.deadline = time + seconds
      set_deadline(scope, scope.deadline)
    end
    return scope
  end


  function ref.scope (options, fn)
    enter()
    local scope = arm(open(current), options.timeout)
    return within(scope, false, fn, scope)
  end

  function ref.timeout (fn, seconds, message, ...)
    enter()
    local scope = open(current)
    scope.message = message
    return within(arm(scope, seconds), false, fn, ...)
  end

  function ref.move_on_after (seconds, fn, ...)
    enter()
    return within(arm(open(current), seconds), true, fn, ...)
  end

  function ref.shield (fn, ...)
    local scope = open(current)
    scope.shield = true
    return within(scope, false, fn, ...)
  end


  function ref.pcall (fn, ...)
    local results = table.pack(pcall(fn, ...))
    if not results[1] and is_cancellation(results[2], current.scope) then
      error(results[2], 0)
    end
    return table.unpack(results, 1, results.n)
  end


  -- -------------------------------------------------------------------------

  local function earliest ()
    local best
    for _, owner in ipairs(deadlines) do
      if not best or owner.at < best.at
        or owner.at == best.at and owner.order < best.order then
        best = owner
      end
    end
    return best
  end


  -- nobody is ready: let the next deadlines pass; false if there are none
  local function jump ()
    if settled[1] then
      while settled[1] do wake(settled[1], "done") end
      return true
    end
    local owner = earliest()
    if not owner then return false end
    time = owner.at
    repeat
      remove(deadlines, owner)
      if getmetatable(owner) == Task then
        wake(owner, "time")
      else
        cancel(owner, "deadline")
      end
      owner = earliest()
    until not owner or owner.at > time
    return true
  end


  -- true and the results, or false and the error. In a deadlock all is
  -- cancelled, and then again, through the shields that clean-up waits in.
  function ref.run (fn, ...)
    local world = { world = true, failed = {} }
    local root = start(world, false, fn, ...)
    while not root.over do
      if not ready[1] and not jump() then
        local through = world.by ~= nil
        world.by = "deadlock"
        world.error = world.error or make_error("DeadlockError")
        strike(root, root.shell, through)
      end
      local round = ready
      ready = {}
      for _, task in ipairs(round) do
        current, task.state = task, "running"
        assert(coroutine.resume(task.co))
      end
    end
    if root.state == "done" then
      return true, table.unpack(root.value, 1, root.value.n)
    end
    return false, root.value
  end


  return ref
end
