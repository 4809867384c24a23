/*
** stream.c - how items pass through streams: a source, and a row of stages.
**
** The row is run by one C function, 'go_on', in the task of whoever asks for
** the next item: a stage costs the call of its function and nothing else, no
** coroutine and no iterator of its own. A stage's function may wait, so where
** an item is stands in the stream ('at'), and every continuation goes on from
** there.
**
** The source is closed once, when the stream ends early, by whatever cause,
** and not if it has ended or raised by itself. Cancelling a task that waits
** for the source ends nothing: the stream can be asked again. In a stage's
** function it does, as every error there, since the item is lost.
**
** Invariants: at most one call of 'next' or 'close' is under way; others stand
** in 'turn', and the first of them is promised the turn when it ends. A stream
** that has ended holds no source.
*/

#include "stream.h"

#include "args.h"
#include "error.h"
#include "generator.h"
#include "scope.h"
#include "strand.h"
#include "task.h"

static const char mark = 0; /* its address is in every stream */

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

/* indices on the stack of 'next' and 'close'; an item is above */
enum { AT_STREAM = 1, AT_HANDLER, AT_ERROR = AT_HANDLER };

#define PULLING (-1) /* the place of an item that is still with the source */

/* what becomes of an item after a stage */
typedef enum Verdict {
  PASSES,
  DROPPED,
  REFUSED, /* the stream ends with it */
  FAILED,  /* the error is on top */
  WAITS    /* for the children of its scope */
} Verdict;

/* what is done when the source has been closed */
enum { THEN_END, THEN_RAISE, THEN_GO_ON, THEN_RETURN };

static int go_on (lua_State *L, Sched *S, Stream *s, int i);


void stream_mark (Stream *s) {
  s->object.mark = &mark;
}


Stream *stream_test (lua_State *L, int idx) {
  return (Stream *)object_at(L, idx, &mark);
}


Stream *stream_check (lua_State *L, const char *fname) {
  Stream *s = stream_test(L, AT_STREAM);
  if (s == NULL) arg_error(L, 0, fname, "self", "a stream", AT_STREAM);
  return s;
}


/* ---------------------------------------------------------------------- */
/* turns */


static void rest (Sched *S, Stream *s) {
  s->state = STREAM_READY;
  if (s->turn.first == NULL) return;
  s->state = STREAM_PROMISED;
  s->runner = owner_of(s->turn.first, Task, link);
  s->slot = s->runner->slot;
  s->id = s->runner->id;
  sched_wake(S, s->runner, WHY_DONE);
}


static void begin (Sched *S, Stream *s) {
  s->state = STREAM_BUSY;
  s->runner = S->current;
  if (s->runner == NULL) return;
  s->slot = s->runner->slot;
  s->id = s->runner->id;
}


static void end (lua_State *L, Sched *S, Stream *s) {
  s->state = STREAM_ENDED;
  lua_pushnil(L);
  lua_setiuservalue(L, AT_STREAM, STREAM_SOURCE);
  lua_pushnil(L);
  lua_setiuservalue(L, AT_STREAM, STREAM_CLOSE);
  lua_pushnil(L);
  lua_setiuservalue(L, AT_STREAM, STREAM_INTO);
  sched_wake_all(S, &s->turn, WHY_DONE);
}


/* was the task that has the turn ended by force, so that it never left? */
static int is_gone (Sched *S, const Stream *s) {
  return s->runner != NULL && task_find(S, s->slot, s->id) == NULL;
}


int stream_is_busy (Stream *s) {
  if (s->state != STREAM_BUSY && s->state != STREAM_PROMISED) return 0;
  if (is_gone(s->object.S, s)) s->state = STREAM_READY;
  return s->state != STREAM_READY;
}


/* the task was woken for its turn: does it have it? */
static int has_turn (Stream *s, const Task *t) {
  if (s->state != STREAM_PROMISED || s->runner != t) return 0;
  s->state = STREAM_READY;
  return 1;
}


static int wait_turn (lua_State *L, Sched *S, Stream *s, Wait wait,
                      lua_KFunction then) {
  const char *fname = wait == WAIT_STREAM ? "next" : "close";
  Task *t;
  if (s->state == STREAM_BUSY && (s->runner == S->current || s->runner == NULL))
    return luaL_error(L,
                      "'%s' called while the same task is in 'next' or "
                      "'close' of this stream",
                      fname);
  t = sched_enter(L, fname);
  sched_park(S, t, wait, &s->turn, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)t, then);
}


/* ---------------------------------------------------------------------- */
/* ending */


