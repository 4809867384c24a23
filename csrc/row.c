/*
** row.c - how items pass through streams: from the source through a row of
** stages.
**
** The row is run by one C function, 'row_go_on', in the task of whoever asks
** for the next item: a stage costs the call of its function and nothing else,
** no coroutine and no iterator of its own. A stage's function may wait, so
** where an item is stands in the stream ('at'), and every continuation goes on
** from there.
*/

#include "row.h"

#include "generator.h"
#include "scope.h"

const char stream_hole = 0;

/* errors, kept in the registry by their addresses: where they are raised is no
   place to run out of memory */
static const char mapped_nil[] =
    "the function of 'map' returned nil, which is the end of a stream "
    "(neap.SKIP leaves an item out)";
static const char is_hole[] = "a hole in a list cannot be an item of a stream, "
                              "since nil is its end";
static const char too_many[] = "too many values";

#define push_message(L, m) lua_rawgetp(L, LUA_REGISTRYINDEX, m)

/* what becomes of an item after a stage */
typedef enum Verdict {
  PASSES,
  DROPPED,
  REFUSED, /* the stream ends with it */
  FAILED,  /* the error is on top */
  WAITS    /* for the children of its scope */
} Verdict;


/* ---------------------------------------------------------------------- */
/* a stage */


/* is there room on the stack for what a stage does with the item? else the
   error is in its place: there may be none above it */
static int has_room (lua_State *L) {
  int n = lua_gettop(L) - AT_HANDLER;
  if (n <= LUA_MINSTACK / 4 || lua_checkstack(L, n + LUA_MINSTACK / 2))
    return 1;
  lua_settop(L, AT_HANDLER);
  push_message(L, too_many);
  return 0;
}


/* the results of a map's function are above AT_HANDLER */
static Verdict judge_mapped (lua_State *L) {
  if (lua_type(L, AT_HANDLER + 1) == LUA_TLIGHTUSERDATA) {
    if (is_mark(L, AT_HANDLER + 1, source_skip)) return DROPPED;
    if (is_mark(L, AT_HANDLER + 1, source_stop)) return REFUSED;
  }
  if (!lua_isnoneornil(L, AT_HANDLER + 1)) return has_room(L) ? PASSES : FAILED;
  lua_settop(L, AT_HANDLER + 1);
  push_message(L, mapped_nil);
  return FAILED;
}


/* the item's scope can be left */
static Verdict leave_scope (lua_State *L, Scope *scope) {
  if (scope_finish(L, scope) >= END_EXPIRED) return FAILED;
  return judge_mapped(L);
}


/* the function of stage 's->at' has returned, or raised */
static Verdict judge (lua_State *L, Sched *S, Stream *s, int status) {
  int yes;
  if (s->scoped) {
    Scope *scope = S->current->scope;
    s->scoped = 0;
    if (!has_failed(status) && scope_leave_untouched(scope))
      return judge_mapped(L);
    if (!scope_body_ended(L, scope, has_failed(status), AT_HANDLER))
      return WAITS;
    return leave_scope(L, scope);
  }
  if (has_failed(status)) return FAILED;
  if (s->stage[s->at].kind == STAGE_MAP) return judge_mapped(L);
  yes = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (yes) return PASSES;
  return s->stage[s->at].kind == STAGE_FILTER ? DROPPED : REFUSED;
}


static int follow (lua_State *L, Sched *S, Stream *s, Verdict verdict);


static int called (lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)ctx;
  return follow(L, s->object.S, s, judge(L, s->object.S, s, status));
}


/* the children of the item's scope have ended, too */
static int children_ended (lua_State *L, int ending, int base) {
  Stream *s = (Stream *)lua_touserdata(L, AT_STREAM);
  (void)base;
  return follow(L, s->object.S, s,
                ending >= END_EXPIRED ? FAILED : judge_mapped(L));
}


/* protected: open a scope for the running task */
static int open_scope (lua_State *L) {
  scope_open(L, ((Sched *)lua_touserdata(L, 1))->current);
  return 0;
}


/* as each item of a pool, that of a map has a scope of its own, in a task;
   0: there is no memory for it, the error is on top */
static int enter_scope (lua_State *L, Sched *S, Stream *s) {
  if (!in_task(L, S)) return 1;
  if (S->free_scopes != NULL)
    scope_open(L, S->current);
  else { /* it has to be made, which may raise */
    lua_pushcfunction(L, open_scope);
    lua_pushlightuserdata(L, S);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) return 0;
  }
  s->scoped = 1;
  return 1;
}


