--- Retry: call a function again until it succeeds.
--
-- Each attempt is a scope of its own, and so is the whole call. One rule keeps
-- cancellation out of it: what an attempt raises while its caller is cancelled
-- is passed on, whatever it is.
--
-- @module neap.retry

local args = require "neap.args"
local core = require "neap.core"

local cancelled, move_on_after = core.cancelled, core.move_on_after
local now, sleep, timeout = core.now, core.sleep, core.timeout
local set_traceback = core.internal.set_traceback
local traceback, with_signal = core.traceback, core.with_signal
local huge, min = math.huge, math.min

local Permanent = {
  __name = "neap.permanent",
  __tostring = function (p) return tostring(p.err) end,
}

local valid = {
  attempts = "count", delay = "seconds", backoff = "seconds",
  max_delay = "seconds", max_elapsed = "seconds", attempt_timeout = "seconds",
  jitter = { "none", "full", "equal", "decorrelated" }, rng = "callable",
  retry_if = "callable", delay_from = "callable", on_retry = "callable",
  signal = "signal",
}


-- the options as they are now, for they may change while attempts are made
local function policy_of (options)
  local policy = {
    attempts = options.attempts or 3,
    attempt_timeout = options.attempt_timeout or huge,
    delay = options.delay or 1,
    backoff = options.backoff or 2,
    max_delay = options.max_delay or huge,
    max_elapsed = options.max_elapsed or huge,
    jitter = options.jitter or "none",
    rng = options.rng, -- else 'math.random' of the moment
    retry_if = options.retry_if,
    delay_from = options.delay_from,
    on_retry = options.on_retry,
    signal = options.signal,
  }
  if policy.max_elapsed == 0 then -- one attempt, up to where it first waits
    policy.attempts, policy.attempt_timeout, policy.max_elapsed = 1, 0, huge
  end
  return policy
end

local default_policy = policy_of {}


-- a random wait; the limits come first, so that those who have reached
-- 'max_delay' are spread, too
local function between (policy, low, high)
  if high == huge then return high end
  local r = (policy.rng or math.random)()
  if not (type(r) == "number" and r >= 0 and r < 1) then
    error("bad result of 'rng' of 'retry' (must be a number in [0, 1), got "
      .. args.shown(r) .. ")", 0)
  end
  return low + r * (high - low)
end


-- 'last' is the wait that was computed before
local function computed_wait (policy, attempt, last)
  local delay, jitter, max = policy.delay, policy.jitter, policy.max_delay
  if jitter == "decorrelated" then
    return between(policy, min(delay, max), min(3 * last, max))
  end
  local wait = delay * policy.backoff ^ (attempt - 1)
  if wait ~= wait then wait = 0 end -- 0 times infinity
  wait = min(wait, max)
  if jitter == "none" then return wait end
  return between(policy, jitter == "equal" and wait / 2 or 0, wait)
end


local function next_wait (call, err, attempt)
  local policy = call.policy
  if policy.delay_from ~= nil then
    local wait = policy.delay_from(err, attempt)
    if wait ~= nil then
      if not (type(wait) == "number" and wait >= 0) then
        error("bad result of 'delay_from' of 'retry' (must be a number >= 0 "
          .. "or nil, got " .. args.shown(wait) .. ")", 0)
      end
      return wait
    end
  end
  call.wait = computed_wait(policy, attempt, call.wait or policy.delay)
  return call.wait
end


-- would an attempt after that wait begin before the deadline?
local function fits (call, wait)
  return call.deadline == huge or now() + wait < call.deadline
end


-- An attempt and what follows its failure call each other as tail calls, so
-- that neither attempts nor their results pile up.
local try


