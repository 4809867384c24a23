--- Paging through an HTTP API until an empty page, with an async generator.
--
-- example-test: neap

local http = require "neap.http"
local neap = require "neap"
local socket = require "neap.socket"

local ITEMS, PAGE = 47, 10


-- An API as there are many: GET /items?page=N gives a line for each item.
local function answer (sock)
  local _ <close> = sock
  local page = tonumber(sock:receive():match "page=(%d+)")
  for line in sock:lines() do -- the headers
    if line == "" then break end
  end
  local lines = {}
  for i = (page - 1) * PAGE + 1, math.min(page * PAGE, ITEMS) do
    lines[#lines + 1] = ("item %d\n"):format(i)
  end
  neap.sleep(0.01)
  sock:send("HTTP/1.0 200 OK\r\n\r\n" .. table.concat(lines))
end


local function serve (listener)
  for sock in listener:incoming() do neap.spawn(answer, sock) end
end


-- The generator: it waits for each page, and a retry is one word away.
local fetch_pages = neap.generator(function (yield, url)
  for page = 1, math.huge do
    local items = neap.retry(function ()
      return http.fetch(("%s?page=%d"):format(url, page)):lines():collect()
    end, { attempt_timeout = 5 })
    if items.n == 0 then return end
    yield(items, page)
  end
end)


local listener <close> = assert(socket.bind("127.0.0.1", 0))
local _, port = listener:getsockname()
local url = ("http://127.0.0.1:%d/items"):format(port)

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
