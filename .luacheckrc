-- What luacheck looks at ('make lint'); it must be silent.
std = "lua54"
max_line_length = 80
exclude_files = { "build", "**/*.d.lua" }
files["spec"] = { std = "+busted" }
