/*
** poollib.c - pools as Lua calls them: how they begin and end, and the patterns
** that are pools with a certain number of workers.
*/

#include <string.h>

#include "abort.h"
#include "args.h"
#include "error.h"
#include "pool.h"
#include "rooms.h"
#include "traceback.h"


/* ---------------------------------------------------------------------- */
/* the end of the pool, in the caller; above AT_RESULTS an error, if any */


/* the error for those that were kept, in the order of the input */
static int raise_errors (lua_State *L, Pool *p) {
  int kept, err;
  lua_Integer i, n = 0;
  lua_getiuservalue(L, AT_POOL, POOL_ERRORS);
  kept = lua_gettop(L);
  error_new(L, "AggregateError",
            lua_pushfstring(L, "%I of %I items failed", p->nerrors, p->done));
  err = lua_gettop(L);
  lua_createtable(L, 0, 1);
  lua_newtable(L);
  for (i = 1; i <= p->next; i++) {
    if (!pool_kept(L, kept, i)) continue;
    lua_rawseti(L, err + 1, ++n);
    if (p->source == SOURCE_KEYS)
      lua_rawgeti(L, kept, -i);
    else
      lua_pushinteger(L, i);
    lua_rawseti(L, err + 2, n);
  }
  lua_setfield(L, err, "keys");
  lua_pushinteger(L, n);
  lua_setfield(L, -2, "n");
  lua_setfield(L, err, "errors");
  lua_pushinteger(L, n);
  lua_setfield(L, err, "n");
  return lua_error(L);
}


/* close the gaps of items left out, cut what is behind STOP, set 'n' */
static void pack_results (lua_State *L, Pool *p) {
  lua_Integer i, n = 0, last = p->next;
  if (p->source == SOURCE_KEYS) return;
  if (p->stop <= last || p->skips) {
    for (i = 1; i <= last; i++) {
      lua_rawgeti(L, AT_RESULTS, i);
      if (i < p->stop && !is_mark(L, -1, source_skip)) {
        if (++n != i)
          lua_rawseti(L, AT_RESULTS, n);
        else
          lua_pop(L, 1);
      }
      else
        lua_pop(L, 1);
    }
    for (i = n + 1; i <= last; i++) {
      lua_pushnil(L);
      lua_rawseti(L, AT_RESULTS, i);
    }
    last = n;
  }
  lua_pushinteger(L, last);
  lua_setfield(L, AT_RESULTS, "n");
}


/* source closed (with 'status', its error on top); an error of the pool, if
   there is one, is above AT_RESULTS */
static int source_closed (lua_State *L, int status, lua_KContext failed) {
  Pool *p = (Pool *)lua_touserdata(L, AT_POOL);
  int close_failed = has_failed(status);
  if (close_failed) { /* the pool's own error wins */
    if (!failed && p->nerrors == 0) return lua_error(L);
    lua_pushnil(L);
    error_hook(L, p->S, "on_suppressed");
  }
  if (failed) {
    pool_suppress(L, p, 0);
    lua_settop(L, AT_RESULTS + 1);
    return lua_error(L);
  }
  lua_settop(L, AT_RESULTS);
  if (p->nerrors > 0) return raise_errors(L, p);
  pack_results(L, p);
  return 1;
}


static int pool_left (lua_State *L, int ending, int base) {
  Pool *p = (Pool *)lua_touserdata(L, AT_POOL);
  int failed = ending >= END_EXPIRED, status = LUA_OK;
  p->scope = NULL;
  if (!failed) lua_settop(L, base);
  if (p->source == SOURCE_CALL && !p->ended && source_push_close(L, AT_ITEMS)) {
    lua_pushvalue(L, AT_ITEMS);
    status = lua_pcallk(L, 1, 0, 0, (lua_KContext)failed, source_closed);
  }
  return source_closed(L, status, (lua_KContext)failed);
}


/* ---------------------------------------------------------------------- */
/* the beginning */


/* what is given to a pool beside items and function */
typedef struct Setup {
  Source source;
  lua_Integer total, limit, group;
  double item_timeout;
  int stop_on_error, entries;
} Setup;


