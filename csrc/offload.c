/*
** offload.c - work that blocks, done by helper threads; see offload.h.
**
** A job has one owner at a time: an object on the waiting task's stack, or,
** when the task has gone away meanwhile, whoever comes last: the queue, the
** thread, or the post by which it comes back. So nothing is freed under
** anybody, and nobody need wait for a thread that is stuck in the system.
**
** The threads are detached and the pool belongs to all who use it, so that
** closing the Lua state waits for none of them either. Since Lua then unloads
** the module, their code is pinned.
*/

#include "offload.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop.h"
#include "rooms.h"

/* helper threads for one Lua state, at most */
#define THREADS 4

/* seconds after which an idle one ends */
#define IDLE 10

typedef struct JobBox {
  Job *job;
} JobBox;

/* behind a mutex, in memory of its own: threads may outlive the state */
struct Offload {
  pthread_mutex_t lock;
  pthread_cond_t more; /* jobs, or none ever again */
  Job *first, **end;
  Job *busy[THREADS]; /* what the threads have taken */
  int queued;
  int threads;
  int idle;
  int owners; /* the state and the threads */
  int closed; /* the state is gone */
};

static const char job_class[] = "neap.job";


/* ---------------------------------------------------------------------- */
/* the threads */


static void let_go (Offload *o) {
  int owners = --o->owners;
  pthread_mutex_unlock(&o->lock);
  if (owners > 0) return;
  pthread_cond_destroy(&o->more);
  pthread_mutex_destroy(&o->lock);
  free(o);
}


static void discard (Job *job) {
  job->discard(job);
  free(job);
}


/* wait until the thread that has posted a job lets go of it: it is not freed
   before, for a fork must not find it among what the threads are at */
static void pass_by (Offload *o) {
  pthread_mutex_lock(&o->lock);
  pthread_mutex_unlock(&o->lock);
}


/* the job is done, or never will be: it comes back to the scheduler's thread */
static void back (lua_State *L, void *ud) {
  Job *job = (Job *)ud;
  if (L != NULL) {
    job->S->offloaded--;
    pass_by(job->S->offload);
  }
  post_release(job->poster);
  if (job->box == NULL)
    discard(job);
  else
    sched_wake(job->S, owner_of(job->waiter.first, Task, link), WHY_DONE);
}


static void enqueue (Offload *o, Job *job) {
  job->next = NULL;
  *o->end = job;
  o->end = &job->next;
  o->queued++;
}


/* under the lock: put 'new' where 'old' is among what the threads are at */
static void mark (Offload *o, Job *old, Job *new) {
  int i = 0;
  while (o->busy[i] != old) i++;
  o->busy[i] = new;
}


/* under the lock: wait for a job; NULL when the thread is to end */
static Job *take (Offload *o) {
  struct timespec until;
  Job *job;
  int late = 0;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += IDLE;
  o->idle++;
  while (o->first == NULL && !o->closed && !late)
    late = pthread_cond_timedwait(&o->more, &o->lock, &until) == ETIMEDOUT;
  o->idle--;
  job = o->first;
  if (job == NULL) return NULL;
  mark(o, NULL,
       job); /* at any moment it is in one of the two places, or both */
  o->first = job->next;
  if (o->first == NULL) o->end = &o->first;
  o->queued--;
  job->taken = 1;
  return job;
}


static void *help (void *ud) {
  Offload *o = (Offload *)ud;
  Job *job;
  int posted;
  pthread_mutex_lock(&o->lock);
  while ((job = take(o)) != NULL) {
    pthread_mutex_unlock(&o->lock);
    job->work(job);
    job->done.fn = back;
    job->done.ud = job;
    pthread_mutex_lock(&o->lock);
    posted = post_add_borrowed(job->poster, &job->done);
    mark(o, job, NULL);
    if (!posted) back(NULL, job);
  }
  o->threads--;
  let_go(o);
  return NULL;
}


/* under the lock: one more thread, which gets no signals; 0 or an error */
static int start (Offload *o) {
  pthread_t thread;
  pthread_attr_t how;
  sigset_t all, before;
  int error;
  sigfillset(&all);
  pthread_attr_init(&how);
  pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(&thread, &how, help, o);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&how);
  if (error != 0) return error;
  o->threads++;
  o->owners++;
  return 0;
}


/* ---------------------------------------------------------------------- */
/* the pool */


/* our code stays when Lua unloads the module: threads may still run it. Where
   it is part of the program there is nothing to do, and this does nothing. */
