/*
** stack.c - where a coroutine is, as text; see stack.h.
**
** It looks as what luaL_traceback writes. That one looks through all loaded
** modules for the name of each function, which costs more than all else that a
** task does in its life; here the names of their functions are in a table, made
** anew when other modules are loaded. It holds on to none of the functions.
*/

#include "stack.h"

#include <stdio.h>
#include <string.h>

/* of a deep stack, so many levels at its top and at its bottom are shown */
#define TOPMOST 10
#define LOWEST 11


int stack_bottom (lua_State *co, lua_Debug *ar) {
  int low = 0, high = 1; /* levels: there is 'low', and no 'high' */
  if (!lua_getstack(co, 0, ar)) return 0;
  /* what fails leaves 'ar' at the lowest that was found */
  while (lua_getstack(co, high, ar)) {
    low = high;
    high += high < 8 ? 1 : high; /* nearly always there are but a few */
  }
  while (high - low > 1) {
    int middle = low + (high - low) / 2;
    if (lua_getstack(co, middle, ar))
      low = middle;
    else
      high = middle;
  }
  return high;
}


/* ---------------------------------------------------------------------- */
/* names of functions */


/* The function at index 'f' has the name on top: note it, unless it has one
   already that is no longer; pops the name. */
static void note_name (lua_State *L, int names, int f) {
  lua_pushvalue(L, f);
  if (lua_rawget(L, names) == LUA_TNIL ||
      lua_rawlen(L, -1) > lua_rawlen(L, -2)) {
    lua_pushvalue(L, f);
    lua_pushvalue(L, -3);
    lua_rawset(L, names);
  }
  lua_pop(L, 2);
}


/* the module on top, with its name below it: note its functions, or itself if
   it is one */
static void note_module (lua_State *L, int names) {
  int module = lua_gettop(L), name = module - 1;
  if (lua_type(L, name) != LUA_TSTRING) return;
  if (lua_isfunction(L, module)) {
    lua_pushvalue(L, name);
    note_name(L, names, module);
  }
  else if (lua_istable(L, module)) {
    lua_pushnil(L);
    while (lua_next(L, module) != 0) {
      if (lua_isfunction(L, -1) && lua_type(L, -2) == LUA_TSTRING) {
        if (strcmp(lua_tostring(L, name), LUA_GNAME) == 0)
          lua_pushvalue(L, -2);
        else
          lua_pushfstring(L, "%s.%s", lua_tostring(L, name),
                          lua_tostring(L, -2));
        note_name(L, names, module + 2);
      }
      lua_pop(L, 1);
    }
  }
}


/* a number that is another one when other modules are in the table at 'loaded' */
static size_t sum_up (lua_State *L, int loaded) {
  size_t sum = 1;
  lua_pushnil(L);
  while (lua_next(L, loaded) != 0) {
    sum = 31 * sum + (size_t)lua_topointer(L, -1);
    lua_pop(L, 1);
  }
  return sum;
}


/* push the table with the names of functions, by function */
static void push_names (lua_State *L, Sched *S) {
  int loaded = lua_gettop(L) + 1;
  size_t sum;
  if (lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) != LUA_TTABLE) {
    lua_newtable(L);
    lua_replace(L, loaded);
  }
  sum = sum_up(L, loaded);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->functions);
  if (sum != S->modules) {
    lua_newtable(L);
    lua_getmetatable(L, loaded + 1); /* that its keys are weak */
    lua_setmetatable(L, -2);
    lua_replace(L, loaded + 1);
    lua_pushnil(L);
    while (lua_next(L, loaded) != 0) {
      note_module(L, loaded + 1);
      lua_pop(L, 1);
    }
    lua_pushvalue(L, loaded + 1);
    lua_rawseti(L, LUA_REGISTRYINDEX, S->functions);
    S->modules = sum; /* it is whole */
  }
  lua_remove(L, loaded);
}


/* ---------------------------------------------------------------------- */
/* levels */


/* push what is said of the level in 'ar' */
static void push_level (lua_State *L, lua_State *co, lua_Debug *ar, int names) {
  const char *place, *name, *tail;
  char line[16] = "";
  int at = lua_gettop(L) + 1;
  lua_getinfo(co, "Slntf", ar);
  if (co != L) lua_xmove(co, L, 1);
  lua_rawget(L, names);
  name = lua_tostring(L, at);
  tail = ar->istailcall ? "\n\t(...tail calls...)" : "";
  if (ar->currentline > 0) snprintf(line, sizeof(line), ":%d", ar->currentline);
  place = lua_pushfstring(L, "\n\t%s%s: in", ar->short_src, line);
  if (name != NULL)
    lua_pushfstring(L, "%s function '%s'%s", place, name, tail);
  else if (*ar->namewhat != '\0')
    lua_pushfstring(L, "%s %s '%s'%s", place, ar->namewhat, ar->name, tail);
  else if (*ar->what == 'm')
    lua_pushfstring(L, "%s main chunk%s", place, tail);
  else if (*ar->what == 'C')
    lua_pushfstring(L, "%s ?%s", place, tail);
  else
    lua_pushfstring(L, "%s function <%s:%d>%s", place, ar->short_src,
                    ar->linedefined, tail);
  lua_replace(L, at);
  lua_settop(L, at);
}


void stack_push (lua_State *L, Sched *S, lua_State *co, const char *head,
                 int level) {
  luaL_Buffer text;
  lua_Debug ar;
  int names, depth = stack_bottom(co, &ar);
  int from = level + TOPMOST, to = depth - LOWEST; /* these are left out */
  luaL_checkstack(L, 12, NULL);
  if (!lua_checkstack(co, 1)) luaL_error(L, "not enough memory");
  push_names(L, S);
  names = lua_gettop(L);
  luaL_buffinit(L, &text);
  if (head != NULL) luaL_addstring(&text, head);
  luaL_addstring(&text,
                 head != NULL ? "\nstack traceback:" : "stack traceback:");
  for (; level < depth; level++) {
    if (level == from && from < to) {
      lua_pushfstring(L, "\n\t...\t(skipping %d levels)", to - from);
      luaL_addvalue(&text);
      level = to;
    }
    lua_getstack(co, level, &ar);
    push_level(L, co, &ar, names);
    luaL_addvalue(&text);
  }
  luaL_pushresult(&text);
  lua_remove(L, names);
}
