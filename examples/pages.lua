--- Paging through an HTTP API until an empty page, with an async generator.
--
-- example-test: neap

package.path = arg[0]:match "^(.-)[^/]*$" .. "?.lua;" .. package.path

local client = require "http.client"
local neap = require "neap"
local Stream = require "http.stream"

local ITEMS, PAGE = 47, 10


-- An API as there are many: GET /items?page=N gives a line for each item.
local function serve (listener)
  while true do
    neap.spawn(function (stream)
      local _ <close> = stream
      local page = tonumber(stream:line(1024):match "page=(%d+)")
      stream:headers()
      local lines = {}
      for i = (page - 1) * PAGE + 1, math.min(page * PAGE, ITEMS) do
        lines[#lines + 1] = ("item %d\n"):format(i)
      end
      local body = table.concat(lines)
      neap.sleep(0.01)
      stream:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(
        #body, body))
    end, listener:accept())
  end
end


-- The generator: it waits for each page, and a retry is one word away.
local fetch_pages = neap.generator(function (yield, url)
  for page = 1, math.huge do
    local response = neap.retry(function ()
      return client.get(("%s?page=%d"):format(url, page))
    end, { attempt_timeout = 5 })
    if response.body == "" then return end
    local items = {}
    for line in response.body:gmatch "[^\n]+" do items[#items + 1] = line end
    yield(items, page)
  end
end)


local listener <close> = Stream.listen("127.0.0.1", 0)
local url = ("http://127.0.0.1:%d/items"):format(listener.port)

neap.scope(function (scope)
  scope:spawn(serve, listener)

  local total = 0
  for items, page in fetch_pages(url) do
    print(("page %d: %s ... %s"):format(page, items[1], items[#items]))
    total = total + #items
  end
  assert(total == ITEMS)

  -- it is a stream, too: nothing is fetched that nobody asks for
  local first = neap.flat_map(fetch_pages(url),
    function (items) return items end)
    :filter(function (item) return item:find "5$" end)
    :take(2)
    :collect()
  print("the first that end in 5: " .. table.concat(first, ", "))
  scope:cancel()
end)
