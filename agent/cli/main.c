// SPDX-License-Identifier: Apache-2.0
#include "../lib/json_memory.h"
#include "cli.h"

int main(int argc, char **argv)
{
	eg_json_memory();
	return eg_cli_main(argc, argv);
}
