/*
** pool.c - at most so many at a time, over any source of items.
**
** N workers, not a task for each item: a worker pulls an item, runs it, keeps
** the result and comes back for more, so live memory grows with the
** concurrency only, and a slot is free exactly when its work has stopped.
** Workers are born as long as there are items for them.
**
** Each item is a scope of its own. The pool is a scope too, so the first
** error cancels the others and is raised when all have unwound without a
** line of code here.
**
** In groups (batched) who comes for an item when the group is full waits until
** its last one has ended.
*/

#include "pool.h"

#include "args.h"
#include "traceback.h"

/* an error that is nil, in the table of errors */
static const char pool_nil = 0;

static int go_on (lua_State *L, Worker *w);


/* ---------------------------------------------------------------------- */
/* errors that are kept */


/* the error is on top, kept for the AggregateError; pops it. The item's key, if
   it has one, is kept at its negative index */
static void keep_error (lua_State *L, Pool *p, lua_Integer index) {
  if (lua_getiuservalue(L, AT_POOL, POOL_ERRORS) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, AT_POOL, POOL_ERRORS);
  }
  lua_insert(L, -2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    push_mark(L, pool_nil);
  }
  lua_rawseti(L, -2, index);
  if (p->source == SOURCE_KEYS) {
    lua_pushvalue(L, AT_KEY);
    lua_rawseti(L, -2, -index);
  }
  lua_pop(L, 1);
  p->nerrors++;
}


int pool_kept (lua_State *L, int errors, lua_Integer index) {
  if (lua_rawgeti(L, errors, index) == LUA_TNIL) {
    lua_pop(L, 1);
    return 0;
  }
  if (is_mark(L, -1, pool_nil)) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
  return 1;
}


void pool_suppress (lua_State *L, Pool *p, lua_Integer last) {
  lua_Integer i;
  if (p->nerrors == 0) return;
  lua_getiuservalue(L, AT_POOL, POOL_ERRORS);
  for (i = last + 1; i <= p->next; i++) {
    if (!pool_kept(L, -1, i)) continue;
    lua_pushnil(L);
    lua_rawseti(L, -3, i);
    p->nerrors--;
    lua_pushnil(L);
    error_hook(L, p->S, "on_suppressed");
  }
  lua_pop(L, 1);
}


/* ---------------------------------------------------------------------- */
/* workers */


/* one more, with what it needs on its stack; may raise for memory */
static void bear (lua_State *L, Pool *p) {
  int top = lua_gettop(L), i;
  Worker *w;
  lua_getiuservalue(L, AT_POOL, POOL_WORK);
  for (i = AT_POOL; i <= AT_RESULTS; i++) lua_pushvalue(L, i);
  lua_pushcfunction(L, error_handler);
  w = (Worker *)task_new_sized(L, p->scope, top + 1, 0, sizeof(Worker),
                               HANDLE_VALUE)
          ->handle;
  w->pool = p;
  lua_settop(L, top);
  p->born++;
}


int pool_begin (lua_State *L) {
  Pool *p = (Pool *)lua_touserdata(L, AT_POOL);
  lua_Integer n = lua_tointeger(L, AT_RESULTS + 1);
  for (; n > 0; n--) bear(L, p);
  return 0;
}


/* nothing is taken any more: those who wait for an item go home */
static void no_more (Sched *S, Pool *p) {
  p->exhausted = 1;
  p->idle = 0;
  sched_wake_all(S, &p->turn, WHY_DONE);
  sched_wake_all(S, &p->grouped, WHY_DONE);
}


/* let the next one read the source */
static void pass_turn (Sched *S, Pool *p) {
  if (p->turn.first == NULL)
    p->pulling = 0;
  else { /* 'pulling' stays: it has the turn before it runs */
    p->idle--;
    sched_wake(S, owner_of(p->turn.first, Task, link), WHY_DONE);
  }
}


static void left_turn (Sched *S, Task *t, Line *line) {
  (void)S, (void)t;
  owner_of(line, Pool, turn)->idle--;
}


/* item 'w->index' said STOP: those behind it are dropped, with the errors they
   had; whoever runs them or waits for one is cancelled; those before it
   finish */
static void stop (lua_State *L, Sched *S, Pool *p, Worker *me) {
  Link *x;
  if (me->index < p->stop) p->stop = me->index;
  no_more(S, p);
  pool_suppress(L, p, p->stop);
  for (x = p->scope->children.first; x != NULL;
       x = line_after(&p->scope->children, x)) {
    Task *t = owner_of(x, Task, sib);
    const Worker *w = (Worker *)t->handle;
    if (w != me && (w->index == 0 || w->index > p->stop))
      task_cancel(L, t, 0, 0);
  }
}


/* ---------------------------------------------------------------------- */
/* results */


