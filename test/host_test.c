/*
** host_test.c - neap.h, used as a host would.
**
** Each test has a state of its own, whose allocator counts: when it is closed
** nothing may be left.
*/

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>
#include <lualib.h>

#include "neap.h"

static int failures = 0;

#define CHECK(c) \
  ((c) ? (void)0 \
       : (void)(failures++, fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, \
                                    __LINE__, #c)))


/* ---------------------------------------------------------------------- */
/* states */

typedef struct World {
  lua_State *L;
  const neap_Api *neap;
  size_t bytes;  /* in use */
  unsigned fail; /* fail about one allocation in so many; 0: none */
  unsigned seed;
  int panics;
} World;


static void *allocate (void *ud, void *p, size_t osize, size_t nsize) {
  World *w = (World *)ud;
  void *q;
  if (p == NULL) osize = 0;
  if (nsize == 0) {
    free(p);
    w->bytes -= osize;
    return NULL;
  }
  if (w->fail > 0 && nsize > osize) {
    w->seed = w->seed * 1103515245u + 12345u;
    if ((w->seed >> 8) % w->fail == 0) return NULL;
  }
  q = realloc(p, nsize);
  if (q != NULL) w->bytes += nsize - osize;
  return q;
}


/* what 'on_error' was told: the last message, its traceback, how often */
static char told[512], trace[2048];
static int ntold;

static void on_error (lua_State *L, void *ud) {
  const char *message = luaL_tolstring(L, -1, NULL);
  (void)ud;
  snprintf(told, sizeof told, "%s", message);
  snprintf(trace, sizeof trace, "%s",
           lua_isstring(L, -3) ? lua_tostring(L, -3) : "");
  ntold++;
}


static void open_world (World *w, const neap_Options *options) {
  neap_Options o = neap_OPTIONS;
  if (options != NULL) o = *options;
  if (o.on_error == NULL) o.on_error = on_error;
  memset(w, 0, sizeof *w);
  ntold = 0;
  told[0] = trace[0] = '\0';
  w->L = lua_newstate(allocate, w);
  luaL_openlibs(w->L);
  w->neap = neap_open(w->L, &o);
  if (w->neap == NULL) {
    fprintf(stderr, "cannot open: %s\n", lua_tostring(w->L, -1));
    exit(2);
  }
}


static void close_world (World *w) {
  CHECK(lua_gettop(w->L) == 0);
  lua_close(w->L);
  CHECK(w->bytes == 0);
}


static neap_Options manual (void) {
  neap_Options o = neap_OPTIONS;
  o.clock = "manual";
  return o;
}


/* run code from outside of tasks */
static void run (World *w, const char *code) {
  if (luaL_dostring(w->L, code) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(w->L, -1));
    failures++;
  }
  lua_settop(w->L, 0);
}


/* spawn code as a task of the host's; the task is left on the stack if
   'keep' */
static void spawn (World *w, const char *code, neap_Done done, void *ud) {
  CHECK(luaL_loadstring(w->L, code) == LUA_OK);
  CHECK(w->neap->spawn(w->L, 0, done, ud) == NEAP_OK);
}


static lua_Integer global (World *w, const char *name) {
  lua_Integer n;
  lua_getglobal(w->L, name);
  n = lua_tointeger(w->L, -1);
  lua_pop(w->L, 1);
  return n;
}


/* how a task ended */
typedef struct Outcome {
  int calls, status, n;
  char text[128];
} Outcome;

static void done (lua_State *L, int status, int n, void *ud) {
  Outcome *o = (Outcome *)ud;
  o->calls++;
  o->status = status;
  o->n = n;
  if (n > 0) {
    snprintf(o->text, sizeof o->text, "%s", luaL_tolstring(L, -n, NULL));
    lua_pop(L, 1);
  }
}


/* ---------------------------------------------------------------------- */


static void test_time (void) {
  neap_Options o = manual();
  World w;
  Outcome out = { 0 };
  neap_Stats stats;
  stats.size = sizeof stats;
  open_world(&w, &o);
  CHECK(w.neap == neap_find(w.L));
  CHECK(w.neap->version == NEAP_API && w.neap->size == sizeof(neap_Api));
  CHECK(w.neap->step(w.L, 0) == NEAP_NOTHING);
  spawn(&w,
        "local neap = require 'neap'\n"
        "neap.sleep(0.5) return neap.now(), neap.frame()",
        done, &out);
  lua_settop(w.L, 0);
  CHECK(w.neap->step(w.L, 1) == 0.5);
  w.neap->stats(w.L, &stats);
  CHECK(stats.tasks == 1 && stats.deadlines == 1 && stats.steps > 0);
  w.neap->advance(w.L, 0.25, 0.25);
  CHECK(w.neap->step(w.L, 1) == 0.25);
  w.neap->advance(w.L, NAN, NAN); /* counts as 0 */
  w.neap->advance(w.L, -5, -5);
  w.neap->advance(w.L, HUGE_VAL, HUGE_VAL);
  CHECK(w.neap->step(w.L, 1) == 0.25 && out.calls == 0);
  w.neap->advance(w.L, 0.25, 0.25);
  CHECK(w.neap->step(w.L, 1) == HUGE_VAL); /* it waits for the next frame */
  w.neap->advance(w.L, 0.125, 0.125);
  CHECK(w.neap->step(w.L, 1) == NEAP_NOTHING);
  CHECK(out.calls == 1 && out.status == NEAP_OK && out.n == 2);
  CHECK(strcmp(out.text, "0.5") == 0);
  close_world(&w);
}


static void test_two_times (void) {
  neap_Options o = manual();
  World w;
  Outcome game = { 0 }, menu = { 0 };
  int i;
  open_world(&w, &o);
  spawn(&w, "require 'neap'.sleep(0.25)", done, &game);
  spawn(&w, "require 'neap'.real_sleep(0.25)", done, &menu);
  lua_settop(w.L, 0);
  w.neap->step(w.L, HUGE_VAL);
  for (i = 0; i < 2; i++) { /* a pause */
    w.neap->advance(w.L, 0, 0.125);
    CHECK(menu.calls == 0);
    w.neap->step(w.L, 1);
  }
  CHECK(menu.status == NEAP_OK && menu.calls == 1 && game.calls == 0);
  for (i = 0; i < 4; i++) { /* slow motion */
    CHECK(game.calls == 0);
    w.neap->advance(w.L, 0.0625, 0.25);
    w.neap->step(w.L, 1);
  }
  CHECK(game.calls == 1);
  run(&w, "local neap = require 'neap'\n"
          "assert(neap.now() == 0.25 and neap.real_now() == 1.25)");
  close_world(&w);
}


static void test_outcomes (void) {
  World w;
  Outcome ok = { 0 }, failed = { 0 }, cancelled = { 0 }, unborn = { 0 };
  Outcome closed = { 0 };
  open_world(&w, NULL);
  lua_getglobal(w.L, "select");
  lua_pushliteral(w.L, "#");
  lua_pushnil(w.L);
  lua_pushnil(w.L);
  CHECK(w.neap->spawn(w.L, 3, done, &ok) == NEAP_OK);
  spawn(&w, "error 'bad'", done, &failed);
  spawn(&w,
        "local _ <close> = setmetatable({}, { __close = function ()\n"
        "  cleaned = 1\n"
        "end })\n"
        "require 'neap'.sleep(1e9)",
        done, &cancelled);
  spawn(&w, "never = 1", done, &unborn);
  lua_pushliteral(w.L, "why");
  CHECK(w.neap->cancel(w.L, 4) == NEAP_OK);
  while (w.neap->step(w.L, 0) == 0) continue;
  lua_pushnil(w.L);
  CHECK(w.neap->cancel(w.L, 3) == NEAP_OK);
  CHECK(w.neap->step(w.L, 1) == NEAP_NOTHING);
  CHECK(ok.calls == 1 && ok.status == NEAP_OK && strcmp(ok.text, "2") == 0);
  CHECK(failed.calls == 1 && failed.status == NEAP_ERROR && failed.n == 1);
  CHECK(strstr(failed.text, "bad") != NULL);
  CHECK(cancelled.calls == 1 && cancelled.status == NEAP_CANCELLED);
  CHECK(global(&w, "cleaned") == 1);
  CHECK(unborn.calls == 1 && unborn.status == NEAP_CANCELLED);
  CHECK(strcmp(unborn.text, "AbortError: why") == 0);
  CHECK(global(&w, "never") == 0);
  CHECK(ntold == 0);
  for (; lua_gettop(w.L) > 0; lua_pop(w.L, 1)) { /* one that has ended */
    lua_pushnil(w.L);
    CHECK(w.neap->cancel(w.L, -2) == NEAP_OK);
  }
  CHECK(failed.calls == 1);
  spawn(&w, "require 'neap'.sleep(1e9)", done, &closed);
  lua_settop(w.L, 0);
  w.neap->step(w.L, 0);
  close_world(&w);
  CHECK(closed.calls == 1 && closed.status == NEAP_CANCELLED);
}


static void test_errors (void) {
  World w;
  neap_Options o = manual();
  open_world(&w, &o);
  spawn(&w, "error('nobody awaits this')", NULL, NULL);
  lua_settop(w.L, 0);
  w.neap->step(w.L, 1);
  CHECK(ntold == 1 && strstr(told, "nobody awaits this") != NULL);
  CHECK(strstr(trace, "stack traceback") != NULL);
  /* mistakes of the host's are errors, not crashes */
  lua_pushinteger(w.L, 5);
  CHECK(w.neap->spawn(w.L, 0, NULL, NULL) == NEAP_ERROR);
  CHECK(strstr(lua_tostring(w.L, -1), "'spawn'") != NULL);
  lua_settop(w.L, 0);
  lua_pushinteger(w.L, 5);
  lua_pushnil(w.L);
  CHECK(w.neap->cancel(w.L, 1) == NEAP_ERROR);
  lua_settop(w.L, 1);
  CHECK(w.neap->resolve(w.L, 1, 0) == NEAP_ERROR);
  CHECK(strstr(lua_tostring(w.L, -1), "a future") != NULL);
  lua_settop(w.L, 0);
  o.clock = "sundial";
  CHECK(w.neap->configure(w.L, &o) == NEAP_ERROR);
  CHECK(strstr(lua_tostring(w.L, -1), "sundial") != NULL);
  lua_settop(w.L, 0);
  o = manual();
  o.watchdog = NAN;
  CHECK(w.neap->configure(w.L, &o) == NEAP_ERROR);
  o.watchdog = 0;
  o.size--;
  CHECK(w.neap->configure(w.L, &o) == NEAP_ERROR);
  lua_settop(w.L, 0);
  close_world(&w);
}


static int step_inside (lua_State *L) {
  const neap_Api *neap = neap_find(L);
  lua_pushboolean(L, neap->step(L, 0) == NEAP_FAILED);
  lua_insert(L, -2);
  return 2;
}


static void test_step_inside (void) {
  World w;
  Outcome out = { 0 };
  open_world(&w, NULL);
  lua_pushcfunction(w.L, step_inside);
  CHECK(w.neap->spawn(w.L, 0, done, &out) == NEAP_OK);
  lua_settop(w.L, 0);
  CHECK(w.neap->step(w.L, 1) == NEAP_NOTHING);
  CHECK(out.n == 2 && strcmp(out.text, "true") == 0);
  close_world(&w);
}


/* ---------------------------------------------------------------------- */


static void test_futures (void) {
  World w;
  Outcome out[3] = { { 0 }, { 0 }, { 0 } };
  int i;
  open_world(&w, NULL);
  for (i = 0; i < 3; i++) {
    CHECK(w.neap->future(w.L) == NEAP_OK);
    luaL_loadstring(w.L, "return (...):await()");
    lua_pushvalue(w.L, -2);
    CHECK(w.neap->spawn(w.L, 1, done, &out[i]) == NEAP_OK);
    lua_pop(w.L, 1);
  }
  while (w.neap->step(w.L, 0) == 0) continue;
  CHECK(w.neap->step(w.L, 0) == HUGE_VAL);
  lua_pushnil(w.L);
  lua_pushliteral(w.L, "x");
  CHECK(w.neap->resolve(w.L, 1, 2) == NEAP_OK);
  CHECK(w.neap->resolve(w.L, 2, 0) == NEAP_OK);
  lua_pushliteral(w.L, "no");
  CHECK(w.neap->reject(w.L, 3) == NEAP_OK);
  lua_pushliteral(w.L, "too late");
  CHECK(w.neap->resolve(w.L, -2, 1) == NEAP_OK);
  CHECK(lua_gettop(w.L) == 3);
  lua_settop(w.L, 0);
  while (w.neap->step(w.L, 0) == 0) continue;
  CHECK(out[0].calls == 1 && out[0].n == 2 && strcmp(out[0].text, "nil") == 0);
  CHECK(out[1].calls == 1 && out[1].status == NEAP_OK && out[1].n == 0);
  CHECK(out[2].calls == 1 && out[2].status == NEAP_ERROR);
  CHECK(strcmp(out[2].text, "no") == 0);
  close_world(&w);
}


/* a job that a C function waits for */
typedef struct Job {
  neap_Ticket ticket;
  int started, cancelled;
  const char *how; /* what 'start' does */
} Job;

static void start_job (lua_State *L, neap_Ticket ticket, void *ud) {
  Job *job = (Job *)ud;
  job->started++;
  job->ticket = ticket;
  if (strcmp(job->how, "raise") == 0) luaL_error(L, "cannot start");
  if (strcmp(job->how, "at once") == 0) {
    lua_pushinteger(L, 7);
    neap_find(L)->resume(L, ticket, 1);
  }
}

static void cancel_job (void *ud) {
  ((Job *)ud)->cancelled++;
}

static int wait_for_job (lua_State *L) {
  return neap_find(L)->suspend(L, start_job, cancel_job, lua_touserdata(L, 1));
}

static void spawn_job (World *w, Job *job, const char *how, Outcome *out) {
  memset(job, 0, sizeof *job);
  memset(out, 0, sizeof *out);
  job->how = how;
  lua_pushcfunction(w->L, wait_for_job);
  lua_pushlightuserdata(w->L, job);
  CHECK(w->neap->spawn(w->L, 1, done, out) == NEAP_OK);
  while (w->neap->step(w->L, 0) == 0) continue;
}


static void test_suspend (void) {
  World w;
  Job job;
  Outcome out;
  open_world(&w, NULL);

  spawn_job(&w, &job, "later", &out);
  CHECK(job.started == 1 && out.calls == 0);
  lua_pushliteral(w.L, "a");
  lua_pushnil(w.L);
  CHECK(w.neap->resume(w.L, job.ticket, 2) == NEAP_OK);
  lua_pushliteral(w.L, "again");
  CHECK(w.neap->resume(w.L, job.ticket, 1) == NEAP_CANCELLED);
  while (w.neap->step(w.L, 0) == 0) continue;
  CHECK(out.status == NEAP_OK && out.n == 2 && strcmp(out.text, "a") == 0);
  CHECK(job.cancelled == 0);

  spawn_job(&w, &job, "later", &out);
  lua_pushliteral(w.L, "broken");
  CHECK(w.neap->fail(w.L, job.ticket) == NEAP_OK);
  while (w.neap->step(w.L, 0) == 0) continue;
  CHECK(out.status == NEAP_ERROR && strcmp(out.text, "broken") == 0);
  CHECK(job.cancelled == 0);

  spawn_job(&w, &job, "later", &out);
  lua_pushnil(w.L);
  CHECK(w.neap->cancel(w.L, -2) == NEAP_OK);
  while (w.neap->step(w.L, 0) == 0) continue;
  CHECK(out.status == NEAP_CANCELLED && job.cancelled == 1);
  lua_pushliteral(w.L, "too late");
  CHECK(w.neap->resume(w.L, job.ticket, 1) == NEAP_CANCELLED);

  spawn_job(&w, &job, "raise", &out);
  CHECK(out.status == NEAP_ERROR && strstr(out.text, "cannot start") != NULL);
  CHECK(job.cancelled == 1);

  spawn_job(&w, &job, "at once", &out);
  CHECK(out.status == NEAP_OK && strcmp(out.text, "7") == 0);
  CHECK(job.cancelled == 0);

  /* where a task cannot wait it says so, and nothing has begun */
  lua_settop(w.L, 0);
  lua_pushcfunction(w.L, wait_for_job);
  lua_pushlightuserdata(w.L, &job);
  job.started = 0;
  CHECK(lua_pcall(w.L, 1, 0, 0) != LUA_OK && job.started == 0);
  CHECK(strstr(lua_tostring(w.L, -1), "must be called in a task") != NULL);
  lua_settop(w.L, 0);

  spawn_job(&w, &job, "later", &out);
  lua_settop(w.L, 0);
  close_world(&w); /* ends it by force */
  CHECK(job.cancelled == 1 && out.status == NEAP_CANCELLED);
}


/* ---------------------------------------------------------------------- */


/* spawn a task that runs the text, and step until nobody is ready */
static void play (World *w, const char *text, Outcome *out) {
  memset(out, 0, sizeof *out);
  spawn(w, text, done, out);
  lua_settop(w->L, 0);
  while (w->neap->step(w->L, 0) == 0) continue;
}


static void test_limits (void) {
  World w;
  neap_Options o = manual();
  Outcome out, other = { 0 };
  o.max_tasks = 3;
  o.watchdog = 0.02;
  open_world(&w, &o);
  play(&w,
       "local neap = require 'neap'\n"
       "for i = 1, 10 do neap.spawn(neap.sleep, 1) end",
       &out);
  CHECK(out.status == NEAP_ERROR && strstr(out.text, "too many tasks") != NULL);
  CHECK(w.neap->step(w.L, 0) == NEAP_NOTHING);

  memset(&out, 0, sizeof out);
  spawn(&w,
        "require 'neap'.current().name = 'spinner'\n"
        "local co = require 'neap'.coroutine.wrap(function ()\n"
        "  while true do end\n"
        "end)\n"
        "co()",
        done, &out);
  play(&w, "return 'lives'", &other);
  CHECK(out.status == NEAP_ERROR && strstr(out.text, "spinner") != NULL);
  CHECK(strstr(out.text, "without waiting") != NULL);
  CHECK(other.status == NEAP_OK && strcmp(other.text, "lives") == 0);

  play(&w, "for i = 1, 1e9 do end", &out); /* in its body, too */
  CHECK(out.status == NEAP_ERROR);
  CHECK(strstr(out.text, "without waiting") != NULL);

  o.watchdog = 10; /* time counts from the step's beginning */
  CHECK(w.neap->configure(w.L, &o) == NEAP_OK);
  play(&w,
       "return require 'neap'.coroutine.wrap(function ()\n"
       "  for i = 1, 1e6 do end\n"
       "  return 'done'\n"
       "end)()",
       &out);
  CHECK(out.status == NEAP_OK && strcmp(out.text, "done") == 0);

  play(&w, /* a hook of somebody else's stays */
       "local function mine () end\n"
       "debug.sethook(mine, '', 1000000)\n"
       "require 'neap'.checkpoint()\n"
       "local hook = debug.gethook()\n"
       "debug.sethook()\n"
       "return hook == mine and 'mine' or 'lost'",
       &out);
  CHECK(out.status == NEAP_OK && strcmp(out.text, "mine") == 0);

  o.watchdog = 0; /* no longer */
  o.max_tasks = 0;
  CHECK(w.neap->configure(w.L, &o) == NEAP_OK);
  play(&w, "local t = os.clock() while os.clock() < t + 0.05 do end", &out);
  CHECK(out.status == NEAP_OK);
  close_world(&w);
}


static void test_budget (void) {
  World w;
  neap_Options o = manual();
  open_world(&w, &o);
  run(&w, "local neap = require 'neap'\n"
          "order = {}\n"
          "for i = 1, 5 do\n"
          "  neap.spawn(function ()\n"
          "    for k = 1, 2 do\n"
          "      order[#order + 1] = i\n"
          "      neap.checkpoint()\n"
          "    end\n"
          "  end)\n"
          "end");
  /* with no time at all one task's own step is done in each */
  CHECK(w.neap->step(w.L, 0) == 0);
  CHECK(w.neap->step(w.L, 0) == 0);
  run(&w, "assert(table.concat(order) == '12', table.concat(order))");
  while (w.neap->step(w.L, 0) == 0) continue;
  run(&w, "assert(table.concat(order) == '1234512345', table.concat(order))");
  close_world(&w);
}


static void test_close (void) {
  World w;
  neap_Options o = manual();
  Outcome out = { 0 }, stubborn = { 0 }, opened = { 0 };
  open_world(&w, &o);
  spawn(&w,
        "local neap = require 'neap'\n"
        "local _ <close> = setmetatable({}, { __close = function ()\n"
        "  neap.shield(neap.checkpoint)\n"
        "  cleaned = 1\n"
        "end })\n"
        "neap.sleep(1)",
        done, &out);
  spawn(&w,
        "local neap = require 'neap'\n"
        "neap.shield(neap.sleep, 1)",
        done, &stubborn);
  spawn(&w,
        "local neap = require 'neap'\n"
        "open = neap.generator(function (yield)\n"
        "  local _ <close> = setmetatable({}, { __close = function ()\n"
        "    neap.shield(neap.checkpoint)\n"
        "    closed = 1\n"
        "  end })\n"
        "  yield(1)\n"
        "end)()\n"
        "open()",
        done, &opened);
  lua_settop(w.L, 0);
  while (w.neap->step(w.L, 0) == 0) continue;
  CHECK(opened.status == NEAP_OK && global(&w, "closed") == 0);
  CHECK(w.neap->close(w.L, 1) == 1);
  CHECK(global(&w, "closed") == 1);
  CHECK(out.status == NEAP_CANCELLED && global(&w, "cleaned") == 1);
  CHECK(stubborn.calls == 1 && stubborn.status == NEAP_CANCELLED);
  CHECK(w.neap->step(w.L, 0) == NEAP_NOTHING);
  CHECK(w.neap->close(w.L, 0) == 0);
  close_world(&w);
}


/* who does not find neap, or not one that suits it, is told so */
static void test_not_opened (void) {
  static const char *const loaded[] = {
    "{}",
    "{ internal = 1 }",
    "{ internal = {} }",
    "{ internal = { api = 1 } }",
  };
  neap_Options o = neap_OPTIONS;
  neap_Api other;
  lua_State *L = luaL_newstate();
  size_t i;
  CHECK(neap_find(L) == NULL && lua_gettop(L) == 0);
  CHECK(neap_open(L, NULL) == NULL);
  CHECK(strstr(lua_tostring(L, -1), "needs Lua's library 'package'") != NULL);
  lua_settop(L, 0);
  luaL_openlibs(L);
  CHECK(neap_find(L) == NULL && lua_gettop(L) == 0);
  for (i = 0; i < sizeof loaded / sizeof loaded[0]; i++) {
    lua_pushfstring(L, "package.loaded['neap.core'] = %s", loaded[i]);
    CHECK(luaL_dostring(L, lua_tostring(L, -1)) == LUA_OK);
    lua_settop(L, 0);
    CHECK(neap_find(L) == NULL && lua_gettop(L) == 0);
  }
  memset(&other, 0, sizeof other);
  for (i = 0; i < 2; i++) { /* of another version, or too old */
    other.version = i == 0 ? NEAP_API + 1 : NEAP_API;
    lua_pushlightuserdata(L, &other);
    lua_setglobal(L, "other");
    CHECK(luaL_dostring(L, "package.loaded['neap.core'] = "
                           "{ internal = { api = other } }") == LUA_OK);
    CHECK(neap_find(L) == NULL && lua_gettop(L) == 0);
  }
  CHECK(luaL_dostring(L, "package.loaded['neap.core'] = nil") == LUA_OK);
  o.clock = "sundial";
  CHECK(neap_open(L, &o) == NULL);
  CHECK(strstr(lua_tostring(L, -1), "sundial") != NULL);
  lua_settop(L, 0);
  o.clock = "virtual";
  CHECK(neap_open(L, &o) != NULL && neap_find(L) != NULL);
  CHECK(lua_gettop(L) == 0);
  lua_close(L);
}


/* with the real clock clean-up has the seconds that it is given */
static void test_close_in_time (void) {
  World w;
  neap_Options o = neap_OPTIONS;
  Outcome out = { 0 };
  open_world(&w, &o);
  spawn(&w,
        "local neap = require 'neap'\n"
        "local _ <close> = setmetatable({}, { __close = function ()\n"
        "  neap.shield(neap.sleep, 1e-3)\n"
        "  cleaned = 1\n"
        "end })\n"
        "neap.sleep(1e3)",
        done, &out);
  lua_settop(w.L, 0);
  CHECK(w.neap->step(w.L, -1) > 0); /* as 0 */
  w.neap->advance(w.L, 1e3, 1e3);   /* this clock goes by itself */
  CHECK(w.neap->step(w.L, 0) > 0 && out.calls == 0);
  CHECK(w.neap->close(w.L, 60) == 0);
  CHECK(out.status == NEAP_CANCELLED && global(&w, "cleaned") == 1);
  close_world(&w);
  memset(&out, 0, sizeof out);
  open_world(&w, &o);
  spawn(&w, "require 'neap'.shield(require 'neap'.sleep, 1e3)", done, &out);
  lua_settop(w.L, 0);
  while (w.neap->step(w.L, 0) == 0) continue;
  CHECK(w.neap->close(w.L, 1e-3) == 1);
  CHECK(out.status == NEAP_CANCELLED);
  close_world(&w);
}


/* ---------------------------------------------------------------------- */


static void on_readable_timeout (struct ev_loop *loop, ev_timer *t, int e) {
  (void)t, (void)e;
  ev_break(loop, EVBREAK_ALL);
}


/* in each way to wait that libev recommends: EVBACKEND_SELECT and so on */
static void test_host_loop (unsigned backend) {
  World w;
  neap_Options o = neap_OPTIONS;
  Outcome out = { 0 };
  struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV | backend);
  ev_timer guard;
  int fd[2], rounds = 0;
  if (loop == NULL) return; /* the system does not have it */
  CHECK(pipe(fd) == 0);
  o.ev_loop = loop;
  open_world(&w, &o);
  luaL_loadstring(w.L, "require 'neap'.readable(...) return 'readable'");
  lua_pushinteger(w.L, fd[0]);
  CHECK(w.neap->spawn(w.L, 1, done, &out) == NEAP_OK);
  lua_settop(w.L, 0);
  CHECK(w.neap->step(w.L, 0) == HUGE_VAL);
  CHECK(w.neap->step(w.L, 0) == HUGE_VAL);
  CHECK(write(fd[1], "x", 1) == 1);
  ev_timer_init(&guard, on_readable_timeout, 10., 0.);
  ev_timer_start(loop, &guard);
  while (out.calls == 0 && rounds++ < 100) {
    ev_run(loop, EVRUN_ONCE);
    w.neap->step(w.L, 0);
  }
  CHECK(out.status == NEAP_OK && strcmp(out.text, "readable") == 0);
  o.ev_loop = NULL;
  CHECK(w.neap->configure(w.L, &o) == NEAP_ERROR); /* too late */
  lua_settop(w.L, 0);
  close_world(&w);
  ev_timer_stop(loop, &guard);
  ev_run(loop, EVRUN_NOWAIT); /* nothing of ours is in it */
  ev_loop_destroy(loop);
  close(fd[0]);
  close(fd[1]);
}


