/*
** host_wait_test.c - a host that waits itself: in a loop of libev's of its own,
** and for threads of its own.
*/

#include <math.h>
#include <pthread.h>

#include <ev.h>

#include "world.h"


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
  execute(&w, "local neap = require 'neap'\n"
              "neap.clock 'real'\n"
              "local x = neap.run(function () return future:await() end)\n"
              "assert(x == 'from a thread')");
  pthread_join(thread[0], NULL);

  /* nobody can post any more: then waiting is a deadlock again */
  execute(&w, "local neap = require 'neap'\n"
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


/* a post of which 'ud' says which one it is: the next that is to come */
static int came;

static void come (lua_State *L, void *ud) {
  came++;
  CHECK((L != NULL) == (came <= 2));
  CHECK(*(int *)ud == came);
}


/* a step for which there is no memory at all */
static void step_without_memory (World *w) {
  int i;
  /* Lua gives back what it has for calls inside one another, half each time */
  for (i = 0; i < 12; i++) lua_gc(w->L, LUA_GCCOLLECT);
  w->fail = 1;
  w->neap->step(w->L, 0);
  w->fail = 0;
  lua_settop(w->L, 0);
}


/* what cannot be called for want of memory is not lost */
static void test_post_without_memory (void) {
  int numbers[] = { 1, 2, 3 }, i;
  World w;
  neap_Poster *poster;
  open_world(&w, NULL);
  poster = w.neap->poster(w.L);
  for (i = 0; i < 2; i++) CHECK(w.neap->post(poster, come, &numbers[i]) == 1);
  step_without_memory(&w);
  CHECK(came == 0);
  w.neap->step(w.L, 0);
  CHECK(came == 2);
  CHECK(w.neap->post(poster, come, &numbers[2]) == 1);
  step_without_memory(&w);
  CHECK(came == 2);
  w.neap->release(poster);
  close_world(&w);
  CHECK(came == 3);
}


int main (void) {
  unsigned backend;
  for (backend = 1; backend <= EVBACKEND_MASK / 2; backend *= 2)
    if (backend & ev_recommended_backends()) test_host_loop(backend);
  test_closed_in_poll();
  test_threads();
  test_post_without_memory();
  return RESULT;
}
