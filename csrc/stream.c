/*
** stream.c - streams: whose turn it is, and how they end. How items are asked
** for: reader.c; what happens to an item on its way: row.c.
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


static void belong_to (Stream *s, Task *t) {
  s->runner = t;
  if (t == NULL) return;
  s->slot = t->slot;
  s->id = task_id(t);
}


void stream_enter (Stream *s, Task *t) {
  s->state = STREAM_BUSY;
  belong_to(s, t);
}


void stream_rest (Sched *S, Stream *s) {
  s->state = STREAM_READY;
  if (s->turn.first == NULL) return;
  s->state = STREAM_PROMISED;
  belong_to(s, owner_of(s->turn.first, Task, link));
  sched_wake(S, s->runner, WHY_DONE);
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


/* ---------------------------------------------------------------------- */
/* ending */


void stream_suppress (lua_State *L, Sched *S) {
  Task *t = S->current;
  if (t != NULL && task_cancelled(t) && cause_is(L, t, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_pushnil(L);
  error_hook(L, S, "on_suppressed");
}


int stream_close_source (lua_State *L, Stream *s, lua_KFunction then) {
  int status = LUA_OK;
  if (lua_getiuservalue(L, AT_STREAM, STREAM_CLOSE) == LUA_TNIL)
    lua_pop(L, 1);
  else {
    lua_pushnil(L);
    lua_setiuservalue(L, AT_STREAM, STREAM_CLOSE);
    lua_getiuservalue(L, AT_STREAM, STREAM_SOURCE);
    status = lua_pcallk(L, 1, 0, AT_HANDLER, (lua_KContext)s, then);
  }
  return then(L, status, (lua_KContext)s);
}


static int finished (lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)ctx;
  stream_end(L, s->object.S, s);
  if (has_failed(status)) return lua_error(L);
  lua_pushnil(L);
  return 1;
}


int stream_finish (lua_State *L, Stream *s) {
  return stream_close_source(L, s, finished);
}


static int failed (lua_State *L, int status, lua_KContext ctx) {
  Stream *s = (Stream *)ctx;
  if (has_failed(status)) stream_suppress(L, s->object.S);
  stream_end(L, s->object.S, s);
  return lua_error(L);
}


int stream_fail (lua_State *L, Stream *s) {
  lua_insert(L, AT_HANDLER + 1);
  lua_settop(L, AT_HANDLER + 1);
  return stream_close_source(L, s, failed);
}
