/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics_apps.h - the series of apps, a part of metrics.c
 *
 * Only the apps with the most traffic have a series of their own (METRICS_APPS); the others are
 * summed as app="_other", so that a host with ten thousand of them stays readable.
 */
#ifndef EG_CORE_METRICS_APPS_H
#define EG_CORE_METRICS_APPS_H

#include <stdio.h>

struct eg_agent;

/* "# HELP" and "# TYPE" of a family. */
void eg_metrics_head(FILE *out, const char *name, const char *type, const char *help);
/* Every family that is about apps. 0 or -ENOMEM. */
int eg_metrics_apps(struct eg_agent *agent, FILE *out);

#endif
