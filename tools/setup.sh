#!/bin/sh
# Install what a job needs and this machine lacks; nothing else.
#
#   tools/setup.sh JOB...    jobs: build demo test examples lint warnings asan
#                            fuzz memcheck coverage docs rock, and check for
#                            all that CI runs
#
# Every need is found out by trying it (a header compiles, a module loads), so
# it does not matter where it came from, and when all is there this takes a
# moment and is silent. What is missing is installed with apt where that is
# possible without a question (as root, or with sudo that asks no password);
# elsewhere the script says what to install, and fails.
set -eu
cd "$(dirname "$0")/.."

# CC, LUA, INCLUDES and LIBS as the Makefile finds them at this moment
config () {
  eval "$(${MAKE:-make} --no-print-directory print-config 2>/dev/null)"
}

needs_of () {
  case $1 in
    build) echo cc headers libev ;;
    demo) echo lua socket ;;
    # servers that Debian starts when it installs them: where CI is set; the
    # tests that need them are pending elsewhere, unless they are there
    test) echo lua socket luasec openssl curl busted "${CI:+redis nginx}" ;;
    examples) echo lua socket cxx sdl2 screen ;;
    bench) echo lua cqueues luv python3 gnuplot wrk copas lua-http ;;
    lint) echo lua luacheck clang-format shellcheck ;;
    warnings) echo gcc clang ;;
    asan) echo gcc ;;
    fuzz) echo clang fuzzer ;;
    coverage) echo "clang-${LLVM:-19} llvm-cov-${LLVM:-19} profiling" ;;
    memcheck) echo valgrind ;;
    docs) echo lua ldoc cmark-gfm ;;
    rock) echo lua socket luarocks ;;
    check) for job in build test examples lint warnings asan fuzz memcheck \
             docs rock; do needs_of "$job"; done ;;
    *) echo "setup.sh: unknown job '$1'" >&2; return 1 ;;
  esac
}

# $INCLUDES, $LIBS: several words
# shellcheck disable=SC2086
has () {
  case $1 in
    cc) echo 'int x;' | $CC -xc -fsyntax-only - ;;
    cxx) echo '#include <memory>' | ${CXX:-c++} -xc++ -fsyntax-only - ;;
    headers) { echo '#include <lauxlib.h>'
               echo '#if LUA_VERSION_NUM != 504'
               echo '#error'
               echo '#endif'; } | $CC $INCLUDES -xc -fsyntax-only - ;;
    libev) { echo '#include <ev.h>'
             echo 'int main (void) { return ev_version_major() != 4; }'
           } | $CC $INCLUDES -xc - -o "$probe" $LIBS ;;
    lua) test -n "$LUA" ;;
    socket | cqueues | luv) test -n "$LUA" && "$LUA" -e "require '$1'" ;;
    luasec) test -n "$LUA" && "$LUA" -e 'require "ssl"' ;;
    redis) test "$(uname -s)" = Darwin || # its client is Debian's
      { command -v redis-server && ls /usr/share/lua/*/redis.lua; } ;;
    nginx) PATH=$PATH:/usr/sbin command -v nginx ;;
    busted) test -n "$LUA" && "$LUA" tools/busted.lua --version ;;
    copas | lua-http) test "$(uname -s)" = Darwin || # plain Lua, of Debian
      ls /usr/share/lua/5.[13]/"${1#lua-}"* ;;
    sdl2) command -v sdl2-config ;;
    profiling) { echo 'int main (void) { return 0; }'
               } | "clang-${LLVM:-19}" -fprofile-instr-generate \
                 -fcoverage-mapping -xc - -o "$probe" ;;
    fuzzer) { echo '#include <stddef.h>'
              echo 'int LLVMFuzzerTestOneInput (const char *p, size_t n);'
              echo 'int LLVMFuzzerTestOneInput (const char *p, size_t n)'
              echo '{ return p == NULL && n == 1; }'
            } | clang -fsanitize=fuzzer,address -xc - -o "$probe" ;;
    screen) command -v xvfb-run && command -v xauth ;;
    *) command -v "$1" ;;
  esac >/dev/null 2>&1
}

# of the clang that is there, or would be installed
clang_version () {
  { clang -dumpversion || apt-cache depends clang |
    sed -n 's/.*Depends: clang-\([0-9]\)/\1/p'; } 2>/dev/null |
    sed 's/\..*//;1q'
}