/*
** Begin, and wait for the end. On the stack: items, fn, the callback for
** progress or nil, the signal or nil. All has been checked.
*/
static int begin (lua_State *L, const Setup *o, const char *fname) {
  Task *t = sched_enter(L, fname);
  Pool *p;
  lua_Integer n;
  int status, i;
  if (task_cancelled(t)) return sched_raise_later(L, t);
  abort_check(L, 4);
  p = (Pool *)lua_newuserdatauv(L, sizeof(Pool), POOL_VALUES);
  memset(p, 0, sizeof(Pool));
  p->S = sched_of(L);
  p->source = o->source;
  p->total = o->total;
  p->limit = o->limit;
  if (o->source != SOURCE_CALL && o->total < o->limit) p->limit = o->total;
  p->group = o->group;
  p->full = o->group > 0 ? o->group : LUA_MAXINTEGER;
  p->stop = LUA_MAXINTEGER;
  p->stop_on_error = o->stop_on_error;
  p->entries = o->entries;
  p->item_timeout = o->item_timeout;
  lua_insert(L, 1);
  lua_setiuservalue(L, AT_POOL, POOL_SIGNAL);
  p->progress = !lua_isnil(L, -1);
  lua_setiuservalue(L, AT_POOL, POOL_PROGRESS);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, pool_work, 1);
  lua_setiuservalue(L, AT_POOL, POOL_WORK);
  if (o->source == SOURCE_KEYS) {
    source_push_keys(L, AT_ITEMS);
    lua_setiuservalue(L, AT_POOL, POOL_KEYS);
  }
  lua_createtable(L, o->total > 0 && o->total < 1 << 24 ? (int)o->total : 0, 1);
  lua_getiuservalue(L, AT_POOL, POOL_SIGNAL);
  p->scope = scope_open(L, t);
  abort_listen(L, p->scope, AT_RESULTS + 1);
  lua_settop(L, AT_RESULTS);
  n = o->source == SOURCE_CALL ? 1 : p->limit;
  lua_pushcfunction(L, pool_begin); /* in the scope, so its errors are too */
  for (i = AT_POOL; i <= AT_RESULTS; i++) lua_pushvalue(L, i);
  lua_pushinteger(L, n);
  status = lua_pcall(L, 5, 0, 0);
  return scope_leave(L, p->scope, status != LUA_OK, AT_RESULTS, pool_left);
}


/* the functions whose only option is a signal: items, fn, options */
static int begin_simple (lua_State *L, Setup *o, int options,
                         const char *fname) {
  static const char *const names[] = { "signal", NULL };
  arg_options(L, 3, options, fname, names);
  abort_option(L, 3, fname);
  lua_pushnil(L);
  lua_replace(L, 3);
  o->item_timeout = NEVER;
  o->stop_on_error = 1;
  return begin(L, o, fname);
}


/*** neap.pool(items, concurrency, fn [, options]) -> results: calls fn(item,
index) for every item (with its key, if they are a table with keys: those that
are there at the call), at most 'concurrency' (>= 1 or math.huge) at a time;
results, the first value of each call, in input order, with n, or with the keys
of the table. Items: a table, an iterator or a stream, read one item when there
is room for it. fn may return neap.SKIP (leave this item out) or neap.STOP (take
no further items, drop the later ones, with their errors). Options:
stop_on_error (default true; false runs all, then raises one AggregateError,
with 'errors' in the order of the input, and 'keys', the index or key of the
item that each of them is of), signal (when aborted, what runs is cancelled, and
its reason is raised), item_timeout (seconds for each item, which fails with a
TimeoutError; default math.huge), on_progress(done, total or nil), called after
each item; it may suspend. The first error is raised when all have unwound; the
hook on_suppressed is told of those that are not raised. Suspends. */
static int l_pool (lua_State *L) {
  static const char *const names[] = { "stop_on_error", "signal",
                                       "item_timeout", "on_progress", NULL };
  Setup o = { 0 };
  o.source = source_of(L, 1, 1, "pool", &o.total);
  if (lua_isfunction(L, 2))
    luaL_error(L, "bad argument #2 to 'pool' (concurrency must be a whole "
                  "number >= 1 or math.huge, got a function; it is "
                  "neap.pool(items, concurrency, fn))");
  o.limit = arg_limit(L, 2, 2, "pool", "concurrency", 1);
  arg_callable(L, 3, 3, "pool", "fn");
  lua_settop(L, 4);
  arg_options(L, 4, 4, "pool", names);
  o.stop_on_error = arg_option_boolean(L, 4, "pool", "stop_on_error", 1);
  o.item_timeout = arg_option_seconds(L, 4, "pool", "item_timeout", NEVER);
  arg_option(L, 4, "on_progress");
  if (!lua_isnil(L, -1) && !is_callable(L, -1))
    arg_bad_option(L, "pool", "on_progress", "a function or callable");
  abort_option(L, 4, "pool");
  lua_remove(L, 4);
  lua_remove(L, 2); /* items, fn, on_progress, signal */
  return begin(L, &o, "pool");
}


