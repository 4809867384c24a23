/*
** ticket.c - C functions that wait; see ticket.h.
**
** The function's task waits for a future, and whoever is to resume it has the
** ticket: a key in a table of these futures, never used twice. So a ticket that
** comes too late finds nothing, whatever has happened meanwhile.
**
** Invariant: the future is in the table until it is settled by the ticket, or
** the function is left. If it is still there when the function is left, nobody
** has resumed it, and nobody can any more: 'cancel' is called, once.
*/

#include "ticket.h"

#include "cancel.h"
#include "future.h"


/* a C function that waits, as a to-be-closed variable of its own */
typedef struct Waiting {
  lua_Integer ticket;
  neap_Cancel cancel;
  void *ud;
} Waiting;

static const char waiting_class[] = "neap.waiting";


int ticket_push (lua_State *L, Sched *S, lua_Integer ticket) {
  int type;
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->tickets);
  type = lua_rawgeti(L, -1, ticket);
  lua_remove(L, -2);
  return type != LUA_TNIL;
}


void ticket_forget (lua_State *L, Sched *S, lua_Integer ticket) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->tickets);
  lua_pushnil(L);
  lua_rawseti(L, -2, ticket);
  lua_pop(L, 1);
}


/* the C function is left: by its results, by a cancellation, an error in
   'start', or because the task is ended by force */
static int left (lua_State *L) {
  Waiting *w = (Waiting *)lua_touserdata(L, 1);
  Sched *S = sched_find(L);
  if (ticket_push(L, S, w->ticket)) {
    ticket_forget(L, S, w->ticket);
    if (w->cancel != NULL) w->cancel(w->ud);
  }
  return 0;
}


/* at 'at' the future, above it Waiting */
static int waited (lua_State *L, int status, lua_KContext at) {
  Task *t = sched_find(L)->current;
  if (status == LUA_YIELD && t->why == WHY_CANCEL) return cause_raise(L, t);
  return future_deliver(L, (int)at);
}


int ticket_suspend (lua_State *L, neap_Start start, neap_Cancel stop,
                    void *ud) {
  Sched *S = sched_find(L);
  Task *t = sched_enter_in(L, S, "suspend");
  Waiting *w;
  int at;
  if (task_cancelled(t)) return sched_raise_later(L, t);
  luaL_checkstack(L, 10, NULL);
  future_new(L);
  at = lua_gettop(L);
  w = (Waiting *)lua_newuserdatauv(L, sizeof(Waiting), 0);
  w->ticket = ++S->last_ticket;
  w->cancel = stop;
  w->ud = ud;
  luaL_setmetatable(L, waiting_class);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->tickets);
  lua_pushvalue(L, at);
  lua_rawseti(L, -2, w->ticket);
  lua_pop(L, 1);
  lua_toclose(L, at + 1);
  start(L, w->ticket, ud);
  lua_settop(L, at + 1);
  if (future_is_done(L, at)) return future_deliver(L, at);
  if (task_cancelled(t)) return sched_raise_later(L, t); /* by 'start' */
  future_park(L, S, t, at);
  return lua_yieldk(L, 0, (lua_KContext)at, waited);
}


void ticket_openlib (lua_State *L) {
  luaL_newmetatable(L, waiting_class);
  lua_pushcfunction(L, left);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
}
