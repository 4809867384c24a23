-- the bare C core of bench/floor.c

local floor = require "floor"

local sleep = floor.sleep

return {
  version = "bare C core",
  run = floor.run,
  spawn = floor.spawn,
  yield = function () sleep(0) end,
  sleep = sleep,
  timeout = floor.timeout,
  semaphore = floor.semaphore,
  channel = floor.channel,
  pool = floor.pool,
  cancellable = floor.spawn_guarded,
  many = 1000000,
}