/* the error on top lost against an earlier one; pops it */
static void suppress (lua_State *L, Sched *S) {
  Task *t = S->current;
  if (t != NULL && task_cancelled(t) && cause_is(L, t, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_pushnil(L);
  error_hook(L, S, "on_suppressed");
}


static int raise (lua_State *L) {
  return lua_error(L);
}


/* 'close' has failed with the error on top */
static int close_failed (lua_State *L, Sched *S) {
  if (lua_isnil(L, AT_ERROR)) return lua_error(L);
  suppress(L, S); /* the error of the loop wins */
  return 0;
}


static int source_closed (lua_State *L, int status, lua_KContext then) {
  Stream *s = (Stream *)lua_touserdata(L, AT_STREAM);
  Sched *S = s->object.S;
  switch (then) {
    case THEN_GO_ON: /* with an item, so an error has to wait: it takes the
                        place of the source, to be raised by closing that */
      if (has_failed(status)) {
        lua_setiuservalue(L, AT_STREAM, STREAM_SOURCE);
        lua_pushcfunction(L, raise);
        lua_setiuservalue(L, AT_STREAM, STREAM_CLOSE);
      }
      return go_on(L, S, s, s->at + 1);
    case THEN_END:
      end(L, S, s);
      if (has_failed(status)) return lua_error(L);
      lua_pushnil(L);
      return 1;
    case THEN_RAISE:
      if (has_failed(status)) suppress(L, S);
      end(L, S, s);
      return lua_error(L);
    default: end(L, S, s); return has_failed(status) ? close_failed(L, S) : 0;
  }
}


/* close the source, if that is still to be done, and go on with 'then' */
static int close_source (lua_State *L, int then) {
  int status = LUA_OK;
  if (lua_getiuservalue(L, AT_STREAM, STREAM_CLOSE) == LUA_TNIL)
    lua_pop(L, 1);
  else {
    lua_pushnil(L);
    lua_setiuservalue(L, AT_STREAM, STREAM_CLOSE);
    lua_getiuservalue(L, AT_STREAM, STREAM_SOURCE);
    status =
        lua_pcallk(L, 1, 0, then == THEN_RETURN ? AT_ERROR + 1 : AT_HANDLER,
                   (lua_KContext)then, source_closed);
  }
  return source_closed(L, status, (lua_KContext)then);
}


/* a stage has failed with the error on top */
static int fail (lua_State *L) {
  lua_insert(L, AT_HANDLER + 1);
  lua_settop(L, AT_HANDLER + 1);
  return close_source(L, THEN_RAISE);
}


/* ---------------------------------------------------------------------- */
/* a stage */


/* is there room on the stack for what a stage does with the item? else the
   error is pushed */
static int has_room (lua_State *L) {
  int n = lua_gettop(L) - AT_HANDLER;
  if (n <= LUA_MINSTACK / 4 || lua_checkstack(L, n + LUA_MINSTACK / 2))
    return 1;
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
  end(L, S, s);
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
    rest(S, s);
  else if (s->own)
    return fail(L);
  else if (s->direct && reads_generator(L, s))
    rest(S, s); /* it was the table that had no memory for more */
  else
    end(L, S, s);
  return lua_error(L);
}


static int filled (lua_State *L, Sched *S, Stream *s) {
  rest(S, s);
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
  return go_on(L, S, s, 0);
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
  if (!task_cancelled(t)) return go_on(L, s->object.S, s, PULLING);
  rest(s->object.S, s);
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
      return fail(L);
    }
    push_mark(L, stream_hole);
    lua_replace(L, AT_HANDLER + 1);
  }
  n = lua_gettop(L) - AT_HANDLER;
  rest(S, s); /* before what may raise for memory */
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


/* an item, if there is one, stands before stage 'i': move it on until it has
   passed, or the next one, or there is none; in 'fill' until enough have */
static int go_on (lua_State *L, Sched *S, Stream *s, int i) {
  for (;;) {
    if (i == PULLING) {
      lua_settop(L, AT_HANDLER);
      if (s->last) return close_source(L, THEN_END);
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
    if (i == 0 && !has_room(L)) return fail(L);
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
          return close_source(L, THEN_GO_ON);
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
    case PASSES: return go_on(L, S, s, s->at + 1);
    case DROPPED:
      if (!is_tired(L, S)) return go_on(L, S, s, PULLING);
      S->patience = 0; /* deadlines may have passed */
      sched_pass(S, S->current);
      return lua_yieldk(L, 0, (lua_KContext)s, was_let_run);
    case REFUSED: lua_settop(L, AT_HANDLER); return close_source(L, THEN_END);
    case WAITS: return scope_wait(L, S->current->scope, children_ended);
    default: return fail(L);
  }
}


/* ---------------------------------------------------------------------- */
/* methods */


static int next_turn (lua_State *L, int status, lua_KContext ctx);


/* it is the caller's turn, or that comes */
static int next (lua_State *L, Sched *S, Stream *s) {
  switch (s->state) {
    case STREAM_READY:
      if (s->tasks) sched_enter_in(L, S, "next");
      begin(S, s);
      lua_pushcfunction(L, error_handler);
      return go_on(L, S, s, PULLING);
    case STREAM_ENDED: lua_pushnil(L); return 1;
    case STREAM_HANDED_ON:
      return luaL_error(L, "'next' of a stream that was handed on to an "
                           "operator: use the stream that this one returned");
    default:
      if (!stream_is_busy(s)) return next(L, S, s);
      return wait_turn(L, S, s, WAIT_STREAM, next_turn);
  }
}


static int next_turn (lua_State *L, int status, lua_KContext ctx) {
  Task *t = (Task *)ctx;
  Stream *s = (Stream *)lua_touserdata(L, AT_STREAM);
  Sched *S = s->object.S;
  (void)status;
  if (t->why == WHY_CANCEL) return cause_raise(L, t);
  if (has_turn(s, t) && task_cancelled(t)) {
    rest(S, s);
    return cause_raise(L, t);
  }
  return next(L, S, s);
}


/*** stream:next() -> ... or nil: the next item with all its values, nil at the
end and ever after. An error, of the source or of an operator's function, is
raised once, then the stream is ended. stream() is the same. Calls of several
tasks are served in turn. When the caller is cancelled while the source is being
waited for, nothing is lost: the stream can be asked again. Suspends when the
source or a function does, and for its turn; needs no 'run' otherwise. */
int stream_next (lua_State *L) {
  Stream *s = stream_check(L, "next");
  Sched *S = s->object.S;
  if (in_task(L, S)) SCHED_DETOUR(L, S, S->current, stream_next);
  lua_settop(L, AT_STREAM);
  s->want = 0;
  s->direct = 0;
  return next(L, S, s);
}


int stream_fill (lua_State *L) {
  Stream *s = stream_check(L, "next");
  Sched *S = s->object.S;
  lua_Number n = lua_tonumber(L, 3);
  if (in_task(L, S)) SCHED_DETOUR(L, S, S->current, stream_fill);
  s->kept = (lua_Integer)lua_rawlen(L, 2);
  s->want = n < 1e15 ? (lua_Integer)n : LUA_MAXINTEGER;
  lua_settop(L, 2);
  lua_setiuservalue(L, AT_STREAM, STREAM_INTO);
  s->direct = s->nstages == 0 && reads_generator(L, s);
  return next(L, S, s);
}


static int close_turn (lua_State *L, int status, lua_KContext ctx);


static int close (lua_State *L, Sched *S, Stream *s) {
  if (s->state == STREAM_ENDED) return 0;
  if (stream_is_busy(s))
    return wait_turn(L, S, s, WAIT_STREAM_CLOSE, close_turn);
  begin(S, s);
  lua_pushcfunction(L, error_handler);
  return close_source(L, THEN_RETURN);
}


static int close_turn (lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)lua_touserdata(L, AT_STREAM);
  (void)status;
  has_turn(s, (Task *)ctx);
  return close(L, s->object.S, s);
}


int stream_leave (lua_State *L) {
  Stream *s = stream_check(L, "close");
  lua_settop(L, AT_ERROR);
  while (s->state == STREAM_HANDED_ON) { /* whoever took it over is closed */
    lua_getiuservalue(L, AT_STREAM, STREAM_SOURCE);
    lua_replace(L, AT_STREAM);
    s = (Stream *)lua_touserdata(L, AT_STREAM);
  }
  return close(L, s->object.S, s);
}


/*** stream:close(): ends the stream and closes its source, if it has not ended;
an error of closing it is raised. A 'for' does it by itself. Suspends when
closing the source does, and for its turn; not a cancellation point. */
int stream_close (lua_State *L) {
  lua_settop(L, AT_STREAM);
  return stream_leave(L);
}


/* ---------------------------------------------------------------------- */


static const WaitKind waits_next = { "its turn at a stream", NULL, NULL, 0 };
static const WaitKind waits_close = { "its turn to close a stream", NULL, NULL,
                                      1 };


void stream_prepare (lua_State *L, Sched *S) {
  const char *const messages[] = { mapped_nil, is_hole, too_many };
  size_t i;
  for (i = 0; i < sizeof messages / sizeof messages[0]; i++) {
    lua_pushstring(L, messages[i]);
    lua_rawsetp(L, LUA_REGISTRYINDEX, messages[i]);
  }
  sched_kind(S, WAIT_STREAM, &waits_next);
  sched_kind(S, WAIT_STREAM_CLOSE, &waits_close);
}
