/*
** origin.c - which failure an error is of; see origin.h.
**
** A table is the same error wherever it comes to. A string is not: two tasks
** may fail with equal ones, and of each is to be told, while one that travels
** from task to task is one error. So it is noted who was given such a value,
** and where it comes from: the task that failed with it in the first place, or
** the future or the like that it was put into.
**
** Of each task this is known of the last one that it was given. An equal value
** that it raises after that is taken to be this one.
*/

#include "origin.h"

#include "record.h"

/* what is noted of a task */
enum { GIVEN_ORIGIN = 1, GIVEN_VALUE };


/* is it nothing but its value? */
static int is_plain (lua_State *L, int idx) {
  switch (lua_type(L, idx)) {
    case LUA_TNIL:
    case LUA_TBOOLEAN:
    case LUA_TNUMBER:
    case LUA_TSTRING:
    case LUA_TLIGHTUSERDATA: return 1;
    default: return 0;
  }
}


/* push what is noted of it, or nil, above the table of all that is */
static int push_noted (lua_State *L, Sched *S, int holder) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->given);
  lua_pushvalue(L, holder);
  return lua_rawget(L, -2) == LUA_TTABLE;
}


void origin_push (lua_State *L, int holder, int error) {
  Sched *S = ((Object *)lua_touserdata(L, holder))->S;
  int top = lua_gettop(L), same = 0;
  if (!is_plain(L, error)) {
    lua_pushvalue(L, error);
    return;
  }
  if (push_noted(L, S, holder)) {
    lua_rawgeti(L, top + 2, GIVEN_VALUE);
    same = lua_rawequal(L, -1, error);
    lua_rawgeti(L, top + 2, GIVEN_ORIGIN);
  }
  if (!same) lua_pushvalue(L, holder);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}


/* protected: a task, what gives it an error, the error */
static int give (lua_State *L) {
  Task *t = (Task *)lua_touserdata(L, 1);
  Sched *S = t->handle->object.S;
  task_push(L, t);
  origin_push(L, 2, 3);
  if (!push_noted(L, S, 4)) {
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, 4);
    lua_pushvalue(L, -2);
    lua_rawset(L, 6);
    lua_replace(L, 7);
  }
  lua_pushvalue(L, 5);
  lua_rawseti(L, 7, GIVEN_ORIGIN);
  lua_pushvalue(L, 3);
  lua_rawseti(L, 7, GIVEN_VALUE);
  return 0;
}


void origin_given (lua_State *L, Task *t, int giver) {
  int error = lua_gettop(L);
  giver = lua_absindex(L, giver);
  if (t == NULL || !is_plain(L, error) || !lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, give);
  lua_pushlightuserdata(L, t);
  lua_pushvalue(L, giver);
  lua_pushvalue(L, error);
  lua_pcall(L, 3, 0, 0); /* without memory it is another error */
  lua_settop(L, error);
}
