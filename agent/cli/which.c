// SPDX-License-Identifier: Apache-2.0
#include "which.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../lib/labels.h"
#include "../lib/policy.h"

int eg_which_check_labels(const char *labels, char *message, size_t size)
{
	struct eg_labels *parsed = NULL;
	int r = eg_labels_parse(labels, &parsed, message, size);

	eg_labels_free(parsed);
	return r;
}

int eg_which_set(const char *app, const char *labels, bool all, struct eg_which *ret, char *message, size_t size)
{
	int given = (app != NULL) + (labels != NULL) + all;

	if (given != 1) {
		snprintf(message, size, given ? "only one of APP, --label and --all can be said"
					      : "say which: APP, --label SELECTOR or --all");
		return -EINVAL;
	}
	if (app && !eg_policy_app_name(app)) {
		snprintf(message, size,
			 "'%s' is not an app's name: 1 to 63 of a-z 0-9 . _ -, a letter or digit first", app);
		return -EINVAL;
	}
	if (labels && eg_which_check_labels(labels, message, size))
		return -EINVAL;
	*ret = (struct eg_which){.app = app, .labels = labels, .all = all};
	return 0;
}

char *eg_which_path(const char *app, const char *verb)
{
	char *path;

	if (asprintf(&path, "/v1/apps/%s%s%s", app, verb ? "/" : "", verb ? verb : "") < 0)
		return NULL;
	return path;
}
