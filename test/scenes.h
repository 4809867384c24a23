/*
** scenes.h - what nomem.c and nosys.c share: scenes in Lua that are played
** again and again while something fails, and looked at afterwards.
**
** A script, the stage, is called first and returns a list, into which other
** scripts, called with that, put their scenes. Each scene is a process of its
** own, so that a crash or a hang names what was failing.
*/

#ifndef neap_test_scenes_h
#define neap_test_scenes_h

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "neap.h"
#include "scope.h"

/* a script, compiled: it is loaded thousands of times */
typedef struct Code {
  char *bytes;
  size_t size;
} Code;

typedef struct Play {
  const Code *stage, *scenes;
  const luaL_Reg *host; /* what Lua finds in the table 'host' */
  int scene;            /* its place in the list */
  char name[32];
  char what[96]; /* what fails now */
  long count;    /* how much was made to fail */
} Play;

/* may anything fail just now? */
static atomic_int armed;

/* play it until all has failed; -1: something was wrong */
typedef int (*PlayAll)(Play *p);


static int complain (const Play *p, const char *message) {
  printf("FAILED  %s, %s: %s\n", p->name, p->what, message);
  fflush(stdout);
  return -1;
}


/* ---------------------------------------------------------------------- */
/* functions of the table 'host' that both have: what they do never fails */

#define PAUSED(statement) \
  { \
    int armed_ = armed; \
    armed = 0; \
    statement; \
    armed = armed_; \
  }


static int set_flags (int fd) {
  return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
         fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}


/* pair() -> integer, integer: two descriptors, connected */
static int l_pair (lua_State *L) {
  int fd[2], ok;
  PAUSED(ok = pipe(fd) == 0 && set_flags(fd[0]) && set_flags(fd[1]));
  if (!ok) return luaL_error(L, "no pipe");
  lua_pushinteger(L, fd[0]);
  lua_pushinteger(L, fd[1]);
  return 2;
}


/* put(fd): write one byte */
static int l_put (lua_State *L) {
  ssize_t n;
  PAUSED(n = write((int)luaL_checkinteger(L, 1), "x", 1));
  lua_pushboolean(L, n == 1);
  return 1;
}


/* close(fd) */
static int l_close (lua_State *L) {
  PAUSED(close((int)luaL_checkinteger(L, 1)));
  return 0;
}


/* has_children() -> boolean: dead or alive */
static int l_has_children (lua_State *L) {
  int none;
  PAUSED(none = waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
  lua_pushboolean(L, !none);
  return 1;
}


static void posted (lua_State *L, void *ud) {
  (void)ud;
  if (L == NULL) return;
  lua_getglobal(L, "posted");
  lua_call(L, 0, 0);
}


/* post(): calls the global function 'posted' in the next step; what may fail
   does */
static int l_post (lua_State *L) {
  const neap_Api *neap = neap_find(L);
  neap_Poster *poster = neap->poster(L);
  if (poster == NULL) return lua_error(L);
  neap->post(poster, posted, NULL);
  neap->release(poster);
  return 0;
}


/* interrupt(): what Ctrl-C does */
static int l_interrupt (lua_State *L) {
  (void)L;
  raise(SIGINT);
  return 0;
}


/* hear(): USR1 comes */
static int l_hear (lua_State *L) {
  (void)L;
  raise(SIGUSR1);
  return 0;
}


/* ---------------------------------------------------------------------- */
/* what must hold when nothing runs */


/* the number of keys of a table that the registry has at 'ref' */
static int keys (lua_State *L, int ref) {
  int n = 0;
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) n++;
  lua_pop(L, 1);
  return n;
}