-- what 'pcall' gave for an attempt
local function tried (call, attempt, ok, ...)
  if ok then return ... end
  local err = ...
  if getmetatable(err) == Permanent then error(err.err, 0) end
  local policy = call.policy
  if cancelled() or attempt >= policy.attempts then error(err, 0) end
  call.failed, call.err = true, err
  if policy.retry_if ~= nil and not policy.retry_if(err, attempt) then
    error(err, 0)
  end
  local wait = next_wait(call, err, attempt)
  if not fits(call, wait) then error(err, 0) end
  if policy.on_retry ~= nil then
    policy.on_retry { err = err, attempt = attempt, delay = wait }
    if not fits(call, wait) then error(err, 0) end
  end
  sleep(wait)
  -- an equal error of the next attempt will have been raised elsewhere
  call.trace = traceback(err)
  set_traceback(err, nil)
  return try(call, attempt + 1)
end


function try (call, attempt)
  return tried(call, attempt,
    pcall(timeout, call.fn, call.policy.attempt_timeout, nil, attempt))
end


-- what 'move_on_after' gave: false when 'max_elapsed' has passed
local function ended (call, in_time, ...)
  if in_time then return ... end
  if not call.failed then error(core.error("TimeoutError", "Timeout"), 0) end
  if call.trace ~= nil then set_traceback(call.err, call.trace) end
  error(call.err, 0)
end


local function run (call)
  return ended(call, move_on_after(call.policy.max_elapsed, try, call, 1))
end


--- Call `fn(attempt)` until it succeeds. The wait before attempt k+1 is
-- `min(delay * backoff^(k-1), max_delay)`. Each attempt is a scope of its own.
-- Cancellation is never retried; an attempt's own timeout is. After a failure
-- come `retry_if`, `delay_from`, `on_retry`, which may suspend, and the wait.
-- Suspends.
-- @tparam function fn what to call, as `fn(attempt)` with 1, 2, 3, ...
-- @tparam[opt] table options as follows
-- @tparam[opt=3] integer options.attempts calls in all; `math.huge` is allowed
-- @tparam[opt=1] number options.delay seconds before the second attempt
-- @tparam[opt=2] number options.backoff factor from one wait to the next
-- @tparam[opt=math.huge] number options.max_delay no wait is longer, but for
-- those that `delay_from` gives
-- @tparam[opt="none"] string options.jitter of a wait d: "none", "full"
-- (`rng() * d`), "equal" (`d/2 + rng() * d/2`) or "decorrelated" (between
-- `delay` and three times the last wait)
-- @tparam[opt=math.huge] number options.max_elapsed seconds for everything,
-- what the options' functions take included: it cuts a running attempt, and a
-- wait that would not fit is not begun
-- @tparam[opt=math.huge] number options.attempt_timeout seconds for each
-- attempt
-- @tparam[opt] function options.retry_if `retry_if(err, attempt)` tells whether
-- to go on; not asked after the last attempt
-- @tparam[opt] function options.delay_from `delay_from(err, attempt)` gives the
-- seconds to wait, or nil for those computed
-- @tparam[opt] function options.on_retry called before each wait, with
-- `{ err =, attempt =, delay = }`
-- @tparam[opt=math.random] function options.rng gives numbers in [0, 1)
-- @tparam[opt] signal options.signal ends it with the signal's reason
-- @return what `fn` returned
-- @raise the last error, unchanged; a TimeoutError if `max_elapsed` passed
-- before there was one
local function retry (fn, options)
  args.callable(fn, 1, "retry", "fn")
  local policy = default_policy
  if options ~= nil then
    policy = policy_of(args.options(options, 2, "retry", valid))
  end
  args.enter "retry"
  local max_elapsed = policy.max_elapsed
  local call = {
    fn = fn,
    policy = policy,
    deadline = max_elapsed < huge and now() + max_elapsed or huge,
    failed = false, -- is there an error, 'err'?
    -- then also: 'trace', its traceback while another attempt runs, and 'wait',
    -- the last wait that was computed
  }
  if policy.signal ~= nil then return with_signal(policy.signal, run, call) end
  return run(call)
end


--- Make an error that `retry` does not retry: `error(neap.permanent(err))`
-- ends it at once, and it raises `err`. Does not suspend.
-- @param err any error
-- @return what to raise
local function permanent (err)
  if getmetatable(err) == Permanent then return err end
  return setmetatable({ err = err }, Permanent)
end


return { retry = retry, permanent = permanent }
