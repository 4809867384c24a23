#!/bin/sh
# Run the specs and the other tests, and end with their true numbers.
#
# From the Makefile: LUA, LUA_PATH, LUA_CPATH, BUILD, and perhaps WRAP, a
# command to run them under (valgrind, ...). Arguments are busted's: options
# and spec files, by default all of spec/. Without spec files the programs
# test/*_test.c and the scripts test/*.sh are run too, each as one test
# (scripts not under WRAP; test/rock.sh is left to 'make rock').
#
# Nothing is counted that was not reported: a run that ends before busted's
# own last line, or in which no spec ran, has failed.
set -eu
cd "$(dirname "$0")/.."

# a thousand connections are two thousand descriptors
# shellcheck disable=SC3045
case $(ulimit -Sn) in
  ? | ?? | ??? | [123]???) ulimit -Sn 4096 2>/dev/null || true ;;
esac

WRAP=${WRAP:-}
limit=$(command -v timeout || true)
limit=${limit:+$limit --foreground ${TEST_TIMEOUT:-900}}
passed=0 failed=0 only=
for arg; do case $arg in -*) ;; *) only=yes ;; esac; done

log=$(mktemp)
trap 'rm -f "$log" "$log.rc"' EXIT

# the paths are given again because those in .busted would come first
{
  rc=0
  # shellcheck disable=SC2086
  $limit $WRAP "$LUA" tools/busted.lua --ignore-lua --output=plainTerminal \
    --lpath="$LUA_PATH" --cpath="$LUA_CPATH" "$@" </dev/null 2>&1 || rc=$?
  echo $rc >"$log.rc"
} | tee "$log"
rc=$(cat "$log.rc")

sum=$(grep -E '^[0-9]+ success(es)? / [0-9]+ failures? / [0-9]+ errors?' \
  "$log" | tail -n 1)
# the words of "12 successes / 0 failures / 0 errors / 0 pending : 0.1 seconds"
# shellcheck disable=SC2086
set -- ${sum:-0 successes / 0 failures / 0 errors / 0 pending}
passed=$1 failed=$(($4 + $7))
test "${10}" = 0 || echo "(${10} pending)"
if test -z "$sum"; then
  echo "FAILED: busted ended before its time (exit status $rc)"
elif test $((passed + failed)) = 0; then
  echo "FAILED: no spec was run"
elif test "$rc" != 0 && test "$failed" = 0; then
  echo "FAILED: all specs passed, but then the exit status was $rc"
fi
if test "$failed" = 0 && { test "$rc" != 0 || test "$passed" = 0; }; then
  failed=1
fi

# one test: a name and its command; the output is shown only if it fails
try () {
  name=$1
  shift
  if "$@" </dev/null >"$log" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $name"
  else
    failed=$((failed + 1))
    cat "$log"
    echo "FAILED  $name"
  fi
}

if test -z "$only"; then
  for file in test/*_test.c; do
    test -e "$file" || continue
    # shellcheck disable=SC2086
    try "$file" $limit $WRAP "$BUILD/${file%.c}"
  done
  for file in test/*.sh; do
    case $file in test/rock.sh | 'test/*.sh') continue ;; esac
    test -z "$WRAP" || continue
    # shellcheck disable=SC2086
    try "$file" $limit sh "$file"
  done
fi

echo "$passed passed, $failed failed"
test "$failed" = 0
