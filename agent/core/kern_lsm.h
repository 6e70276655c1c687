/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kern_lsm.h - whether the kernel asks BPF programs about new sockets (BPF LSM)
 */
#ifndef EG_CORE_KERN_LSM_H
#define EG_CORE_KERN_LSM_H

#include <stdbool.h>

/* BPF LSM is among the security modules that this kernel was booted with. */
bool eg_kern_lsm_is_on(void);

/*
 * 0: it is on, and we may load a program of that type. -EOPNOTSUPP: it is off. Another -errno: it is on,
 * but loading was refused. Costs about as much as reading the kernel's BTF.
 */
int eg_kern_lsm_probe(void);

#endif
