/*
** ending.c - how the body of a generator ends: by itself, closed, or by force
** when it cannot go on, or must not; see generator.c.
*/

#include "ending.h"

#include "error.h"
#include "scope.h"
#include "stock.h"
#include "traceback.h"


void ending_unhook (Generator *g) {
  lua_sethook(g->strand.co, g->hook, g->mask, g->count);
  g->hooked = 0;
}


static void over (Sched *S, Generator *g) {
  g->state = GEN_ENDED;
  if (g->line != NULL) line_leave(g->line, &g->link);
  g->line = NULL;
  sched_wake_all(S, &g->turn, WHY_DONE);
}


void ending_over (lua_State *L, Sched *S, Generator *g) {
  lua_pushnil(L);
  lua_setiuservalue(L, AT_GENERATOR, 1);
  if (g->hooked) ending_unhook(g);
  stock_give(L, S, g->strand.co);
  over(S, g);
}


void ending_killed (lua_State *L, Sched *S, Strand *x) {
  (void)L;
  stock_lose(S);
  over(S, owner_of(x, Generator, strand));
}


/* ---------------------------------------------------------------------- */
/* ending by force */


void ending_unforced (lua_State *L, Sched *S, int n) {
  if (S->forced == n && S->put_off.first != NULL) generator_close_rest(L, S);
  S->forced -= n;
}


/* the coroutine cannot go on, or must not: its <close> variables run, but
   they cannot wait. Leaves the error, if there is one, on top of L. */
static int reset (lua_State *L, Sched *S, Generator *g) {
  lua_State *co = g->strand.co;
  int status;
  if (g->hooked) ending_unhook(g);
  S->forced++;
  status = lua_resetthread(co);
  ending_unforced(L, S, 1);
  if (status != LUA_OK) lua_xmove(co, L, 1);
  return status;
}


static int raise (lua_State *L) {
  error_arrives(L, "consumed by");
  return lua_error(L);
}


/* ---------------------------------------------------------------------- */
/* by itself, or closed */


int ending_returned (lua_State *L, Sched *S, Generator *g, int status) {
  if (status != LUA_OK) { /* out of memory, or of C stack */
    lua_insert(L, AT_GENERATOR + 1);
    reset(L, S, g);
    lua_settop(L, AT_GENERATOR + 1);
  }
  ending_over(L, S, g);
  if (status != LUA_OK || g->failed) return raise(L);
  lua_pushnil(L);
  return 1;
}


/* the error on top was raised as the body was closed; one of the loop wins */
static int close_failed (lua_State *L, Sched *S) {
  Task *t = S->current;
  if (lua_isnil(L, AT_ERROR)) return raise(L);
  if (t == NULL || !task_cancelled(t) || !cause_is(L, t, -1)) {
    lua_pushnil(L);
    error_hook(L, S, "on_suppressed");
  }
  return 0;
}


int ending_closed (lua_State *L, Sched *S, Generator *g, int status) {
  int failed = status != LUA_OK || g->failed;
  if (status != LUA_OK) reset(L, S, g);
  ending_over(L, S, g);
  return failed && !error_is_closing(L, -1) ? close_failed(L, S) : 0;
}


/* ---------------------------------------------------------------------- */
/* what must not be emitted */


/* the scopes that a body, which was ended by force, has left open are left;
   the error is above 'base' */
static int unwound (lua_State *L, int ending, int base) {
  Generator *g = (Generator *)lua_touserdata(L, AT_GENERATOR);
  Task *t = g->object.S->current;
  (void)ending;
  if (t->scope != g->strand.scope)
    return scope_leave(L, t->scope, 1, base, unwound);
  return g->closing ? close_failed(L, g->object.S) : raise(L);
}


int ending_give_up (lua_State *L, Sched *S, Generator *g, int inside) {
  int status;
  lua_settop(L, BASE(g));
  if (inside) scope_detach(S->current, g->strand.scope);
  status = reset(L, S, g);
  ending_over(L, S, g);
  if (g->closing && !inside) return status == LUA_OK ? 0 : close_failed(L, S);
  if (status != LUA_OK) { /* what its clean-up raised loses */
    lua_pushnil(L);
    error_hook(L, S, "on_suppressed");
  }
  lua_settop(L, BASE(g));
  lua_pushstring(L, g->fault);
  return inside ? unwound(L, END_ERROR, BASE(g)) : raise(L);
}


static void interject (lua_State *L, lua_Debug *ar) {
  Generator *g = generator_push(L, L);
  (void)ar;
  ending_unhook(g);
  if (g->closing)
    error_push_closing(L);
  else {
    luaL_where(L, 0);
    lua_pushstring(L, g->fault);
    lua_concat(L, 2);
  }
  lua_error(L);
}


void ending_hook (Generator *g) {
  lua_State *co = g->strand.co;
  if (g->hooked) return;
  g->hook = lua_gethook(co);
  g->mask = lua_gethookmask(co);
  g->count = lua_gethookcount(co);
  g->hooked = 1;
  lua_sethook(co, interject, LUA_MASKCOUNT, 1);
}
