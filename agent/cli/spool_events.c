// SPDX-License-Identifier: Apache-2.0
/*
 * spool_events.c - events from the segments themselves
 *
 * The spool may be a copy that somebody took of a host, so nothing in it is believed: the reader passes over what is
 * damaged, and its memory is bounded. For a limit it is read twice, to count first.
 */
#include "spool_events.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "../lib/cleanup.h"
#include "../lib/spool.h"
#include "../lib/units.h"
#include "text.h"

EG_DEFINE_CLEANUP(spool, struct eg_spool_reader *, eg_spool_reader_free);

/* One of "a,b,c"? */
static bool is_listed(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; at; at = strchr(at, ','), at = at ? at + 1 : NULL) {
		if (strcspn(at, ",") == len && strncmp(at, word, len) == 0)
			return true;
	}
	return false;
}

static bool matches(const struct eg_spool_filter *filter, const struct eg_spool_record *record)
{
	EG_JSON json_t *event = json_loadb(record->text, record->len, 0, NULL);
	const char *app = eg_json_text(event, "app"), *type = eg_json_text(event, "type");
	const char *ts = eg_json_text(event, "ts");
	uint64_t when = 0;

	if (!event || (filter->app && (!app || strcmp(app, filter->app) != 0)))
		return false;
	if (filter->types && (!type || !is_listed(filter->types, type)))
		return false;
	return !filter->since_ns || (ts && eg_units_moment(ts, &when) == 0 && when >= filter->since_ns);
}

struct found {
	uint64_t events, missing, damaged_bytes;
};

/* Those from number `skip` of the matching ones on go to on_line; NULL: they are counted only. */
static int read_all(const char *dir, const struct eg_spool_filter *filter, uint64_t skip,
		    int (*on_line)(void *ctx, const char *line, size_t len), void *ctx, struct found *ret)
{
	EG_CLEANUP(eg_cleanup_spool) struct eg_spool_reader *reader = NULL;
	struct eg_spool_record record;
	int r = eg_spool_reader_new(dir, NULL, &reader);

	*ret = (struct found){0};
	if (r < 0)
		return r;
	while ((r = eg_spool_reader_next(reader, &record)) == 1) {
		ret->missing += record.missed;
		if (!matches(filter, &record) || ret->events++ < skip || !on_line)
			continue;
		r = on_line(ctx, record.text, record.len && record.text[record.len - 1] == '\n' ? record.len - 1 : record.len);
		if (r)
			break;
	}
	ret->damaged_bytes = eg_spool_reader_damaged(reader);
	return r;
}

int eg_spool_events(struct eg_cli *cli, const char *dir, const struct eg_spool_filter *filter,
		    int (*on_line)(void *ctx, const char *line, size_t len), void *ctx)
{
	EG_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct found found = {0};
	uint64_t skip = 0;
	int r = fd < 0 ? -errno : 0;

	if (!r && filter->limit != UINT64_MAX) {
		r = read_all(dir, filter, 0, NULL, NULL, &found);
		skip = found.events > filter->limit ? found.events - filter->limit : 0;
	}
	if (!r)
		r = read_all(dir, filter, skip, on_line, ctx, &found);
	if (r == -EPIPE)
		return EG_EXIT_FAILED; /* told when the program ends */
	if (r)
		eg_cli_warn(cli, "%s: %s", dir, strerror(r < 0 ? -r : r));
	if (found.missing)
		eg_cli_warn(cli, "%s: %" PRIu64 " event%s between these %s not there any more", dir, found.missing,
			    eg_cli_s(found.missing), found.missing == 1 ? "is" : "are");
	if (found.damaged_bytes)
		eg_cli_warn(cli, "%s: %" PRIu64 " bytes are no events, and were passed over", dir, found.damaged_bytes);
	return r ? EG_EXIT_FAILED : EG_EXIT_OK;
}