/* call the function of stage 'i' with the item, which a map uses up */
static Verdict apply (lua_State *L, Sched *S, Stream *s, int i) {
  int n = lua_gettop(L) - AT_HANDLER, status, j;
  s->at = i;
  if (s->stage[i].kind == STAGE_MAP) {
    if (!enter_scope(L, S, s)) return FAILED;
    lua_getiuservalue(L, AT_STREAM, STREAM_FN + i);
    lua_insert(L, AT_HANDLER + 1);
    lua_pushinteger(L, ++s->stage[i].count);
    status =
        lua_pcallk(L, n + 1, LUA_MULTRET, AT_HANDLER, (lua_KContext)s, called);
  }
  else {
    lua_getiuservalue(L, AT_STREAM, STREAM_FN + i);
    for (j = 1; j <= n; j++) lua_pushvalue(L, AT_HANDLER + j);
    status = lua_pcallk(L, n, 1, AT_HANDLER, (lua_KContext)s, called);
  }
  return judge(L, S, s, status);
}


/* ---------------------------------------------------------------------- */
/* the source */


/* take the next item of a table; 0 if there is none */
static int take (lua_State *L, Stream *s) {
  do {
    lua_settop(L, AT_HANDLER);
    if (s->taken >= s->total) return 0;
    lua_getiuservalue(L, AT_STREAM, STREAM_SOURCE);
    if (s->source == SOURCE_LIST)
      lua_rawgeti(L, AT_HANDLER + 1, ++s->taken);
    else { /* a value and its key */
      lua_getiuservalue(L, AT_STREAM, STREAM_KEYS);
      lua_rawgeti(L, -1, ++s->taken);
      lua_pushvalue(L, -1);
      lua_rawget(L, AT_HANDLER + 1);
      lua_replace(L, -3);
    }
    lua_remove(L, AT_HANDLER + 1);
    /* a key that has gone meanwhile is none */
  } while (s->source == SOURCE_KEYS && lua_isnil(L, AT_HANDLER + 1));
  return 1;
}


static int ended (lua_State *L, Sched *S, Stream *s) {
  stream_end(L, S, s);
  lua_pushnil(L);
  return 1;
}


/* has it a generator that has not ended as its source? */
static int reads_generator (lua_State *L, const Stream *s) {
  int yes;
  if (s->source != SOURCE_CALL) return 0;
  lua_getiuservalue(L, AT_STREAM, STREAM_SOURCE);
  yes = generator_is_open(L, -1);
  lua_pop(L, 1);
  return yes;
}


/* the source has raised the error on top */
static int source_failed (lua_State *L, Sched *S, Stream *s) {
  Task *t = S->current;
  if (t != NULL && task_cancelled(t) && cause_is(L, t, -1))
    stream_rest(S, s);
  else if (s->own)
    return stream_fail(L, s);
  else if (s->direct && reads_generator(L, s))
    stream_rest(S, s); /* it was the table that had no memory for more */
  else
    stream_end(L, S, s);
  return lua_error(L);
}


static int filled (lua_State *L, Sched *S, Stream *s) {
  stream_rest(S, s);
  lua_pushnil(L);
  lua_setiuservalue(L, AT_STREAM, STREAM_INTO);
  lua_pushboolean(L, 1);
  return 1;
}


/* what the source gave is above AT_HANDLER */
static int pulled (lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)ctx;
  Sched *S = s->object.S;
  if (has_failed(status)) return source_failed(L, S, s);
  if (s->direct && lua_gettop(L) == AT_HANDLER) return filled(L, S, s);
  if (lua_isnoneornil(L, AT_HANDLER + 1)) return ended(L, S, s);
  return row_go_on(L, S, s, 0);
}


/* ask the source */
static int pull (lua_State *L, Stream *s) {
  int nargs = 0;
  if (s->direct) {
    lua_pushcfunction(L, generator_fill);
    nargs = 3;
  }
  lua_getiuservalue(L, AT_STREAM, STREAM_SOURCE);
  if (s->direct) {
    lua_getiuservalue(L, AT_STREAM, STREAM_INTO);
    lua_pushinteger(L, s->want);
  }
  return lua_pcallk(L, nargs, LUA_MULTRET, AT_HANDLER, (lua_KContext)s, pulled);
}


/* ---------------------------------------------------------------------- */
/* the row */


static int was_let_run (lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)ctx;
  Task *t = s->object.S->current;
  (void)status;
  if (!task_cancelled(t)) return row_go_on(L, s->object.S, s, PULLING);
  stream_rest(s->object.S, s);
  return cause_raise(L, t);
}


/* an item was dropped or kept: must others be let run before the next one,
   since the task is cancelled, or has run for long without waiting? */
static int is_tired (lua_State *L, Sched *S) {
  if (!in_task(L, S)) return 0;
  if (S->fuel >= 0) S->fuel--;
  return S->fuel < 0 || task_cancelled(S->current);
}


