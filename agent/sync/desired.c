// SPDX-License-Identifier: Apache-2.0
#include "desired.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the app is, or would be. */
static size_t place_of(const struct eg_desired *desired, const char *app, bool *ret_found)
{
	size_t low = 0, high = desired->count;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(app, desired->apps[middle]->app);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct eg_desired_app *eg_desired_find(const struct eg_desired *desired, const char *app)
{
	bool found;
	size_t place = place_of(desired, app, &found);

	return found ? desired->apps[place] : NULL;
}

static size_t slot_of(enum eg_document_kind kind, bool of_host)
{
	return 2 * (size_t)kind + of_host;
}

static struct eg_desired_app *insert(struct eg_desired *desired, size_t place, const char *app)
{
	struct eg_desired_app *entry = calloc(1, sizeof(*entry));

	if (desired->count == desired->room) {
		size_t room = desired->room ? 2 * desired->room : 64;
		struct eg_desired_app **apps = reallocarray(desired->apps, room, sizeof(*apps));

		if (!apps) {
			free(entry);
			return NULL;
		}
		desired->apps = apps;
		desired->room = room;
	}
	if (!entry)
		return NULL;
	snprintf(entry->app, sizeof(entry->app), "%s", app);
	memmove(desired->apps + place + 1, desired->apps + place, (desired->count - place) * sizeof(*desired->apps));
	desired->apps[place] = entry;
	desired->count++;
	return entry;
}

int eg_desired_set(struct eg_desired *desired, struct eg_document *document)
{
	bool found;
	size_t place = place_of(desired, document->app, &found);
	struct eg_desired_app *entry = found ? desired->apps[place] : insert(desired, place, document->app);
	struct eg_document **slot;

	if (!entry) {
		eg_document_free(document);
		return -ENOMEM;
	}
	slot = &entry->documents[slot_of(document->kind, document->of_host)];
	eg_document_free(*slot);
	*slot = document;
	return 0;
}

static void entry_free(struct eg_desired_app *entry)
{
	for (size_t i = 0; i < EG_DESIRED_PLACES; i++)
		eg_document_free(entry->documents[i]);
	free(entry);
}

void eg_desired_remove(struct eg_desired *desired, enum eg_document_kind kind, bool of_host, const char *app)
{
	bool found;
	size_t place = place_of(desired, app, &found);
	struct eg_desired_app *entry = found ? desired->apps[place] : NULL;

	if (!entry)
		return;
	eg_document_free(entry->documents[slot_of(kind, of_host)]);
	entry->documents[slot_of(kind, of_host)] = NULL;
	for (size_t i = 0; i < EG_DESIRED_PLACES; i++) {
		if (entry->documents[i])
			return;
	}
	entry_free(entry);
	desired->count--;
	memmove(desired->apps + place, desired->apps + place + 1, (desired->count - place) * sizeof(*desired->apps));
}

void eg_desired_clear(struct eg_desired *desired)
{
	for (size_t i = 0; i < desired->count; i++)
		entry_free(desired->apps[i]);
	free(desired->apps);
	*desired = (struct eg_desired){0};
}
