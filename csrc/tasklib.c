/*
** tasklib.c - tasks as Lua sees them: spawn, await, cancel, names.
*/

#include <string.h>

#include "args.h"
#include "origin.h"
#include "stack.h"
#include "task.h"
#include "traceback.h"


static inline Handle *check_task (lua_State *L, const char *fname) {
  Handle *h = handle_at(L, 1);
  if (h == NULL) arg_error(L, 0, fname, "self", "a task", 1);
  return h;
}


/* the task that waits in L for the one with this handle */
#define awaiting(h) ((h)->object.S->current)


int task_deliver (lua_State *L, int status, lua_KContext ctx) {
  Handle *h = (Handle *)ctx;
  if (status == LUA_YIELD && awaiting(h)->why == WHY_CANCEL)
    return cause_raise(L, awaiting(h));
  if (handle_status(h) == TASK_DONE) return task_outcome(L, h, 1);
  task_observe(h);
  task_outcome(L, h, 1);
  origin_given(L, awaiting(h), 1);
  error_arrives(L, "awaited by");
  return lua_error(L);
}


/* the task, whose handle is at index 1, has ended: push whether well, and with
   what; how many values */
static int push_result (lua_State *L, Handle *h) {
  int n, done = handle_status(h) == TASK_DONE;
  if (!done) task_observe(h);
  lua_pushboolean(L, done);
  n = task_outcome(L, h, 1);
  if (!done) origin_given(L, awaiting(h), 1);
  return 1 + n;
}


static int deliver_protected (lua_State *L, int status, lua_KContext ctx) {
  Handle *h = (Handle *)ctx;
  if (status == LUA_YIELD && awaiting(h)->why == WHY_CANCEL)
    return cause_raise(L, awaiting(h));
  return push_result(L, h);
}


static always_inline int join (lua_State *L, const char *fname,
                               lua_CFunction self, lua_KFunction then) {
  Handle *h = check_task(L, fname);
  Sched *S = h->object.S;
  Task *me = sched_enter_in(L, S, fname);
  if (h->task == me) return luaL_error(L, "a task cannot await itself");
  SCHED_DETOUR(L, S, me, self);
  if (handle_status(h) >= TASK_DONE) return then(L, LUA_OK, (lua_KContext)h);
  sched_park(S, me, WAIT_TASK, &h->task->awaiters, NEVER);
  return lua_yieldk(L, 0, (lua_KContext)h, then);
}


/*** task:await() -> ...: waits for the task to end, which is when all that it
spawned has ended, too, and returns its results; raises its error. Any number of
tasks may await one; awaiting oneself raises. Suspends. */
static int t_await (lua_State *L) {
  return join(L, "await", t_await, task_deliver);
}


/*** task:pawait() -> true, ... or false, err: waits as 'await' does, without
raising the task's error. Suspends; raises only when the caller itself is
cancelled. */
int task_pawait (lua_State *L) {
  return join(L, "pawait", task_pawait, deliver_protected);
}


/*** task:result() -> true, ... or false, err, or nil: what 'pawait' gives, if the
task has ended, else nil. Works outside of tasks, too. An error that was read
counts as seen, as one that was awaited does. Does not suspend. */
static int t_result (lua_State *L) {
  Handle *h = check_task(L, "result");
  lua_settop(L, 1);
  if (handle_status(h) >= TASK_DONE) return push_result(L, h);
  lua_pushnil(L);
  return 1;
}


/*** task:cancel([reason]): the task, and all that it spawned, raises at its
next suspension point, and at every one until its end: the reason if it is a
table, else an AbortError with it. A task that has not begun never begins. Does
nothing to one that has ended or was cancelled before. Does not suspend. */
static int t_cancel (lua_State *L) {
  Handle *h = check_task(L, "cancel");
  lua_settop(L, 2);
  if (h->task != NULL) task_cancel(L, h->task, 1, 2);
  return 0;
}


