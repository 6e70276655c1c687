/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call32.h - setsockopt by a 32-bit system call, which any process may make on most 64-bit kernels
 */
#ifndef EG_CLI_CALL32_H
#define EG_CLI_CALL32_H

/*
 * Of an option whose value is an int. 0, or the errno: ENOSYS if there are no such calls here. Handles SIGSEGV
 * meanwhile: for a process with one thread.
 */
int eg_call32_setsockopt(int fd, int level, int name, int value);

#endif
