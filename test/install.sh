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
  test "$(bin/neap trace a.lua 2>/dev/null)" = ok
  grep -q '</html>' a.trace.html
  test "$("$LUA" -e 'print(require "neap".run(function () return "ok" end))')" = ok
  test -f include/neap.h
  test -f share/lua/5.4/neap/types/streams.d.lua
  rm a.lua a.trace.*
)

# a host in C needs no file of neap's at run time
cat >"$tmp/host.c" <<'END'
#include <lualib.h>
#include <neap.h>
int main (void) {
  lua_State *L = luaL_newstate();
  const neap_Api *neap;
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "path");
  neap = neap_open(L, NULL);
  if (neap == NULL || luaL_loadstring(L, "require 'neap'.retry(print)") ||
      neap->spawn(L, 0, NULL, NULL) != NEAP_OK ||
      neap->step(L, 1) != NEAP_NOTHING)
    return 1;
  lua_close(L);
  return 0;
}
END
eval "$(${MAKE:-make} --no-print-directory print-config)"
cflags=$(sed -n 's/^Cflags: *//p' "$tmp/usr/lib/pkgconfig/neap.pc")
test -n "$cflags"
# shellcheck disable=SC2086
$CC "$tmp/host.c" -I"$tmp/usr/include" $INCLUDES -o "$tmp/host" \
  "$tmp/usr/lib/libneap.a" $LUA_LIBS $LIBS -lm -pthread
test "$(cd / && "$tmp/host")" = 1
rm "$tmp/host" "$tmp/host.c"
${MAKE:-make} uninstall DESTDIR="$tmp" PREFIX=/usr
left=$(find "$tmp" ! -type d)
test -z "$left" || { echo "left behind: $left"; exit 1; }
