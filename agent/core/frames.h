/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.h - what becomes of frames that an app writes past the packet hook
 */
#ifndef EG_CORE_FRAMES_H
#define EG_CORE_FRAMES_H

/* Of an app whose processes have CAP_NET_RAW, which is enough for AF_PACKET; worst last. */
enum eg_frames {
	EG_FRAMES_NONE, /* no process has it */
	EG_FRAMES_REFUSED, /* BPF LSM refuses the socket */
	EG_FRAMES_GUARDED, /* judged on the other end of the veth */
	EG_FRAMES_NAMES, /* the same, but the guard can't read DNS or ClientHellos, and the policy has names */
	EG_FRAMES_OPEN, /* nothing sees them */
};

#endif
