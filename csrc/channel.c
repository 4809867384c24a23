/*
** channel.c - values from tasks to tasks, with a buffer or hand to hand.
**
** Invariants: receivers wait only while the buffer is empty and no sender
** waits; senders wait only while the buffer is full. A value that was given
** to a waiting receiver is its own before it runs, and so is the place in the
** buffer that a waiting sender was given: nobody gets in between.
**
** The buffer is a ring in a table (user value 1) that grows up to the
** capacity; the value of a waiting sender stays on its own stack.
*/

#include <string.h>

#include "args.h"
#include "cancel.h"
#include "error.h"
#include "origin.h"
#include "rooms.h"

typedef struct Channel {
  Object object;
  Line senders;
  Line receivers;
  lua_Integer capacity;
  lua_Integer room;  /* places in the ring as it is now */
  lua_Integer first; /* where the oldest value is, from 0 */
  lua_Integer count; /* values in the ring */
  int closed;        /* user value 2 is the error, if there is one */
  int has_error;
} Channel;

static const char channel_mark = 0; /* its address stands for the class */

#define RING 1
#define ERROR 2
#define ROOM_AT_FIRST 16

/* a waiter that was woken by 'close' */
#define WHY_CLOSED WHY_TIME


static Channel *check_channel (lua_State *L, const char *fname) {
  Channel *c = (Channel *)object_at(L, 1, &channel_mark);
  if (c == NULL) arg_error(L, 0, fname, "self", "a channel", 1);
  return c;
}


/* make the ring larger, unless a finalizer does so meanwhile; may raise, then
   nothing has changed */
static void grow (lua_State *L, Channel *c) {
  lua_Integer i, old = c->room, room = old * 2;
  if (room < ROOM_AT_FIRST) room = ROOM_AT_FIRST;
  if (room > c->capacity) room = c->capacity;
  lua_createtable(L, room < 1 << 20 ? (int)room : 1 << 20, 0);
  if (c->room != old) {
    lua_pop(L, 1);
    return;
  }
  lua_getiuservalue(L, 1, RING);
  for (i = 0; i < room; i++) {
    if (i < c->count)
      lua_rawgeti(L, -1, (c->first + i) % c->room + 1);
    else
      lua_pushboolean(L, 0);
    lua_rawseti(L, -3, i + 1);
  }
  lua_pop(L, 1);
  lua_setiuservalue(L, 1, RING);
  c->room = room;
  c->first = 0;
}


/* put the value at index 'value' into the ring, where there is room */
static void put (lua_State *L, Channel *c, int value) {
  lua_Integer at = c->first + c->count++;
  lua_getiuservalue(L, 1, RING);
  lua_pushvalue(L, value);
  lua_rawseti(L, -2, (at < c->room ? at : at - c->room) + 1);
  lua_pop(L, 1);
}


/* push the oldest value */
static void get (lua_State *L, Channel *c) {
  lua_getiuservalue(L, 1, RING);
  lua_rawgeti(L, -1, c->first + 1);
  lua_pushboolean(L, 0); /* let go of it */
  lua_rawseti(L, -3, c->first + 1);
  lua_remove(L, -2);
  if (++c->first == c->room) c->first = 0;
  c->count--;
}


/* push the value of the first waiting sender and wake it */
static void take_from_sender (lua_State *L, Sched *S, Channel *c) {
  Task *t = owner_of(c->senders.first, Task, link);
  lua_State *co = task_co(t);
  lua_pushvalue(co, 2);
  lua_xmove(co, L, 1);
  sched_wake(S, t, WHY_DONE);
}


/* ---------------------------------------------------------------------- */
/* sending */


/* raise a ClosedError with the value at index 2 */
static int raise_closed (lua_State *L) {
  error_new(L, "ClosedError", "the channel is closed");
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "value");
  return lua_error(L);
}


