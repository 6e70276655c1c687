/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_image.h - what a container's image says of itself
 *
 * Docker gives a container the labels of its image, Podman the annotations, beside those that whoever runs it
 * asked for; nothing tells them apart afterwards. So the image is looked at.
 */
#ifndef EG_CLI_OCI_IMAGE_H
#define EG_CLI_OCI_IMAGE_H

#include <jansson.h>
#include <stdbool.h>

/* An id, or a name of the same harmless bytes: it becomes a part of a path. */
bool eg_oci_plain_id(const char *id);

/*
 * Whether the image of Docker's container (its config.v2.json) has the label with that very value.
 * 1, 0, or -ENODATA: its image can't be read.
 */
int eg_oci_image_labels(const char *docker_root, const json_t *container, const char *key, const char *value);

/*
 * The same of the annotations of a Podman container's image; 0 for a container of any other manager, none of which
 * takes annotations from images.
 */
int eg_oci_image_annotations(const json_t *annotations, const char *bundle, const char *id, const char *key,
			     const char *value);

#endif