/* the result of the worker's item, or a mark, is on top; pops it */
static void keep_result (lua_State *L, Sched *S, Pool *p, Worker *w) {
  if (!p->entries && lua_islightuserdata(L, -1)) {
    int stops = is_mark(L, -1, source_stop);
    if (stops) stop(L, S, p, w);
    if (stops || is_mark(L, -1, source_skip)) {
      p->skips = 1;
      lua_pop(L, 1);
      if (p->source == SOURCE_KEYS) return;
      push_mark(L, source_skip);
    }
  }
  if (p->source == SOURCE_KEYS) {
    lua_pushvalue(L, AT_KEY);
    lua_insert(L, -2);
    lua_rawset(L, AT_RESULTS);
  }
  else
    lua_rawseti(L, AT_RESULTS, w->index);
}


/* ---------------------------------------------------------------------- */
/* an item ends */


static int told (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return go_on(L, (Worker *)ctx);
}


/*
** The item's scope was left with what is above AT_KEY. Raises the error of
** the item if that ends the pool.
*/
static void item_ended (lua_State *L, Worker *w, int ending) {
  Pool *p = w->pool;
  Sched *S = p->S;
  int meant = w->index <= p->stop && task_pardon(S->current); /* by a cancel */
  if (ending < END_EXPIRED) {
    invariant(ending == END_VALUES); /* nobody else has the scope */
    keep_result(L, S, p, w);
  }
  else {
    Task *t = S->current;
    lua_Integer index = w->index;
    if (!meant && task_cancelled(t) && cause_is(L, t, -1)) lua_error(L);
    if (index > p->stop) { /* dropped */
      lua_pushnil(L);
      error_hook(L, S, "on_suppressed");
    }
    else if (p->stop_on_error) {
      if (p->source != SOURCE_KEYS) {
        lua_pushinteger(L, index);
        lua_replace(L, AT_KEY);
      }
      error_of_item(L, S, AT_KEY);
      lua_error(L);
    }
    else
      keep_error(L, p, index);
  }
  w->index = 0;
  p->active--;
  p->done++;
  if (p->progress) {
    lua_getiuservalue(L, AT_POOL, POOL_PROGRESS);
    lua_pushinteger(L, p->done);
    if (p->total >= 0)
      lua_pushinteger(L, p->total);
    else
      lua_pushnil(L);
    lua_callk(L, 2, 0, (lua_KContext)w, told);
  }
}


static int item_left (lua_State *L, int ending, int base) {
  Worker *w = (Worker *)sched_of(L)->current->handle;
  (void)base;
  item_ended(L, w, ending);
  return go_on(L, w);
}


/* the item's body has ended; 0 if it must be waited for */
static int body_ended (lua_State *L, Worker *w, int status) {
  Scope *s = w->pool->S->current->scope;
  int failed = has_failed(status);
  if (!failed && scope_leave_untouched(s))
    item_ended(L, w, END_VALUES);
  else if (scope_body_ended(L, s, failed, AT_KEY))
    item_ended(L, w, scope_finish(L, s));
  else
    return 0;
  return 1;
}


static int body_returned (lua_State *L, int status, lua_KContext ctx) {
  Worker *w = (Worker *)ctx;
  if (!body_ended(L, w, status))
    return scope_wait(L, w->pool->S->current->scope, item_left);
  return go_on(L, w);
}


/* ---------------------------------------------------------------------- */
/* an item begins */


/* the pool's function lies below the item on top: add what else it is called
   with; how many arguments */
static inline int push_index (lua_State *L, Pool *p, Worker *w) {
  if (p->source == SOURCE_KEYS)
    lua_pushvalue(L, AT_KEY);
  else
    lua_pushinteger(L, w->index);
  return 2;
}


/* the same where the item is what is called, or awaited */
static int push_entry (lua_State *L) {
  if (is_callable(L, -1)) return 0;
  luaL_getmetafield(L, -1, "__neap_await");
  lua_insert(L, -2);
  return 1;
}


/* the item on top is taken: run it; 0 if it must be waited for */
static int run_item (lua_State *L, Sched *S, Worker *w) {
  Pool *p = w->pool;
  Task *t = S->current;
  Scope *s;
  int status, nargs;
  w->index = ++p->next;
  p->active++;
  if (!p->exhausted && p->idle == 0 && p->born < p->limit) bear(L, p);
  s = scope_open(L, t);
  if (p->item_timeout < NEVER) scope_arm(s, p->item_timeout);
  nargs = p->entries ? push_entry(L) : push_index(L, p, w);
  status = lua_pcallk(L, nargs, 1, AT_HANDLER, (lua_KContext)w, body_returned);
  return body_ended(L, w, status);
}


