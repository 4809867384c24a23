/*
** step.h - one step of working with a file: a job for a helper thread.
*/

#ifndef neap_step_h
#define neap_step_h

#include <sys/types.h>

#include "offload.h"

HIDDEN_BEGIN

typedef struct Step {
  Job job;
  char *path, *to; /* names; 'to' also takes what 'realpath' makes */
  char *bytes;
  size_t size;
  int fd; /* what it is done to; of an opened file, until an object has it */
  int flags;
  mode_t mode;
  uid_t uid; /* -1: whoever it is */
  gid_t gid;
  int waitable;
  ssize_t n;
  int error;
} Step;

/* push what owns a new step; may raise. What it holds goes with it. */
Step *step_new (lua_State *L, void (*work)(Job *));

/* Each sets 'error', to an errno or 0. */
void step_open (Job *job);   /* path, flags, mode: fd, waitable */
void step_read (Job *job);   /* fd, bytes, size: n */
void step_write (Job *job);  /* the same: n, of as much as there is room for */
void step_close (Job *job);  /* fd; errors of writing may be told only now */
void step_assign (Job *job); /* fd, uid, gid, mode: whatever the umask is */
void step_rename (Job *job); /* path, to */
void step_find (Job *job);   /* path: to, the name behind all links, or NULL;
                                uid, gid; mode, that of a link if it leads to
                                no name, 0 if there is nothing */

/* can the loop wait for a file of that kind? */
int step_is_waitable (mode_t mode);

HIDDEN_END

#endif
