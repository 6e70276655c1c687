/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rootkeeper.h - keeps a managed root from being removed, and notices if it was
 *
 * Theory of operation. rmdir of a cgroup takes its programs away for good: the pinned
 * link goes dead and a root made again under the same name has none. What makes the
 * kernel refuse rmdir (EBUSY) is a child cgroup or a live process; systemd trims empty
 * children, so it has to be a process. Decided:
 *  - A process of its own, "egret-keeper", in a leaf EG_ROOTKEEPER_LEAF below the root.
 *    Not in the root itself: where controllers are enabled in the root's
 *    cgroup.subtree_control (every systemd slice, every container parent) the kernel
 *    refuses that, and where they aren't yet, a process there would make enabling them
 *    fail later, breaking the container runtime.
 *  - It outlives the agent: no PDEATHSIG, own session, and systemd kills only what is
 *    in the service's cgroup. So the root can't be emptied while the agent restarts. A
 *    restarted agent finds it in the leaf and adopts it. Apps can't write
 *    the host's cgroupfs, so nothing else is in there.
 *  - It moves there before it executes the agent's binary again (eg_rootkeeper_main),
 *    so that it doesn't share the agent's memory, maps or fds. Not by clone3
 *    (CLONE_INTO_CGROUP), which the agent gives up, see offspring.h. It has no
 *    capabilities, and no system calls but to wait and to end.
 *  - The agent holds a pidfd: poll() tells at once when the keeper was killed, and
 *    eg_rootkeeper_check(), called each second, starts it again and compares the
 *    root's id. cgroup.kill in the root, or a rmdir in the instant after a kill, still
 *    get through: they are noticed by that check.
 * The leaf belongs to no app: cgwatch reports it, the agent passes it over by name, and
 * being untagged it is denied.
 */
#ifndef EG_CORE_ROOTKEEPER_H
#define EG_CORE_ROOTKEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "cgroupfs.h"

#define EG_ROOTKEEPER_LEAF "egret-keeper"

struct eg_rootkeeper;

/*
 * To be called first thing in main() of every program that keeps roots: if argv[0] says
 * so, this process is a keeper and the call does not return.
 */
void eg_rootkeeper_main(int argc, char **argv);

/*
 * Keeps the root (made with its parents if create). fs must outlive it. *ret_keeper is
 * set also when the keeper process can't be started (memory, pids limit): then
 * eg_rootkeeper_check() says so and tries again. -ENOENT: missing and not create.
 */
int eg_rootkeeper_start(const struct eg_cgroupfs *fs, const char *path, bool create,
			struct eg_rootkeeper **ret_keeper);
/* Readable when the keeper process has died; -1: none is running. Changes after a check. */
int eg_rootkeeper_fd(const struct eg_rootkeeper *keeper);
uint64_t eg_rootkeeper_id(const struct eg_rootkeeper *keeper);
const char *eg_rootkeeper_path(const struct eg_rootkeeper *keeper);

/*
 * 0: the root is the same and is kept. -ENOENT: it is gone; -ESTALE: it was made anew
 * under another id (in both cases its programs are lost; call eg_rootkeeper_renew()).
 * Else -errno of starting a keeper.
 */
int eg_rootkeeper_check(struct eg_rootkeeper *keeper);
/*
 * Takes the root up again, made if create; *ret_id is its id now, set also when only the
 * keeper couldn't be started.
 */
int eg_rootkeeper_renew(struct eg_rootkeeper *keeper, bool create, uint64_t *ret_id);
/* Ends the keeper process, an adopted one too, and removes the leaf (--detach-all). The root stays. */
int eg_rootkeeper_stop(struct eg_rootkeeper *keeper);
/* Frees; the keeper process goes on. NULL is fine. */
void eg_rootkeeper_free(struct eg_rootkeeper *keeper);
EG_DEFINE_CLEANUP(rootkeeper, struct eg_rootkeeper *, eg_rootkeeper_free);

#endif
