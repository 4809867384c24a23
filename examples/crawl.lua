--- Crawl a site over HTTP:  neap examples/crawl.lua URL
--
-- A pool of five, each page with a timeout and retries. Follows links on the
-- same host. Only plain http; names are resolved by a call that blocks.

package.path = arg[0]:match "^(.-)[^/]*$" .. "?.lua;" .. package.path

local client = require "http.client"
local report = require "http.report"

local url = arg[1]
if url == nil or arg[2] or not client.parse(url) then
  io.stderr:write "usage: neap examples/crawl.lua http://HOST[:PORT]/[PATH]\n"
  os.exit(2)
end

local stats = report(url, { concurrency = 5, timeout = 10, attempts = 4,
  delay = 0.5 })
if stats.pages == 0 then os.exit(1) end