/*** task:status() -> "ready", "running", "waiting", "done", "failed" or
"cancelled": what it is about, or how it ended. Does not suspend. */
static int t_status (lua_State *L) {
  lua_pushstring(L, task_status_names[handle_status(check_task(L, "status"))]);
  return 1;
}


/*** task:waiting_on() -> string or nil: what a waiting task waits for, for
people to read; nil for one that does not wait. Does not suspend. */
static int t_waiting_on (lua_State *L) {
  Handle *h = check_task(L, "waiting_on");
  Task *t = h->task;
  const WaitKind *kind;
  if (handle_status(h) != TASK_WAITING) {
    lua_pushnil(L);
    return 1;
  }
  kind = sched_of(L)->kind[t->wait];
  if (kind->describe != NULL)
    kind->describe(L, t, t->line);
  else
    lua_pushstring(L, kind->text);
  return 1;
}


/*** task:traceback() -> string: where the task is now, or where its error was
raised; empty if it has not begun, or has ended without an error. Does not
suspend. */
static int t_traceback (lua_State *L) {
  Sched *S = sched_of(L);
  Handle *h = check_task(L, "traceback");
  Status status = handle_status(h);
  if (status >= TASK_FAILED) {
    task_outcome(L, h, 1);
    error_pushtrace(L, S, -1);
    if (lua_isnil(L, -1)) lua_pushliteral(L, "");
  }
  else if (status == TASK_DONE || h->task->flags & T_FRESH)
    lua_pushliteral(L, "");
  else
    stack_push(L, S, task_co(h->task), NULL, 0);
  return 1;
}


/* of tasks with a name; others have but their methods to look through */
static int t_index (lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL &&
      lua_type(L, 2) == LUA_TSTRING &&
      strcmp(lua_tostring(L, 2), "name") == 0) {
    check_task(L, "name");
    lua_rawgeti(L, LUA_REGISTRYINDEX, sched_of(L)->names);
    lua_pushvalue(L, 1);
    lua_rawget(L, -2);
  }
  return 1;
}


static int t_newindex (lua_State *L) {
  Sched *S = sched_of(L);
  Handle *h = check_task(L, "name");
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "name") != 0)
    return luaL_error(L, "a task has no field '%s' to set; only 'name'",
                      luaL_tolstring(L, 2, NULL));
  if (lua_type(L, 3) != LUA_TSTRING && !lua_isnil(L, 3))
    return arg_error(L, 1, "name", "name", "a string or nil", 3);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->names);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->named_meta);
  lua_setmetatable(L, 1);
  if (S->trace != NULL && h->task != NULL && h->task->status < TASK_DONE)
    S->tracer->named(L, h->task, 3);
  return 0;
}


static int t_tostring (lua_State *L) {
  Handle *h = check_task(L, "tostring");
  lua_getfield(L, 1, "name");
  if (lua_isstring(L, -1))
    lua_pushfstring(L, "neap.task '%s': %p", lua_tostring(L, -1), (void *)h);
  else
    lua_pushfstring(L, "neap.task: %p", (void *)h);
  return 1;
}


static always_inline int spawn (lua_State *L, const char *fname, int flags) {
  Sched *S = sched_of(L);
  arg_callable(L, 1, 1, fname, "fn");
  task_new(L, scope_here(L, S), 1, flags);
  return 1;
}


/*** neap.spawn(fn, ...) -> Task: starts fn(...) as a child of the innermost
scope of the caller, which fails if the child does. The child first runs when
the caller next waits. Outside any task it joins the host's scope and runs in
the next 'run' or 'step'; its error goes to the hook 'on_unhandled'.
'task.name', a string or nil, can be set: what dumps and tracebacks call it.
Does not suspend. */
static int l_spawn (lua_State *L) {
  return spawn(L, "spawn", 0);
}


