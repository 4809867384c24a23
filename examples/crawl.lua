--- Crawl a site over HTTP:  neap examples/crawl.lua URL
--
-- A pool of five, each page with a timeout and retries. Follows links on the
-- same host. https needs LuaSec.

package.path = arg[0]:match "^(.-)[^/]*$" .. "?.lua;" .. package.path

local http = require "neap.http"
local report = require "http.report"

if arg[1] == nil or arg[2] or not http.resolve(arg[1], "") then
  io.stderr:write([[
usage: neap examples/crawl.lua http[s]://HOST[:PORT]/[PATH]
]])
  os.exit(2)
end

local stats = report(arg[1], { concurrency = 5, timeout = 10, attempts = 4,
  delay = 0.5 })
if stats.pages == 0 then os.exit(1) end