# a need's name in: Debian and Ubuntu, Homebrew (rock: not a formula)
package () {
  case $1:$2 in
    headers:apt) echo liblua5.4-dev ;;
    lua:apt) echo lua5.4 ;;
    libev:apt) echo libev-dev ;;
    socket:apt | cqueues:apt | luv:apt) echo "lua-$1" ;;
    gnuplot:apt) echo gnuplot-nox ;;
    copas:apt) echo lua-copas ;;
    luasec:apt) echo lua-sec ;;
    redis:apt) echo redis-server lua-redis ;;
    nginx:apt) echo nginx-light ;;
    busted:apt) echo lua-busted ;;
    luacheck:apt) echo lua-check ;;
    ldoc:apt) echo lua-ldoc ;;
    cc:apt | gcc:apt) echo gcc libc6-dev ;;
    cxx:apt) echo g++ ;;
    sdl2:apt) echo libsdl2-dev ;;
    fuzzer:apt) echo "libclang-rt-$(clang_version)-dev" ;;
    llvm-cov-*:apt) echo "llvm-${1#llvm-cov-}" ;;
    profiling:apt) echo "libclang-rt-${LLVM:-19}-dev" ;;
    screen:apt) echo xvfb xauth ;;
    headers:brew | lua:brew) echo lua@5.4 ;;
    clang-format:brew | shellcheck:brew | luarocks:brew | libev:brew | gcc:brew | sdl2:brew | \
      cmark-gfm:brew | gnuplot:brew | python3:brew | nginx:brew | wrk:brew)
      echo "$1" ;;
    socket:rock) echo luasocket ;;
    luasec:rock) echo luasec ;;
    openssl:brew) echo openssl ;;
    busted:rock | luacheck:rock | ldoc:rock) echo "$1" ;;
    *:apt) echo "$1" ;;
  esac
}

packages () {
  for need in $missing; do package "$need" "$1"; done | sort -u | tr '\n' ' '
}

lacking () {
  missing=
  for need in $needs; do has "$need" || missing="$missing $need"; done
}

# shellcheck disable=SC2046,SC2086
apt () {
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet \
    --no-install-recommends -o DPkg::Lock::Timeout=120 $(packages apt) \
    </dev/null
}

explain () {
  echo "missing:$missing"
  if command -v apt-get >/dev/null; then
    echo "to install: sudo apt-get install $(packages apt)"
  elif test "$(uname -s)" = Darwin; then
    rocks=$(packages rock)
    test -z "$rocks" || has luarocks || missing="$missing luarocks"
    brew=$(packages brew)
    test -z "$brew" || echo "to install: brew install $brew"
    for rock in $rocks; do
      echo "to install: luarocks --lua-dir=\$(brew --prefix lua@5.4)" \
        "--lua-version=5.4 install $rock"
    done
  else
    echo "(Debian calls them: $(packages apt))"
  fi
} >&2


probe=$(mktemp)
trap 'rm -f "$probe"' EXIT
config
needs=$(for job; do needs_of "$job" || exit; done)
needs=$(echo "$needs" | tr ' ' '\n' | sort -u)
lacking
test -n "$missing" || exit 0

sudo=none
if command -v apt-get >/dev/null; then
  if test "$(id -u)" = 0; then
    sudo=
  elif sudo -n true 2>/dev/null; then
    sudo="sudo -n"
  fi
fi
if test "$sudo" = none; then
  explain
  exit 1
fi

# the lists of packages are fetched only if there are none, or too old ones
echo "installing: $(packages apt)"
{ ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 && apt; } ||
  { $sudo apt-get update --quiet && apt; } || { explain; exit 1; }

config
lacking
if test -n "$missing"; then
  echo "installed, but still not found:$missing" >&2
  explain
  exit 1
fi
