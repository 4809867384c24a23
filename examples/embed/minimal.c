/*
** minimal.c - the smallest game: a loop, a clock of its own, scripts that wait.
**
** example-test: host
**
** Builds with:  cc minimal.c $(pkg-config --cflags --libs neap lua5.4)
*/

#include <stdio.h>

#include <lualib.h>
#include "neap.h"

static const char script[] =
    "local neap = require 'neap'\n"
    "\n"
    "local function patrol (name, pause)\n"
    "  for leg = 1, 3 do\n"
    "    neap.sleep(pause)\n"
    "    say(name .. ' turns, leg ' .. leg)\n"
    "  end\n"
    "end\n"
    "\n"
    "neap.spawn(patrol, 'guard', 0.2)\n"
    "neap.spawn(patrol, 'dog', 0.15)\n"
    "\n"
    "local door = load_asset('door')  -- a C function that waits\n"
    "say('loaded: ' .. door)\n"
    "local opened = neap.move_on_after(0.3, neap.sleep, 1)\n"
    "say(opened and 'the door is open' or 'the door is stuck')\n";


/* a log with the game's time */
static double game_time = 0;

static int l_say (lua_State *L) {
  printf("%.2f  %s\n", game_time, luaL_checkstring(L, 1));
  return 0;
}


/* loading takes a while; here it is done in the tenth frame */
typedef struct Loader {
  neap_Ticket waiting;
  int frames; /* until it is done */
} Loader;

static void start_loading (lua_State *L, neap_Ticket ticket, void *ud) {
  Loader *loader = (Loader *)ud;
  (void)L;
  loader->waiting = ticket;
  loader->frames = 10;
}

static int l_load_asset (lua_State *L) {
  void *loader = lua_touserdata(L, lua_upvalueindex(1));
  luaL_checkstring(L, 1);
  return neap_find(L)->suspend(L, start_loading, NULL, loader);
}


static void on_end (lua_State *L, int status, int n, void *ud) {
  if (status != NEAP_OK && n > 0)
    fprintf(stderr, "script: %s\n", luaL_tolstring(L, -1, NULL));
  *(int *)ud = status;
}


int main (void) {
  const double dt = 1. / 60;
  neap_Options options = neap_OPTIONS;
  const neap_Api *neap;
  Loader loader = { 0, 0 };
  int status = -1;
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  options.clock = "manual";
  neap = neap_open(L, &options);
  if (neap == NULL) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return 1;
  }
  lua_register(L, "say", l_say);
  lua_pushlightuserdata(L, &loader);
  lua_pushcclosure(L, l_load_asset, 1);
  lua_setglobal(L, "load_asset");
  if (luaL_loadbuffer(L, script, sizeof script - 1, "=script") != LUA_OK ||
      neap->spawn(L, 0, on_end, &status) != NEAP_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return 1;
  }
  lua_settop(L, 0);
  while (neap->step(L, 0.004) != NEAP_NOTHING) { /* one frame */
    if (loader.frames > 0 && --loader.frames == 0) {
      lua_pushliteral(L, "door.mesh");
      neap->resume(L, loader.waiting, 1);
    }
    game_time += dt;
    neap->advance(L, dt, dt);
  }
  lua_close(L);
  return status == NEAP_OK ? 0 : 1;
}
