--- What a crawl says: a bar while it goes on, a table when it has ended.

local crawl = require "http.crawler"
local neap = require "neap"


local function size (bytes)
  if bytes < 10240 then return bytes .. " B" end
  if bytes < 10240 * 1024 then return ("%.1f KiB"):format(bytes / 1024) end
  return ("%.1f MiB"):format(bytes / 1024 / 1024)
end


--- Crawl and report. Suspends.
-- @treturn table what the crawler gave
return function (url, options)
  local stats
  do
    local bar <close> = neap.progress(1, { label = "pages",
      file = io.stdout })
    options.on_page = function (now, page, err)
      if err ~= nil then bar:print(("failed  %s (%s)"):format(page, err)) end
      bar:update(now.done, now.found)
    end
    stats = crawl(url, options)
  end
  local rows = {
    { "pages", stats.pages },
    { "bytes", size(stats.bytes) },
    { "retries", ("%d, of these %d after a timeout"):format(stats.retries,
      stats.timeouts) },
    { "failed", #stats.failed },
    { "time", ("%.2f s with %d at a time"):format(stats.elapsed,
      options.concurrency) },
    { "one at a time", ("%.2f s, so this was %.1f times as fast"):format(
      stats.work, stats.work / math.max(stats.elapsed, 1e-9)) },
  }
  if #stats.redirects > 0 then
    table.insert(rows, 4, { "elsewhere", ("%d redirects, not followed: %s")
      :format(#stats.redirects, table.concat(stats.redirects, " ")) })
  end
  for _, row in ipairs(rows) do
    print(("  %-14s %s"):format(row[1], row[2]))
  end
  return stats
end
