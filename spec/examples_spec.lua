--- examples/http: what a stranger's server or client may send, on loopback
-- sockets and the real clock.

local neap = require "neap"
local support = require "spec.support"

package.path = package.path .. ";examples/?.lua"
local client = require "http.client"
local crawl = require "http.crawler"
local new_server = require "http.server"
local Stream = require "http.stream"
local url = require "http.url"


local function run (fn)
  neap.clock "real"
  local ok, err = pcall(neap.run, fn)
  support.assert_empty()
  if not ok then error(err, 0) end
end


-- call `fn(port)` while a server answers with what `pages` has for a path, and
-- notes in `asked` what it was asked for
local function with_pages (pages, asked, fn)
  local listener <close> = Stream.listen("127.0.0.1", 0)
  neap.scope(function (scope)
    scope:spawn(function ()
      while true do
        scope:spawn(function (stream)
          local _ <close> = stream
          local line = stream:line(1024)
          stream:headers()
          asked[#asked + 1] = line:match "^GET (.*) HTTP/1%.1$"
          stream:write(pages[asked[#asked]] or "HTTP/1.1 404 No\r\n\r\n")
        end, listener:accept())
      end
    end)
    fn(listener.port)
    scope:cancel()
  end)
end


local function html (text)
  return "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" .. text
end


local function redirect (target)
  return "HTTP/1.1 302 Found\r\nLocation: " .. target .. "\r\n\r\n"
end


describe("http.url", function ()

  it("resolves links as browsers do", function ()
    local page = "http://h:81/dir/page?k=/v/w"
    for link, expected in pairs {
      ["x"] = "http://h:81/dir/x",
      ["../x"] = "http://h:81/x",
      ["../../../x/."] = "http://h:81/x/",
      ["a/../b/./c"] = "http://h:81/dir/b/c",
      ["/x"] = "http://h:81/x",
      [" /x\n"] = "http://h:81/x",
      [""] = page,
      ["#part"] = page,
      ["?q=1"] = "http://h:81/dir/page?q=1",
      ["n?next=/a/../b"] = "http://h:81/dir/n?next=/a/../b",
      ["//other/y"] = "http://other/y",
      ["HTTP://Other:80"] = "http://other/",
      ["http://[::1]:8/z#part"] = "http://[::1]:8/z",
      ["a b\r\nX: y"] = "http://h:81/dir/a%20b%0D%0AX:%20y",
    } do
      assert.equal(expected, url.resolve(page, link))
    end
  end)

  it("gives nothing for what is not an http URL", function ()
    for _, text in ipairs { "https://h/", "mailto:a@b", "http://h:0/",
        "http://h:65536/", "http:///x", "http://user@h/", "ftp://h/" } do
      assert.is_nil(url.resolve("http://h/", text), text)
    end
  end)

end)


describe("http.client", function ()

  local function body_of (answer)
    local body
    run(function ()
      with_pages({ ["/"] = answer }, {}, function (port)
        body = client.get(("http://127.0.0.1:%d"):format(port)).body
      end)
    end)
    return body
  end

  it("reads bodies by length, by chunks and until the end", function ()
    assert.equal("abcde", body_of
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcdefgh")
    assert.equal("abcdefgh", body_of("HTTP/1.1 200 OK\r\n"
      .. "Transfer-Encoding: chunked\r\n\r\n"
      .. "5;x=y\r\nabcde\r\n3\r\nfgh\r\n0\r\nTrailer: z\r\n\r\n"))
    assert.equal("abcdefgh", body_of "HTTP/1.1 200 OK\r\n\r\nabcdefgh")
  end)

  it("raises for an answer that is cut short or makes no sense", function ()
    for answer, message in pairs {
      [""] = "closed the connection",
      ["SSH-2.0\r\n"] = "no HTTP answer: SSH",
      ["HTTP/1.1 200 OK\r\nContent-Le"] = "ended within a line",
      ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"] = "ended too early",
      ["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"] = "makes no sense",
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"] =
        "chunk has no size",
    } do
      assert.matches(message, support.error_of(body_of, answer))
    end
  end)

  it("names the host that does not answer", function ()
    local port
    run(function ()
      local listener <close> = Stream.listen("127.0.0.1", 0)
      port = listener.port
    end)
    local err = support.error_of(run, function ()
      client.get(("http://127.0.0.1:%d/"):format(port))
    end)
    assert.matches("^cannot connect to 127.0.0.1 port %d+: ", err)
  end)

end)


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
    local stream <close> = Stream.connect("127.0.0.1", port)
    stream:write(request)
    local line = stream:line(1024)
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
        "GET / HTTP/1.1\r\n" .. ("h: x\r\n"):rep(200) .. "\r\n",
        "GET / HTTP/1.1\r\nno header\r\n\r\n",
      } do
        -- it may close while there is more to read: then there is a reset
        local ok, status = pcall(status_of, port, request)
        assert.is_true(not ok or status == nil)
      end
      assert.equal(400, status_of(port, "what?\r\n\r\n"))
      assert.equal(405, status_of(port, "PUT / HTTP/1.1\r\n\r\n"))
      assert.equal(200, status_of(port, "GET / HTTP/1.1\r\n\r\n"))
    end)
  end)

  it("has a number of clients, and the next one waits", function ()
    serving({ clients = 1 }, function (port)
      local first = Stream.connect("127.0.0.1", port)
      first:write "GET / HTTP/1.1\r\n\r\n"
      assert.matches(" 200 ", first:line(1024))
      local second <close> = Stream.connect("127.0.0.1", port)
      second:write "GET / HTTP/1.1\r\n\r\n"
      assert.is_false((neap.move_on_after(0.02, second.read, second)))
      first:close()
      assert.matches(" 200 ", second:line(1024))
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
