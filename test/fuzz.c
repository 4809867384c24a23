/*
** fuzz.c - libFuzzer's target: test/fuzz.lua plays bytes as a program.
**
** A Lua state plays many programs, one after the other, for what one leaves
** behind another may fall over. What is found is played once more by a state of
** its own, to see whether it needs others before it.
*/

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "neap.h"

/* programs that a state plays */
#define PLAYS 100

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);


static int make (lua_State *L) {
  luaL_openlibs(L);
  if (neap_open(L, NULL) == NULL) return lua_error(L);
  if (luaL_loadfile(L, "test/fuzz.lua") != LUA_OK) return lua_error(L);
  lua_call(L, 0, 1);
  return 1;
}


/* a state with the player on its stack */
static lua_State *new_state (void) {
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, make);
  if (lua_pcall(L, 0, 1, 0) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    exit(EXIT_FAILURE);
  }
  return L;
}


static int plays (lua_State *L, const uint8_t *data, size_t size) {
  int ok;
  lua_pushvalue(L, 1);
  lua_pushlstring(L, (const char *)data, size);
  ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  if (!ok) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  return ok;
}


int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size) {
  static lua_State *L = NULL;
  static int n = 0;
  if (L == NULL) L = new_state();
  if (!plays(L, data, size)) {
    if (plays(new_state(), data, size))
      fprintf(stderr, "(only after the programs before it)\n");
    abort();
  }
  if (++n % PLAYS == 0) {
    lua_close(L);
    L = NULL;
  }
  return 0;
}
