// SPDX-License-Identifier: Apache-2.0
#include "child_setup.h"

#include <unistd.h>

json_t *eg_child_setup_read(uint32_t *ret_uid, uint32_t *ret_gid)
{
	json_t *setup = json_loadfd(EG_CHILD_SETUP_FD, JSON_REJECT_DUPLICATES, NULL);

	close(EG_CHILD_SETUP_FD);
	*ret_uid = (uint32_t)json_integer_value(json_object_get(setup, "uid"));
	*ret_gid = (uint32_t)json_integer_value(json_object_get(setup, "gid"));
	return setup;
}
