/*
** rounds.h - running what is ready, and looking at the world in between.
*/

#ifndef neap_rounds_h
#define neap_rounds_h

#include "sched.h"

HIDDEN_BEGIN

/* one round of all that is ready; 0 when the budget cut it short */
int sched_round (Sched *S, lua_State *L, double until);

/* the same without a look at the world, whatever is due */
void sched_blind_round (Sched *S, lua_State *L);

/* rounds until nobody is ready, it is time to look at the world, or somebody
   who looks after the loop has taken its patience */
void sched_rounds (Sched *S, lua_State *L);

/* fire what is due and look at the outside world, waiting up to 'wait' */
void sched_look (Sched *S, lua_State *L, double wait);

/* fire the deadlines up to 'until', in order; those that are set meanwhile wait
   for the next time. This and what calls it runs Lua functions that listen to
   an alarm, on L. */
void sched_fire (Sched *S, lua_State *L, double until);

HIDDEN_END

#endif
