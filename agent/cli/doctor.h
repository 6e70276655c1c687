/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - findings, and what they follow from
 */
#ifndef EG_CLI_DOCTOR_H
#define EG_CLI_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* [{"check", "level": "ok"|"warn"|"fail", "message", "fix"}...] */
struct eg_doctor {
	json_t *findings;
	unsigned warnings;
	unsigned failures;
};

void eg_doctor_ok(struct eg_doctor *doctor, const char *check, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* fix: what to do, one sentence. */
void eg_doctor_warn(struct eg_doctor *doctor, const char *check, const char *fix, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void eg_doctor_fail(struct eg_doctor *doctor, const char *check, const char *fix, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- What the agent says: pure ------------------------------------------------------------- */

/* GET /v1/status, at this moment. */
void eg_doctor_status(struct eg_doctor *doctor, const json_t *status, uint64_t now_utc_ns);
/* GET /v1/apps. */
void eg_doctor_apps(struct eg_doctor *doctor, const json_t *apps, uint64_t now_utc_ns);

/* ---- What this host says -------------------------------------------------------------------- */

/* bpffs and state directory, and the socket: who may open and change them. */
void eg_doctor_files(struct eg_doctor *doctor, const char *socket, const char *bpffs, const char *state_dir);
/*
 * Whether look-ups are DNS queries of the apps' own. root: below which directory (NULL: /, and only
 * if some app's policy has names). apps: GET /v1/apps, or NULL.
 */
void eg_doctor_lookups(struct eg_doctor *doctor, const char *root, const json_t *apps);
/* Whether the hooks refuse below each root what they must: tried. status: GET /v1/status. */
void eg_doctor_probe(struct eg_doctor *doctor, const json_t *status);
/* Which Unix sockets of the host apps can reach. Either may be NULL. */
void eg_doctor_unix(struct eg_doctor *doctor, const json_t *status, const json_t *apps);
/* Who outside of the roots would send for an app, or let it out of its cgroup. apps may be NULL. */
void eg_doctor_others(struct eg_doctor *doctor, const json_t *status, const json_t *apps);
/* Which processes outside of the roots use the network: a list. */
void eg_doctor_outside(struct eg_doctor *doctor, const json_t *status);
/* Whether the clock is synchronised. */
void eg_doctor_clock(struct eg_doctor *doctor);
/* Whether something may translate what apps connect to. */
void eg_doctor_nat(struct eg_doctor *doctor);

#endif
