#!/bin/sh
# The module shows its opener to the dynamic linker and nothing else, so that
# it cannot clash with a host's or another module's names.
#
#   test/symbols.sh [MODULE]    by default the one in $BUILD
set -eu
module=${1:-${BUILD:-build}/neap/core.so}

case $(uname -s) in
  Darwin) symbols=$(nm -gU "$module") ;;
  *) symbols=$(nm -D --defined-only "$module") ;;
esac
symbols=$(echo "$symbols" | sed 's,.* _*,,')
test "$symbols" = luaopen_neap_core || {
  echo "exported by $module:" && echo "$symbols"
  exit 1
}
