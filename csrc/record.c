/*
** record.c - records of tasks, and their handles; see record.h.
**
** Invariants: 'tasks' has every record at its slot, and the table 'anchors'
** its coroutine there. A record is that of a live task, of a failed one in a
** scope's line of errors, or spare.
*/

#include "record.h"

#include <string.h>

#include "stack.h"

const char task_mark = 0;


const char *const task_status_names[] = { "ready", "running", "waiting",
                                          "done",  "failed",  "cancelled" };


static lua_State *base_of (const Task *t) {
  const Strand *x;
  if (!(t->flags & T_NESTED)) return t->at.co;
  for (x = t->at.strand; x->outer != NULL;) x = x->outer;
  return x->outer_co;
}


void task_push (lua_State *L, Task *t) {
  Sched *S = t->handle->object.S;
  lua_State *co = base_of(t);
  lua_Debug ar;
  if (t == S->dying) { /* its coroutine is being unwound */
    lua_rawgeti(L, LUA_REGISTRYINDEX, S->dying_handle);
    return;
  }
  if (!lua_checkstack(co, 1)) luaL_error(L, "not enough memory");
  if (t->status >= TASK_DONE)
    lua_pushvalue(co, BASE_HANDLE);
  else if (!stack_bottom(co, &ar))
    lua_pushvalue(co, 1 + BASE_HANDLE); /* above the function */
  else
    lua_getlocal(co, &ar, BASE_HANDLE);
  lua_xmove(co, L, 1);
}


void task_push_error (lua_State *L, Task *t) {
  lua_getiuservalue(t->at.co, BASE_HANDLE, HANDLE_VALUE);
  lua_xmove(t->at.co, L, 1);
}


void task_pushname (lua_State *L, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->handle->object.S->names);
  task_push(L, t);
  if (lua_rawget(L, -2) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushfstring(L, "task %d", (int)task_id(t));
  }
  lua_remove(L, -2);
}


/* ---------------------------------------------------------------------- */
/* records */


/* see to it that there is a free slot for a record and its coroutine */
static void reserve_slot (lua_State *L, Sched *S) {
  if (S->free_slot != 0) return;
  if (S->nslots + 1 >= S->tasks_size) {
    uint32_t size = S->tasks_size == 0 ? 16 : 2 * S->tasks_size;
    Task **p = (Task **)sched_alloc(S, S->tasks, S->tasks_size * sizeof(*p),
                                    size * sizeof(*p));
    if (p == NULL) luaL_error(L, "not enough memory");
    S->tasks = p;
    S->tasks_size = size;
  }
  lua_pushinteger(L, 0);
  lua_rawseti(L, -2, (lua_Integer)S->nslots + 1);
  S->free_slot = ++S->nslots;
  S->tasks[S->free_slot] = NULL;
}


void record_make (lua_State *L, Sched *S) {
  Task *t;
  lua_State *co = lua_newthread(L); /* the last to run finalizers */
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->anchors);
  reserve_slot(L, S);
  if (!heap_reserve(&S->heap, sched_alloc, S))
    luaL_error(L, "not enough memory");
  t = (Task *)sched_alloc(S, NULL, 0, sizeof(Task));
  if (t == NULL) {
    heap_unreserve(&S->heap, sched_alloc, S);
    luaL_error(L, "not enough memory");
  }
  memset(t, 0, sizeof(Task));
  t->at.co = co;
  t->slot = S->free_slot;
  S->tasks[t->slot] = t;
  lua_rawgeti(L, -1, (lua_Integer)t->slot);
  S->free_slot = (uint32_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)t->slot);
  lua_pop(L, 1);
  record_give(S, t);
}


void record_unmake (lua_State *L, Sched *S, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->anchors);
  lua_pushinteger(L, (lua_Integer)S->free_slot);
  lua_rawseti(L, -2, (lua_Integer)t->slot);
  lua_pop(L, 1);
  S->free_slot = t->slot;
  S->tasks[t->slot] = NULL;
  heap_unreserve(&S->heap, sched_alloc, S);
  sched_alloc(S, t, sizeof(Task), 0);
}


Task *task_find (Sched *S, uint32_t slot, uint32_t id) {
  Task *t = slot == 0 ? NULL : S->tasks[slot];
  return t != NULL && t->handle != NULL && task_id(t) == id ? t : NULL;
}


void task_let_go (Task *t) {
  invariant(t->status >= TASK_DONE && t->sib.next == NULL);
  lua_settop(t->at.co, 0);
  record_release(t);
}


void task_trim (lua_State *L, Sched *S, uint32_t keep) {
  while (S->nspares > keep) record_unmake(L, S, record_take(S));
}


void task_free_all (Sched *S) {
  uint32_t i;
  for (i = 1; i <= S->nslots; i++) {
    Task *t = S->tasks[i];
    if (t == NULL) continue;
    if (t->handle != NULL) record_part(t);
    sched_alloc(S, t, sizeof(Task), 0);
  }
  sched_alloc(S, S->tasks, S->tasks_size * sizeof(Task *), 0);
  S->tasks = NULL;
  S->nslots = S->tasks_size = 0;
}


int task_keep (Task *t, int n) {
  lua_State *co = t->at.co;
  Handle *h = t->handle;
  if (n == 0 && !(t->flags & T_CANCEL)) return 1;
  if (n > 0) h->kept = KEPT_ONE;
  if (n == 0) lua_pushnil(co); /* in place of the reason */
  if (n > 1) {
    h->kept = KEPT_MANY;
    lua_pushthread(co);
  }
  lua_setiuservalue(co, BASE_HANDLE, HANDLE_VALUE);
  return n <= 1;
}


int task_outcome_ (lua_State *L, const Handle *h, int idx) {
  lua_State *co;
  int i, n;
  lua_getiuservalue(L, idx, HANDLE_VALUE);
  if (h->kept == KEPT_ONE) return 1;
  co = lua_tothread(L, -1);
  lua_pop(L, 1); /* the handle keeps it */
  n = lua_gettop(co) - BASE_FUNCTION + 1;
  luaL_checkstack(L, n + 2, "too many results");
  for (i = 1; i <= n; i++) {
    lua_pushvalue(co, BASE_FUNCTION - 1 + i); /* room for one is always there */
    lua_xmove(co, L, 1);
  }
  return n;
}
