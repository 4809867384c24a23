/*
** quick.c - the short way of most messages over a socket; for neap.socket.
**
** They come and go as a whole, on a socket without a timeout and without TLS
** that no other task is at. Then 'sock:receive' and 'sock:send' need nothing of
** what they are written for in Lua. Such a socket, a table, has its wire at
** SLOT_IN, or at SLOT_OUT, and while we wait there, true; at anything else
** there, the functions in Lua do the work, or what is left of it. What was read
** is left to them in the inbox: so it is not lost if there is no memory to call
** them.
*/

#include "rooms.h"
#include "wire.h"

enum { SLOT_IN = 1, SLOT_OUT = 2 };


/* push what is in the slot; the wire, if it is that and can be used now */
static Wire *plain_wire (lua_State *L, int slot) {
  Wire *w;
  if (!lua_istable(L, 1)) return NULL;
  lua_rawgeti(L, 1, slot);
  w = wire_at(L, -1);
  return w == NULL || wire_objection(w, wire_task(L, w), NEVER) != NULL ? NULL
                                                                        : w;
}


static int passed_on (lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return lua_gettop(L);
}


/* call the upvalue with what is on the stack */
static int pass_on (lua_State *L, int upvalue) {
  lua_pushvalue(L, lua_upvalueindex(upvalue));
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, passed_on);
  return lua_gettop(L);
}


/* let the functions in Lua go on, or tell them the word on top */
static int leave_rest (lua_State *L) {
  if (lua_gettop(L) == 3)
    lua_pop(L, 1);
  else
    lua_replace(L, 3);
  return pass_on(L, 2);
}


static int quick_wake (lua_State *L, int status, lua_KContext t);


/* the socket, the number of bytes and the wire are on the stack, and nobody is
   at it */
static int quick_try (lua_State *L, Wire *w, Task *t) {
  switch (w->drained ? 0 : wire_fetch(L, w, 3)) {
    case 0:
      loop_line(L, w->object.S, w->fd, IO_READ); /* which may raise, while */
      lua_pushboolean(L, 1);                     /* nothing has changed */
      lua_rawseti(L, 1, SLOT_IN);                /* this needs no memory */
      return io_wait(L, t, w->fd, IO_READ, NEVER, quick_wake);
    case -1:
      wire_at_end(L);
      lua_settop(L, 5);
      return leave_rest(L);
  }
  if (wire_held(w) != (size_t)lua_tointeger(L, 2)) return leave_rest(L);
  wire_hand_over(L, w);
  return 1;
}


static int quick_wake (lua_State *L, int status, lua_KContext ctx) {
  Wire *w = (Wire *)lua_touserdata(L, 3);
  Task *t = (Task *)ctx;
  const char *word = wire_hindrance(w, t);
  int alone = lua_rawgeti(L, 1, SLOT_IN) == LUA_TBOOLEAN;
  (void)status;
  lua_pop(L, 1);
  if (alone) {
    lua_pushvalue(L, 3);
    lua_rawseti(L, 1, SLOT_IN);
  }
  if (word != NULL) lua_pushstring(L, word);
  if (word != NULL || !alone) return leave_rest(L);
  w->drained = 0;
  return quick_try(L, w, t);
}


/* sock:receive */
static int quick_receive (lua_State *L) {
  Sched *S;
  Wire *w = NULL;
  if (lua_gettop(L) == 2 && lua_isinteger(L, 2) && lua_tointeger(L, 2) > 0) {
    w = plain_wire(L, SLOT_IN);
    if (w == NULL) lua_settop(L, 2);
  }
  if (w == NULL) return pass_on(L, 1);
  S = w->object.S;
  if (--S->fuel < 0) {
    lua_settop(L, 2);
    return sched_detour(L, S, S->current, quick_receive);
  }
  return quick_try(L, w, S->current);
}


/* sock:send */
static int quick_send (lua_State *L) {
  Wire *w = NULL;
  if (lua_gettop(L) == 2 && lua_type(L, 2) == LUA_TSTRING) {
    w = plain_wire(L, SLOT_OUT);
    lua_settop(L, 2);
  }
  if (w != NULL) {
    size_t size;
    const char *data = lua_tolstring(L, 2, &size);
    ssize_t n;
    if (--w->object.S->fuel < 0)
      return sched_detour(L, w->object.S, w->object.S->current, quick_send);
    n = send(w->fd, data, size, WIRE_FLAGS);
    if (n > 0) {
      io_charge(w->object.S, n);
      lua_pushinteger(L, n);
      if ((size_t)n == size) return 1;
      lua_pushinteger(L, n + 1); /* the rest */
      lua_replace(L, 3);
    }
  }
  return pass_on(L, 1);
}


/* internal.wire_quick(receive, rest, send) -> receive, send: the short ways.
   'rest(sock, n [, word])' goes on with a receive that has begun, or that was
   stopped. */
static int l_quick (lua_State *L) {
  lua_settop(L, 3);
  lua_pushcclosure(L, quick_send, 1);
  lua_insert(L, 1);
  lua_pushcclosure(L, quick_receive, 2);
  lua_insert(L, 1);
  return 2;
}


static const luaL_Reg internals[] = {
  { "wire_quick", l_quick },
  { NULL, NULL },
};


void quick_openlib (lua_State *L) {
  sched_internals(L, internals);
}
