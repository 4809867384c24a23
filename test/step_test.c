/*
** step_test.c - hosts that call 'step' from a loop of their own, from whatever
** coroutine is at hand. (What is peculiar to the C API is in host_test.c.)
*/

#include "support.h"

#include <math.h>
#include <poll.h>

static const luaL_Reg none[] = { { NULL, NULL } };


/* a program in a state of its own, that leaves nothing behind */
static void test (const char *program) {
  size_t bytes;
  lua_State *L = open_state(&bytes, none, __FILE__);
  run(L, program);
  close_state(L, &bytes);
}


/* each step is made by another coroutine, of which nothing is kept */
static void test_new_threads (void) {
  size_t bytes;
  lua_State *L = open_state(&bytes, none, __FILE__);
  const neap_Api *neap = neap_find(L);
  int i;
  run(L, "begin_counting");
  for (i = 0; i < 10; i++) {
    lua_State *co = lua_newthread(L);
    CHECK(neap->step(co, HUGE_VAL) >= 0);
    CHECK(lua_gettop(co) == 0);
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT);
  }
  CHECK(run(L, "counted") == 10);
  close_state(L, &bytes);
}


/* one coroutine spawns, another one steps; both are gone when it ends */
static void test_threads_that_go (void) {
  size_t bytes;
  lua_State *L = open_state(&bytes, none, __FILE__), *co;
  const neap_Api *neap = neap_find(L);
  co = lua_newthread(L);
  run(co, "begin_counting");
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT);
  co = lua_newthread(L);
  neap->step(co, HUGE_VAL);
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT);
  neap->step(L, HUGE_VAL);
  CHECK(run(L, "counted") == 2);
  close_state(L, &bytes);
}


/* the loop of a server: poll for neap.fd as long as 'step' says */
static void test_poll (void) {
  size_t bytes;
  lua_State *L = open_state(&bytes, none, __FILE__);
  const neap_Api *neap = neap_find(L);
  struct pollfd p;
  int rounds = 0;
  double delay;
  p.fd = (int)run(L, "begin_talking");
  p.events = POLLIN;
  while ((delay = neap->step(L, 0.01)) >= 0 && rounds++ < 10000) {
    int ms = delay < 1 ? (int)ceil(delay * 1000) : 1000;
    CHECK(poll(&p, 1, ms) >= 0);
  }
  CHECK(delay == NEAP_NOTHING);
  CHECK(run(L, "heard") == 20);
  close_state(L, &bytes);
}


int main (void) {
  test("one_task_for_no_budget");
  test("one_round_without_a_budget");
  test("deadlines_are_not_starved");
  test("says_when");
  test("errors");
  test("not_inside");
  test("plain_coroutines");
  test("steps_and_runs");
  test_new_threads();
  test_threads_that_go();
  test_poll();
  return RESULT;
}
