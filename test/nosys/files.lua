-- Scenes for test/nosys.c: files and names of hosts, seen to by helper threads.

local stage = ...
local play = stage.play

local HERE = os.getenv "TMPDIR" or "/tmp"


-- a new folder
local function new_folder ()
  local pipe <close> = io.popen "mktemp -d"
  return pipe:read "l"
end


-- remove it; what was in it
local function remove_folder (folder)
  local pipe <close> = io.popen(("ls -A '%s'; rm -r '%s'"):format(folder,
    folder))
  return pipe:read "a"
end


local function owner_of (path)
  local pipe <close> = io.popen(("stat -c %%u:%%g '%s'"):format(path))
  return pipe:read "l"
end


local function contents (path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end


play("files", function (neap, room)
  local file = room.file
  local folder = new_folder()
  local path = folder .. "/file"
  local old, new = ("old\n"):rep(100), ("new line\n"):rep(3000)
  local f <close> = assert(io.open(path, "w"))
  f:write(old)
  os.execute(("chown 1:1 '%s' 2>/dev/null"):format(path)) -- if we are root
  local owner = owner_of(path)
  local read, lines
  return function ()
    neap.run(function ()
      assert(file.read(path) == old)
      file.write(path, new)
      read = file.read(path)
      lines = 0
      for line in file.lines(path) do
        assert(line == "new line")
        lines = lines + 1
      end
      file.write(path, { "more", "\n" }, { append = true })
      assert(file.chunks(path, 1000):take(1):collect()[1])
      local ok, err = pcall(file.read, path .. ".none")
      assert(not ok and err.name == "FileError")
      if err.errno ~= 2 then stage.expect(err) end
    end)
  end, function (ok)
    assert(owner_of(path) == owner, "another owner")
    local now = contents(path)
    assert(not ok or read == new and lines == 3000)
    assert(not ok or now == new .. "more\n")
    assert(now == old or now:sub(1, #new) == new, "half of a file")
    assert(remove_folder(folder) == "file\n", "a temporary file is left")
  end
end, "neap.file")


play("links to nothing", function (neap, room)
  local file = room.file
  local folder = new_folder()
  local link, path = folder .. "/link", folder .. "/file"
  assert(os.execute(("ln -s file '%s'"):format(link)))
  return function ()
    neap.run(function ()
      file.write(link, "text")
      file.write(folder .. "/new", "text")
    end)
  end, function (ok)
    assert(not ok or contents(path) == "text")
    local names = remove_folder(folder)
    assert(names:find "link\n", "the link is gone")
    assert(not names:find("neap", 1, true), "a temporary file is left")
  end
end, "neap.file")


play("pipes as files", function (neap, room)
  local file = room.file
  local path = ("%s/neap-nosys-%x"):format(HERE, math.random(0))
  assert(os.execute("mkfifo " .. path))
  local data = ("x"):rep(100000)
  return function ()
    neap.run(function ()
      neap.scope(function (s)
        local both <close> = assert(io.open(path, "r+"))
        s:spawn(file.write, path, data, { append = true })
        local size = 0
        for piece in file.chunks(both, 4000) do
          size = size + #piece
          if size == #data then break end
        end
      end)
    end)
  end, function ()
    os.remove(path)
  end
end, "neap.file")


play("names", function (neap)
  local resolve = neap.internal.resolve
  return function ()
    neap.run(function ()
      for _ = 1, 2 do
        neap.async(function () assert(resolve "127.0.0.1") end)
      end
      assert(assert(resolve("127.0.0.1", "inet"))[1].addr == "127.0.0.1")
      neap.async(resolve, "127.0.0.1"):cancel()
    end)
  end, function () end
end)