static int close_fd (lua_State *L) {
  close((int)luaL_checkinteger(L, 1));
  return 0;
}


/* with poll, libev would abort for each of them */
static void test_closed_in_poll (void) {
  static const char program[] =
      "local neap, close, first, last = require 'neap', ...\n"
      "neap.run(function ()\n"
      "  local waiting = {}\n"
      "  for fd = first, last do\n"
      "    waiting[fd] = neap.async(neap.readable, fd)\n"
      "  end\n"
      "  neap.sleep(0.001)\n"
      "  for fd = first, last do close(fd) end\n"
      "  for fd = first, last do\n"
      "    local ok, err = waiting[fd]:pawait()\n"
      "    assert(not ok and err.name == 'ClosedError', err)\n"
      "  end\n"
      "end)";
  enum { FIRST = 100, LAST = 119 };
  World w;
  neap_Options o = neap_OPTIONS;
  struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_POLL);
  int fd[2], i;
  if (loop == NULL) return; /* the system does not have it */
  CHECK(pipe(fd) == 0);
  for (i = FIRST; i <= LAST; i++) CHECK(dup2(fd[0], i) == i);
  o.ev_loop = loop;
  open_world(&w, &o);
  luaL_loadstring(w.L, program);
  lua_pushcfunction(w.L, close_fd);
  lua_pushinteger(w.L, FIRST);
  lua_pushinteger(w.L, LAST);
  CHECK(lua_pcall(w.L, 3, 0, 0) == LUA_OK);
  lua_settop(w.L, 0);
  close_world(&w);
  ev_loop_destroy(loop);
  close(fd[0]);
  close(fd[1]);
}


