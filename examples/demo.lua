--- The demo: a server that fails and stalls now and then, and a crawl over it
-- that does not mind. Both are neap programs, here in one process.
--
-- example-test: neap

package.path = arg[0]:match "^(.-)[^/]*$" .. "?.lua;" .. package.path

local neap = require "neap"
local new_server = require "http.server"
local report = require "http.report"

local root = arg[0]:match "^(.-)[^/]*$" .. ".."

local server = new_server {
  root = root, delay = 0.03, fail = 0.15, stall = 0.03, seed = 7,
}
local url = ("http://127.0.0.1:%d/"):format(server.port)

print "A server over neap's own files: each answer takes 30 ms, every seventh"
print "request fails, and some never get an answer. A crawl over it: five pages"
print "at a time, one second for each attempt, retries with backoff.\n"
print("crawling " .. url)

local stats
neap.scope(function (scope)
  scope:spawn(server.run)
  stats = report(url, { concurrency = 5, timeout = 1, attempts = 4,
    delay = 0.1 })
  scope:cancel() -- enough: the server and its connections end
end)

print "\nNothing is left running. Crawl another site with"
print "  bin/neap examples/crawl.lua http://..."

-- a demo that shows nothing is a failure, too
assert(stats.pages > 10 and stats.retries > 0 and #stats.failed == 0,
  "the crawl did not go as it should")
