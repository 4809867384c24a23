/*
** verdict.c - what becomes of the errors in a scope; see verdict.h.
**
** A child that has failed stays with its scope, as a zombie, until its error is
** told. Which one the scope raises is settled when it can be left; the host's
** scope is never left, and tells at once.
**
** Invariant: each error is told once, by being raised or by a hook. One that is
** the same as the one raised, as when a body awaits a child that fails, is not
** another one.
*/

#include "verdict.h"

#include "origin.h"
#include "record.h"
#include "traceback.h"


void verdict_suppressed (lua_State *L, int idx) {
  if (lua_getiuservalue(L, idx, OBJECT_SUPPRESSED) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, idx, OBJECT_SUPPRESSED);
}


/* Is the error at 'error', of the task at 'holder', in the table of those that
   are known? From now on it is. */
static int is_known (lua_State *L, int error, int holder, int known) {
  int same;
  if (lua_islightuserdata(L, holder)) {
    task_push(L, (Task *)lua_touserdata(L, holder));
    lua_replace(L, holder);
  }
  origin_push(L, holder, error);
  lua_pushvalue(L, -1);
  same = lua_rawget(L, known) != LUA_TNIL;
  lua_pop(L, 1);
  lua_pushboolean(L, 1);
  lua_rawset(L, known);
  return same;
}


/* protected: an error, whose it is: returns the table of known errors, which
   has this one */
static int know (lua_State *L) {
  lua_newtable(L);
  is_known(L, 1, 2, 3);
  return 1;
}


/* push this table for the error at 'first', with whose it is above; nil without
   memory: then all others are told of */
static void push_known (lua_State *L, int first) {
  lua_pushcfunction(L, know);
  lua_pushvalue(L, first);
  lua_pushvalue(L, first + 1);
  if (lua_pcall(L, 2, 1, 0) == LUA_OK) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}


/*
** Protected: tell of an error that is not raised, unless it is known. Arguments:
** scope, error, what Lua has of the scope or nil, whose error it is, those that
** are known.
*/
static int suppress (lua_State *L) {
  Scope *s = (Scope *)lua_touserdata(L, 1);
  if (lua_istable(L, 5) && is_known(L, 2, 4, 5)) return 0;
  if (!lua_isnil(L, 3)) {
    verdict_suppressed(L, 3);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  lua_settop(L, 3);
  error_hook(L, s->S, "on_suppressed");
  return 0;
}


/* The error on top, of what is below it, a task or its handle, lost against an
   earlier one; pops both. At 'known' are those that need not be told of: the
   one that is raised, which a body has, too, that awaited the child, and those
   that were told of. At 'object' is what Lua has of the scope, if not 0. */
static void suppressed (lua_State *L, Scope *s, int object, int known) {
  int holder = lua_gettop(L) - 1;
  lua_pushcfunction(L, suppress);
  lua_pushlightuserdata(L, s);
  lua_pushvalue(L, holder + 1);
  if (object != 0)
    lua_pushvalue(L, object);
  else
    lua_pushnil(L);
  lua_pushvalue(L, holder);
  lua_pushvalue(L, known);
  lua_pcall(L, 5, 0, 0); /* it may lack memory */
  lua_settop(L, holder - 1);
}


/* push the handle of the ended child 't' and its error, and let go of it */
static void take_error (lua_State *L, Scope *s, Task *t) {
  line_leave(&s->zombies, &t->sib);
  task_push(L, t);
  task_push_error(L, t);
  task_let_go(t);
}


void verdict_settle (lua_State *L, Scope *s, int object, int failed) {
  int first = s->base + 1, holder = first + 1, known = first + 2;
  int is_childs = !failed || !s->body_first;
  Task *t = s->first;
  lua_settop(L, s->base + failed);
  if (!is_childs)
    lua_pushlightuserdata(L, s->owner);
  else {
    if (t == NULL) t = owner_of(s->zombies.first, Task, sib);
    take_error(L, s, t);
    error_arrives(L, "child of a scope of");
    lua_insert(L, first);
    lua_insert(L, holder);
  }
  if (lua_gettop(L) > holder || s->zombies.first != NULL)
    push_known(L, first);
  else
    lua_pushnil(L); /* as nearly always, there are no others */
  lua_insert(L, known);
  if (lua_gettop(L) > known) { /* the body's error has lost */
    lua_pushlightuserdata(L, s->owner);
    lua_insert(L, -2);
    suppressed(L, s, object, known);
  }
  while (s->zombies.first != NULL) {
    take_error(L, s, owner_of(s->zombies.first, Task, sib));
    suppressed(L, s, object, known);
  }
  if (is_childs) { /* not before: until here, the body's was its own */
    lua_pushvalue(L, first);
    origin_given(L, s->owner, holder);
  }
  lua_settop(L, first);
}


/* tell the host of a task of its own that failed */
static void report (lua_State *L, Scope *s, Task *t) {
  take_error(L, s, t);
  lua_insert(L, -2);
  error_hook(L, s->S, "on_unhandled");
}


void verdict_report (lua_State *L, Scope *s) {
  while (s->zombies.first != NULL)
    report(L, s, owner_of(s->zombies.first, Task, sib));
}


int verdict_child (lua_State *L, Scope *s, Task *t) {
  Sched *S = s->S;
  int must_succeed = !(t->flags & T_ASYNC) && s != S->host;
  if (s == S->roots) return 0; /* 'run' raises it */
  if (t->flags & T_OBSERVED && !must_succeed) return 0;
  line_join(&s->zombies, &t->sib);
  if (must_succeed) {
    if (s->first == NULL) s->first = t;
    task_push_error(L, t);
    scope_cancel(L, s, CANCEL_FAILED, lua_gettop(L));
    lua_pop(L, 1);
  }
  else if (!(t->flags & T_ASYNC))
    report(L, s, t);
  return 1;
}


void verdict_drop (lua_State *L, Scope *s) {
  while (s->zombies.first != NULL) {
    take_error(L, s, owner_of(s->zombies.first, Task, sib));
    lua_pushnil(L);
    error_hook(L, s->S, "on_suppressed");
    lua_pop(L, 1);
  }
}
