/*
** generator.h - what generator.c, where they run, and generatorlib.c, where they
** are made, know of generators.
*/

#ifndef neap_generator_h
#define neap_generator_h

#include "args.h"
#include "leftover.h"
#include "strand.h"

HIDDEN_BEGIN

#define GENERATOR_CLASS "neap.generator"

/* self, in a method */
static inline Generator *generator_check (lua_State *L, const char *fname) {
  Generator *g = generator_test(L, 1);
  if (g == NULL) arg_error(L, 0, fname, "self", "a generator", 1);
  return g;
}

/* messages: what a body must not emit */
extern const char generator_emits_nil[], generator_emits_inside[];

/* methods, and '__close' */
int generator_next (lua_State *L);
int generator_close (lua_State *L);
int generator_leave (lua_State *L);

/* when the core is opened */
void generator_prepare (Sched *S);

/* is it what 'neap.generator' makes? */
int generator_is_function (lua_State *L, int idx);

/* is it a generator that has not ended? */
int generator_is_open (lua_State *L, int idx);

/*
** A function for Lua, fill(gen, list, size): 'next' again and again, with the
** first of the values put at the end of the list, until it has that size.
** Returns nothing then. Or it returns what 'next' does, for one value, when
** that is not simply the next that the body emits.
*/
int generator_fill (lua_State *L);

HIDDEN_END

#endif