static uint32_t free_slots (lua_State *L, Sched *S) {
  uint32_t n = 0, slot = S->free_slot;
  lua_rawgeti(L, LUA_REGISTRYINDEX, S->anchors);
  for (; slot != 0 && n <= S->nslots; n++) {
    lua_rawgeti(L, -1, (lua_Integer)slot);
    slot = (uint32_t)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return n;
}


static uint32_t all_scopes (Sched *S) {
  uint32_t n = 3; /* host, roots, background */
  Scope *s;
  for (s = S->free_scopes; s != NULL; s = s->stacked) n++;
  return n;
}


static int is_empty (const Scope *s) {
  return s->children.first == NULL && s->zombies.first == NULL &&
         s->cause == NULL && s->timer == 0;
}


#define VERIFY(c) \
  if (!(c)) return #c

/* NULL, or which invariant of the scheduler is broken */
static const char *verify (lua_State *L, Sched *S) {
  if (S == NULL) return "the core was not opened";
  VERIFY(S->from == NULL && S->current == NULL && S->co == NULL);
  VERIFY(S->now.first == NULL && S->next.first == NULL);
  VERIFY(S->settled.first == NULL && S->frame.first == NULL);
  VERIFY(S->open.first == NULL && S->dropped.first == NULL);
  VERIFY(S->put_off.first == NULL && S->forced == 0);
  VERIFY(S->live == 0);
  VERIFY(S->nwatchers == 0 && keys(L, S->watchers) == 0);
  VERIFY(keys(L, S->tickets) == 0);
  VERIFY(S->external == 0);
  VERIFY(S->heap.n == 0 && S->alarms == 0);
  VERIFY(is_empty(S->host) && is_empty(S->roots) && is_empty(S->background));
  VERIFY(S->heap.reserved == S->nspares + all_scopes(S));
  VERIFY(S->heap.reserved <= S->heap.size);
  VERIFY(S->ncos == S->nidle && S->ncos <= S->idle_size);
  VERIFY(S->nslots == S->nspares + free_slots(L, S));
  return NULL;
}


/* ---------------------------------------------------------------------- */
/* playing one scene once */


/* push the script as a function */
static void load (lua_State *L, const Code *c) {
  if (luaL_loadbufferx(L, c->bytes, c->size, "", "b") != LUA_OK) lua_error(L);
}


/* push the stage, with the scenes in it */
static void load_scenes (lua_State *L, const Play *p) {
  luaL_openlibs(L);
  lua_newtable(L);
  luaL_setfuncs(L, p->host, 0);
  lua_setglobal(L, "host");
  load(L, p->stage);
  lua_call(L, 0, 1);
  load(L, p->scenes);
  lua_pushvalue(L, -2);
  lua_call(L, 1, 0);
}


/* protected: play -> stage, run, check */
static int make_scene (lua_State *L) {
  const Play *p = (const Play *)lua_touserdata(L, 1);
  load_scenes(L, p);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_neap_core);
  lua_setfield(L, -2, "neap.core");
  lua_pop(L, 1);
  lua_rawgeti(L, -1, p->scene);
  lua_getfield(L, -1, "make");
  lua_remove(L, -2);
  lua_call(L, 0, 2);
  return 3;
}


/* stage, run and check are on the stack then; -1: failed */
static int prepare (lua_State *L, const Play *p) {
  lua_pushcfunction(L, make_scene);
  lua_pushlightuserdata(L, (void *)(size_t)p);
  if (lua_pcall(L, 1, 3, 0) == LUA_OK) return 0;
  return complain(p, lua_tostring(L, -1));
}


static int with_traceback (lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}


/* after 'run', which has ended well ('ok'), or with the error on top; -1: what
   is left is not as it should be */
static int finish (lua_State *L, const Play *p, int ok, int failed) {
  const char *broken;
  lua_pushcfunction(L, with_traceback);
  lua_getfield(L, 1, "finish");
  lua_pushvalue(L, 3);
  lua_pushboolean(L, ok);
  lua_pushvalue(L, 4);
  lua_pushboolean(L, failed);
  if (lua_pcall(L, 4, 0, 5) != LUA_OK) return complain(p, lua_tostring(L, -1));
  broken = verify(L, sched_find(L));
  return broken != NULL ? complain(p, broken) : 0;
}


/* ---------------------------------------------------------------------- */
/* several scenes at a time, each in a process of its own */

#define MAX_JOBS 4

typedef struct SceneJob {
  pid_t pid; /* 0: none */
  Play play;
} SceneJob;

typedef struct Jobs {
  SceneJob job[MAX_JOBS]; /* the processes see it, too */
  int n;                  /* how many at a time */
  int passed, failed;
} Jobs;


