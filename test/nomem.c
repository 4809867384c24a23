/*
** nomem.c - fails every allocation in turn, and looks at what is left.
**
**   nomem [-s scene] [-m mode] [-n allocation] stage.lua scenes.lua ...
**
** Each scene is played again and again, every time in a new Lua state: with
** the first allocation that it makes failing, with the second, and so on until
** it is played to its end untouched. To fail one allocation only tests the emergency collection, after
** which Lua tries again; so it is also done with two in a row, after which
** there is memory again, and with all from there on to the scene's end. At last
** it is played once with enough memory, but with finalizers that run in the
** middle of every function that allocates, and call everything themselves.
**
** Whatever happened, after it: the scene's own invariants and those of the
** scheduler hold, the same state runs another program, and closing it gives
** back every byte. Blocks always move when they grow or shrink, and what is
** freed or fresh is filled with rubbish.
**
** Each scene is a process of its own, so that a crash or a hang names the
** allocation that led to it.
*/

#include <errno.h>
#include <signal.h>
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

/* no scene takes that long; a lost wake-up does */
#define SECONDS 120

/* more than any scene allocates: it does not end by itself */
#define TOO_MANY 100000

/* plays with finalizers, which begin with another one each time */
#define STORMS 10


/* ---------------------------------------------------------------------- */
/* memory */

typedef struct Memory {
  size_t bytes;   /* in use */
  long requests;  /* to get more, ever */
  int armed;      /* may fail */
  long seen;      /* requests while armed */
  long from, to;  /* ... of which these fail */
  long failed;    /* how many did */
  int mismatched; /* a block was given back with a wrong size */
} Memory;

/* before each block; as large as the strictest alignment */
typedef union Header {
  size_t size;
  long double align;
} Header;


static void *allocate (void *ud, void *p, size_t osize, size_t nsize) {
  Memory *m = (Memory *)ud;
  Header *old = p == NULL ? NULL : (Header *)p - 1, *block = NULL;
  if (old == NULL)
    osize = 0;
  else if (old->size != osize)
    m->mismatched = 1;
  if (nsize > osize) {
    m->requests++;
    if (m->armed && ++m->seen >= m->from && m->seen <= m->to) {
      m->failed++;
      return NULL;
    }
  }
  if (nsize > 0) {
    block = (Header *)malloc(sizeof(Header) + nsize);
    if (block == NULL) exit(EXIT_FAILURE);
    block->size = nsize;
    memset(block + 1, 0xa5, nsize);
    if (old != NULL) memcpy(block + 1, p, osize < nsize ? osize : nsize);
  }
  if (old != NULL) {
    memset(p, 0x5a, osize);
    free(old);
  }
  m->bytes += nsize - osize;
  return block == NULL ? NULL : block + 1;
}


/* requests() -> integer: how often memory was asked for */
static int l_requests (lua_State *L) {
  void *ud;
  lua_getallocf(L, &ud);
  lua_pushinteger(L, ((Memory *)ud)->requests);
  return 1;
}


/* pair() -> integer, integer: two descriptors, connected */
static int l_pair (lua_State *L) {
  int fd[2];
  if (pipe(fd) != 0) return luaL_error(L, "no pipe");
  lua_pushinteger(L, fd[0]);
  lua_pushinteger(L, fd[1]);
  return 2;
}


/* put(fd): write one byte */
static int l_put (lua_State *L) {
  ssize_t n = write((int)luaL_checkinteger(L, 1), "x", 1);
  lua_pushboolean(L, n == 1);
  return 1;
}


