/*
** dump.c - what all tasks are doing; see dump.h.
**
** The tree of scopes is walked while tables are made, so the collector is
** stopped meanwhile: a finalizer could change what is being walked.
*/

#include "dump.h"

#include <stdio.h>
#include <string.h>

#include "cancel.h"
#include "record.h"

/* deeper nesting is cut off */
#define DEPTH 100


int dump_is_own (const Sched *S, const lua_Debug *ar) {
  return S->home != NULL && strncmp(ar->source, S->home, strlen(S->home)) == 0;
}


int dump_line (const Sched *S, lua_State *co, lua_Debug *ar) {
  int level, own = -1;
  for (level = 0; lua_getstack(co, level, ar); level++) {
    lua_getinfo(co, "Sl", ar);
    if (ar->currentline <= 0) continue;
    if (!dump_is_own(S, ar)) return 1;
    if (own < 0) own = level;
  }
  if (own < 0) return 0;
  lua_getstack(co, own, ar);
  lua_getinfo(co, "Sl", ar);
  return 1;
}


int dump_where (Task *t, lua_Debug *ar) {
  return !(t->flags & T_FRESH) && dump_line(t->scope->S, task_co(t), ar);
}


/* push "file:line" of the innermost Lua function of the task, if it has one */
static void push_where (lua_State *L, Task *t) {
  lua_Debug ar;
  if (dump_where(t, &ar))
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
  else
    lua_pushstring(L, t->flags & T_FRESH ? "not started" : "[C]");
}


static void push_waiting (lua_State *L, Sched *S, Task *t) {
  const WaitKind *kind = S->kind[t->wait];
  if (t->status != TASK_WAITING)
    lua_pushnil(L);
  else if (kind->describe != NULL)
    kind->describe(L, t, t->line);
  else
    lua_pushstring(L, kind->text);
}


static void push_children (lua_State *L, Scope *s, int depth);


/* add the children of the task's own scopes, the outermost first */
static void add_scopes (lua_State *L, Task *t, Scope *s, int depth) {
  if (s->owner != t) return;
  add_scopes(L, t, s->parent, depth);
  push_children(L, s, depth);
}


/* on top the list to add to */
static void push_children (lua_State *L, Scope *s, int depth) {
  Link *x;
  luaL_checkstack(L, 10, "tasks nested too deeply");
  for (x = s->children.first; x != NULL; x = line_after(&s->children, x)) {
    Task *t = owner_of(x, Task, sib);
    lua_createtable(L, 0, 7);
    task_push(L, t);
    lua_setfield(L, -2, "task");
    task_pushname(L, t);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, task_status_names[t->status]);
    lua_setfield(L, -2, "status");
    push_waiting(L, s->S, t);
    lua_setfield(L, -2, "waiting_on");
    if (t->status == TASK_WAITING) {
      /* as a float it may have been rounded up */
      lua_pushnumber(L, fmin(s->S->birth + (double)t->since, sched_now(s->S)));
      lua_setfield(L, -2, "since");
    }
    push_where(L, t);
    lua_setfield(L, -2, "where");
    lua_newtable(L);
    if (depth < DEPTH) add_scopes(L, t, t->scope, depth + 1);
    lua_setfield(L, -2, "children");
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
}


static int walk (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, 1);
  lua_newtable(L);
  if (S->closed) return 1; /* to the finalizer of something older */
  push_children(L, S->roots, 0);
  push_children(L, S->host, 0);
  push_children(L, S->background, 0);
  return 1;
}


void dump_tasks (lua_State *L, Sched *S) {
  int status, running = lua_gc(L, LUA_GCISRUNNING);
  lua_gc(L, LUA_GCSTOP);
  lua_pushcfunction(L, walk);
  lua_pushlightuserdata(L, S);
  status = lua_pcall(L, 1, 1, 0);
  if (running) lua_gc(L, LUA_GCRESTART);
  if (status != LUA_OK) lua_error(L);
}


/* Lua's own %f shows all digits: 0.032681627999409 */
void dump_seconds (lua_State *L, double seconds) {
  char text[40];
  snprintf(text, sizeof text, seconds < 1e9 ? "%.3f s" : "%g s", seconds);
  lua_pushstring(L, text);
}


static void push_indent (lua_State *L, int depth) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (; depth > 0; depth--) luaL_addstring(&b, "  ");
  luaL_pushresult(&b);
}