static int sent (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  (void)status;
  if (t->why == WHY_CANCEL) return cause_raise(L, t);
  if (t->why == WHY_CLOSED) return raise_closed(L);
  return 0;
}


/* hand the value at index 2 over, if that needs no waiting */
static int try_send (lua_State *L, Sched *S, Channel *c) {
  for (;;) { /* again when the ring was made larger: much may have changed */
    if (c->closed) return raise_closed(L);
    if (c->receivers.first != NULL) {
      lua_pushvalue(L, 2);
      sched_wake_with(S, owner_of(c->receivers.first, Task, link), L);
      return 1;
    }
    if (c->count == c->capacity) return 0;
    if (c->count < c->room) break;
    grow(L, c);
  }
  put(L, c, 2);
  return 1;
}


static void check_value (lua_State *L, const char *fname) {
  if (lua_isnoneornil(L, 2))
    arg_error(L, 1, fname, "value", "anything but nil, which is the end", 2);
  lua_settop(L, 2);
}


/*** ch:send(value): waits until a receiver has taken the value or it has a
place in the buffer. nil raises. Raises a ClosedError, with the value, if the
channel is or gets closed. Suspends. */
static int c_send (lua_State *L) {
  Channel *c = check_channel(L, "send");
  Sched *S = c->object.S;
  Task *t;
  check_value(L, "send");
  t = sched_enter_in(L, S, "send");
  SCHED_DETOUR(L, S, t, c_send);
  if (try_send(L, S, c)) return 0;
  if (task_cancelled(t)) return sched_raise_later(L, t); /* by a finalizer */
  sched_park(S, t, WAIT_SEND, &c->senders, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)t, sent);
}


/*** ch:try_send(value) -> true, or false, "full": sends if a receiver waits or
there is room. nil raises, and so does a channel that is closed, as in 'send'.
Does not suspend. */
static int c_try_send (lua_State *L) {
  Channel *c = check_channel(L, "try_send");
  check_value(L, "try_send");
  if (try_send(L, c->object.S, c)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_pushliteral(L, "full");
  return 2;
}


/* ---------------------------------------------------------------------- */
/* receiving */


static int at_end (lua_State *L, Channel *c) {
  if (c->has_error) {
    lua_getiuservalue(L, 1, ERROR);
    origin_given(L, c->object.S->current, 1);
    return lua_error(L);
  }
  lua_pushnil(L);
  return 1;
}


static int received (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  (void)status;
  if (t->why == WHY_CANCEL) return cause_raise(L, t);
  if (t->why == WHY_CLOSED) return at_end(L, (Channel *)lua_touserdata(L, 1));
  return 1;
}


/* push a value, if there is one */
static int try_recv (lua_State *L, Sched *S, Channel *c) {
  if (c->count > 0) {
    get(L, c);
    if (c->senders.first != NULL) {
      take_from_sender(L, S, c);
      put(L, c, lua_gettop(L));
      lua_pop(L, 1);
    }
    return 1;
  }
  if (c->senders.first == NULL) return 0;
  take_from_sender(L, S, c);
  return 1;
}


/*** ch:recv() -> value: waits for a value. After 'close' and the end of what is
buffered: nil, or the error that 'close' was given is raised. When it is
cancelled, no value is lost. Suspends. */
static int c_recv (lua_State *L) {
  Channel *c = check_channel(L, "recv");
  Sched *S = c->object.S;
  Task *t = sched_enter_in(L, S, "recv");
  SCHED_DETOUR(L, S, t, c_recv);
  lua_settop(L, 1);
  if (try_recv(L, S, c)) return 1;
  if (c->closed) return at_end(L, c);
  sched_park(S, t, WAIT_RECV, &c->receivers, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)t, received);
}


