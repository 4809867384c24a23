/*
** stock.c - coroutines that are used again; see stock.h.
**
** Invariants: the free ones stand in the table 'idle' at 1 ... nidle, and
** above it only holds false: what is in use is kept by its user alone. The
** table has at least 'ncos' places.
*/

#include "stock.h"


void stock_fill (lua_State *L, Sched *S) {
  if (S->nidle > 0) return;
  lua_newthread(L); /* may run finalizers, which may take and give */
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->idle);
  if (S->ncos == S->idle_size) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, (lua_Integer)S->idle_size + 1);
    S->idle_size++;
  }
  S->ncos++;
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)++S->nidle);
  lua_pop(L, 1);
}


lua_State *stock_take (lua_State *L, Sched *S) {
  lua_State *co;
  invariant(S->nidle > 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->idle);
  lua_rawgeti(L, -1, (lua_Integer)S->nidle);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -3, (lua_Integer)S->nidle--);
  lua_remove(L, -2);
  co = lua_tothread(L, -1);
  sched_unhook(co);
  return co;
}


void stock_give (lua_State *L, Sched *S, lua_State *co) {
  lua_settop(co, 0);
  if (S->nidle >= SCHED_KEPT && S->from == NULL) {
    stock_lose(S);
    return;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->idle);
  lua_pushthread(co);
  lua_xmove(co, L, 1);
  lua_rawseti(L, -2, (lua_Integer)++S->nidle);
  lua_pop(L, 1);
}


void stock_trim (lua_State *L, Sched *S, uint32_t keep) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->idle);
  while (S->nidle > keep) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, (lua_Integer)S->nidle--);
    S->ncos--;
  }
  lua_pop(L, 1);
}
