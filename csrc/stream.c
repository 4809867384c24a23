/*
** stream.c - streams: how their items are asked for, and how they end. What
** happens to an item between its source and whoever asked for it: row.c.
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
#include "cancel.h"
#include "record.h"
#include "row.h"
#include "traceback.h"

static const char mark = 0; /* its address is in every stream */


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


void stream_rest (Sched *S, Stream *s) {
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


void stream_end (lua_State *L, Sched *S, Stream *s) {
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
      return row_go_on(L, S, s, s->at + 1);
    case THEN_END:
      stream_end(L, S, s);
      if (has_failed(status)) return lua_error(L);
      lua_pushnil(L);
      return 1;
    case THEN_RAISE:
      if (has_failed(status)) suppress(L, S);
      stream_end(L, S, s);
      return lua_error(L);
    default:
      stream_end(L, S, s);
      return has_failed(status) ? close_failed(L, S) : 0;
  }
}


/* close the source, if that is still to be done, and go on with 'then' */
int stream_close_source (lua_State *L, int then) {
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
int stream_fail (lua_State *L) {
  lua_insert(L, AT_HANDLER + 1);
  lua_settop(L, AT_HANDLER + 1);
  return stream_close_source(L, THEN_RAISE);
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
      return row_go_on(L, S, s, PULLING);
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
    stream_rest(S, s);
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
  s->direct = (uint8_t)row_is_direct(L, s);
  return next(L, S, s);
}


static int close_turn (lua_State *L, int status, lua_KContext ctx);


static int close (lua_State *L, Sched *S, Stream *s) {
  if (s->state == STREAM_ENDED) return 0;
  if (stream_is_busy(s))
    return wait_turn(L, S, s, WAIT_STREAM_CLOSE, close_turn);
  begin(S, s);
  lua_pushcfunction(L, error_handler);
  return stream_close_source(L, THEN_RETURN);
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
  row_prepare(L);
  sched_kind(S, WAIT_STREAM, &waits_next);
  sched_kind(S, WAIT_STREAM_CLOSE, &waits_close);
}