/*** neap.parallel(items, fn [, options]) -> results: calls fn(item, index) for
all items at once, which begin in their order; items, index and results as those
of neap.pool. The first error cancels the others and is raised when they have
unwound. fn may return neap.SKIP or neap.STOP, as in a pool. Option: signal.
Suspends. */
static int l_parallel (lua_State *L) {
  Setup o = { 0 };
  o.source = source_of(L, 1, 1, "parallel", &o.total);
  o.limit = LUA_MAXINTEGER;
  arg_callable(L, 2, 2, "parallel", "fn");
  lua_settop(L, 3);
  return begin_simple(L, &o, 3, "parallel");
}


/*** neap.batched(items, size, fn [, options]) -> results: calls fn(item, index)
for the items in groups of 'size' (>= 1 or math.huge): each group in parallel,
the next one is taken from the source when all of it has ended, and not after an
error. Results and indices are those of the whole input, as in neap.parallel.
Option: signal. Suspends. */
static int l_batched (lua_State *L) {
  Setup o = { 0 };
  o.source = source_of(L, 1, 1, "batched", &o.total);
  o.group = o.limit = arg_limit(L, 2, 2, "batched", "size", 1);
  arg_callable(L, 3, 3, "batched", "fn");
  lua_settop(L, 4);
  lua_remove(L, 2);
  return begin_simple(L, &o, 4, "batched");
}


/*** neap.sequential(items, fn [, options]) -> results: calls fn(item, index)
for one item after the other; the next one is taken from the source when fn has
returned, and not after an error. Items, index and results as those of
neap.pool; fn may return neap.SKIP or neap.STOP. Option: signal. Suspends. */
static int l_sequential (lua_State *L) {
  Setup o = { 0 };
  o.source = source_of(L, 1, 1, "sequential", &o.total);
  o.limit = 1;
  arg_callable(L, 2, 2, "sequential", "fn");
  lua_settop(L, 3);
  return begin_simple(L, &o, 3, "sequential");
}


/* internal.all(entries, n, is_sequence) -> results: neap.all, when the n entries
   have been checked and nobody else has the table */
static int l_all (lua_State *L) {
  Setup o = { 0 };
  if (lua_toboolean(L, 3)) { /* need not be looked through again */
    luaL_checktype(L, 1, LUA_TTABLE);
    o.source = SOURCE_LIST;
    o.total = luaL_checkinteger(L, 2);
    luaL_argcheck(L, o.total == (lua_Integer)lua_rawlen(L, 1), 2,
                  "not the number of entries");
  }
  else
    o.source = source_of(L, 1, 1, "all", &o.total);
  o.limit = LUA_MAXINTEGER;
  o.item_timeout = NEVER;
  o.stop_on_error = o.entries = 1;
  lua_settop(L, 1);
  lua_settop(L, 4);
  return begin(L, &o, "all");
}


void pool_openlib (lua_State *L) {
  static const luaL_Reg internals[] = { { "all", l_all }, { NULL, NULL } };
  static const luaL_Reg funcs[] = {
    { "batched", l_batched }, { "parallel", l_parallel },
    { "pool", l_pool },       { "sequential", l_sequential },
    { NULL, NULL },
  };
  pool_kinds((Sched *)lua_touserdata(L, -1));
  sched_funcs(L, funcs);
  sched_internals(L, internals);
}
