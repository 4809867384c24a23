/*
** streamlib.c - how streams are made, and what Lua calls; see stream.c.
**
** An operator does not wrap the stream that it is applied to: it takes it over
** into a new one, with one stage more over the same source. The old one is
** handed on from then on. It can still be closed, which closes the new one, but
** to read it raises: its items would be missing further down.
*/

#include <string.h>

#include "args.h"
#include "rooms.h"
#include "reader.h"
#include "stream.h"

/* operators in a row; each has a user value */
#define MAX_STAGES 60000

/* items that a list has room for from the beginning, at most */
#define ROOM_AHEAD 256


/* ---------------------------------------------------------------------- */
/* making them */


static int handed_on (lua_State *L, const char *fname) {
  return luaL_error(L,
                    "'%s' of a stream that was handed on to an operator: use "
                    "the stream that this one returned",
                    fname);
}


/* raises if the stream was handed on */
static void check_whole (lua_State *L, const char *fname, const Stream *s) {
  if (s->state == STREAM_HANDED_ON) handed_on(L, fname);
}


/* raises if an operator cannot take the stream over now */
static void check_free (lua_State *L, const char *fname, Stream *s) {
  check_whole(L, fname, s);
  if (stream_is_busy(s))
    luaL_error(L, "'%s' of a stream that is being read", fname);
}


/* the new stream on top takes over the one at index 1 */
static void take_over (lua_State *L, Stream *old, Stream *s) {
  int i, fns = STREAM_FN - 1 + old->nstages;
  s->source = old->source;
  s->taken = old->taken;
  s->total = old->total;
  s->last = old->last;
  s->own = old->own;
  s->tasks = old->tasks;
  s->holes = old->holes;
  s->whole = old->whole;
  s->state = old->state;
  memcpy(s->stage, old->stage, sizeof(Stage) * (size_t)old->nstages);
  for (i = 1; i <= fns; i++) {
    lua_getiuservalue(L, 1, i);
    lua_setiuservalue(L, -2, i);
  }
  if (old->state == STREAM_ENDED) return;
  old->state = STREAM_HANDED_ON;
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, STREAM_SOURCE);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, STREAM_CLOSE);
}


/* the new stream on top reads what is at index 1 */
static void read_from (lua_State *L, Stream *s) {
  if (s->source == SOURCE_KEYS) {
    source_push_keys(L, 1);
    lua_setiuservalue(L, -2, STREAM_KEYS);
  }
  else if (s->source == SOURCE_CALL && source_push_close(L, 1))
    lua_setiuservalue(L, -2, STREAM_CLOSE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, STREAM_SOURCE);
  s->state = STREAM_READY;
}


/* push a stream over the items at index 1, with 'more' stages to be filled in
   at the end of its row */
static Stream *derive (lua_State *L, const char *fname, int more) {
  Stream *old = stream_test(L, 1), *s;
  lua_Integer total = 0;
  Source source = SOURCE_CALL;
  size_t size;
  int n = more;
  if (old != NULL)
    n += old->nstages;
  else
    source = source_of(L, 1, -1, fname, &total);
  if (n > MAX_STAGES)
    luaL_error(L, "'%s': more than %d operators in a row", fname, MAX_STAGES);
  size = sizeof(Stream) + sizeof(Stage) * (size_t)n;
  s = (Stream *)lua_newuserdatauv(L, size, STREAM_FN - 1 + n);
  memset(s, 0, size);
  s->object.S = sched_of(L);
  s->state = STREAM_ENDED;
  s->nstages = n;
  s->source = source;
  s->total = total;
  stream_mark(s);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  if (old != NULL) {
    check_free(L, fname, old);
    take_over(L, old, s);
  }
  else
    read_from(L, s);
  return s;
}


/* return the stream on top, with what a 'for' takes besides */
static int with_tail (lua_State *L) {
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3);
  return 4;
}


