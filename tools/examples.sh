#!/bin/sh
# Run the examples, so that none of them goes stale.
#
# Among its first ten lines an example says how it is run:
#
#   -- example-test: lua [args]      as 'lua5.4 file args'
#   -- example-test: neap [args]     as 'bin/neap file args'
#   ** example-test: host [args]     for examples/embed/*.c and *.cpp, which
#                                    are built as programs
#   ** example-test: window [args]   for examples/sdl/*.c, the same with a screen
#
# It must end with status 0 within a minute. One without such a line (because
# it needs the network, or never ends) is only named. From the Makefile: LUA,
# LUA_PATH, LUA_CPATH, BUILD.
set -eu
cd "$(dirname "$0")/.."

limit=$(command -v timeout || true)
limit=${limit:+$limit 60}
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for file in examples/*.lua examples/*/*.lua examples/embed/*.c \
    examples/embed/*.cpp examples/sdl/*.c; do
  test -e "$file" || continue
  line=$(sed -n '1,10s,^[-*/ ]*example-test: *,,p' "$file")
  # shellcheck disable=SC2086
  set -- $line
  case ${1:-none} in
    lua) run="$LUA $file" ;;
    neap) run="$LUA bin/neap $file" ;;
    host) run=$BUILD/${file%.*} ;;
    window) run="xvfb-run -a $BUILD/${file%.*}" ;;
    none) echo "not run $file" && continue ;;
    *) run="echo unknown word in example-test: $1; false" ;;
  esac
  shift
  # shellcheck disable=SC2086
  if $limit $run "$@" </dev/null >"$log" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $file"
  else
    failed=$((failed + 1))
    cat "$log"
    echo "FAILED  $file"
  fi
done

echo "$passed examples passed, $failed failed"
test "$failed" = 0 && test "$passed" != 0
