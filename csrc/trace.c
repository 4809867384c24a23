/*
** trace.c - neap.trace: the life of tasks as Chrome trace events. What is
** written of a task is in track.c, the format in chrome.c; here is who tells of
** it, and how a trace begins and ends.
**
** The scheduler tells of each step, and those who make and end tasks of that, if
** S->trace is there. Nothing of that raises, nor keeps anything in memory but a
** buffer that is made with the trace.
**
** Invariant: while there is a trace, it has the beginning of the life of each
** live task.
**
** The description of a wait is made by others, and may raise or run finalizers.
** So it is asked for before an event is begun, under a protected call; whoever
** comes back from that looks whether the trace is still there.
*/

#include <stdio.h>
#include <string.h>

#include "args.h"
#include "cancel.h"
#include "dump.h"
#include "record.h"
#include "rooms.h"
#include "track.h"

static const char anchor = 0; /* its address is the key in the registry */


static int64_t nanoseconds (void) {
  return (int64_t)(sched_real() * 1e9);
}


/* ---------------------------------------------------------------------- */
/* what the scheduler tells */


/* what a task is called of which nothing is known but its number */
static size_t number_name (const Task *t, char *name) {
  return (size_t)snprintf(name, CHROME_TEXT, "task %lu",
                          (unsigned long)task_id(t));
}


/* What a new task is called, as long as it has no name: the place of its
   function, which says more than a number, or if that is none of the user's the
   one where it was spawned, or where the task is that it belongs to. Nothing is
   allocated. */
static size_t place_name (lua_State *L, const Task *t, int function,
                          char *name) {
  const Sched *S = t->scope->S;
  Task *owner = t->scope->owner;
  lua_Debug ar;
  if (lua_isfunction(L, function) && lua_checkstack(L, 1)) {
    lua_pushvalue(L, function);
    lua_getinfo(L, ">S", &ar);
    if (ar.linedefined > 0 && !dump_is_own(S, &ar))
      return (size_t)snprintf(name, CHROME_TEXT, "%s:%d", ar.short_src,
                              ar.linedefined);
  }
  if (!dump_line(S, L, &ar) && (owner == NULL || !dump_where(owner, &ar)))
    return number_name(t, name);
  return (size_t)snprintf(name, CHROME_TEXT, "%s:%d", ar.short_src,
                          ar.currentline);
}


static void spawned (lua_State *L, Task *t, int first) {
  Sched *S = t->scope->S;
  Trace *tr = S->trace;
  int64_t at = nanoseconds();
  char name[CHROME_TEXT];
  track_birth(tr, t, at, name, place_name(L, t, first, name));
  if (S->current == NULL) return; /* nobody spawned it */
  track_spawned(tr, S->current, t, at);
}


static void named (lua_State *L, Task *t, int idx) {
  size_t size;
  const char *name;
  char instead[CHROME_TEXT];
  if (lua_isnil(L, idx)) {
    size = number_name(t, instead);
    name = instead;
  }
  else
    name = lua_tolstring(L, idx, &size);
  track_name(t->scope->S->trace, t, name, size);
}


static void enters (Task *t) {
  Sched *S = t->scope->S;
  Trace *tr = S->trace;
  tr->began = nanoseconds();
  tr->now = track_clock(S);
  track_woken(tr, t, tr->began);
}


/* protected: a task that waits, where its text is to go to */
static int describe (lua_State *L) {
  Task *t = (Task *)lua_touserdata(L, 1);
  char *text = (char *)lua_touserdata(L, 2);
  const char *description;
  t->scope->S->kind[t->wait]->describe(L, t, t->line);
  description = lua_tostring(L, -1);
  if (description != NULL) snprintf(text, CHROME_TEXT, "%s", description);
  return 0;
}


static void leaves (lua_State *L, Task *t) {
  Sched *S = t->scope->S;
  Trace *tr = S->trace;
  int64_t at = nanoseconds();
  char on[CHROME_TEXT] = "";
  int waits = t->wait != WAIT_NOTHING &&
              (t->status == TASK_WAITING || t->status == TASK_READY);
  if (waits && t->status == TASK_WAITING &&
      S->kind[t->wait]->describe != NULL && lua_checkstack(L, 3)) {
    lua_pushcfunction(L, describe);
    lua_pushlightuserdata(L, t);
    lua_pushlightuserdata(L, on);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
    /* a finalizer may have ended the trace, or begun another one */
    if (S->trace != tr || t->flags & T_TRACED) return;
  }
  track_step(tr, t, at);
  if (waits) track_wait(tr, t, at, on);
}


static void ended (Task *t) {
  Trace *tr = t->scope->S->trace;
  int64_t at = nanoseconds();
  track_woken(tr, t, at); /* it was killed */
  track_death(tr, t, at);
}


static void rests (Sched *S) {
  Trace *tr = S->trace;
  chrome_flush(&tr->file);
  if (tr->file.fd < 0) track_over(tr);
}


/* ---------------------------------------------------------------------- */
/* beginning and stopping */


/* a live task, or NULL */
static Task *live (const Sched *S, uint32_t slot) {
  Task *t = S->tasks[slot];
  return t != NULL && t->handle != NULL && t->status < TASK_DONE ? t : NULL;
}


