--- neap.http.message: what a server may send, in whatever pieces it comes.

local message = require "neap.http.message"
local support = require "spec.support"
local url = require "neap.http.url"

local error_of = support.error_of


-- a source of the pieces of a text: cut behind each of these bytes, or into
-- single ones
local function source_of (text, ...)
  local pieces, from = {}, 1
  for _, stop in ipairs { ... } do
    pieces[#pieces + 1] = text:sub(from, stop)
    from = stop + 1
  end
  pieces[#pieces + 1] = text:sub(from)
  local i = 0
  return { read = function ()
    repeat i = i + 1 until pieces[i] ~= ""
    return pieces[i]
  end }
end


local function bytewise (text)
  local cuts = {}
  for i = 1, #text - 1 do cuts[i] = i end
  return source_of(text, table.unpack(cuts))
end


-- a response as one text, and what is left behind it
local function read (source, method)
  local reader = message.reader(source)
  message.expect(reader, {
    method = method or "GET", url = url.parse "http://h/p",
  })
  local version, status, text, head = message.read_head(reader)
  local body = message.body(reader, status, head)
  local parts = {}
  for piece in message.read_body, body do
    assert.not_equal("", piece)
    parts[#parts + 1] = piece
  end
  local lines = {}
  for name, value in pairs(head) do lines[#lines + 1] = name .. "=" .. value end
  for name, value in pairs(body.trailers or {}) do
    lines[#lines + 1] = "trailer " .. name .. "=" .. value
  end
  return ("%s %d %s [%s] %s (%s)"):format(version, status, text,
    table.concat(lines, "|"), table.concat(parts), body.kind),
    message.has_more(reader)
end


local good = {
  -- name, method, what comes, what it is, is there more?
  { "a length", "GET",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b c \r\n\r\nhello",
    "1.1 200 OK [content-length=5|x-a=b c] hello (length)" },
  { "what comes behind it", "GET",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP",
    "1.1 200 OK [content-length=2] ab (length)", true },
  { "a length of 0", "GET",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "1.1 404 Not Found [content-length=0]  (length)" },
  { "the same length twice", "GET",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "1.1 200 OK [content-length=2|content-length=2] ab (length)" },
  { "chunks", "GET",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      .. "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
    "1.1 200 OK [transfer-encoding=chunked] abc0123456789 (chunked)" },
  { "trailers", "GET",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"
      .. "001 \r\na\r\n000\r\nSum: 1\r\n and\r\nB: 2\r\n\r\n",
    "1.1 200 OK [transfer-encoding=Chunked|trailer sum=1 and|trailer b=2] a "
      .. "(chunked)" },
  { "a body until the end", "GET", "HTTP/1.0 200 OK\r\nA: b\r\n\r\nall of it",
    "1.0 200 OK [a=b] all of it (close)" },
  { "no headers, no text, bare line feeds", "GET", "HTTP/1.1 200\n\nx",
    "1.1 200  [] x (close)" },
  { "header lines that go on, and empty values", "GET",
    "HTTP/1.1 200 OK\r\nA:\r\n  b\r\n\tc\r\nD: \r\nContent-Length: 0\r\n\r\n",
    "1.1 200 OK [a= b c|d=|content-length=0]  (length)" },
  { "bytes that are no ASCII", "GET",
    "HTTP/1.1 200 \xC3\xA4\r\nA: \xFF\r\nContent-Length: 1\r\n\r\n\0",
    "1.1 200 \xC3\xA4 [a=\xFF|content-length=1] \0 (length)" },
  { "no body for HEAD", "HEAD",
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP",
    "1.1 200 OK [content-length=9]  (length)", true },
  { "no body with 204", "GET", "HTTP/1.1 204 No\r\n\r\n",
    "1.1 204 No []  (length)" },
  { "no body with 304, whatever its headers say", "GET",
    "HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n",
    "1.1 304 Not [transfer-encoding=chunked]  (length)" },
}


local bad = {
  -- name, what comes, the error's name, its words
  { "nothing", "", "NetworkError", "closed without a response" },
  { "another protocol", "SSH-2.0-x\r\n\r\n", "ResponseError",
    "bad status line 'SSH%-2%.0%-x'" },
  { "another version", "HTTP/2.0 200 OK\r\n\r\n", "ResponseError",
    "bad status line" },
  { "a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "ResponseError",
    "bad status line" },
  { "a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "ResponseError",
    "bad status line" },
  { "a status below 100", "HTTP/1.1 099 OK\r\n\r\n", "ResponseError",
    "bad status line" },
  { "a control character in the status line", "HTTP/1.1 200 O\27K\r\n\r\n",
    "ResponseError", "bad status line 'HTTP/1%.1 200 O\\x1BK'" },
  { "an end within the status line", "HTTP/1.1 20", "NetworkError",
    "closed in the headers" },
  { "an end within the headers", "HTTP/1.1 200 OK\r\nA: b\r\n", "NetworkError",
    "closed in the headers" },
  { "a header without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "ResponseError", "bad header 'nonsense'" },
  { "a blank before the colon", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
    "ResponseError", "bad header 'A : b'" },
  { "a header without a name", "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
    "ResponseError", "bad header ': b'" },
  { "a first header that goes on", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
    "ResponseError", "bad header ' A: b'" },
  { "a NUL in a header", "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", "ResponseError",
    "invalid byte in the header 'A: b\\x00c'" },
  { "a carriage return in a header", "HTTP/1.1 200 OK\r\nA: b\rc: d\r\n\r\n",
    "ResponseError", "invalid byte in the header" },
  { "a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "ResponseError", "bad content%-length 'x'" },
  { "a length below 0", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "ResponseError", "bad content%-length" },
  { "a length in other digits",
    "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n",
    "ResponseError", "bad content%-length" },
  { "an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
    "ResponseError", "bad content%-length" },
  { "a length beyond all bounds",
    "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999\r\n\r\n",
    "ResponseError", "bad content%-length" },
  { "two lengths",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "ResponseError", "bad content%-length '1, 2'" },
  { "both a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
    .. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "ResponseError",
    "both transfer%-encoding and content%-length" },
  { "an unknown coding",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "ResponseError", "unknown transfer%-encoding 'gzip, chunked'" },
  { "an end within a body with a length",
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "NetworkError",
    "closed after 3 of 10 bytes of the body" },
}

for name, case in pairs {
  ["a chunk size that is none"] = { "x\r\n", "ResponseError",
    "bad chunk size 'x'" },
  ["an empty chunk size"] = { "\r\n", "ResponseError", "bad chunk size ''" },
  ["a chunk size below 0"] = { "-1\r\n", "ResponseError", "bad chunk size" },
  ["a chunk size beyond all bounds"] = { ("F"):rep(16) .. "\r\n",
    "ResponseError", "bad chunk size" },
  ["a chunk size followed by something"] = { "1 x\r\na", "ResponseError",
    "bad chunk size '1 x'" },
  ["a chunk that is longer than its size"] = { "1\r\nab\r\n", "ResponseError",
    "a chunk is longer than its size" },
  ["an end within a chunk's size"] = { "1", "NetworkError",
    "closed in a chunk's size" },
  ["an end within a chunk"] = { "5\r\nab", "NetworkError",
    "closed in a chunk" },
  ["an end behind a chunk"] = { "2\r\nab", "NetworkError",
    "closed in a chunk" },
  ["an end before the last chunk"] = { "2\r\nab\r\n", "NetworkError",
    "closed in a chunk's size" },
  ["an end within the trailers"] = { "0\r\nA: b\r\n", "NetworkError",
    "closed in the trailers" },
  ["bad trailers"] = { "0\r\nnonsense\r\n\r\n", "ResponseError",
    "bad header 'nonsense'" },
} do
  bad[#bad + 1] = { name,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. case[1], case[2],
    case[3] }
end


describe("a response", function ()

  for _, case in ipairs(good) do
    local name, method, text, expected, more = table.unpack(case, 1, 5)

    it("with " .. name .. " is the same however it is cut", function ()
      assert.equal(expected, (read(bytewise(text), method)))
      for cut = 0, #text do
        local got, left = read(source_of(text, cut), method)
        assert.equal(expected, got)
        if cut == 0 then assert.equal(more or false, left) end
      end
    end)

  end

  for _, case in ipairs(bad) do
    local name, text, kind, words = table.unpack(case)

    it("with " .. name .. " is an error that says so", function ()
      for cut = 0, #text do
        local err = error_of(read, source_of(text, cut))
        assert.equal(kind, err.name)
        assert.matches(words, err.message)
        assert.matches("^GET http://h/p: ", err.message)
        assert.equal("http://h/p", err.url)
      end
      assert.equal(kind, error_of(read, bytewise(text)).name)
    end)

  end


  it("may end at any byte: a body is whole or there is an error", function ()
    for _, case in ipairs(good) do
      local _, method, text, expected, more = table.unpack(case, 1, 5)
      local endless = expected:find "%(close%)" ~= nil
      if not endless and not more then
        for n = 0, #text - 1 do
          local err = error_of(read, source_of(text:sub(1, n)), method)
          assert.equal("NetworkError", err.name)
        end
      end
    end
  end)


  it("with more headers than a program can want is refused, not read",
    function ()
      for _, line in ipairs { "A: b\r\n", "A: " .. ("b"):rep(3000) .. "\r\n",
        ("b"):rep(1000) } do
        local n = 0
        local err = error_of(read, { read = function ()
          n = n + 1
          return n == 1 and "HTTP/1.1 200 OK\r\n" or line
        end })
        assert.equal("ResponseError", err.name)
        assert.matches("too many bytes in the headers", err.message)
        assert.is_true(n * #line < 70000)
      end
    end)


  it("may have as many bytes as are allowed, no more", function ()
    local function head (n) -- of so many bytes
      return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: "
        .. ("b"):rep(n - 43) .. "\r\n\r\n", "the headers"
    end
    local function size (n) -- a line of so many
      return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"
        .. ("x"):rep(n - 4) .. "\r\na\r\n0\r\n\r\n", "a chunk's size"
    end
    local function trailers (n)
      return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: "
        .. ("b"):rep(n - 7) .. "\r\n\r\n", "the trailers"
    end
    for make, most in pairs { [head] = 65536, [size] = 4096,
        [trailers] = 65536 } do
      read(source_of((make(most))))
      local text, where = make(most + 1)
      assert.matches("too many bytes in " .. where,
        error_of(read, source_of(text)).message)
    end
  end)


  it("with a chunk's size that does not end is refused", function ()
    local n = 0
    local err = error_of(read, { read = function ()
      n = n + 1
      return n == 1 and "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        or "1" .. (";"):rep(500)
    end })
    assert.matches("too many bytes in a chunk's size", err.message)
    assert.is_true(n < 15)
  end)


  it("of blanks takes no more time than one of letters", function ()
    -- patterns that try each of the blanks would take minutes
    local blanks = (" "):rep(60000)
    local text = read(source_of("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b"
      .. blanks .. "c" .. blanks:sub(1, 5) .. "\r\n\r\n"))
    assert.equal(60000 + 2 + #"1.1 200 OK [content-length=0|a=]  (length)",
      #text)
  end)


  it("is read no further than is asked for", function ()
    local reads = 0
    local pieces = { "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", "abc",
      "def" }
    local reader = message.reader { read = function ()
      reads = reads + 1
      return pieces[reads]
    end }
    message.expect(reader, { method = "GET", url = url.parse "http://h/" })
    local _, status, _, head = message.read_head(reader)
    assert.equal(1, reads)
    local body = message.body(reader, status, head)
    assert.equal("abc", message.read_body(body))
    assert.equal(2, reads)
    assert.is_false(body.ended)
    assert.equal("def", message.read_body(body))
    assert.is_true(body.ended)
    assert.is_nil(message.read_body(body))
    assert.equal(3, reads)
  end)


  it("loses nothing when a read is cancelled, whatever was being read",
    function ()
      local reader = message.reader(source_of("HTTP/1.1 200 OK\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n"))
      message.expect(reader, { method = "GET", url = url.parse "http://h/" })
      local _, status, _, head = message.read_head(reader)
      local body = message.body(reader, status, head)
      local rest = bytewise "3\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\nC: d\r\n\r\n"
      local stop = false
      reader.source = { read = function () -- every other time
        stop = not stop
        if stop then error { "cancelled" } end
        return rest.read()
      end }
      local function insist (fn, ...)
        while true do
          local ok, result = pcall(fn, ...)
          if ok then return result end
          assert.same({ "cancelled" }, result)
        end
      end
      local got = {}
      for piece in function () return insist(message.read_body, body) end do
        got[#got + 1] = piece
      end
      assert.equal("abcde", table.concat(got))
      assert.equal("b", body.trailers:get "a")
      assert.equal("d", body.trailers:get "c")
    end)

end)


describe("the headers of a response", function ()

  local function parsed (text)
    local reader = message.reader(source_of("HTTP/1.1 200 OK\r\n" .. text
      .. "\r\n"))
    message.expect(reader, { method = "GET", url = url.parse "http://h/" })
    return select(4, message.read_head(reader))
  end


  it("are found in any case; several of one name are joined", function ()
    local head = parsed "Set-Cookie: a=1, b\r\nX: y\r\nset-cookie: c=2\r\n"
    assert.equal("a=1, b, c=2", head:get "SET-cookie")
    assert.same({ "a=1, b", "c=2" }, head:all "Set-Cookie")
    assert.equal("y", head:get "x")
    assert.is_nil(head:get "get")
    assert.same({}, head:all "nothing")
  end)


  it("check their arguments", function ()
    local head = parsed "A: b\r\n"
    assert.matches("bad argument #1 to 'get' %(name must be a string, got n",
      error_of(function () head:get() end))
    assert.matches("bad argument #1 to 'all' %(name must be a string, got 1",
      error_of(function () head:all(1) end))
    assert.matches("calling 'get' on a bad self",
      error_of(function () head.get("a", "b") end))
  end)

end)


describe("a URL", function ()

  it("has one form", function ()
    for text, expected in pairs {
      ["http://h"] = "http://h/",
      ["HTTP://Host.Example:80/a"] = "http://host.example/a",
      ["https://h:443"] = "https://h/",
      ["https://h:80/?q#f"] = "https://h:80/?q",
      ["http://h?q=/../x"] = "http://h/?q=/../x",
      ["http://h#f"] = "http://h/",
      ["http://h:/x"] = "http://h/x",
      ["http://[::1]:8080/"] = "http://[::1]:8080/",
      ["http://h/a/./b/../c"] = "http://h/a/c",
      ["http://h/a b?\xC3\xA4 c"] = "http://h/a%20b?%C3%A4%20c",
      ["http://h/%41"] = "http://h/%41",
    } do
      local where = assert(url.parse(text))
      assert.equal(expected, tostring(where))
    end
    local where = url.parse "http://[::1]:8080/p?q"
    assert.equal("::1", where.host)
    assert.equal(8080, where.port)
    assert.equal("[::1]:8080", where.authority)
    assert.equal("/p?q", where.target)
  end)


  it("that makes no sense is refused, with the reason", function ()
    for text, why in pairs {
      [""] = "does not begin with", ["h/x"] = "does not begin with",
      ["ftp://h/"] = "does not begin with", ["http:/h"] = "does not begin with",
      ["http://"] = "host", ["http:///x"] = "host", ["http://a b/"] = "host",
      ["http://h:x/"] = "host", ["http://h:0/"] = "port",
      ["http://h:65536/"] = "port", ["http://u:p@h/"] = "user name",
      ["http://u@h/"] = "user name", ["http://h/\r\nX: y"] = "control",
      ["http://h\n/"] = "control", ["http://h/\0"] = "control",
      ["http://h\\@o/"] = "user name",
      ["http://h\\o/"] = "host",
      ["http://\xC3\xA4/"] = "host",
    } do
      local where, message_ = url.parse(text)
      assert.is_nil(where)
      assert.matches(why, message_)
    end
  end)


  it("is resolved as browsers do", function ()
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
      ["https://[::1]:8/z#part"] = "https://[::1]:8/z",
      ["a b\r\nX: y"] = "http://h:81/dir/a%20bX:%20y",
    } do
      assert.equal(expected, tostring(url.resolve(page, link)))
    end
    assert.equal("https://o/y", tostring(url.resolve("https://h/x", "//o/y")))
    assert.is_nil((url.resolve(page, "mailto:a@b")))
    assert.is_nil((url.resolve(page, "http://a:b@c/")))
    assert.is_nil((url.resolve("nonsense", "/x")))
  end)

end)


describe("a source of a response that raises", function ()

  for _, case in ipairs {
    { "connection lost", "NetworkError", "GET http://h/p: connection lost" },
    { "not enough memory", nil, "not enough memory" },
  } do
    it(("'%s' is %s"):format(case[1], case[2] or "no NetworkError"),
      function ()
        local err = error_of(read, { read = function () error(case[1], 0) end })
        assert.equal(case[2], type(err) == "table" and err.name or nil)
        assert.equal(case[3], case[2] and err.message or err)
      end)
  end

end)
