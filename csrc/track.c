/*
** track.c - what a trace writes of a task; see track.h.
**
** Events are put together without a call that could raise or run a finalizer:
** they are written where a task is being made, resumed or buried.
**
** Invariant: T_TRACED says of a task that its wait was begun and not yet ended.
*/

#include "track.h"

#include <stdio.h>
#include <string.h>

#include "cancel.h"
#include "dump.h"
#include "record.h"


void track_over (Trace *tr) {
  Sched *S = tr->S;
  if (S->trace == tr) S->trace = NULL;
  sched_attend(S);
  chrome_complain(&tr->file);
}


static int begin (Trace *tr, char phase, uint32_t track) {
  if (chrome_begin(&tr->file, phase, track)) return 1;
  track_over(tr);
  return 0;
}


static int begin_at (Trace *tr, char phase, uint32_t track, int64_t at) {
  if (!begin(tr, phase, track)) return 0;
  chrome_time(&tr->file, "ts", at);
  return 1;
}


double track_clock (Sched *S) {
  return S->clock == TIME_REAL ? -1 : sched_now(S);
}


static void arg_clock (Trace *tr, const char *name, double seconds) {
  if (seconds >= 0) chrome_arg_seconds(&tr->file, name, seconds);
}


void track_name (Trace *tr, const Task *t, const char *name, size_t size) {
  if (!begin(tr, 'M', task_id(t))) return;
  chrome_add(&tr->file, ",\"name\":\"thread_name\"");
  chrome_arg(&tr->file, "name");
  chrome_text(&tr->file, name, size);
  chrome_done(&tr->file);
}


void track_birth (Trace *tr, const Task *t, int64_t at, const char *name,
                  size_t size) {
  const Task *parent;
  const Scope *s = t->scope;
  while (s->owner == t) s = s->parent;
  parent = s->owner;
  track_name(tr, t, name, size);
  if (!begin_at(tr, 'B', task_id(t), at)) return;
  chrome_add(&tr->file, ",\"cat\":\"task\",\"name\":");
  chrome_text(&tr->file, name, size);
  if (parent != NULL) {
    chrome_arg(&tr->file, "parent");
    chrome_number(&tr->file, task_id(parent), 1);
  }
  arg_clock(tr, "now", track_clock(tr->S));
  chrome_done(&tr->file);
}


void track_step (Trace *tr, const Task *t, int64_t at) {
  if (!begin_at(tr, 'X', task_id(t), tr->began)) return;
  chrome_time(&tr->file, "dur", at - tr->began);
  chrome_add(&tr->file, ",\"cat\":\"run\",\"name\":\"running\"");
  arg_clock(tr, "now", tr->now);
  chrome_done(&tr->file);
}


void track_wait (Trace *tr, Task *t, int64_t at, const char *on) {
  lua_Debug ar;
  char where[LUA_IDSIZE + 20];
  if (!begin_at(tr, 'B', task_id(t), at)) return;
  t->flags |= T_TRACED;
  chrome_add(&tr->file, ",\"cat\":\"wait\",\"name\":\"");
  chrome_add(&tr->file, tr->S->kind[t->wait]->text);
  chrome_add(&tr->file, "\"");
  if (*on != '\0') chrome_arg_text(&tr->file, "on", on);
  if (dump_where(t, &ar)) {
    snprintf(where, sizeof where, "%s:%d", ar.short_src, ar.currentline);
    chrome_arg_text(&tr->file, "at", where);
  }
  arg_clock(tr, "now", track_clock(tr->S));
  chrome_done(&tr->file);
}


/* what the error on top of the coroutine says. A table is only walked: asking it
   for a field would make a string, and __tostring would run Lua. */
static void arg_error_text (Trace *tr, lua_State *co) {
  const char *message = NULL;
  size_t size = 0;
  int kind = lua_type(co, -1);
  if (kind == LUA_TSTRING) message = lua_tolstring(co, -1, &size);
  if (kind == LUA_TTABLE && lua_checkstack(co, 3)) {
    lua_pushnil(co);
    while (lua_next(co, -2)) {
      if (lua_type(co, -2) == LUA_TSTRING && lua_type(co, -1) == LUA_TSTRING &&
          strcmp(lua_tostring(co, -2), "message") == 0) {
        message = lua_tolstring(co, -1, &size); /* the table keeps it */
      }
      lua_pop(co, 1);
    }
  }
  chrome_arg(&tr->file, "error");
  if (message == NULL) {
    message = lua_typename(co, kind);
    size = strlen(message);
  }
  chrome_text(&tr->file, message, size);
}


/* an end, to be completed by 'chrome_done'; 0 if the trace has ended */
static int begin_end (Trace *tr, const Task *t, int64_t at) {
  if (!begin_at(tr, 'E', task_id(t), at)) return 0;
  arg_clock(tr, "until", track_clock(tr->S));
  return 1;
}


void track_woken (Trace *tr, Task *t, int64_t at) {
  if (!(t->flags & T_TRACED)) return;
  t->flags &= (uint8_t)~T_TRACED;
  if (!begin_end(tr, t, at)) return;
  if (t->status < TASK_WAITING && t->why == WHY_CANCEL) {
    chrome_arg(&tr->file, "cancelled");
    chrome_add(&tr->file, "true");
  }
  chrome_done(&tr->file);
}


void track_death (Trace *tr, const Task *t, int64_t at) {
  if (!begin_end(tr, t, at)) return;
  if (t->status >= TASK_DONE) {
    chrome_arg_text(&tr->file, "outcome", task_status_names[t->status]);
    if (t->status != TASK_DONE) arg_error_text(tr, t->at.co);
  }
  chrome_done(&tr->file);
}


/* one end of an arrow: 's' where it begins, 'f' where it ends, in the slice that
   is there (bp) */
static void arrow (Trace *tr, char phase, uint32_t track, uint32_t id,
                   int64_t at) {
  if (!begin_at(tr, phase, track, at)) return;
  chrome_add(&tr->file, ",\"cat\":\"spawn\",\"name\":\"spawn\",\"bp\":\"e\"");
  chrome_add(&tr->file, ",\"id\":");
  chrome_number(&tr->file, id, 1);
  chrome_done(&tr->file);
}


void track_spawned (Trace *tr, const Task *parent, const Task *t, int64_t at) {
  arrow(tr, 's', task_id(parent), task_id(t), at);
  arrow(tr, 'f', task_id(t), task_id(t), at);
}
