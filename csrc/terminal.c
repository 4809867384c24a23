/*
** terminal.c - whether a file is a terminal, and how wide: the one thing that
** a progress bar needs and Lua cannot tell.
*/

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "rooms.h"
#include "sched.h"


/* internal.columns(file) -> integer or nil: the width of the terminal that the
   file is, 80 if it does not know; nil if it is none */
static int l_columns (lua_State *L) {
  luaL_Stream *file = (luaL_Stream *)luaL_testudata(L, 1, LUA_FILEHANDLE);
  struct winsize size;
  int fd = file == NULL || file->closef == NULL ? -1 : fileno(file->f);
  if (fd < 0 || !isatty(fd))
    lua_pushnil(L);
  else if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    lua_pushinteger(L, size.ws_col);
  else
    lua_pushinteger(L, 80);
  return 1;
}


static const luaL_Reg internals[] = {
  { "columns", l_columns },
  { NULL, NULL },
};


void terminal_openlib (lua_State *L) {
  sched_internals(L, internals);
}
