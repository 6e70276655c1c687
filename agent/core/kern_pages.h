/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kern_pages.h - whether the kernel tells a program which packets hold pages that are still an app's
 */
#ifndef EG_CORE_KERN_PAGES_H
#define EG_CORE_KERN_PAGES_H

#include <bpf/libbpf.h>
#include <stdbool.h>

/*
 * Tries it, and readies the program of the packet hook, which is not loaded yet. *ret: it can tell.
 * Costs about as much as reading the kernel's BTF. 0 or -errno.
 */
int eg_kern_pages_prepare(struct bpf_program *program, bool *ret);

#endif
