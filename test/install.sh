#!/bin/sh
# 'make install' puts down what is needed to use neap from anywhere, and
# 'make uninstall' leaves nothing of it.
set -eu
cd "$(dirname "$0")/.."

LUA=${LUA:-lua5.4}
tmp="$(mktemp -d)/a b"
trap 'rm -rf "${tmp%/*}"' EXIT

${MAKE:-make} install DESTDIR="$tmp" PREFIX=/usr
(
  cd "$tmp/usr"
  unset LUA_INIT
  export LUA_PATH="$tmp/usr/share/lua/5.4/?.lua;$tmp/usr/share/lua/5.4/?/init.lua"
  export LUA_CPATH="$tmp/usr/lib/lua/5.4/?.so"
  echo 'local neap = require "neap"; neap.sleep(0.01); print("ok", ...)' >a.lua
  test "$(bin/neap a.lua 1 2)" = "ok	1	2"
  test "$("$LUA" -e 'print(require "neap".run(function () return "ok" end))')" = ok
  test -f include/neap.h
  rm a.lua
)
${MAKE:-make} uninstall DESTDIR="$tmp" PREFIX=/usr
left=$(find "$tmp" -type f)
test -z "$left" || { echo "left behind: $left"; exit 1; }