/* ---------------------------------------------------------------------- */
/* threads */

enum { THREADS = 4, POSTS = 25000 };

typedef struct Sender {
  const neap_Api *neap;
  neap_Poster *poster;
  int number;
  int sent;       /* accepted posts */
  int last;       /* the last one that arrived */
  int disordered; /* posts that arrived out of order */
  int arrived;
} Sender;

typedef struct Letter {
  Sender *from;
  int number;
} Letter;

static void arrive (lua_State *L, void *ud) {
  Letter *x = (Letter *)ud;
  if (L != NULL) {
    if (x->number != x->from->last + 1) x->from->disordered++;
    x->from->last = x->number;
    x->from->arrived++;
  }
  free(x);
}

static void *send_all (void *ud) {
  Sender *s = (Sender *)ud;
  int i;
  for (i = 1; i <= POSTS; i++) {
    Letter *x = (Letter *)malloc(sizeof(Letter));
    x->from = s;
    x->number = i;
    s->sent += s->neap->post(s->poster, arrive, x);
  }
  s->neap->release(s->poster);
  return NULL;
}


static void settle_future (lua_State *L, void *ud) {
  const neap_Api *neap = neap_find(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, ud);
  lua_pushliteral(L, "from a thread");
  neap->resolve(L, -2, 1);
}

