/*
** run.h - driving the scheduler, for hosts.
*/

#ifndef neap_run_h
#define neap_run_h

#include "sched.h"

HIDDEN_BEGIN

/* what 'neap.step' does; the seconds until the next one, -1: nothing is left.
   Raises, before anything else, if the loop is running already */
double sched_step (lua_State *L, Sched *S, double budget);

/* can the outside world, or another thread, wake anybody? */
int sched_outside (Sched *S);

void run_openlib (lua_State *L);

HIDDEN_END

#endif