static void pin (void) {
  Dl_info where;
  if (dladdr((void *)(size_t)&pin, &where) != 0 && where.dli_fname != NULL)
    dlopen(where.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}


static void init (Offload *o) {
  pthread_mutex_init(&o->lock, NULL);
  pthread_cond_init(&o->more, NULL);
}


/*
** The threads of the parent are not there, and what they were doing will not
** be done: it is begun anew. They may have been at anything, under the lock:
** taking a job, or giving back one that is done.
*/
static void renew (Sched *S) {
  Offload *o = S->offload;
  int i;
  init(o);
  o->threads = o->idle = o->queued = 0;
  o->owners = 1;
  for (o->end = &o->first; *o->end != NULL; o->end = &(*o->end)->next)
    o->queued++;
  for (i = 0; i < THREADS; i++) {
    Job *job = o->busy[i];
    o->busy[i] = NULL;
    if (job == NULL || post_has(S, &job->done)) continue;
    job->taken = 0;
    if (job != o->first) enqueue(o, job);
  }
  if (o->first != NULL) start(o); /* if that fails, the next job tries again */
}


static void open_pool (lua_State *L, Sched *S) {
  Offload *o;
  if (S->offload != NULL) return;
  o = (Offload *)malloc(sizeof(Offload));
  if (o == NULL) luaL_error(L, "not enough memory");
  memset(o, 0, sizeof *o);
  init(o);
  o->end = &o->first;
  o->owners = 1;
  pin();
  S->offload = o;
  S->renew[RENEW_OFFLOAD] = renew;
}


/* 0, or why no thread will ever do it */
static int add (Offload *o, Job *job) {
  int error = 0;
  pthread_mutex_lock(&o->lock);
  if (o->queued >= o->idle && o->threads < THREADS) error = start(o);
  if (o->threads > 0) {
    error = 0;
    enqueue(o, job);
    pthread_cond_signal(&o->more);
  }
  pthread_mutex_unlock(&o->lock);
  return error;
}


/* out of the queue; 0 if a thread has it */
static int withdraw (Offload *o, Job *job) {
  Job **p = &o->first;
  int queued;
  pthread_mutex_lock(&o->lock);
  queued = !job->taken;
  if (queued) {
    while (*p != job) p = &(*p)->next;
    *p = job->next;
    if (*p == NULL) o->end = p;
    o->queued--;
  }
  pthread_mutex_unlock(&o->lock);
  return queued;
}


void offload_close (Sched *S) {
  Offload *o = S->offload;
  if (o == NULL) return;
  loop_check_fork(S);
  S->offload = NULL;
  S->renew[RENEW_OFFLOAD] = NULL;
  pthread_mutex_lock(&o->lock);
  o->closed = 1;
  pthread_cond_broadcast(&o->more);
  let_go(o);
}


/* ---------------------------------------------------------------------- */
/* jobs and those who wait for them */


/* nobody waits for it any more, and it was given to the threads */
static void abandon (Sched *S, Job *job) {
  loop_check_fork(S);
  job->box->job = NULL;
  job->box = NULL;
  if (!withdraw(S->offload, job)) return; /* it comes back by itself */
  S->offloaded--;
  post_release(job->poster);
  discard(job);
}


/* the task went away without waiting for the end */
static void left (Sched *S, Task *t, Line *line) {
  (void)t;
  if (line != NULL) abandon(S, owner_of(line, Job, waiter));
}


static int box_gc (lua_State *L) {
  JobBox *box = (JobBox *)lua_touserdata(L, 1);
  Job *job = box->job;
  Link *x = job != NULL ? job->waiter.first : NULL;
  if (x != NULL) { /* the state is being closed; the scheduler comes later */
    line_leave(&job->waiter, x);
    owner_of(x, Task, link)->line = NULL;
    abandon(job->S, job);
  }
  else if (job != NULL)
    discard(job);
  box->job = NULL;
  return 0;
}


void *offload_new (lua_State *L, Sched *S, size_t size, void (*work)(Job *),
                   void (*discard_)(Job *)) {
  JobBox *box = (JobBox *)lua_newuserdatauv(L, sizeof(JobBox), 0);
  box->job = NULL;
  luaL_setmetatable(L, job_class);
  box->job = (Job *)calloc(1, size);
  if (box->job == NULL) luaL_error(L, "not enough memory");
  box->job->S = S;
  box->job->box = box;
  box->job->work = work;
  box->job->discard = discard_;
  return box->job;
}


int offload_wait (lua_State *L, Task *t, Wait wait, lua_KFunction then) {
  Job *job = ((JobBox *)lua_touserdata(L, -1))->job;
  Sched *S = job->S;
  open_pool(L, S);
  job->poster = post_try(L, S);
  job->refused = job->poster == NULL ? errno : add(S->offload, job);
  if (job->refused == 0) {
    S->offloaded++;
    sched_park(S, t, wait, &job->waiter, NEVER);
  }
  else { /* others get a turn, as when it had been done and had failed */
    if (job->poster != NULL) post_release(job->poster);
    sched_pass(S, t);
  }
  return lua_yieldk(L, 0, (lua_KContext)t, then);
}


void *offload_job (lua_State *L, Task *t) {
  if (t->why == WHY_CANCEL) return NULL;
  return ((JobBox *)lua_touserdata(L, -1))->job;
}


void offload_free (lua_State *L, int n) {
  JobBox *box = (JobBox *)lua_touserdata(L, -n - 1);
  discard(box->job);
  box->job = NULL;
  lua_remove(L, -n - 1);
}


static const WaitKind waits_lookup = { "a name to be looked up", left, NULL,
                                       0 };
static const WaitKind waits_file = { "a file", left, NULL, 1 };


void offload_openlib (lua_State *L) {
  Sched *S = (Sched *)lua_touserdata(L, -1);
  sched_kind(S, WAIT_LOOKUP, &waits_lookup);
  sched_kind(S, WAIT_FILE, &waits_file);
  luaL_newmetatable(L, job_class);
  lua_pushcfunction(L, box_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
