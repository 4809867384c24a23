/*
** threads.c - two Lua states in two threads that post to each other.
**
** example-test: host
**
** Each thread runs a state of its own, and nothing is shared but the two
** posters. The ball is a number that travels to and fro.
*/

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <lualib.h>

#include "neap.h"

static const char script[] = "local neap = require 'neap'\n"
                             "local catch, throw, begins = ...\n"
                             "return neap.run(function ()\n"
                             "  local ball = begins and 0 or catch()\n"
                             "  while ball < 9998 do\n"
                             "    throw(ball + 1)\n"
                             "    ball = catch()\n"
                             "  end\n"
                             "  if ball == 9998 then throw(ball + 1) end\n"
                             "  return ball\n"
                             "end)\n";

typedef struct Player {
  const neap_Api *neap;
  lua_State *L;
  neap_Poster *inbox;  /* what the other one posts to */
  neap_Ticket waiting; /* the script waits for the ball, */
  int64_t ball;        /* ... or the ball for the script; 0: neither */
  struct Player *other;
  const char *name;
  int begins, failed;
} Player;


/* in the thread of the one who catches */
static void arrive (lua_State *L, void *ud) {
  Player *me;
  if (L == NULL) return; /* too late: the state is closed */
  lua_getfield(L, LUA_REGISTRYINDEX, "player");
  me = (Player *)lua_touserdata(L, -1);
  me->ball = (intptr_t)ud;
  if (me->waiting != 0) {
    lua_pushinteger(L, me->ball);
    me->ball = 0;
    me->neap->resume(L, me->waiting, 1);
    me->waiting = 0;
  }
}


static int l_throw (lua_State *L) {
  Player *me = (Player *)lua_touserdata(L, lua_upvalueindex(1));
  intptr_t ball = (intptr_t)luaL_checkinteger(L, 1);
  if (!me->neap->post(me->other->inbox, arrive, (void *)ball))
    return luaL_error(L, "nobody is there to catch it");
  return 0;
}


static void wait_for_ball (lua_State *L, neap_Ticket ticket, void *ud) {
  Player *me = (Player *)ud;
  if (me->ball == 0)
    me->waiting = ticket;
  else {
    lua_pushinteger(L, me->ball);
    me->ball = 0;
    me->neap->resume(L, ticket, 1);
  }
}


static int l_catch (lua_State *L) {
  Player *me = (Player *)lua_touserdata(L, lua_upvalueindex(1));
  return me->neap->suspend(L, wait_for_ball, NULL, me);
}


static int open_player (Player *me, const char *name, int begins) {
  lua_State *L = luaL_newstate();
  memset(me, 0, sizeof *me);
  me->name = name;
  me->begins = begins;
  me->L = L;
  luaL_openlibs(L);
  me->neap = neap_open(L, NULL);
  if (me->neap == NULL) return 0;
  lua_pushlightuserdata(L, me);
  lua_setfield(L, LUA_REGISTRYINDEX, "player");
  me->inbox = me->neap->poster(L);
  return me->inbox != NULL;
}


static void push_method (Player *me, lua_CFunction fn) {
  lua_pushlightuserdata(me->L, me);
  lua_pushcclosure(me->L, fn, 1);
}


/* 'run' sleeps as long as there is nothing to do but wait for a post */
static void *play (void *ud) {
  Player *me = (Player *)ud;
  lua_State *L = me->L;
  me->failed = luaL_loadstring(L, script) != LUA_OK;
  push_method(me, l_catch);
  push_method(me, l_throw);
  lua_pushboolean(L, me->begins);
  if (!me->failed) me->failed = lua_pcall(L, 3, 1, 0) != LUA_OK;
  printf("%s: %s\n", me->name, luaL_tolstring(L, -1, NULL));
  return NULL;
}


int main (void) {
  Player a, b;
  pthread_t thread;
  if (!open_player(&a, "left", 1) || !open_player(&b, "right", 0)) return 1;
  a.other = &b;
  b.other = &a;
  pthread_create(&thread, NULL, play, &b);
  play(&a);
  pthread_join(thread, NULL);
  a.neap->release(a.inbox);
  b.neap->release(b.inbox);
  lua_close(a.L);
  lua_close(b.L);
  return a.failed || b.failed;
}
