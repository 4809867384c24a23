#!/bin/sh
# Fetch Lua's sources as Debian has them, patched, into a directory:
#
#   tools/lua-source.sh DIRECTORY
#
# with apt, but without a change to what this machine's apt knows: lists of
# sources of its own, made of those of the packages. Does nothing if they are
# there; says why, and fails, where they are not to be had.
set -eu
dir=$1
test ! -e "$dir/src/lua.c" || exit 0
command -v apt-get >/dev/null || { echo "there is no apt-get here"; exit 1; }
mkdir -p "$dir/lists/partial"
cd "$dir"

: >deb.list
for file in /etc/apt/sources.list.d/debian.sources \
  /etc/apt/sources.list.d/ubuntu.sources; do
  test ! -e "$file" || sed 's/^Types:.*/Types: deb-src/' "$file" >deb.sources
done
test -e deb.sources || sed -n 's/^deb /deb-src /p' /etc/apt/sources.list \
  >deb.list
test -e deb.sources && sources=deb.sources || sources=deb.list

apt () {
  apt-get --quiet=2 -o Dir::Etc::sourcelist="$PWD/$sources" \
    -o Dir::Etc::sourceparts=/dev/null -o Dir::State::Lists="$PWD/lists" \
    -o APT::Sandbox::User=root "$@"
}

apt update || true
apt source --download-only lua5.4
tar xf lua5.4_*.orig.tar.*
tar xf lua5.4_*.debian.tar.* -C lua-5.4.*/
# of the patches those of the sources: the build is our own
while read -r patch; do
  patch --silent --strip=1 --directory "$(echo lua-5.4.*/)" \
    <"$(echo lua-5.4.*/)debian/patches/$patch" || true
done <"$(echo lua-5.4.*/)debian/patches/series"
mv lua-5.4.*/* .

# A fault of 5.4.4 that 5.4.7 has not: a coroutine that is closed still has the
# error handler of the call that it waited in, which lies no longer there.
grep -q 'errfunc = 0;.*throw away' src/lstate.c ||
  sed -i 's/^  L->status = LUA_OK;.*close metamethods.*/&\n  L->errfunc = 0;/' \
    src/lstate.c
