/*
** host_test.c - neap.h, used as a host would: it steps, spawns, settles
** futures and suspends C functions, also without memory.
*/

#include <math.h>

#include "world.h"


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
  execute(&w, "local neap = require 'neap'\n"
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


/* fail a task that nobody awaits; what is written to stderr goes to 'told' */
static void fail_task (World *w) {
  FILE *f = tmpfile();
  int err = dup(2);
  size_t n;
  CHECK(f != NULL && dup2(fileno(f), 2) == 2);
  spawn(w, "error('lost')", NULL, NULL);
  lua_settop(w->L, 0);
  w->neap->step(w->L, HUGE_VAL);
  dup2(err, 2);
  close(err);
  rewind(f);
  n = fread(told, 1, sizeof told - 1, f);
  told[n] = '\0';
  fclose(f);
}


/* what is not chosen any more is the default again */
static void test_configured_again (void) {
  World w;
  neap_Options o = manual(), defaults = neap_OPTIONS;
  o.max_tasks = 1;
  open_world(&w, &o);
  w.neap->advance(w.L, 0.5, 0.5);
  CHECK(w.neap->configure(w.L, &defaults) == NEAP_OK);
  fail_task(&w);
  CHECK(ntold == 0 && strstr(told, "neap: ") != NULL);
  CHECK(strstr(told, "lost") != NULL);
  execute(&w, "local neap = require 'neap'\n"
              "assert(neap.clock() == 'manual' and neap.now() == 0.5)\n"
              "for i = 1, 2 do neap.spawn(print, nil) end\n"
              "neap.hooks { on_unhandled = function () heard = 1 end }");
  w.neap->cancel_all(w.L);
  CHECK(w.neap->configure(w.L, &defaults) == NEAP_OK); /* the scripts' stays */
  fail_task(&w);
  CHECK(told[0] == '\0' && global(&w, "heard") == 1);
  o.on_error = on_error;
  CHECK(w.neap->configure(w.L, &o) == NEAP_OK);
  fail_task(&w);
  CHECK(ntold == 1);
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
  test_time();
  test_two_times();
  test_outcomes();
  test_errors();
  test_configured_again();
  test_step_inside();
  test_futures();
  test_suspend();
  test_no_memory();
  return RESULT;
}