typedef struct Helper {
  const neap_Api *neap;
  neap_Poster *poster;
} Helper;

static void *help (void *ud) {
  Helper *h = (Helper *)ud;
  usleep(20000);
  h->neap->post(h->poster, settle_future, h);
  h->neap->release(h->poster);
  return NULL;
}


static void test_threads (void) {
  World w;
  Sender sender[THREADS];
  pthread_t thread[THREADS];
  Helper helper;
  int i;
  open_world(&w, NULL);
  for (i = 0; i < THREADS; i++) {
    memset(&sender[i], 0, sizeof sender[i]);
    sender[i].neap = w.neap;
    sender[i].poster = w.neap->poster(w.L);
    CHECK(sender[i].poster != NULL);
    pthread_create(&thread[i], NULL, send_all, &sender[i]);
  }
  while (sender[0].arrived + sender[1].arrived + sender[2].arrived +
             sender[3].arrived <
         THREADS * POSTS)
    w.neap->step(w.L, 0);
  for (i = 0; i < THREADS; i++) {
    pthread_join(thread[i], NULL);
    CHECK(sender[i].sent == POSTS && sender[i].arrived == POSTS);
    CHECK(sender[i].disordered == 0);
  }

  /* 'run' waits for what a thread has yet to post, without spinning */
  helper.neap = w.neap;
  helper.poster = w.neap->poster(w.L);
  w.neap->future(w.L);
  lua_pushvalue(w.L, -1);
  lua_rawsetp(w.L, LUA_REGISTRYINDEX, &helper);
  lua_setglobal(w.L, "future");
  pthread_create(&thread[0], NULL, help, &helper);
  run(&w, "local neap = require 'neap'\n"
          "neap.clock 'real'\n"
          "local x = neap.run(function () return future:await() end)\n"
          "assert(x == 'from a thread')");
  pthread_join(thread[0], NULL);

  /* nobody can post any more: then waiting is a deadlock again */
  run(&w, "local neap = require 'neap'\n"
          "local ok, err = pcall(neap.run, function ()\n"
          "  neap.future():await()\n"
          "end)\n"
          "assert(not ok and err.name == 'DeadlockError')");

  /* what comes too late is told of */
  helper.poster = w.neap->poster(w.L);
  {
    Letter *x = (Letter *)malloc(sizeof(Letter));
    Letter *y = (Letter *)malloc(sizeof(Letter));
    const neap_Api *neap = w.neap;
    CHECK(neap->post(helper.poster, arrive, x) == 1); /* freed by 'arrive' */
    close_world(&w);
    CHECK(neap->post(helper.poster, arrive, y) == 0);
    free(y);
    neap->release(helper.poster);
  }
}


