--- examples/http: what a stranger's server or client may send, on loopback
-- sockets and the real clock.

local neap = require "neap"
local peers = require "spec.peers"
local socket = require "neap.socket"
local support = require "spec.support"

package.path = package.path .. ";examples/?.lua"
local crawl = require "http.crawler"
local new_server = require "http.server"

local run = peers.run


-- call `fn(port)` while a server answers with what `pages` has for a path, and
-- notes in `asked` what it was asked for
local function with_pages (pages, asked, fn)
  local listener <close> = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  neap.scope(function (scope)
    scope:spawn(function ()
      for sock in listener:incoming() do
        scope:spawn(function ()
          local _ <close> = sock
          local path = sock:receive():match "^GET (.*) HTTP/1%.1$"
          for line in sock:lines() do
            if line == "" then break end
          end
          asked[#asked + 1] = path
          sock:send(pages[path] or "HTTP/1.1 404 No\r\n\r\n")
        end)
      end
    end)
    fn(port)
    scope:cancel()
  end)
end


local function html (text)
  return "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" .. text
end


local function redirect (target)
  return "HTTP/1.1 302 Found\r\nLocation: " .. target .. "\r\n\r\n"
end


describe("http.crawler", function ()

  local function crawled (pages)
    local asked, stats = {}, nil
    run(function ()
      with_pages(pages, asked, function (port)
        stats = crawl(("http://127.0.0.1:%d"):format(port), {
          concurrency = 2, timeout = 30, attempts = 2, delay = 0,
        })
      end)
    end)
    table.sort(asked)
    return asked, stats
  end

  it("visits each page once, whatever links to it", function ()
    local asked, stats = crawled {
      ["/"] = html '<a href="a"> <a href="/a#x"> <a HREF=\'./b/../c\'>',
      ["/a"] = html '<a href="/"> <a href="b c">',
      ["/b%20c"] = html "",
      ["/c"] = html "",
    }
    assert.same({ "/", "/a", "/b%20c", "/c" }, asked)
    assert.equal(4, stats.pages)
    assert.same({}, stats.failed)
  end)

  it("follows redirects, but not to other hosts nor in circles", function ()
    local asked, stats = crawled {
      ["/"] = html '<a href="a"> <a href="b"> <a href="c">',
      ["/a"] = redirect "/d",
      ["/b"] = redirect "http://other.invalid/",
      ["/c"] = redirect "/c",
      ["/d"] = html "",
    }
    assert.same({ "/", "/a", "/b", "/c", "/d" }, asked)
    assert.equal(2, stats.pages)
    assert.same({ "http://other.invalid/" }, stats.redirects)
    assert.same({}, stats.failed)
  end)

  it("retries what may pass, and nothing else", function ()
    local asked, stats = crawled {
      ["/"] = html '<a href="gone"> <a href="busy"> <a href="bad">',
      ["/busy"] = "HTTP/1.1 429 Too Many Requests\r\n\r\n",
      ["/bad"] = "HTTP/1.1 500 No\r\n\r\n",
    }
    assert.same({ "/", "/bad", "/bad", "/busy", "/busy", "/gone" }, asked)
    assert.equal(2, stats.retries)
    assert.equal(3, #stats.failed)
  end)

end)


describe("http.server", function ()

  local folder

  setup(function ()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute(("mkdir -p %s/site/sub && cd %s && echo no >secret && "
      .. "ln -s ../secret site/link && cd site && echo 1 >'a b' && "
      .. "echo 2 >50%%41 && echo 3 >'<b>?#' && echo 4 >sub/page.md")
      :format(folder, folder)))
  end)

  teardown(function () os.execute("rm -rf " .. folder) end)

  -- call `fn(port)` while it serves the folder
  local function serving (options, fn)
    options.root = folder .. "/site"
    run(function ()
      local server = new_server(options)
      neap.scope(function (scope)
        scope:spawn(server.run)
        fn(server.port)
        scope:cancel()
      end)
    end)
  end

  local function status_of (port, request)
    local sock <close> = assert(socket.connect("127.0.0.1", port))
    sock:send(request)
    local line = sock:receive()
    return line and tonumber(line:match "^HTTP/1%.1 (%d+)")
  end

  it("serves nothing from outside of the folder", function ()
    serving({}, function (port)
      for _, path in ipairs { "/../secret", "/%2e%2e/secret", "/..%2fsecret",
          "/sub/../../secret", "//etc/passwd", "/link", "/secret", "/%00" } do
        assert.equal(404, status_of(port, "GET " .. path
          .. " HTTP/1.1\r\n\r\n"), path)
      end
    end)
  end)

  it("links to all files, whatever their names", function ()
    serving({}, function (port)
      local stats = crawl(("http://127.0.0.1:%d/"):format(port), {
        concurrency = 1, timeout = 30, attempts = 1, delay = 0,
      })
      assert.same({}, stats.failed)
      assert.equal(6, stats.pages)
    end)
  end)

  it("limits what it reads of a request, and lives on", function ()
    serving({}, function (port)
      local line = ("x"):rep(9000)
      for _, request in ipairs {
        "GET /" .. line .. " HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nh: " .. line .. "\r\n\r\n",
        "GET / HTTP/1.1\r\n" .. ("h: x\r\n"):rep(2000) .. "\r\n",
      } do
        assert.is_nil(status_of(port, request))
      end
      assert.equal(400, status_of(port, "what?\r\n\r\n"))
      assert.equal(405, status_of(port, "PUT / HTTP/1.1\r\n\r\n"))
      assert.equal(200, status_of(port, "GET / HTTP/1.1\r\n\r\n"))
    end)
  end)

  it("has a number of clients, and the next one waits", function ()
    serving({ clients = 1 }, function (port)
      local request = "GET / HTTP/1.1\r\n\r\n"
      local first <close> = assert(socket.connect("127.0.0.1", port))
      first:send(request)
      assert.matches(" 200 ", first:receive())
      local second <close> = assert(socket.connect("127.0.0.1", port))
      second:send(request)
      assert.is_false((neap.move_on_after(0.02, second.receive, second)))
      first:close()
      assert.matches(" 200 ", second:receive())
    end)
  end)


  it("fails in the same way for the same seed", function ()
    local function statuses (seed)
      local list = {}
      serving({ fail = 0.5, seed = seed }, function (port)
        for i = 1, 20 do
          list[i] = status_of(port, "GET /" .. i % 10 .. " HTTP/1.1\r\n\r\n")
            or 0
        end
      end)
      return table.concat(list, " ")
    end
    local one = statuses(1)
    assert.matches("500", one)
    assert.equal(one, statuses(1))
    assert.not_equal(one, statuses(2))
  end)

  it("says which folder it cannot serve", function ()
    assert.matches("cannot list the folder no/such", support.error_of(run,
      function () new_server { root = "no/such" } end))
  end)

end)