/* append the lines of the list at 'list' to the table of lines at 'lines' */
static void add_lines (lua_State *L, int lines, int list, int depth,
                       double now) {
  lua_Integer i, n = (lua_Integer)lua_rawlen(L, list);
  int e = lua_gettop(L) + 1; /* where an entry comes to lie */
  luaL_checkstack(L, 12, "tasks nested too deeply");
  for (i = 1; i <= n; i++) {
    lua_rawgeti(L, list, i);
    lua_getfield(L, e, "name");
    lua_getfield(L, e, "status");
    lua_getfield(L, e, "where");
    lua_getfield(L, e, "waiting_on");
    if (lua_isstring(L, -1)) {
      lua_getfield(L, e, "since");
      dump_seconds(L, now - lua_tonumber(L, -1));
      lua_pushfstring(L, " for %s, for %s", lua_tostring(L, -3),
                      lua_tostring(L, -1));
    }
    else
      lua_pushliteral(L, "");
    push_indent(L, depth);
    lua_pushfstring(L, "%s%s: %s%s, at %s", lua_tostring(L, -1),
                    lua_tostring(L, e + 1), lua_tostring(L, e + 2),
                    lua_tostring(L, -2), lua_tostring(L, e + 3));
    lua_rawseti(L, lines, (lua_Integer)lua_rawlen(L, lines) + 1);
    lua_settop(L, e);
    lua_getfield(L, e, "children");
    add_lines(L, lines, e + 1, depth + 1, now);
    lua_settop(L, e - 1);
  }
}


void dump_text (lua_State *L, Sched *S) {
  int lines;
  lua_Integer i, n;
  luaL_Buffer b;
  dump_tasks(L, S);
  lua_newtable(L);
  lines = lua_gettop(L);
  add_lines(L, lines, lines - 1, 1, sched_now(S));
  n = (lua_Integer)lua_rawlen(L, lines);
  luaL_buffinit(L, &b);
  for (i = 1; i <= n; i++) {
    if (i > 1) luaL_addchar(&b, '\n');
    lua_rawgeti(L, lines, i);
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  lua_replace(L, lines - 1);
  lua_settop(L, lines - 1);
}


/*** neap.tasks() -> tree: a list of the live tasks, each with task, name,
status, waiting_on, since (as neap.now()), where (file:line) and children.
Does not suspend. */
static int l_tasks (lua_State *L) {
  dump_tasks(L, sched_of(L));
  return 1;
}


/*** neap.dump() -> string: what neap.tasks gives, as text for people. Does not
suspend. */
static int l_dump (lua_State *L) {
  dump_text(L, sched_of(L));
  return 1;
}


/* records of tasks that have ended, and whose error their scope has to tell */
static uint32_t count_ended (Sched *S) {
  uint32_t i, n = 0;
  for (i = 1; i <= S->nslots; i++)
    if (S->tasks[i] != NULL) n++;
  return n - S->live - S->nspares;
}


/* scopes that have not been left: each has a place in the heap, as have tasks
   and alarms; three are always there */
static uint32_t count_scopes (Sched *S) {
  uint32_t n =
      S->heap.reserved - S->live - S->nspares - count_ended(S) - S->alarms - 3;
  Scope *s = S->free_scopes;
  for (; s != NULL; s = s->stacked) n--;
  return n;
}


/* internal.stats() -> table: live (tasks that have not ended), ended (such that
   are kept for somebody who has not asked), scopes (that have not been left),
   timers (set in the heap), external (tasks that wait for descriptors), steps
   (resumes ever made). For specs: after a run all but the last are 0. */
static int l_stats (lua_State *L) {
  Sched *S = sched_of(L);
  lua_createtable(L, 0, 6);
  lua_pushinteger(L, (lua_Integer)S->live);
  lua_setfield(L, -2, "live");
  lua_pushinteger(L, (lua_Integer)count_ended(S));
  lua_setfield(L, -2, "ended");
  lua_pushinteger(L, (lua_Integer)count_scopes(S));
  lua_setfield(L, -2, "scopes");
  lua_pushinteger(L, (lua_Integer)S->heap.n);
  lua_setfield(L, -2, "timers");
  lua_pushinteger(L, S->external);
  lua_setfield(L, -2, "external");
  lua_pushinteger(L, (lua_Integer)S->steps);
  lua_setfield(L, -2, "steps");
  return 1;
}


/* internal.home(): the file that calls this lies beside neap's other ones, whose
   lines say nothing to users */
static int l_home (lua_State *L) {
  lua_Debug ar;
  const char *end;
  if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "S", &ar)) return 0;
  end = strrchr(ar.source, '/');
  if (*ar.source != '@' || end == NULL) return 0;
  lua_pushlstring(L, ar.source, (size_t)(end + 1 - ar.source));
  lua_pushvalue(L, -1);
  luaL_ref(L, LUA_REGISTRYINDEX); /* which keeps it */
  sched_of(L)->home = lua_tostring(L, -1);
  return 0;
}


static const luaL_Reg funcs[] = {
  { "dump", l_dump },
  { "tasks", l_tasks },
  { NULL, NULL },
};

static const luaL_Reg internals[] = {
  { "home", l_home },
  { "stats", l_stats },
  { NULL, NULL },
};


void dump_openlib (lua_State *L) {
  sched_funcs(L, funcs);
  sched_internals(L, internals);
}