/* ---------------------------------------------------------------------- */


static int on_panic (lua_State *L) {
  void *ud;
  lua_getallocf(L, &ud);
  ((World *)ud)->panics++;
  fprintf(stderr, "panic\n");
  exit(3);
  return 0;
}


static void test_no_memory (void) {
  unsigned seed;
  for (seed = 1; seed <= 100; seed++) {
    World w;
    Outcome out = { 0 };
    neap_Options o = manual();
    Job job;
    int i;
    open_world(&w, &o);
    lua_atpanic(w.L, on_panic);
    CHECK(luaL_dostring(w.L,
                        "local neap = require 'neap'\n"
                        "function work (n)\n"
                        "  local results = neap.pool({ 1, 2, 3, 4 }, 2,\n"
                        "    function (x) neap.sleep(x) return { x } end)\n"
                        "  return #results\n"
                        "end") == LUA_OK);
    memset(&job, 0, sizeof job);
    job.how = "later";
    w.seed = seed;
    w.fail = 10;
    for (i = 0; i < 20; i++) {
      neap_Ticket before = job.ticket;
      lua_settop(w.L, 0);
      if (lua_getglobal(w.L, "work") == LUA_TFUNCTION &&
          w.neap->spawn(w.L, 0, i % 2 ? done : NULL, &out) == NEAP_OK &&
          i % 5 == 0) {
        lua_pushnil(w.L);
        CHECK(w.neap->cancel(w.L, -2) == NEAP_OK);
      }
      lua_pushcfunction(w.L, wait_for_job);
      lua_pushlightuserdata(w.L, &job);
      if (w.neap->spawn(w.L, 1, NULL, NULL) == NEAP_OK) {
        w.neap->step(w.L, 0);
        if (job.ticket != before) {
          lua_pushinteger(w.L, 1);
          w.neap->resume(w.L, job.ticket, 1);
        }
      }
      w.neap->advance(w.L, 0.7, 0.7);
      w.neap->step(w.L, 0.001);
    }
    w.fail = 0;
    lua_settop(w.L, 0);
    CHECK(w.neap->close(w.L, 1) >= 0);
    memset(&out, 0, sizeof out); /* the state goes on as if nothing had been */
    lua_getglobal(w.L, "work");
    CHECK(w.neap->spawn(w.L, 0, done, &out) == NEAP_OK);
    lua_settop(w.L, 0);
    for (i = 0; i < 100 && out.calls == 0; i++) {
      w.neap->advance(w.L, 1, 1);
      w.neap->step(w.L, 1);
    }
    CHECK(out.status == NEAP_OK && strcmp(out.text, "4") == 0);
    close_world(&w);
  }
}


int main (void) {
  unsigned backend;
  test_time();
  test_two_times();
  test_outcomes();
  test_errors();
  test_step_inside();
  test_futures();
  test_suspend();
  test_limits();
  test_budget();
  test_close();
  test_close_in_time();
  test_not_opened();
  for (backend = 1; backend <= EVBACKEND_MASK / 2; backend *= 2)
    if (backend & ev_recommended_backends()) test_host_loop(backend);
  test_closed_in_poll();
  test_threads();
  test_no_memory();
  if (failures > 0) fprintf(stderr, "%d checks failed\n", failures);
  return failures > 0;
}
