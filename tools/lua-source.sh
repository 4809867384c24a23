#!/bin/sh
# Fetch Lua's sources as Debian has them, patched, into a directory:
#
#   tools/lua-source.sh DIRECTORY [SUITE]
#
# those of this machine's release or of another one (trixie, sid), with apt, but
# without a change to what this machine's apt knows: lists of sources of its
# own, made of those of the packages. Does nothing if they are there; says why,
# and fails, where they are not to be had.
set -eu
dir=$1 suite=${2:-}
test ! -e "$dir/src/lua.c" || exit 0
command -v apt-get >/dev/null || { echo "there is no apt-get here"; exit 1; }
mkdir -p "$dir/lists/partial"
cd "$dir"

: >deb.list
for file in /etc/apt/sources.list.d/debian.sources \
  /etc/apt/sources.list.d/ubuntu.sources; do
  test ! -e "$file" || sed -e 's/^Types:.*/Types: deb-src/' \
    -e "${suite:+s/^Suites:.*/Suites: $suite/}" "$file" >deb.sources
done
test -e deb.sources || sed -n -e "${suite:+s/ [^ ]* main/ $suite main/}" \
  -e 's/^deb /deb-src /p' /etc/apt/sources.list >deb.list
test -e deb.sources && sources=deb.sources || sources=deb.list

apt () {
  apt-get --quiet=2 -o Dir::Etc::sourcelist="$PWD/$sources" \
    -o Dir::Etc::sourceparts=/dev/null -o Dir::State::Lists="$PWD/lists" \
    -o APT::Sandbox::User=root "$@"
}

# where the suite is another one apt misses the updates that it does not have,
# and Debian's patches where they are just being replaced: both are no matter
apt update 2>apt.log || true
apt source --download-only lua5.4 2>>apt.log || true
ls lua5.4_*.orig.tar.* >/dev/null 2>&1 || { cat apt.log; exit 1; }
tar xf lua5.4_*.orig.tar.*
mv lua-5.4.*/* .
# of the patches those of the sources: the build is our own
if tar xf lua5.4_*.debian.tar.* 2>/dev/null; then
  while read -r patch; do
    patch --silent --strip=1 <"debian/patches/$patch" || true
  done <debian/patches/series
fi

# A fault that 5.4.8 has mended: a coroutine that is closed still has the error
# handler of the call that it waited in, which lies no longer there.
grep -q 'errfunc = 0;.*throw away' src/lstate.c ||
  sed -i 's/^  L->status = LUA_OK;.*close metamethods.*/&\n  L->errfunc = 0;/' \
    src/lstate.c
