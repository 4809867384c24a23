/*
** life.h - how the scheduler of a Lua state begins, and ends with it.
*/

#ifndef neap_life_h
#define neap_life_h

#include "sched.h"

HIDDEN_BEGIN

/* make the scheduler of this state, or find it. Pushes it as light userdata,
   for every function has it as an upvalue, and takes it from there faster like
   this; the registry keeps it until the state is closed. */
Sched *sched_open (lua_State *L);

/*
** End all tasks, in no time: they are cancelled, through all their shields;
** those that do not end of it, however often they are, are killed.
*/
void sched_end_all (lua_State *L, Sched *S);

/* so often cancellation goes through shields, without the end of a task,
   before a task is killed */
#define SCHED_VAIN 100

HIDDEN_END

#endif
