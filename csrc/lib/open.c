/*
** open.c - neap as a library that needs no file: only in libneap.
**
** The Lua files are in it, put into C by tools/embed.lua, and become loaders in
** package.preload: 'require' finds them before it looks at any path.
*/

#include "../neap.h"

#include "files.h"


/* upvalue: the file */
static int load_file (lua_State *L) {
  const File *f = (const File *)lua_touserdata(L, lua_upvalueindex(1));
  lua_pushfstring(L, "@%s", f->path);
  if (luaL_loadbufferx(L, f->text, f->size, lua_tostring(L, -1), "t") != LUA_OK)
    return lua_error(L);
  lua_pushvalue(L, 1); /* what 'require' gives to a loader */
  lua_call(L, 1, 1);
  return 1;
}


static int open (lua_State *L) {
  const neap_Options *options = (const neap_Options *)lua_touserdata(L, 1);
  const File *f;
  const neap_Api *api;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (f = neap_files; f->module != NULL; f++) {
    lua_pushlightuserdata(L, (void *)(size_t)f);
    lua_pushcclosure(L, load_file, 1);
    lua_setfield(L, -2, f->module);
  }
  lua_pushcfunction(L, luaopen_neap_core);
  lua_setfield(L, -2, "neap.core");
  if (lua_getglobal(L, "require") != LUA_TFUNCTION)
    return luaL_error(L, "neap needs Lua's library 'package'");
  lua_pushliteral(L, "neap");
  lua_call(L, 1, 0);
  api = neap_find(L);
  if (options != NULL && api->configure(L, options) != NEAP_OK)
    return lua_error(L);
  lua_pushlightuserdata(L, (void *)(size_t)api);
  return 1;
}


const neap_Api *neap_open (lua_State *L, const neap_Options *options) {
  const neap_Api *api;
  lua_pushcfunction(L, open);
  lua_pushlightuserdata(L, (void *)(size_t)options);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) return NULL;
  api = (const neap_Api *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  return api;
}
