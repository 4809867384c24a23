/*
** launch.h - starting a program, without a shell.
*/

#ifndef neap_launch_h
#define neap_launch_h

#include <sys/types.h>

#include "sched.h"

HIDDEN_BEGIN

enum {
  STDIO_NULL = -1,
  STDIO_INHERIT = -2,
  STDIO_OUTPUT = -3 /* what 1 is */
};

typedef struct Plan {
  char **paths; /* where the program may be */
  char **argv, **env;
  const char *cwd; /* or NULL */
  int fd[3];       /* what is to be 0, 1, 2: a descriptor or STDIO_... */
  int group;       /* lead a process group */
  int report;      /* where to write a Failure; 'launch_program' sets it */
} Plan;

typedef enum Step { STEP_FORK, STEP_CWD, STEP_STDIO, STEP_EXEC } Step;

typedef struct Failure {
  Step step;
  int error; /* 0: none */
} Failure;

/* start it; no error and the process id, or what has failed: then there is no
   process */
Failure launch_program (lua_State *L, Plan *p, pid_t *pid);

/* 'waitpid', again when a signal interrupts it */
pid_t launch_waitpid (pid_t pid, int *status, int flags);

HIDDEN_END

#endif