/* ---------------------------------------------------------------------- */
/* operators */


/* an operator whose stage calls the function at index 2 */
static int calling (lua_State *L, const char *fname, StageKind kind) {
  Stream *s;
  int n;
  arg_callable(L, 2, -2, fname, "fn");
  s = derive(L, fname, 1);
  n = s->nstages - 1;
  s->stage[n].kind = kind;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, STREAM_FN + n);
  return with_tail(L);
}


/* one that counts to the number at index 2 */
static int counting (lua_State *L, const char *fname, StageKind kind) {
  lua_Integer count = arg_limit(L, 2, -2, fname, "n", 0);
  Stream *s = derive(L, fname, 1);
  Stage *stage = &s->stage[s->nstages - 1];
  stage->kind = kind;
  stage->count = count;
  if (kind == STAGE_TAKE && count == 0) s->last = 1;
  return with_tail(L);
}


/*** neap.filter(items, fn) -> stream: the items for which fn(item) is true; all
values of an item are passed. stream:filter(fn) is the same. fn may suspend. */
static int l_filter (lua_State *L) {
  return calling(L, "filter", STAGE_FILTER);
}


/*** neap.take(items, n) -> stream: the first n items (>= 0 or math.huge); the
source is closed as soon as it has given them. stream:take(n) is the same. */
static int l_take (lua_State *L) {
  return counting(L, "take", STAGE_TAKE);
}


/*** neap.skip(items, n) -> stream: the items behind the first n (>= 0 or
math.huge). stream:skip(n) is the same. */
static int l_skip (lua_State *L) {
  return counting(L, "skip", STAGE_SKIP);
}


/*** neap.take_while(items, fn) -> stream: the items up to the first for which
fn(item) is false; then the source is closed. stream:take_while(fn) is the
same. fn may suspend. */
static int l_take_while (lua_State *L) {
  return calling(L, "take_while", STAGE_TAKE_WHILE);
}


/* internal.map(items, fn) -> stream: fn(item, index) for one item after the
   other, when the next one is asked for */
static int l_map (lua_State *L) {
  return calling(L, "map", STAGE_MAP);
}


/*** neap.stream(items) -> stream: a stream over items: a list (a hole, with n
set, can only be the item of a function), a table with other keys (each item is
a value and its key), an iterator, a channel or a generator. It is an iterator,
for item in neap.stream(items) do ... end, with methods. What is read is read
one item at a time, when it is asked for; when the stream ends early, the source
is closed, if it can be (a channel is not: others may use it). A stream is
returned as it is. Does not suspend. */
static int l_stream (lua_State *L) {
  Stream *s = stream_test(L, 1);
  if (s != NULL) {
    check_whole(L, "stream", s);
    lua_settop(L, 1);
  }
  else
    derive(L, "stream", 0);
  return with_tail(L);
}


/* internal.take_over(items, fname, kind) -> stream: for an operator in Lua. Of
   the kind "whole" each item is given as one value: several values as a table
   of the class internal.VALUES; of the kind "raw" also those of a list that are
   nil, as internal.HOLE */
static int l_take_over (lua_State *L) {
  static const char *const kinds[] = { "plain", "whole", "raw", NULL };
  int kind = luaL_checkoption(L, 3, "plain", kinds);
  Stream *s;
  lua_settop(L, 3);
  s = derive(L, luaL_checkstring(L, 2), 0);
  s->whole = kind > 0;
  s->holes = kind > 1;
  return 1;
}


/* internal.check_over(items, fname, others): raises what take_over would. In the
   table 'others' are the streams that are to be taken over before this one,
   which is added */
static int l_check_over (lua_State *L) {
  const char *fname = luaL_checkstring(L, 2);
  Stream *s = stream_test(L, 1);
  lua_Integer total;
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  if (s == NULL) {
    source_of(L, 1, -1, fname, &total);
    return 0;
  }
  check_free(L, fname, s);
  if (s->state == STREAM_ENDED) return 0;
  lua_pushvalue(L, 1);
  if (lua_rawget(L, 3) != LUA_TNIL) handed_on(L, fname);
  lua_pushvalue(L, 1);
  lua_pushboolean(L, 1);
  lua_rawset(L, 3);
  return 0;
}


