/*
** clock.h - time that the host moves.
*/

#ifndef neap_clock_h
#define neap_clock_h

#include "sched.h"

HIDDEN_BEGIN

/* move the manual clock; what falls due becomes ready, in order */
void clock_advance (Sched *S, lua_State *L, double dt, double real);

void clock_openlib (lua_State *L);

HIDDEN_END

#endif