/*** neap.async(fn, ...) -> Task: starts fn(...) as neap.spawn does, for a value
that somebody will await: its error goes to those who await it, and does not
fail the scope; one that nobody has seen when the scope ends is raised by the
scope. Does not suspend. */
static int l_async (lua_State *L) {
  return spawn(L, "async", T_ASYNC);
}


Scope *task_background (lua_State *L, Sched *S) {
  sched_check_open(L, S);
  if (S->current != NULL && scope_top(S->current) == S->host) return S->host;
  return S->background;
}


/* internal.background(fn, ...) -> Task: the same for work that serves several
   tasks and belongs to none: a debounced run, what a stream reads ahead. No
   scope waits for it or fails with it. It is cancelled when 'run' ends; that
   of a host's task lives as the host's other tasks do. */
static int l_background (lua_State *L) {
  arg_callable(L, 1, 1, "background", "fn");
  task_new(L, task_background(L, sched_of(L)), 1, T_ASYNC);
  return 1;
}


/*** neap.current() -> Task or nil: the running task; nil outside of tasks. Does
not suspend. */
static int l_current (lua_State *L) {
  Sched *S = sched_of(L);
  if (S->current == NULL)
    lua_pushnil(L);
  else
    task_push(L, S->current);
  return 1;
}


static void describe_task (lua_State *L, Task *me, Line *line) {
  Task *t = owner_of(line, Task, awaiters);
  (void)me;
  task_pushname(L, t);
  lua_pushfstring(L, "task '%s'", lua_tostring(L, -1));
  lua_remove(L, -2);
}


static void describe_children (lua_State *L, Task *t, Line *line) {
  (void)line;
  scope_describe(L, t);
}


static const WaitKind waits_task = { "task", NULL, describe_task, 0 };
static const WaitKind waits_children = { "its children", NULL,
                                         describe_children, 1 };

static const luaL_Reg methods[] = {
  { "await", t_await },         { "pawait", task_pawait },
  { "cancel", t_cancel },       { "result", t_result },
  { "status", t_status },       { "waiting_on", t_waiting_on },
  { "traceback", t_traceback }, { NULL, NULL },
};

static const luaL_Reg funcs[] = {
  { "spawn", l_spawn },
  { "async", l_async },
  { "current", l_current },
  { NULL, NULL },
};


static const luaL_Reg internals[] = {
  { "background", l_background },
  { NULL, NULL },
};


/* a metatable whose __index is on top, above the methods; pops __index and
   returns a reference */
static int new_meta (lua_State *L, int scheduler, int at) {
  lua_createtable(L, 0, 5);
  lua_insert(L, -2);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, scheduler);
  lua_pushcclosure(L, t_newindex, 1);
  lua_setfield(L, -2, "__newindex");
  lua_pushvalue(L, scheduler);
  lua_pushcclosure(L, t_tostring, 1);
  lua_setfield(L, -2, "__tostring");
  lua_getfield(L, at, "await");
  lua_setfield(L, -2, "__neap_await");
  lua_pushliteral(L, "neap.task");
  lua_setfield(L, -2, "__name");
  return luaL_ref(L, LUA_REGISTRYINDEX);
}


/* on the stack: the module's table, the scheduler */
void task_openlib (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, -1);
  int scheduler = lua_gettop(L);
  sched_kind(S, WAIT_TASK, &waits_task);
  sched_kind(S, WAIT_CHILDREN, &waits_children);
  sched_funcs(L, funcs);
  sched_internals(L, internals);
  if (S->named_meta != 0) return; /* opened before: handles exist */
  lua_newtable(L);
  lua_pushvalue(L, scheduler);
  luaL_setfuncs(L, methods, 1);
  lua_pushvalue(L, -1);
  S->task_meta = new_meta(L, scheduler, scheduler + 1);
  lua_pushvalue(L, scheduler);
  lua_pushvalue(L, scheduler + 1);
  lua_pushcclosure(L, t_index, 2);
  S->named_meta = new_meta(L, scheduler, scheduler + 1);
  lua_pop(L, 1);
}