/* take the next item of a table; 0 if there is none */
static int take (lua_State *L, Pool *p) {
  int keys;
  if (p->source == SOURCE_LIST) {
    if (p->next >= p->total) return 0;
    lua_rawgeti(L, AT_ITEMS, p->next + 1);
    return 1;
  }
  lua_getiuservalue(L, AT_POOL, POOL_KEYS);
  keys = lua_gettop(L);
  do {
    lua_settop(L, keys);
    if (p->key >= p->total) return 0;
    lua_rawgeti(L, keys, ++p->key);
    lua_pushvalue(L, -1);
    lua_replace(L, AT_KEY);
    lua_rawget(L, AT_ITEMS);
  } while (lua_isnil(L, -1)); /* a key that has gone meanwhile is none */
  lua_remove(L, keys);
  return 1;
}


/* the source was read: the item, the end or its error is on top; 0: the
   worker's work is over */
static int was_pulled (lua_State *L, Sched *S, Worker *w, int status) {
  Pool *p = w->pool;
  Task *t = S->current;
  if (has_failed(status)) {
    if (!(task_cancelled(t) && cause_is(L, t, -1))) p->ended = 1;
    lua_error(L);
  }
  if (lua_isnil(L, -1)) {
    p->ended = 1;
    no_more(S, p);
    return 0;
  }
  pass_turn(S, p);
  if (task_cancelled(t)) cause_raise(L, t);
  return 1;
}


static int pulled (lua_State *L, int status, lua_KContext ctx) {
  Worker *w = (Worker *)ctx;
  Sched *S = w->pool->S;
  if (!was_pulled(L, S, w, status)) return 0;
  if (!run_item(L, S, w)) return scope_wait(L, S->current->scope, item_left);
  return go_on(L, w);
}


static int got_turn (lua_State *L, int status, lua_KContext ctx) {
  Task *t = sched_of(L)->current;
  (void)status;
  if (t->why == WHY_CANCEL) return cause_raise(L, t);
  return go_on(L, (Worker *)ctx);
}


/* the group is full: 1 if this worker must wait for its end */
static int wait_for_group (Sched *S, Pool *p, Task *t, int has_turn) {
  if (has_turn) p->pulling = 0; /* whoever goes on reads */
  if (p->active == 0) {         /* it has ended: the next one begins */
    p->full += p->group;
    sched_wake_all(S, &p->grouped, WHY_DONE);
    return 0;
  }
  sched_park(S, t, WAIT_GROUP, &p->grouped, NEVER);
  return 1;
}


static int passed (lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return go_on(L, (Worker *)ctx);
}


/* the worker's loop; also where it comes back after each wait */
static int go_on (lua_State *L, Worker *w) {
  Pool *p = w->pool;
  Sched *S = p->S;
  Task *t = S->current;
  int has_turn = t->wait == WAIT_SOURCE; /* it was woken in the line */
  t->wait = WAIT_NOTHING;
  for (;;) {
    lua_settop(L, AT_KEY);
    if (task_cancelled(t)) return cause_raise(L, t);
    if (p->exhausted) return 0;
    if (!has_turn && --S->fuel < 0) {
      sched_pass(S, t);
      return lua_yieldk(L, 0, (lua_KContext)w, passed);
    }
    if (p->next >= p->full) {
      if (wait_for_group(S, p, t, has_turn))
        return lua_yieldk(L, 0, (lua_KContext)w, got_turn);
      has_turn = 0;
    }
    if (p->source == SOURCE_CALL && p->pulling && !has_turn) {
      p->idle++;
      sched_park(S, t, WAIT_SOURCE, &p->turn, NEVER);
      return lua_yieldk(L, 0, (lua_KContext)w, got_turn);
    }
    if (!p->entries) lua_pushvalue(L, AT_FN);
    if (p->source != SOURCE_CALL) {
      if (!take(L, p)) {
        no_more(S, p);
        return 0;
      }
    }
    else {
      int status;
      has_turn = 0;
      p->pulling = 1;
      lua_pushvalue(L, AT_ITEMS);
      status = lua_pcallk(L, 0, 1, AT_HANDLER, (lua_KContext)w, pulled);
      if (!was_pulled(L, S, w, status)) return 0;
    }
    if (!run_item(L, S, w)) return scope_wait(L, t->scope, item_left);
  }
}


int pool_work (lua_State *L) {
  return go_on(L, (Worker *)sched_of(L)->current->handle);
}


static const WaitKind waits = { "its turn to read the source", left_turn, NULL,
                                0 };
static const WaitKind waits_group = { "the end of the group", NULL, NULL, 0 };


void pool_kinds (Sched *S) {
  sched_kind(S, WAIT_SOURCE, &waits);
  sched_kind(S, WAIT_GROUP, &waits_group);
}
