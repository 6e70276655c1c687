// SPDX-License-Identifier: Apache-2.0
/*
 * kern_ask.c - runs the programs that are attached nowhere: what they are asked goes in, and their
 * answer comes out, behind an Ethernet header, without which the kernel takes no packet
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "kern.h"

#define ETHERNET_LEN 14
#define SUBJECT_MAX  512

static int run(const struct eg_kern *kern, const char *program, void *subject, size_t size)
{
	unsigned char frame[ETHERNET_LEN + SUBJECT_MAX] = {[12] = 0x08}; /* IPv4: a protocol that the kernel knows */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)(ETHERNET_LEN + size), .data_out = frame,
		    .data_size_out = (__u32)(ETHERNET_LEN + size));
	int fd = eg_kern_program_fd(kern, program);

	if (fd < 0)
		return fd;
	memcpy(frame + ETHERNET_LEN, subject, size);
	if (bpf_prog_test_run_opts(fd, &opts))
		return -errno;
	if (opts.retval)
		return -EIO;
	memcpy(subject, frame + ETHERNET_LEN, size);
	return 0;
}

int eg_kern_explain(struct eg_kern *kern, struct eg_question *question)
{
	_Static_assert(sizeof(*question) <= SUBJECT_MAX, "a question fits the frame");
	return run(kern, "eg_explain", question, sizeof(*question));
}

int eg_kern_learn(struct eg_kern *kern, struct eg_lesson *lesson)
{
	_Static_assert(sizeof(*lesson) <= SUBJECT_MAX, "a lesson fits the frame");
	return run(kern, "eg_learn", lesson, sizeof(*lesson));
}

int eg_kern_reap(struct eg_kern *kern, uint32_t look)
{
	struct eg_reaping reaping = {.look = look};

	return run(kern, "eg_reap", &reaping, sizeof(reaping));
}