/* close(fd) */
static int l_close (lua_State *L) {
  close((int)luaL_checkinteger(L, 1));
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


/* has_children() -> boolean: dead or alive */
static int l_has_children (lua_State *L) {
  int none = waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
  lua_pushboolean(L, !none);
  return 1;
}


/* ---------------------------------------------------------------------- */
/* a host that uses neap.h */


/* the status that a function of neap.h returned: raise the error on top, or
   return whether somebody was there */
static int outcome (lua_State *L, int status) {
  if (status == NEAP_ERROR) return lua_error(L);
  lua_pushboolean(L, status == NEAP_OK);
  return 1;
}


/* call the function at index 1 with the ticket */
static void start (lua_State *L, neap_Ticket ticket, void *ud) {
  (void)ud;
  lua_pushvalue(L, 1);
  lua_pushinteger(L, (lua_Integer)ticket);
  lua_call(L, 1, 0);
}


/* suspend(fn) -> ...: calls fn(ticket), waits for it to be resumed */
static int l_suspend (lua_State *L) {
  return neap_find(L)->suspend(L, start, NULL, NULL);
}


/* resume(ticket, ...) -> boolean: did somebody wait? */
static int l_resume (lua_State *L) {
  int n = lua_gettop(L) - 1;
  return outcome(L, neap_find(L)->resume(L, luaL_checkinteger(L, 1), n));
}


/* fail(ticket, err) -> boolean */
static int l_fail (lua_State *L) {
  return outcome(L, neap_find(L)->fail(L, luaL_checkinteger(L, 1)));
}


/* tasks that were spawned with 'done', and have not told of their end */
static int undone;

static void done (lua_State *L, int status, int n, void *ud) {
  (void)L, (void)status, (void)n, (void)ud;
  undone--;
}


/* spawn(fn) -> task */
static int l_spawn (lua_State *L) {
  if (neap_find(L)->spawn(L, 0, done, NULL) != NEAP_OK) return lua_error(L);
  undone++;
  return 1;
}


/* undone() -> integer */
static int l_undone (lua_State *L) {
  lua_pushinteger(L, undone);
  return 1;
}


/* call the global function 'posted' */
static void posted (lua_State *L, void *ud) {
  (void)ud;
  if (L == NULL) return;
  lua_getglobal(L, "posted");
  lua_call(L, 0, 0);
}


/* post(): calls 'posted' in the next step */
static int l_post (lua_State *L) {
  const neap_Api *neap = neap_find(L);
  neap_Poster *poster = neap->poster(L);
  if (poster == NULL) return lua_error(L);
  neap->post(poster, posted, NULL);
  neap->release(poster);
  return 0;
}


static const luaL_Reg host[] = {
  { "has_children", l_has_children },
  { "hear", l_hear },
  { "close", l_close },
  { "fail", l_fail },
  { "interrupt", l_interrupt },
  { "pair", l_pair },
  { "post", l_post },
  { "put", l_put },
  { "requests", l_requests },
  { "resume", l_resume },
  { "spawn", l_spawn },
  { "suspend", l_suspend },
  { "undone", l_undone },
  { NULL, NULL },
};


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

/* a script, compiled: it is loaded thousands of times */
typedef struct Code {
  char *bytes;
  size_t size;
} Code;

typedef struct Play {
  const Code *stage, *scenes;
  int scene; /* its place in the list */
  char name[32];
  int mode;
  long n;           /* the allocation that fails */
  long allocations; /* how many there are */
} Play;

enum { ONCE, TWICE, FOR_EVER, FINALIZERS, MODES };

static const char *const modes[] = { "failing once", "failing twice",
                                     "failing for ever", "with finalizers" };


/* push the script as a function */
static void load (lua_State *L, const Code *c) {
  if (luaL_loadbufferx(L, c->bytes, c->size, "", "b") != LUA_OK) lua_error(L);
}


/* push the stage, with the scenes in it */
static void load_scenes (lua_State *L, const Play *p) {
  luaL_openlibs(L);
  luaL_newlib(L, host);
  lua_setglobal(L, "host");
  load(L, p->stage);
  lua_call(L, 0, 1);
  load(L, p->scenes);
  lua_pushvalue(L, -2);
  lua_call(L, 1, 0);
}


/* protected: play -> stage, run, check */
static int prepare (lua_State *L) {
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


static int with_traceback (lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}


static int complain (const Play *p, const char *what) {
  printf("FAILED  %s, %s, from allocation %ld on: %s\n", p->name,
         modes[p->mode], p->n, what);
  fflush(stdout);
  return -1;
}


/* begin or (0) end the storm of finalizers */
static void storm (lua_State *L, long first) {
  lua_getfield(L, 1, "storm");
  if (first > 0)
    lua_pushinteger(L, first);
  else
    lua_pushnil(L);
  lua_call(L, 1, 0);
}


/* the state after 'prepare'; -1: failed */
static int act (lua_State *L, const Play *p, Memory *m) {
  const char *broken;
  Sched *S;
  int ok;
  lua_checkstack(L, 10);
  if (p->mode == FINALIZERS) storm(L, p->n);
  lua_pushvalue(L, 2);
  m->armed = p->mode != FINALIZERS;
  ok = lua_pcall(L, 0, 1, 0) == LUA_OK;
  m->armed = 0;
  if (p->mode == FINALIZERS) storm(L, 0);
  lua_pushcfunction(L, with_traceback);
  lua_getfield(L, 1, "finish");
  lua_pushvalue(L, 3);
  lua_pushboolean(L, ok);
  lua_pushvalue(L, 4);
  lua_pushboolean(L, m->failed > 0);
  if (lua_pcall(L, 4, 0, 5) != LUA_OK) return complain(p, lua_tostring(L, -1));
  S = sched_find(L);
  broken = S == NULL ? "the core was not opened" : verify(L, S);
  if (broken != NULL) return complain(p, broken);
  return 0;
}


/* 0: played, and to be played again, 1: untouched, -1: failed */
static int play (const Play *p) {
  Memory m;
  lua_State *L;
  int result = 0;
  memset(&m, 0, sizeof m);
  m.from = p->n;
  m.to = p->mode == ONCE ? p->n : p->mode == TWICE ? p->n + 1 : TOO_MANY * 2;
  L = lua_newstate(allocate, &m);
  if (L == NULL) exit(EXIT_FAILURE);
  lua_pushcfunction(L, prepare);
  lua_pushlightuserdata(L, (void *)(size_t)p);
  if (lua_pcall(L, 1, 3, 0) != LUA_OK)
    result = complain(p, lua_tostring(L, -1));
  else
    result = act(L, p, &m);
  lua_close(L);
  if (result == 0 && m.bytes != 0) result = complain(p, "memory is left");
  if (result == 0 && m.mismatched)
    result = complain(p, "wrong size of a block");
  if (p->mode == FINALIZERS) return result == 0 ? p->n == STORMS : result;
  if (result == 0 && m.failed == 0) result = 1;
  return result;
}


/* ---------------------------------------------------------------------- */
/* playing a scene with every allocation failing */


/* what hooks without memory say is of no interest; the sanitizers do not write
   to this stream */
static void hush (void) {
#if defined(__GLIBC__)
  FILE *f = fopen("/dev/null", "w");
  if (f != NULL) stderr = f;
#endif
}


/* the parent sees how far 'p' is */
static int play_all (Play *p, int only_mode, long only_n) {
  int result = 0;
  if (only_n == 0) hush();
  alarm(SECONDS);
  for (p->mode = 0; p->mode < MODES && result >= 0; p->mode++) {
    if (only_mode >= 0 && p->mode != only_mode) continue;
    result = 0;
    p->n = only_n > 0 ? only_n : 1;
    for (; result == 0; p->n++) {
      result = play(p);
      if (p->mode == FOR_EVER) p->allocations = p->n - 1;
      if (only_n > 0) break;
      if (p->n > TOO_MANY) return complain(p, "the scene does not end");
    }
  }
  return result;
}


/* ---------------------------------------------------------------------- */
/* several scenes at a time, each in a process of its own */

#define MAX_JOBS 4

typedef struct Job {
  pid_t pid; /* 0: none */
  Play play;
} Job;

typedef struct Jobs {
  Job job[MAX_JOBS]; /* the processes see it, too */
  int n;             /* how many at a time */
  int passed, failed;
} Jobs;


static void report (Jobs *jobs, Job *job, int status) {
  if (WIFSIGNALED(status)) {
    int hangs = WTERMSIG(status) == SIGALRM;
    complain(&job->play, hangs ? "it hangs" : "it crashed");
  }
  job->pid = 0;
  if (status != 0)
    jobs->failed++;
  else {
    printf("ok      %s: %ld allocations\n", job->play.name,
           job->play.allocations);
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


static void begin (Jobs *jobs, const Play *p, int only_mode, long only_n) {
  int i = 0;
  pid_t pid;
  while (jobs->job[i].pid != 0)
    if (++i == jobs->n && wait_for_one(jobs)) i = 0;
  jobs->job[i].play = *p;
  pid = fork();
  if (pid == 0) exit(play_all(&jobs->job[i].play, only_mode, only_n) < 0);
  if (pid > 0)
    jobs->job[i].pid = pid;
  else
    jobs->failed++;
}


/* ---------------------------------------------------------------------- */
/* the program */


static void give_up (lua_State *L) {
  fprintf(stderr, "nomem: %s\n", lua_tostring(L, -1));
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
  if (luaL_loadfile(L, path) != LUA_OK) give_up(L);
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
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) give_up(L);
  p->name[0] = '\0';
  if (lua_isstring(L, -1))
    snprintf(p->name, sizeof p->name, "%s", lua_tostring(L, -1));
  lua_close(L);
  return p->name[0] != '\0';
}


static Jobs *new_jobs (void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  Jobs *jobs = (Jobs *)mmap(NULL, sizeof(Jobs), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (jobs == MAP_FAILED) exit(EXIT_FAILURE);
  memset(jobs, 0, sizeof(Jobs));
  jobs->n = n < 1 ? 1 : n > MAX_JOBS ? MAX_JOBS : (int)n;
  return jobs;
}


int main (int argc, char **argv) {
  const char *only = NULL;
  int c, mode = -1;
  long n = 0;
  Code stage = { NULL, 0 };
  Play p;
  Jobs *jobs = new_jobs();
  while ((c = getopt(argc, argv, "s:m:n:")) != -1) {
    if (c == 's') only = optarg;
    if (c == 'm') mode = atoi(optarg);
    if (c == 'n') n = atol(optarg);
  }
  if (optind == argc) return EXIT_FAILURE;
  memset(&p, 0, sizeof p);
  compile(&stage, argv[optind++]);
  p.stage = &stage;
  for (; optind < argc; optind++) {
    Code scenes = { NULL, 0 };
    compile(&scenes, argv[optind]);
    p.scenes = &scenes;
    for (p.scene = 1; get_name(&p); p.scene++)
      if (only == NULL || strcmp(only, p.name) == 0) begin(jobs, &p, mode, n);
    free(scenes.bytes);
  }
  while (wait_for_one(jobs)) continue;
  free(stage.bytes);
  printf("nomem: %d scenes passed, %d failed\n", jobs->passed, jobs->failed);
  return jobs->passed > 0 && jobs->failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