/* internal.stream_of(source, tasks) -> s, nil, nil, s: a stream over a callable
   object of neap's own, which is closed also when it has raised; 'tasks': it
   has tasks of its own */
static int l_stream_of (lua_State *L) {
  Stream *s;
  lua_settop(L, 2);
  s = derive(L, "stream_of", 0);
  s->own = 1;
  s->tasks = (uint8_t)lua_toboolean(L, 2);
  return with_tail(L);
}


/* internal.reading(items, fname) -> s, nil, nil, s: a stream over the items,
   or the stream that they are, for a 'for'; nil is given as above */
static int l_reading (lua_State *L) {
  Stream *s = stream_test(L, 1);
  if (s != NULL) {
    check_whole(L, luaL_checkstring(L, 2), s);
    lua_settop(L, 1);
  }
  else
    derive(L, luaL_checkstring(L, 2), 0)->holes = 1;
  return with_tail(L);
}


/* ---------------------------------------------------------------------- */
/* methods */


static int s_tostring (lua_State *L) {
  static const char *const states[] = { "suspended", "running", "running",
                                        "handed on", "ended" };
  Stream *s = stream_check(L, "tostring");
  lua_pushfstring(L, "neap.stream (%s): %p", states[s->state], (void *)s);
  return 1;
}


static const luaL_Reg methods[] = {
  { "close", stream_close },
  { "next", stream_next },
  { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__call", stream_next },
  { "__close", stream_leave },
  { "__neap_close", stream_close },
  { "__tostring", s_tostring },
  { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "stream", l_stream },
  { NULL, NULL },
};

/* methods, and functions on any items */
static const luaL_Reg operators[] = {
  { "filter", l_filter },         { "skip", l_skip }, { "take", l_take },
  { "take_while", l_take_while }, { NULL, NULL },
};

/* internal.list(n) -> table: an empty one with room for n items, if that is not
   too many to make room for before they are there */
static int l_list (lua_State *L) {
  lua_Number n = luaL_checknumber(L, 1);
  lua_createtable(L, n < ROOM_AHEAD ? (int)n : ROOM_AHEAD, 0);
  return 1;
}


static const luaL_Reg internals[] = {
  { "check_over", l_check_over },
  { "fill", stream_fill },
  { "list", l_list },
  { "map", l_map },
  { "reading", l_reading },
  { "stream_of", l_stream_of },
  { "take_over", l_take_over },
  { NULL, NULL },
};


/* functions that make streams, for the table on top */
static void set_makers (lua_State *L, int sched, int class, const luaL_Reg *l) {
  lua_pushvalue(L, sched);
  lua_pushvalue(L, class);
  luaL_setfuncs(L, l, 2);
}


void stream_openlib (lua_State *L) {
  int sched = lua_gettop(L), module = sched - 1, class = sched + 1;
  reader_prepare(L, (Sched *)lua_touserdata(L, sched));
  sched_class(L, STREAM_CLASS, methods, meta);
  lua_pushvalue(L, module);
  set_makers(L, sched, class, funcs);
  set_makers(L, sched, class, operators);
  luaL_getsubtable(L, module, "internal");
  set_makers(L, sched, class, internals);
  push_mark(L, stream_hole);
  lua_setfield(L, -2, "HOLE");
  luaL_newmetatable(L, STREAM_VALUES);
  lua_setfield(L, -2, "VALUES");
  lua_getfield(L, class, "methods"); /* the others are added in Lua */
  set_makers(L, sched, class, operators);
  lua_setfield(L, -2, "stream_methods");
  lua_settop(L, sched);
}
