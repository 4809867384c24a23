#!/bin/sh
# Write the lists of C and Lua files in the rockspec anew. With --check only
# tell whether they are right: 'make lint' does that, so that no file is
# missing from what LuaRocks installs.
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C  # the same order everywhere

rockspec=neap-scm-1.rockspec
new=$(mktemp)
trap 'rm -f "$new"' EXIT

sources () {
  for file in csrc/*.c; do
    echo "        \"$file\","
  done
}

# types for editors (*.d.lua) are no modules
modules () {
  find lua/neap -name '*.lua' ! -name '*.d.lua' | sort | while read -r file; do
    name=$(echo "$file" | sed 's,^lua/,,; s,\.lua$,,; s,/init$,,; s,/,.,g')
    echo "    [\"$name\"] = \"$file\","
  done
}

# a list stands below the comment that names it
{
  while IFS= read -r line; do
    case $line in
      *'"csrc/'*'.c",' | *'] = "lua/neap/'*) ;;
      *'-- csrc/*.c') echo "$line" && sources ;;
      *'-- lua/neap/*.lua') echo "$line" && modules ;;
      *) echo "$line" ;;
    esac
  done
} <$rockspec >"$new"

if test "${1:-}" = --check; then
  diff -u $rockspec "$new" || {
    echo "$rockspec: not the files that there are; run 'make rockspec'"
    exit 1
  }
else
  cat "$new" >$rockspec
fi
