/*
** support.h - what the tests in C share: checks that count, Lua states whose
** memory is counted.
**
** Programs in Lua find them, and a few system calls, in the table 'host'. The
** Lua side of x_test.c is x_test.lua, which returns a table of functions; 'run'
** calls one. (That path, like all, is below the project's directory.)
*/

#ifndef neap_test_support_h
#define neap_test_support_h

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "neap.h"

static atomic_int failures;

#define RESULT (failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE)


static inline void check_failed (const char *file, int line, const char *text) {
  failures++;
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
}

/* a test goes on after a check that failed */
#define CHECK(c) ((c) ? (void)0 : check_failed(__FILE__, __LINE__, #c))


/* host.pipe() -> integer, integer: to read from, to write to */
static inline int host_pipe (lua_State *L) {
  int fd[2];
  if (pipe(fd) != 0) return luaL_error(L, "no pipe");
  lua_pushinteger(L, fd[0]);
  lua_pushinteger(L, fd[1]);
  return 2;
}


/* host.close(fd) -> boolean */
static inline int host_close (lua_State *L) {
  lua_pushboolean(L, close((int)luaL_checkinteger(L, 1)) == 0);
  return 1;
}


/* host.put(fd) -> boolean: write one byte */
static inline int host_put (lua_State *L) {
  lua_pushboolean(L, write((int)luaL_checkinteger(L, 1), "x", 1) == 1);
  return 1;
}


/* host.get(fd) -> boolean: read one byte; waits for it */
static inline int host_get (lua_State *L) {
  char c;
  lua_pushboolean(L, read((int)luaL_checkinteger(L, 1), &c, 1) == 1);
  return 1;
}


static inline void *test_alloc (void *ud, void *p, size_t osize, size_t nsize) {
  size_t *bytes = (size_t *)ud;
  void *q = NULL;
  if (p == NULL) osize = 0;
  if (nsize == 0)
    free(p);
  else if ((q = realloc(p, nsize)) == NULL)
    return NULL;
  *bytes += nsize - osize;
  return q;
}


static inline void give_up (lua_State *L, const char *what) {
  fprintf(stderr, "%s: %s\n", what, lua_tostring(L, -1));
  exit(EXIT_FAILURE);
}


/*
** A state with neap in it, further functions for the table 'host', and the
** programs of the test whose source 'file' is. What it has in use is counted
** in 'bytes'.
*/
static inline lua_State *open_state (size_t *bytes, const luaL_Reg *host,
                                     const char *file) {
  static const luaL_Reg calls[] = {
    { "close", host_close }, { "get", host_get }, { "pipe", host_pipe },
    { "put", host_put },     { NULL, NULL },
  };
  char path[256];
  lua_State *L;
  *bytes = 0;
  L = lua_newstate(test_alloc, bytes);
  if (L == NULL) exit(EXIT_FAILURE);
  luaL_openlibs(L);
  if (neap_open(L, NULL) == NULL) give_up(L, "cannot open neap");
  lua_newtable(L);
  luaL_setfuncs(L, calls, 0);
  luaL_setfuncs(L, host, 0);
  lua_setglobal(L, "host");
  snprintf(path, sizeof path, "%.*slua", (int)strlen(file) - 1, file);
  if (luaL_loadfile(L, path) != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK)
    give_up(L, "cannot load the programs");
  lua_setglobal(L, "programs");
  return L;
}


static inline void close_state (lua_State *L, size_t *bytes) {
  lua_close(L);
  CHECK(*bytes == 0);
}


static int traceback (lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}


/* call a program; an error is a failure. Returns its result, 0 if it has
   none */
static inline lua_Integer run (lua_State *L, const char *program) {
  lua_Integer result;
  lua_settop(L, 0);
  lua_pushcfunction(L, traceback);
  lua_getglobal(L, "programs");
  lua_getfield(L, -1, program);
  if (lua_pcall(L, 0, 1, 1) != LUA_OK) {
    fprintf(stderr, "%s: %s\n", program, lua_tostring(L, -1));
    failures++;
  }
  result = lua_tointeger(L, -1);
  lua_settop(L, 0);
  return result;
}

#endif
