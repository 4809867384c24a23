/*
** chance.h - who goes first of those whose order nothing promises, by a seed
** or by every way there is: how tests find races.
*/

#ifndef neap_chance_h
#define neap_chance_h

#include "sched.h"

HIDDEN_BEGIN

/* one of 'n' things, from 0; only where there is a 'chance' */
uint32_t chance_choose (Sched *S, uint32_t n);

/* put those who are in line into another order */
void chance_shuffle (Sched *S, Line *line);

void chance_free (Sched *S);

HIDDEN_END

#endif