/* protected, for a stack may be too small: the tasks that live already */
static int announce (lua_State *L) {
  Trace *tr = (Trace *)lua_touserdata(L, 1);
  Sched *S = tr->S;
  int64_t at = tr->began;
  uint32_t i;
  for (i = 1; i <= S->nslots; i++) {
    Task *t = live(S, i);
    char instead[CHROME_TEXT];
    const char *name = instead;
    size_t size;
    if (t == NULL) continue;
    t->flags &= (uint8_t)~T_TRACED; /* of an earlier trace */
    lua_rawgeti(L, LUA_REGISTRYINDEX, S->names);
    task_push(L, t);
    if (lua_rawget(L, -2) == LUA_TSTRING)
      name = lua_tolstring(L, -1, &size);
    else
      size = number_name(t, instead);
    track_birth(tr, t, at, name, size);
    if (t->status == TASK_WAITING) track_wait(tr, t, at, "");
    lua_settop(L, 1);
  }
  return 0;
}


/* all that is open is ended, and the file is whole */
static void stop (Trace *tr) {
  Sched *S = tr->S;
  int64_t at = nanoseconds();
  uint32_t i;
  if (!chrome_mine(&tr->file)) return;
  if (S->current != NULL) track_step(tr, S->current, at);
  for (i = 1; i <= S->nslots; i++) {
    Task *t = live(S, i);
    if (t == NULL) continue;
    track_woken(tr, t, at);
    track_death(tr, t, at);
  }
  chrome_close(&tr->file);
}


static void finish (Sched *S) {
  stop(S->trace);
  track_over(S->trace);
}


static Trace *check_trace (lua_State *L, const char *fname) {
  Trace *tr = (Trace *)sched_object(L, 1);
  if (tr == NULL) arg_error(L, 0, fname, "self", "a trace", 1);
  return tr;
}


/* it is over: only its own handle keeps it from now on */
static void forget (lua_State *L, const Trace *tr) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &anchor);
  if (lua_touserdata(L, -1) == tr) {
    lua_pushboolean(L, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &anchor); /* the place exists */
  }
  lua_pop(L, 1);
}


/*** trace:stop() -> true or nil, message: ends the trace; the file is whole. nil
if it could not be written to its end. A second call says the same. A trace is
also stopped where a <close> variable that holds it ends, and when the Lua state
is closed. Does not suspend. */
static int t_stop (lua_State *L) {
  Trace *tr = check_trace(L, "stop");
  Chrome *f = &tr->file;
  stop(tr);
  f->told = 1;
  track_over(tr);
  forget(L, tr);
  if (f->error == 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushfstring(L, "cannot write '%s': %s", f->path, strerror(f->error));
  return 2;
}


static int t_close (lua_State *L) {
  Trace *tr = check_trace(L, "close");
  stop(tr);
  track_over(tr);
  forget(L, tr);
  return 0;
}


static const Tracer tracer = { spawned, named, enters, leaves,
                               ended,   rests, finish };


/* from now on the trace hears of everything */
static void start (lua_State *L, Trace *tr) {
  tr->began = nanoseconds();
  tr->now = track_clock(tr->S);
  tr->S->trace = tr;
  tr->S->tracer = &tracer;
  sched_attend(tr->S);
  lua_pushcfunction(L, announce);
  lua_pushlightuserdata(L, tr);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  chrome_abandon(&tr->file);
  track_over(tr);
  forget(L, tr);
  lua_error(L);
}


/*** neap.trace(path) -> trace: from now on writes what the tasks do to the file,
in the format of Chrome's trace events, which ui.perfetto.dev and
chrome://tracing open: each task a track with its life, its steps, what it waits
for and where, and arrows to what it spawns. In or outside of 'run'; until
trace:stop(), or the end of a <close> variable, or of the program. Times are
those of the system's monotonic clock; if neap's is another one it is told, too
('now' and 'until'). One trace at a time. If the file can no longer be
written, the trace ends, and the program goes on; a line on stderr tells. A
fork of the process is not in it. Raises if the file cannot be opened. Does not
suspend. */
static int l_trace (lua_State *L) {
  Sched *S = sched_of(L);
  size_t size;
  const char *path;
  Trace *tr;
  int error;
  if (lua_type(L, 1) != LUA_TSTRING)
    arg_error(L, 1, "trace", "path", "a string", 1);
  path = lua_tolstring(L, 1, &size);
  if (strlen(path) < size)
    arg_error(L, 1, "trace", "path", "a string without zeros", 1);
  if (S->closed) luaL_error(L, "'trace': the Lua state is being closed");
  tr = (Trace *)lua_newuserdatauv(L, sizeof(Trace), 0);
  tr->S = S;
  tr->file.fd = -1;
  luaL_setmetatable(L, "neap.trace");
  /* only now, for a finalizer may have begun one */
  if (S->trace != NULL && !chrome_mine(&S->trace->file)) track_over(S->trace);
  if (S->trace != NULL)
    luaL_error(L, "'trace': there is a trace already, to '%s'; stop it first",
               S->trace->file.path);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &anchor);
  error = chrome_open(&tr->file, path);
  if (error != 0) {
    forget(L, tr);
    return luaL_error(L, "bad argument #1 to 'trace' (cannot open '%s': %s)",
                      path, strerror(error));
  }
  start(L, tr);
  return 1;
}


static const luaL_Reg methods[] = {
  { "stop", t_stop },
  { NULL, NULL },
};

static const luaL_Reg meta[] = {
  { "__close", t_close },
  { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "trace", l_trace },
  { NULL, NULL },
};


void trace_openlib (lua_State *L) {
  sched_funcs(L, funcs);
  sched_class(L, "neap.trace", methods, meta);
  lua_pop(L, 1);
  lua_pushboolean(L, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &anchor); /* from now on without memory */
}
