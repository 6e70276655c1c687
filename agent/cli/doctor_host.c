// SPDX-License-Identifier: Apache-2.0
/*
 * doctor_host.c - what can be seen of this host without the agent
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>

#include "../lib/cleanup.h"
#include "doctor.h"

/* Whether somebody else than root could put another file in its place, or change it. */
static bool others_may_write(const struct stat *st)
{
	return st->st_uid != 0 || (st->st_mode & 022 && !(st->st_mode & S_ISVTX));
}

/* A directory that is root's alone. */
static void check_private(struct eg_doctor *doctor, const char *check, const char *path)
{
	struct stat st;
	char fix[400];

	snprintf(fix, sizeof(fix), "chown root:root %s && chmod 0700 %s", path, path);
	if (stat(path, &st))
		eg_doctor_warn(doctor, check, "egretd makes it; if it keeps it elsewhere, name it by option",
			       "%s can't be looked at: %s", path, strerror(errno));
	else if (st.st_uid != 0 || st.st_mode & 077)
		eg_doctor_fail(doctor, check, fix, "%s is open to others than root: uid %u, mode %04o", path, st.st_uid,
			       st.st_mode & 07777);
	else
		eg_doctor_ok(doctor, check, "%s is root's alone", path);
}

static void check_socket(struct eg_doctor *doctor, const char *path)
{
	EG_FREE char *copy = strdup(path);
	const char *parent = copy ? dirname(copy) : "/";
	struct stat st, dir;

	if (stat(path, &st) || stat(parent, &dir)) {
		eg_doctor_warn(doctor, "socket", "Start egretd, or name its socket by --socket or EGRET_SOCKET",
			       "%s can't be looked at: %s", path, strerror(errno));
		return;
	}
	if (!S_ISSOCK(st.st_mode))
		eg_doctor_fail(doctor, "socket", "Name the agent's socket by --socket or EGRET_SOCKET", "%s is no socket",
			       path);
	else if (st.st_uid != 0 || others_may_write(&dir))
		eg_doctor_fail(doctor, "socket", "Move the socket into a directory that only root can write",
			       "others than root could put a socket of theirs at %s", path);
	else
		eg_doctor_ok(doctor, "socket", "%s is root's, and so is its directory", path);
}

void eg_doctor_files(struct eg_doctor *doctor, const char *socket, const char *bpffs, const char *state_dir)
{
	check_socket(doctor, socket);
	check_private(doctor, "bpffs", bpffs);
	check_private(doctor, "state", state_dir);
}

void eg_doctor_clock(struct eg_doctor *doctor)
{
	struct timex tx = {0};

	if (adjtimex(&tx) < 0 || tx.status & STA_UNSYNC)
		eg_doctor_warn(doctor, "clock", "Run chrony or systemd-timesyncd: caps and expiry go by the clock",
			       "nothing keeps the clock in step");
	else
		eg_doctor_ok(doctor, "clock", "the clock is kept in step");
}
