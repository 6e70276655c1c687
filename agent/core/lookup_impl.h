/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup_impl.h - how the agent and the look-up helper find each other
 */
#ifndef EG_CORE_LOOKUP_IMPL_H
#define EG_CORE_LOOKUP_IMPL_H

#include "lookup.h"

#define EG_LOOKUP_NAME "egret-lookup" /* argv[0] and comm */
#define EG_LOOKUP_FD   3 /* its end of the pair */

#endif