/* all values of the item, as a table */
static int pack (lua_State *L, lua_Integer n) {
  lua_createtable(L, (int)n, 1);
  lua_insert(L, AT_HANDLER + 1);
  lua_pushinteger(L, n);
  lua_setfield(L, AT_HANDLER + 1, "n");
  for (; n > 0; n--) lua_rawseti(L, AT_HANDLER + 1, n);
  luaL_setmetatable(L, STREAM_VALUES);
  return 1;
}


/* an item has passed all stages, and is what 'next' returns */
static int emit (lua_State *L, Sched *S, Stream *s) {
  int n;
  if (lua_isnil(L, AT_HANDLER + 1)) {
    if (!s->holes) {
      push_message(L, is_hole);
      return stream_fail(L, s);
    }
    push_mark(L, stream_hole);
    lua_replace(L, AT_HANDLER + 1);
  }
  n = lua_gettop(L) - AT_HANDLER;
  stream_rest(S, s); /* before what may raise for memory */
  return s->whole && n > 1 ? pack(L, n) : n;
}


/* an item has passed all stages, and is put into the table of 'fill' */
static void keep (lua_State *L, Stream *s) {
  lua_getiuservalue(L, AT_STREAM, STREAM_INTO);
  if (s->direct) s->kept = (lua_Integer)lua_rawlen(L, -1);
  lua_pushvalue(L, AT_HANDLER + 1);
  s->state = STREAM_READY; /* there may be no memory for it */
  lua_rawseti(L, -2, ++s->kept);
  s->state = STREAM_BUSY;
}


static int raise (lua_State *L) {
  return lua_error(L);
}


/* the source has been closed for the last item, which goes on. So an error has
   to wait: it takes the place of the source, to be raised by closing that. */
static int took_last (lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)ctx;
  if (has_failed(status)) {
    lua_setiuservalue(L, AT_STREAM, STREAM_SOURCE);
    lua_pushcfunction(L, raise);
    lua_setiuservalue(L, AT_STREAM, STREAM_CLOSE);
  }
  return row_go_on(L, s->object.S, s, s->at + 1);
}


int row_go_on (lua_State *L, Sched *S, Stream *s, int i) {
  for (;;) {
    if (i == PULLING) {
      lua_settop(L, AT_HANDLER);
      if (s->last) return stream_finish(L, s);
      if (s->source != SOURCE_CALL) {
        if (!take(L, s)) return ended(L, S, s);
      }
      else {
        int status = pull(L, s);
        if (has_failed(status)) return source_failed(L, S, s);
        if (s->direct && lua_gettop(L) == AT_HANDLER) return filled(L, S, s);
        if (lua_isnoneornil(L, AT_HANDLER + 1)) return ended(L, S, s);
      }
      i = 0;
    }
    if (i == 0 && !has_room(L)) return stream_fail(L, s);
    for (; i < s->nstages; i++) {
      Stage *stage = &s->stage[i];
      Verdict verdict = PASSES;
      switch (stage->kind) {
        case STAGE_SKIP:
          if (stage->count > 0) {
            stage->count--;
            verdict = DROPPED;
          }
          break;
        case STAGE_TAKE:
          if (--stage->count > 0 || s->last) break;
          s->last = 1;
          s->at = i;
          return stream_close_source(L, s, took_last);
        default: verdict = apply(L, S, s, i);
      }
      if (verdict == PASSES) continue;
      if (verdict != DROPPED || is_tired(L, S)) return follow(L, S, s, verdict);
      break;
    }
    if (i == s->nstages) {
      if (s->want == 0 || lua_isnil(L, AT_HANDLER + 1)) return emit(L, S, s);
      keep(L, s);
      if (s->kept >= s->want) return filled(L, S, s);
      if (is_tired(L, S)) return follow(L, S, s, DROPPED);
    }
    i = PULLING;
  }
}


/* go on after a stage, when that is not simply the next thing to do */
static int follow (lua_State *L, Sched *S, Stream *s, Verdict verdict) {
  switch (verdict) {
    case PASSES: return row_go_on(L, S, s, s->at + 1);
    case DROPPED:
      if (!is_tired(L, S)) return row_go_on(L, S, s, PULLING);
      S->patience = 0; /* deadlines may have passed */
      sched_pass(S, S->current);
      return lua_yieldk(L, 0, (lua_KContext)s, was_let_run);
    case REFUSED: lua_settop(L, AT_HANDLER); return stream_finish(L, s);
    case WAITS: return scope_wait(L, S->current->scope, children_ended);
    default: return stream_fail(L, s);
  }
}


int row_is_direct (lua_State *L, const Stream *s) {
  return s->nstages == 0 && reads_generator(L, s);
}


void row_prepare (lua_State *L) {
  const char *const messages[] = { mapped_nil, is_hole, too_many };
  size_t i;
  for (i = 0; i < sizeof messages / sizeof messages[0]; i++) {
    lua_pushstring(L, messages[i]);
    lua_rawsetp(L, LUA_REGISTRYINDEX, messages[i]);
  }
}
