#!/bin/sh
# Install neap by LuaRocks as users do, and use only what was installed.
#
# Two ways: 'luarocks install' from a server (a directory here, holding the
# work tree as a source rock), and 'luarocks make' in the sources. Each goes
# into a tree of its own, and is then used from another directory, through
# the paths that 'luarocks path' prints. All of it in a temporary directory,
# which is also the HOME, so that no file and no setting of the user's takes
# part. Needs no network. LUA and LIBEV_DIR may be given.
set -eu
cd "$(dirname "$0")/.."

LUA=${LUA:-lua5.4}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export HOME="$tmp"
unset LUA_PATH LUA_CPATH LUA_PATH_5_4 LUA_CPATH_5_4 LUA_INIT

rocks="luarocks --lua-version=5.4"
case $LUA in
  */bin/*) rocks="$rocks --lua-dir=${LUA%/bin/*}" ;;  # Homebrew's lua@5.4
esac
libev=${LIBEV_DIR:+LIBEV_DIR=$LIBEV_DIR}

say () { echo "--- $*"; }

# use TREE: what a new user would try first, by 'require' and by the command
use () {
  mkdir -p "$tmp/elsewhere"
  (
    cd "$tmp/elsewhere"
    eval "$($rocks --tree="$1" path)"
    cat >hello.lua <<'END'
local neap = require "neap"
local core = assert(package.searchpath("neap.core", package.cpath))
assert(core:find(arg[1], 1, true) == 1, core)
print(neap.run(function (...)
  neap.sleep(0.01)
  return "ok", ...
end, "require"))
END
    cat >task.lua <<'END'
local neap = require "neap"
neap.sleep(0.01)
print("ok", ...)
END
    test "$("$LUA" hello.lua "$1")" = "ok	require"
    test "$("$1/bin/neap" task.lua command)" = "ok	command"
  )
  test/symbols.sh "$1/lib/lua/5.4/neap/core.so"
  test -f "$1/share/lua/5.4/neap/types/streams.lua"
}

say sources
mkdir -p "$tmp/neap" "$tmp/server"
if git rev-parse --git-dir >/dev/null 2>&1; then
  git ls-files --cached --others --exclude-standard
else
  find . -type f ! -path './build/*'
fi | while read -r file; do
  test ! -f "$file" || echo "$file"
done >"$tmp/files"
tar -cf - -T "$tmp/files" | tar -xf - -C "$tmp/neap"
tar -czf "$tmp/server/neap.tar.gz" -C "$tmp" neap
sed "s,^  url = .*,  url = \"file://$tmp/server/neap.tar.gz\"\, dir = \"neap\"\,," \
  neap-scm-1.rockspec >"$tmp/server/neap-scm-1.rockspec"

say luarocks install
$rocks lint neap-scm-1.rockspec
(cd "$tmp/server" && $rocks pack neap-scm-1.rockspec)
luarocks-admin --lua-version=5.4 make-manifest "$tmp/server"
# shellcheck disable=SC2086
$rocks install --only-server="$tmp/server" --tree="$tmp/installed" neap $libev
use "$tmp/installed"

# what 'make examples' runs here must also run there
say examples
(
  eval "$($rocks --tree="$tmp/installed" path)"
  cd "$tmp/elsewhere"
  for file in "$tmp"/installed/lib/luarocks/rocks-5.4/neap/*/examples/*.lua; do
    # shellcheck disable=SC2046
    set -- $(sed -n '1,10s/^[- ]*example-test: *//p' "$file")
    case ${1:-none} in
      lua) run=$LUA ;;
      neap) run=$tmp/installed/bin/neap ;;
      *) continue ;;
    esac
    shift
    "$run" "$file" "$@" </dev/null >out 2>&1 || { cat out; exit 1; }
    echo "ok ${file##*/}"
  done
)

say luarocks make
# shellcheck disable=SC2086
(cd "$tmp/neap" &&
  $rocks make --tree="$tmp/made" neap-scm-1.rockspec $libev)
use "$tmp/made"

say luarocks test
(cd "$tmp/neap" &&
  $rocks test neap-scm-1.rockspec -- SPECS=spec/clock_spec.lua)

say luarocks remove
$rocks remove --tree="$tmp/made" neap
test -z "$(find "$tmp/made" -name core.so)"

say ok
