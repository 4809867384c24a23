--- Put Lua files into C: lua tools/embed.lua FILE... >files.c
--
-- For libneap, which needs no file at run time (csrc/lib/files.h). Bytes are
-- written as numbers: C limits the length of strings, not that of arrays.

local function read (path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end


local function bytes (text)
  local lines = {}
  for i = 1, #text, 20 do
    lines[#lines + 1] = table.concat({ text:byte(i, i + 19) }, ",") .. ","
  end
  return table.concat(lines, "\n")
end


print '#include "files.h"'
for i, path in ipairs(arg) do
  print(("static const unsigned char f%d[] = {\n%s\n};"):format(i,
    bytes(read(path))))
end
print "const File neap_files[] = {"
for i, path in ipairs(arg) do
  path = path:gsub("^lua/", "")
  local module = path:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
  print(('{ "%s", "%s", (const char *)f%d, sizeof f%d },'):format(module, path,
    i, i))
end
print "{ NULL, NULL, NULL, 0 } };"
