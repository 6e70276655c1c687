/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holds_journal.h - an append-only file of lines, written and fsynced by its own thread
 *
 * It knows nothing of what the lines mean. Appending takes a short lock and returns a
 * ticket; the thread writes what is queued in one write and one fsync, however many
 * lines that is.
 *
 * After any failed write, fsync or truncate the state of the file is unknown (a failed
 * fsync drops dirty pages and the next one may say success). So a retry never appends:
 * it writes a whole new file from ops->snapshot, fsyncs, renames and fsyncs the
 * directory. The same path compacts the file when it has grown.
 */
#ifndef EG_CORE_HOLDS_JOURNAL_H
#define EG_CORE_HOLDS_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct eg_journal;

struct eg_journal_ops {
	/*
	 * A line of the file at start, without newline; -EBADMSG or -ENOTSUP if it can't be
	 * used. Lines come in the order of their appends, some of them twice.
	 */
	int (*replay)(void *ctx, const char *line, size_t len);
	/*
	 * All that has to be in the file, as lines, and the ticket of the last append it
	 * covers (eg_journal_last(), read under the same lock as the state). Called by the
	 * writer thread with no lock of the journal held.
	 */
	int (*snapshot)(void *ctx, char **ret_text, size_t *ret_len, uint64_t *ret_upto);
	void *ctx;
};

struct eg_journal_stats {
	uint64_t pending;
	uint64_t written;
	uint64_t write_failures;
	int last_error; /* 0, or -errno of the latest attempt */
	uint64_t corrupt_lines;
};

/*
 * Reads dir/name through ops->replay; nothing runs yet. A file with damaged lines is
 * copied to dir/name.bad and will be rewritten. Missing file: empty.
 */
int eg_journal_open(const char *dir, const char *name, const struct eg_journal_ops *ops,
		    struct eg_journal **ret_journal);
/* Starts the writer. */
int eg_journal_start(struct eg_journal *journal);
/*
 * Stops the writer after it has written, or once more tried to, what is pending. -ETIMEDOUT: it hangs in the
 * kernel, and keeps the journal and ops->ctx; the caller must not free that. NULL is fine.
 */
int eg_journal_close(struct eg_journal *journal, int timeout_ms);

/*
 * Queues a line (newline included). Never fails: without memory for the line the next
 * write is a whole snapshot, which has it.
 */
uint64_t eg_journal_append(struct eg_journal *journal, const char *line, size_t len);
/* Ticket of the last append; 0 before the first. */
uint64_t eg_journal_last(struct eg_journal *journal);
bool eg_journal_wait(struct eg_journal *journal, uint64_t ticket, int timeout_ms);
bool eg_journal_durable(struct eg_journal *journal, uint64_t ticket);
void eg_journal_stats(struct eg_journal *journal, struct eg_journal_stats *ret_stats);

#endif