/*** ch:try_recv() -> true, value, or false, "empty" or "closed": receives if
something is there. "closed" is said also when 'close' was given an error. Does
not suspend. */
static int c_try_recv (lua_State *L) {
  Channel *c = check_channel(L, "try_recv");
  lua_settop(L, 1);
  lua_pushboolean(L, 1);
  if (try_recv(L, c->object.S, c)) return 2;
  lua_pushboolean(L, 0);
  lua_pushstring(L, c->closed ? "closed" : "empty");
  return 2;
}


/* ---------------------------------------------------------------------- */
/* the rest */


static void wake_closed (Sched *S, Line *line) {
  while (line->first != NULL) {
    Task *t = owner_of(line->first, Task, link);
    sched_wake(S, t, WHY_DONE);
    t->why = WHY_CLOSED;
  }
}


/*** ch:close([err]): nothing more can be sent; what is buffered can still be
received, then the end, or err is raised. Those who wait to send get a
ClosedError. A second close does nothing. Does not suspend. */
static int c_close (lua_State *L) {
  Sched *S = sched_of(L);
  Channel *c = check_channel(L, "close");
  if (c->closed) return 0;
  c->closed = 1;
  if (!lua_isnoneornil(L, 2)) {
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, ERROR);
    c->has_error = 1;
  }
  wake_closed(S, &c->receivers);
  wake_closed(S, &c->senders);
  return 0;
}


static int c_len (lua_State *L) {
  lua_pushinteger(L, check_channel(L, "#")->count);
  return 1;
}


static int c_index (lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(3)) == LUA_TNIL &&
      lua_type(L, 2) == LUA_TSTRING &&
      strcmp(lua_tostring(L, 2), "closed") == 0)
    lua_pushboolean(L, check_channel(L, "closed")->closed);
  return 1;
}


/*** neap.channel([capacity]) -> channel: a buffer of 'capacity' values
(default 0: hand to hand; math.huge: never full). #ch is how many are
buffered, ch.closed whether it is closed; for v in ch do ... end receives
until the end. Does not suspend. */
static int l_channel (lua_State *L) {
  lua_Integer n = 0;
  Channel *c;
  if (!lua_isnoneornil(L, 1)) n = arg_limit(L, 1, 1, "channel", "capacity", 0);
  c = (Channel *)lua_newuserdatauv(L, sizeof(Channel), 2);
  memset(c, 0, sizeof(Channel));
  c->object.mark = &channel_mark;
  c->object.S = sched_of(L);
  c->capacity = n;
  luaL_setmetatable(L, "neap.channel");
  if (n > 0) { /* the first part of the ring, 'grow' takes self from 1 */
    lua_replace(L, 1);
    lua_settop(L, 1);
    lua_newtable(L);
    lua_setiuservalue(L, 1, RING);
    grow(L, c);
  }
  return 1;
}


static void describe (lua_State *L, Task *t, Line *line) {
  Channel *c = t->wait == WAIT_SEND ? owner_of(line, Channel, senders)
                                    : owner_of(line, Channel, receivers);
  const char *what = t->wait == WAIT_SEND ? "a receiver" : "a value";
  if (c->capacity == LUA_MAXINTEGER)
    lua_pushfstring(L, "%s of a channel (%I buffered)", what, c->count);
  else
    lua_pushfstring(L, "%s of a channel (%I of %I buffered)", what, c->count,
                    c->capacity);
}


static const WaitKind waits = { "channel", NULL, describe, 0 };

static const luaL_Reg methods[] = {
  { "close", c_close },       { "recv", c_recv },         { "send", c_send },
  { "try_recv", c_try_recv }, { "try_send", c_try_send }, { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__call", c_recv },
  { "__len", c_len },
  { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "channel", l_channel },
  { NULL, NULL },
};


void channel_openlib (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, -1);
  sched_kind(S, WAIT_SEND, &waits);
  sched_kind(S, WAIT_RECV, &waits);
  sched_funcs(L, funcs);
  sched_class(L, "neap.channel", methods, meta);
  sched_index(L, c_index);
  lua_pop(L, 1);
}
