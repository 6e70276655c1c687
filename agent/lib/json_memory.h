/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_memory.h - what happens when jansson finds no memory
 */
#ifndef EG_LIB_JSON_MEMORY_H
#define EG_LIB_JSON_MEMORY_H

#define EG_EXIT_NO_MEMORY 71 /* EX_OSERR of sysexits.h */

/* To be called before any use of jansson: from then on the process ends, with EG_EXIT_NO_MEMORY, when it finds none. */
void eg_json_memory(void);

#endif
