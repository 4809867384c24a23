#!/bin/sh
# Write the lists of files in the rockspec anew: C, Lua, types for editors. With
# --check only tell whether they are right: 'make lint' does that, so that no
# file is missing from what LuaRocks installs.
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

# list INDENT FIND-ARGUMENTS: a line for each file, by the name of its module
list () {
  indent=$1
  shift
  find lua/neap "$@" | sort | while read -r file; do
    name=$(echo "$file" |
      sed 's,^lua/,,; s,\(\.d\)*\.lua$,,; s,/init$,,; s,/,.,g')
    echo "${indent}[\"$name\"] = \"$file\","
  done
}

# a list stands below the comment that names it
{
  while IFS= read -r line; do
    case $line in
      *'"csrc/'*'.c",' | *'] = "lua/neap/'*) ;;
      *'-- csrc/*.c') echo "$line" && sources ;;
      *'-- lua/neap/*.lua')
        echo "$line" && list '    ' -name '*.lua' ! -name '*.d.lua' ;;
      *'-- lua/neap/types/*.d.lua')
        echo "$line" && list '      ' -name '*.d.lua' ;;
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
