// SPDX-License-Identifier: Apache-2.0
#include "call32.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#ifdef __x86_64__

#define SETSOCKOPT 366 /* of i386 */

static sigjmp_buf none; /* where the kernel takes none, the instruction is a fault */

static void on_fault(int number)
{
	(void)number;
	siglongjmp(none, 1);
}

static long call(long number, long a, long b, long c, long d, long e)
{
	long r = number;

	__asm__ volatile("int $0x80"
			 : "+a"(r)
			 : "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "r8", "r9", "r10", "r11", "memory", "cc");
	return (int32_t)r;
}

int eg_call32_setsockopt(int fd, int level, int name, int value)
{
	/* a pointer of 32 bits */
	int *low = mmap(NULL, sizeof(*low), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	void (*before)(int);
	volatile long r = -ENOSYS;

	if (low == MAP_FAILED)
		return errno;
	*low = value;
	before = signal(SIGSEGV, on_fault);
	if (!sigsetjmp(none, 1))
		r = call(SETSOCKOPT, fd, level, name, (long)(intptr_t)low, sizeof(*low));
	signal(SIGSEGV, before);
	munmap(low, sizeof(*low));
	return (int)-r;
}

#else

int eg_call32_setsockopt(int fd, int level, int name, int value)
{
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	return ENOSYS;
}

#endif
