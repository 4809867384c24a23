/*
** step.c - what is done to files, by helper threads; see step.h.
**
** Each step is one system call, or a few that belong together. It is done in
** another thread than Lua's, and so knows nothing of that: what it needs is in
** the step, and so is what comes of it.
**
** Invariant: what a step has made, a descriptor or a new file, is the step's
** until somebody takes it ('fd' is -1 then); else it goes with the step.
*/

#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"


int step_is_waitable (mode_t mode) {
  return !S_ISREG(mode) && !S_ISDIR(mode) && !S_ISBLK(mode);
}


static void check (Step *x, int result) {
  x->error = result < 0 ? errno : 0;
}


/* O_NONBLOCK: opening a pipe must not wait for its other end; disks ignore it */
void step_open (Job *job) {
  Step *x = (Step *)job;
  struct stat st;
  do x->fd = open(x->path, x->flags | O_CLOEXEC | O_NONBLOCK, x->mode);
  while (x->fd < 0 && errno == EINTR);
  check(x, x->fd);
  if (x->error == 0) check(x, fstat(x->fd, &st));
  if (x->error == 0 && S_ISDIR(st.st_mode)) x->error = EISDIR;
  if (x->error == 0) x->waitable = step_is_waitable(st.st_mode);
}


void step_read (Job *job) {
  Step *x = (Step *)job;
  x->n = io_read(x->fd, x->bytes, x->size);
  check(x, x->n < 0 ? -1 : 0);
}


/* a pipe whose reader has gone raises SIGPIPE, which this thread does not get */
void step_write (Job *job) {
  Step *x = (Step *)job;
  do x->n = write(x->fd, x->bytes, x->size);
  while (x->n < 0 && errno == EINTR);
  if (x->n < 0 && io_would_block(errno)) x->n = 0; /* the pipe is full again */
  check(x, x->n < 0 ? -1 : 0);
}


/* errors of writing may be told only now */
void step_close (Job *job) {
  Step *x = (Step *)job;
  check(x, close(x->fd));
  if (x->error == EINTR) x->error = 0; /* it is closed all the same */
  x->fd = -1;
}


void step_rename (Job *job) {
  Step *x = (Step *)job;
  check(x, rename(x->path, x->to));
}


/* what has no name may be there nevertheless, behind a link: a pipe in
   /proc/self/fd, or what that link is still to be the name of */
void step_find (Job *job) {
  Step *x = (Step *)job;
  struct stat st;
  x->to = realpath(x->path, NULL);
  if (x->to != NULL)
    check(x, stat(x->to, &st));
  else
    check(x, errno == ENOENT ? lstat(x->path, &st) : -1);
  if (x->error == 0) {
    x->mode = st.st_mode;
    x->uid = st.st_uid;
    x->gid = st.st_gid;
  }
  if (x->error == ENOENT) x->error = 0;
}


/* The owner first: that takes setuid away. Who has it already is left alone, for
   some file systems have no owners to be set. */
void step_assign (Job *job) {
  Step *x = (Step *)job;
  struct stat st;
  check(x, fstat(x->fd, &st));
  if (x->error == 0 && x->uid != (uid_t)-1 &&
      (st.st_uid != x->uid || st.st_gid != x->gid))
    check(x, fchown(x->fd, x->uid, x->gid));
  if (x->error == 0) check(x, fchmod(x->fd, x->mode));
}


static void discard (Job *job) {
  Step *x = (Step *)job;
  int opened = job->work == step_open;
  if (x->fd >= 0 && (opened || job->work == step_close)) close(x->fd);
  if (x->fd >= 0 && opened && x->flags & O_EXCL) unlink(x->path);
  free(x->path);
  free(x->to);
  free(x->bytes);
}


Step *step_new (lua_State *L, void (*work)(Job *)) {
  Step *x = (Step *)offload_new(L, sched_of(L), sizeof(Step), work, discard);
  x->fd = -1;
  return x;
}
