// SPDX-License-Identifier: Apache-2.0
#include "oci_image.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "../lib/cleanup.h"
#include "cli.h"

#define ID_MAX 1024

bool eg_oci_plain_id(const char *id)
{
	return id && id[0] && id[0] != '.' && strlen(id) < ID_MAX &&
	       strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(id);
}

static json_t *load(const char *path)
{
	return json_load_file(path, 0, NULL);
}

static int says(const json_t *words, const char *key, const char *value)
{
	const char *word = eg_json_text(words, key);

	return word && strcmp(word, value) == 0;
}

/* ---- Docker ---------------------------------------------------------------------------------------- */

int eg_oci_image_labels(const char *docker_root, const json_t *container, const char *key, const char *value)
{
	const char *driver = eg_json_text(container, "Driver"), *image = eg_json_text(container, "Image");
	EG_JSON json_t *config = NULL;
	char path[PATH_MAX];

	if (!eg_oci_plain_id(driver) || !image || strncmp(image, "sha256:", 7) != 0 || !eg_oci_plain_id(image + 7) ||
	    snprintf(path, sizeof(path), "%s/image/%s/imagedb/content/sha256/%s", docker_root, driver, image + 7) >=
		    (int)sizeof(path))
		return -ENODATA;
	config = load(path);
	if (!json_is_object(config))
		return -ENODATA;
	return says(json_object_get(json_object_get(config, "config"), "Labels"), key, value);
}

/* ---- Podman ------------------------------------------------------------------------------------------ */

/*
 * The bundle is STORE/DRIVER-containers/ID/userdata: its part up to "-containers" goes to ret. Beside it are
 * DRIVER-containers/containers.json and DRIVER-images.
 */
static bool find_store(const char *bundle, const char *id, char *ret, size_t size)
{
	char tail[ID_MAX + 32];
	size_t len = strlen(bundle), end;

	end = (size_t)snprintf(tail, sizeof(tail), "-containers/%s/userdata", id);
	if (len <= end || len - end >= size || strcmp(bundle + len - end, tail) != 0)
		return false;
	snprintf(ret, size, "%.*s", (int)(len - end), bundle);
	return true;
}

static const json_t *find_container(const json_t *list, const char *id)
{
	const json_t *container;
	size_t i;

	json_array_foreach(list, i, container) {
		if (says(container, "id", id))
			return container;
	}
	return NULL;
}

int eg_oci_image_annotations(const json_t *annotations, const char *bundle, const char *id, const char *key,
			     const char *value)
{
	EG_JSON json_t *containers = NULL, *manifest = NULL;
	char store[PATH_MAX / 2], path[PATH_MAX];
	const char *image;

	if (!says(annotations, "io.container.manager", "libpod"))
		return 0;
	if (!bundle || !eg_oci_plain_id(id) || !find_store(bundle, id, store, sizeof(store)))
		return -ENODATA;
	snprintf(path, sizeof(path), "%s-containers/containers.json", store);
	containers = load(path);
	image = eg_json_text(find_container(containers, id), "image");
	if (image && !image[0])
		return 0; /* of a plain directory */
	if (!eg_oci_plain_id(image) ||
	    snprintf(path, sizeof(path), "%s-images/%s/manifest", store, image) >= (int)sizeof(path))
		return -ENODATA;
	manifest = load(path);
	return json_is_object(manifest) ? says(json_object_get(manifest, "annotations"), key, value) : -ENODATA;
}
