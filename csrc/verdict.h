/*
** verdict.h - of all errors in a scope one is raised; the others are told of.
*/

#ifndef neap_verdict_h
#define neap_verdict_h

#include "cancel.h"

HIDDEN_BEGIN

/*
** There are zombies: find the error that the scope raises. Of the body's (if it
** has failed, at 'base' + 1) and those of children that had to succeed the first
** in time; if there is none, the first that nobody has seen. The others are
** suppressed, into what Lua has of the scope at 'object', if that is not 0. On
** return it is alone above 'base'.
*/
void verdict_settle (lua_State *L, Scope *s, int object, int failed);

/* a child, which has left the line of children, has failed. 1 if the scope has
   let go of it, or will */
int verdict_child (lua_State *L, Scope *s, Task *t);

/* tell of the errors of host tasks that nobody has seen */
void verdict_report (lua_State *L, Scope *s);

/* all errors are suppressed: the scope is given up */
void verdict_drop (lua_State *L, Scope *s);

/* push the table of suppressed errors of the object at 'idx' */
void verdict_suppressed (lua_State *L, int idx);

HIDDEN_END

#endif
