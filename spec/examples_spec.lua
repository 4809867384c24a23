--- examples/http: what a stranger's server or client may send, on loopback
-- sockets and the real clock.

local neap = require "neap"
local support = require "spec.support"

package.path = package.path .. ";examples/?.lua"
local client = require "http.client"
local crawl = require "http.crawler"
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
