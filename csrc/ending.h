/*
** ending.h - how the body of a generator ends; for generator.c.
*/

#ifndef neap_ending_h
#define neap_ending_h

#include "leftover.h"

HIDDEN_BEGIN

/* indices on the stack of 'next', 'close' and 'fill'; values are above */
enum { AT_GENERATOR = 1, AT_ERROR, AT_LIST = 2, AT_SIZE };

#define BASE(g) ((g)->closing ? AT_ERROR : AT_GENERATOR)

/* it has ended; its coroutine is well or was reset */
void ending_over (lua_State *L, Sched *S, Generator *g);

/* the body was reset with the task that it ran in */
void ending_killed (lua_State *L, Sched *S, Strand *x);

/* The body has ended in 'next', or being closed; its error, if there is one, is
   on top. These return what those are to return, or raise. */
int ending_returned (lua_State *L, Sched *S, Generator *g, int status);
int ending_closed (lua_State *L, Sched *S, Generator *g, int status);

/* it does not stop emitting what it must not: 'fault', or 'inside' a scope */
int ending_give_up (lua_State *L, Sched *S, Generator *g, int inside);

/* the body waits where that does not raise what is to be raised: let a hook do
   it, before the next instruction of a Lua function. (If there is none to come,
   the body ends anyway.) */
void ending_hook (Generator *g);
void ending_unhook (Generator *g);

/* what was ended by force, if 'n' is 1, has ended; the outermost sees to those
   that were put off */
void ending_unforced (lua_State *L, Sched *S, int n);

HIDDEN_END

#endif
