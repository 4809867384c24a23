/*
** stack.h - where a coroutine is, as text: the levels of a traceback.
*/

#ifndef neap_stack_h
#define neap_stack_h

#include "sched.h"

HIDDEN_BEGIN

/* how many levels a coroutine has, 0 if it has not begun; the lowest is in 'ar' */
int stack_bottom (lua_State *co, lua_Debug *ar);

/* push the levels of 'co' from 'level' on, each on a line of its own, with
   'head' (or NULL) before them; raises if there is no memory */
void stack_push (lua_State *L, Sched *S, lua_State *co, const char *head,
                 int level);

HIDDEN_END

#endif
