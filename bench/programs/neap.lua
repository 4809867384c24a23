local neap = require "neap"

local sleep = neap.sleep

return {
  version = "neap " .. neap.version,
  run = neap.run,
  spawn = neap.async,
  yield = function () sleep(0) end,
  sleep = sleep,
  timeout = neap.timeout,
  semaphore = neap.semaphore,
  channel = neap.channel,
  pool = neap.pool,
  cancellable = neap.async,
  many = 1000000,
}
