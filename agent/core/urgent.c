// SPDX-License-Identifier: Apache-2.0
#include "urgent.h"

#include <sched.h>

static int be(int policy, int priority)
{
	const struct sched_param param = {.sched_priority = priority};

	return -pthread_setschedparam(pthread_self(), policy, &param);
}

int eg_urgent_enter(void)
{
	return be(SCHED_RR, sched_get_priority_min(SCHED_RR));
}

void eg_urgent_leave(void)
{
	be(SCHED_OTHER, 0); /* to less than one has is always allowed */
}

void eg_urgent_mutex_init(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}
