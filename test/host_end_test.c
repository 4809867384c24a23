/*
** host_end_test.c - a host that limits what its scripts do, and ends it.
*/

#include <math.h>

#include "world.h"


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

  o.watchdog = 0.02; /* it goes with its task: the next one is guarded */
  CHECK(w.neap->configure(w.L, &o) == NEAP_OK);
  play(&w, "debug.sethook(function () end, 'r')", &out);
  CHECK(out.status == NEAP_OK);
  play(&w, "for i = 1, 1e9 do end", &out);
  CHECK(out.status == NEAP_ERROR);

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
  execute(&w, "local neap = require 'neap'\n"
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
  execute(&w, "assert(table.concat(order) == '12', table.concat(order))");
  while (w.neap->step(w.L, 0) == 0) continue;
  execute(&w,
          "assert(table.concat(order) == '1234512345', table.concat(order))");
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


/* a script that its host begins again whenever it ends */
typedef struct Again {
  const neap_Api *neap;
  int begun, refused;
} Again;

static void begin (lua_State *L, Again *x);

static void begin_again (lua_State *L, int status, int n, void *ud) {
  (void)n;
  CHECK(status == NEAP_CANCELLED);
  begin(L, (Again *)ud);
}

static void begin (lua_State *L, Again *x) {
  luaL_loadstring(L, "require 'neap'.sleep(1)");
  if (x->neap->spawn(L, 0, begin_again, x) == NEAP_OK)
    x->begun++;
  else {
    CHECK(strstr(lua_tostring(L, -1), "all tasks are being ended") != NULL);
    x->refused++;
  }
  lua_pop(L, 1);
}

static int l_begin (lua_State *L) {
  begin(L, (Again *)lua_touserdata(L, lua_upvalueindex(1)));
  return 0;
}


static void test_close_refuses (void) {
  World w;
  neap_Options o = manual();
  Again again = { 0 };
  Outcome out;
  open_world(&w, &o);
  again.neap = w.neap;
  begin(w.L, &again);
  w.neap->step(w.L, 0);
  CHECK(w.neap->close(w.L, 0) == 1);
  CHECK(again.begun == 1 && again.refused == 1);
  play(&w, "return 'lives'", &out);
  CHECK(out.status == NEAP_OK && strcmp(out.text, "lives") == 0);
  lua_pushlightuserdata(w.L, &again);
  lua_pushcclosure(w.L, l_begin, 1);
  lua_setglobal(w.L, "begin");
  execute(&w, "require 'neap'.simulate(1, function () begin() end)");
  CHECK(again.begun == 2 && again.refused == 2);
  play(&w, "return 'lives'", &out);
  CHECK(out.status == NEAP_OK && strcmp(out.text, "lives") == 0);
  close_world(&w);
}


/* a finalizer of the host's that is called when the scheduler has gone */
static int finalize (lua_State *L) {
  const neap_Api *neap = *(const neap_Api **)lua_touserdata(L, 1);
  lua_pushcfunction(L, finalize);
  CHECK(neap->spawn(L, 0, done, NULL) == NEAP_ERROR);
  CHECK(strstr(lua_tostring(L, -1), "is being closed") != NULL);
  neap->cancel_all(L);
  CHECK(neap->close(L, 1) == 0);
  told[0]++;
  return 0;
}


static void test_gone (void) {
  lua_State *L = luaL_newstate();
  const neap_Api **neap =
      (const neap_Api **)lua_newuserdatauv(L, sizeof(neap_Api *), 0);
  luaL_openlibs(L);
  lua_newtable(L);
  lua_pushcfunction(L, finalize);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, 1);
  *neap = neap_open(L, NULL);
  told[0] = 0;
  lua_close(L);
  CHECK(told[0] == 1);
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


/* with the others it has them for what the world brings */
static void test_close_in_the_world (const char *clock) {
  World w;
  neap_Options o = neap_OPTIONS;
  Outcome out = { 0 };
  int fd[2], is_virtual = strcmp(clock, "virtual") == 0;
  o.clock = clock;
  open_world(&w, &o);
  spawn(&w,
        "local neap = require 'neap'\n"
        "local _ <close> = setmetatable({}, { __close = function ()\n"
        "  neap.shield(neap.file.read, 'LICENSE')\n"
        "  cleaned = 1\n"
        "end })\n"
        "neap.event():wait()",
        done, &out);
  lua_settop(w.L, 0);
  while (w.neap->step(w.L, 0) == 0) continue;
  CHECK(w.neap->close(w.L, 60) == 0);
  CHECK(out.status == NEAP_CANCELLED && global(&w, "cleaned") == 1);

  /* game time goes only on the virtual clock */
  play(&w, "require 'neap'.shield(require 'neap'.sleep, 1)", &out);
  CHECK(w.neap->close(w.L, 60) == !is_virtual && out.calls == 1);

  CHECK(pipe(fd) == 0);
  luaL_loadstring(w.L, "require 'neap'.shield(require 'neap'.readable, ...)");
  lua_pushinteger(w.L, fd[0]);
  CHECK(w.neap->spawn(w.L, 1, done, &out) == NEAP_OK);
  lua_settop(w.L, 0);
  CHECK(w.neap->step(w.L, 0) == HUGE_VAL); /* does not wait for it */
  CHECK(w.neap->close(w.L, 1e-3) == 1 && out.calls == 2);
  close_world(&w);
  close(fd[0]);
  close(fd[1]);
}


int main (void) {
  test_limits();
  test_budget();
  test_close();
  test_close_refuses();
  test_gone();
  test_close_in_time();
  test_close_in_the_world("manual");
  test_close_in_the_world("virtual");
  test_not_opened();
  return RESULT;
}