static void report (Jobs *jobs, SceneJob *job, int status) {
  if (WIFSIGNALED(status)) {
    int hangs = WTERMSIG(status) == SIGALRM;
    complain(&job->play, hangs ? "it hangs" : "it crashed");
  }
  job->pid = 0;
  if (status != 0)
    jobs->failed++;
  else {
    printf("ok      %s: %ld\n", job->play.name, job->play.count);
    fflush(stdout);
    jobs->passed++;
  }
}


/* wait for one to end; 0 if there is none */
static int wait_for_one (Jobs *jobs) {
  int i, status = 0;
  pid_t pid = wait(&status);
  for (i = 0; i < jobs->n && pid > 0; i++)
    if (jobs->job[i].pid == pid) report(jobs, &jobs->job[i], status);
  return pid > 0;
}


static void begin (Jobs *jobs, const Play *p, PlayAll all) {
  int i = 0;
  pid_t pid;
  while (jobs->job[i].pid != 0)
    if (++i == jobs->n && wait_for_one(jobs)) i = 0;
  jobs->job[i].play = *p;
  pid = fork();
  if (pid == 0) exit(all(&jobs->job[i].play) < 0);
  if (pid > 0)
    jobs->job[i].pid = pid;
  else
    jobs->failed++;
}


/* memory that forked processes share */
static void *shared (size_t size) {
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
  if (p == MAP_FAILED) exit(EXIT_FAILURE);
  memset(p, 0, size);
  return p;
}


/* ---------------------------------------------------------------------- */
/* all of them */


static void give_up (lua_State *L, const char *what) {
  fprintf(stderr, "%s: %s\n", what, lua_tostring(L, -1));
  exit(EXIT_FAILURE);
}


static int append (lua_State *L, const void *p, size_t size, void *ud) {
  Code *c = (Code *)ud;
  (void)L;
  c->bytes = (char *)realloc(c->bytes, c->size + size);
  if (c->bytes == NULL) return 1;
  memcpy(c->bytes + c->size, p, size);
  c->size += size;
  return 0;
}


static void compile (Code *c, const char *path) {
  lua_State *L = luaL_newstate();
  c->bytes = NULL;
  c->size = 0;
  if (luaL_loadfile(L, path) != LUA_OK) give_up(L, path);
  if (lua_dump(L, append, c, 0) != 0) exit(EXIT_FAILURE);
  lua_close(L);
}


/* protected: play -> name of the scene, or nil if there are no more */
static int push_name (lua_State *L) {
  const Play *p = (const Play *)lua_touserdata(L, 1);
  load_scenes(L, p);
  lua_rawgeti(L, -1, p->scene);
  if (!lua_isnil(L, -1)) lua_getfield(L, -1, "name");
  return 1;
}


/* 0 if there is no such scene */
static int get_name (Play *p) {
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, push_name);
  lua_pushlightuserdata(L, p);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) give_up(L, "a scene");
  p->name[0] = '\0';
  if (lua_isstring(L, -1))
    snprintf(p->name, sizeof p->name, "%s", lua_tostring(L, -1));
  lua_close(L);
  return p->name[0] != '\0';
}


/* play what the scripts have: the first one is the stage, NULL is behind the
   last one; or only the scene of that name; 'n' at a time. Returns the status
   to exit with. */
static int play_scripts (char **paths, const char *only, const luaL_Reg *host,
                         PlayAll all, int n) {
  Jobs *jobs = (Jobs *)shared(sizeof(Jobs));
  Code stage;
  Play p;
  if (*paths == NULL) return EXIT_FAILURE;
  jobs->n = n;
  compile(&stage, *paths);
  memset(&p, 0, sizeof p);
  p.stage = &stage;
  p.host = host;
  for (paths++; *paths != NULL; paths++) {
    Code scenes;
    compile(&scenes, *paths);
    p.scenes = &scenes;
    for (p.scene = 1; get_name(&p); p.scene++)
      if (only == NULL || strcmp(only, p.name) == 0) begin(jobs, &p, all);
    free(scenes.bytes);
  }
  while (wait_for_one(jobs)) continue;
  free(stage.bytes);
  printf("%d scenes passed, %d failed\n", jobs->passed, jobs->failed);
  return jobs->passed > 0 && jobs->failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
