/* SPDX-License-Identifier: Apache-2.0 */
/*
 * desired.h - the control plane's documents for this host, by app
 */
#ifndef EG_SYNC_DESIRED_H
#define EG_SYNC_DESIRED_H

#include "document.h"

#define EG_DESIRED_PLACES (2 * EG_DOCUMENT_KINDS_) /* of each kind: the fleet's, and this host's own */

struct eg_desired_app {
	char app[EG_APP_NAME_LEN];
	struct eg_document *documents[EG_DESIRED_PLACES]; /* NULL: there is none */
};

struct eg_desired {
	struct eg_desired_app **apps; /* sorted */
	size_t count;
	size_t room;
};

/* Takes the document, in place of the one before. -ENOMEM: then it is freed. */
int eg_desired_set(struct eg_desired *desired, struct eg_document *document);
void eg_desired_remove(struct eg_desired *desired, enum eg_document_kind kind, bool of_host, const char *app);
/* NULL: nothing is said of it. */
const struct eg_desired_app *eg_desired_find(const struct eg_desired *desired, const char *app);
void eg_desired_clear(struct eg_desired *desired);

#endif
