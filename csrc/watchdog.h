/*
** watchdog.h - a task that runs for too long without waiting gets an error.
*/

#ifndef neap_watchdog_h
#define neap_watchdog_h

#include "sched.h"

HIDDEN_BEGIN

/* 'co' is about to be resumed: it gets the hook, unless it has one of somebody
   else's */
void watchdog_guard (lua_State *co);

HIDDEN_END

#endif
