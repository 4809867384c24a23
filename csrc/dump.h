/*
** dump.h - what all tasks are doing, as a tree and as text.
*/

#ifndef neap_dump_h
#define neap_dump_h

#include "sched.h"

HIDDEN_BEGIN

/* push a table of all live tasks; may raise */
void dump_tasks (lua_State *L, Sched *S);

/* push the same as text, a line for each task; may raise */
void dump_text (lua_State *L, Sched *S);

/* push a time as it is read best, with its unit: "0.033 s"; may raise */
void dump_seconds (lua_State *L, double seconds);

void dump_openlib (lua_State *L);

/* is this a function of neap's own Lua files? */
int dump_is_own (const Sched *S, const lua_Debug *ar);

/* the innermost Lua function that runs in a coroutine, or waits in that of a
   task, and where it is (Sl); one of neap's own only if there is no other, 0 if
   there is none */
int dump_line (const Sched *S, lua_State *co, lua_Debug *ar);
int dump_where (Task *t, lua_Debug *ar);

HIDDEN_END

#endif
