/*
** reader.c - how a stream is asked for items, and told that no more are wanted.
** Callers wait for their turn, which stream.c gives to one after the other.
*/

#include "reader.h"

#include "args.h"
#include "cancel.h"
#include "row.h"
#include "traceback.h"


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
/* next */


static int next_turn (lua_State *L, int status, lua_KContext ctx);


/* it is the caller's turn, or that comes */
static int next (lua_State *L, Sched *S, Stream *s) {
  switch (s->state) {
    case STREAM_READY:
      if (s->tasks) sched_enter_in(L, S, "next");
      stream_enter(s, S->current);
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
waited for, nothing is lost: the stream can be asked again. (But a generator's
body, and a function that waits for its item, are cancelled with whoever runs
them: then that was the end.) Suspends when the source or a function does, and
for its turn; needs no 'run' otherwise. */
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
  luaL_checktype(L, 2, LUA_TTABLE);
  if (in_task(L, S)) SCHED_DETOUR(L, S, S->current, stream_fill);
  s->kept = (lua_Integer)lua_rawlen(L, 2);
  s->want = n < 1e15 ? (lua_Integer)n : LUA_MAXINTEGER;
  lua_settop(L, 2);
  lua_setiuservalue(L, AT_STREAM, STREAM_INTO);
  s->direct = (uint8_t)row_is_direct(L, s);
  return next(L, S, s);
}


/* ---------------------------------------------------------------------- */
/* close */


/* the source has been closed; at AT_ERROR is the error of the loop, or nil */
static int closed (lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)ctx;
  Sched *S = s->object.S;
  stream_end(L, S, s);
  if (!has_failed(status)) return 0;
  if (lua_isnil(L, AT_ERROR)) return lua_error(L);
  stream_suppress(L, S); /* the error of the loop wins */
  return 0;
}


static int close_turn (lua_State *L, int status, lua_KContext ctx);


static int close (lua_State *L, Sched *S, Stream *s) {
  if (s->state == STREAM_ENDED) return 0;
  if (stream_is_busy(s))
    return wait_turn(L, S, s, WAIT_STREAM_CLOSE, close_turn);
  stream_enter(s, S->current);
  lua_pushcfunction(L, error_handler);
  lua_insert(L, AT_HANDLER);
  return stream_close_source(L, s, closed);
}


static int close_turn (lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)lua_touserdata(L, AT_STREAM);
  (void)status;
  has_turn(s, (Task *)ctx);
  return close(L, s->object.S, s);
}


int stream_leave (lua_State *L) {
  Stream *s = stream_check(L, "close");
  lua_settop(L, 2);
  while (s->state == STREAM_HANDED_ON) { /* whoever took it over is closed */
    lua_getiuservalue(L, AT_STREAM, STREAM_SOURCE);
    lua_replace(L, AT_STREAM);
    s = (Stream *)lua_touserdata(L, AT_STREAM);
  }
  return close(L, s->object.S, s);
}


/*** stream:close(): ends the stream and closes its source, if it has not ended;
an error of closing it is raised. A 'for' that is left does it by itself if the
stream was made behind its 'in'; one that is kept wants a <close> variable.
Suspends when closing the source does, and for its turn; not a cancellation
point. */
int stream_close (lua_State *L) {
  lua_settop(L, AT_STREAM);
  return stream_leave(L);
}


/* ---------------------------------------------------------------------- */


static const WaitKind waits_next = { "its turn at a stream", NULL, NULL, 0 };
static const WaitKind waits_close = { "its turn to close a stream", NULL, NULL,
                                      1 };


void reader_prepare (lua_State *L, Sched *S) {
  row_prepare(L);
  sched_kind(S, WAIT_STREAM, &waits_next);
  sched_kind(S, WAIT_STREAM_CLOSE, &waits_close);
}
