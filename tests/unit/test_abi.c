// SPDX-License-Identifier: Apache-2.0
/*
 * egret/abi.h as gcc lays it out here, against the BTF of the built object, which is how clang laid
 * it out there: every struct, every member. And no struct has padding that nobody named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <egret/abi.h>

struct layout {
	const char *name;
	size_t here, there;
};

static const struct layout sizes[] = {
#define EG_STRUCT(type, size, covered) {#type, sizeof(struct type), size},
#define EG_MEMBER(type, member, offset, size)
#include <abi_layout.h>
#undef EG_STRUCT
#undef EG_MEMBER
};

static const struct layout offsets[] = {
#define EG_STRUCT(type, size, covered)
#define EG_MEMBER(type, member, offset, size) {#type "." #member, offsetof(struct type, member), offset},
#include <abi_layout.h>
#undef EG_STRUCT
#undef EG_MEMBER
};

static const struct layout member_sizes[] = {
#define EG_STRUCT(type, size, covered)
#define EG_MEMBER(type, member, offset, size) {#type "." #member, sizeof(((struct type *)NULL)->member), size},
#include <abi_layout.h>
#undef EG_STRUCT
#undef EG_MEMBER
};

static const struct layout covered_bytes[] = {
#define EG_STRUCT(type, size, covered) {#type, sizeof(struct type), covered},
#define EG_MEMBER(type, member, offset, size)
#include <abi_layout.h>
#undef EG_STRUCT
#undef EG_MEMBER
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void same(const struct layout *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].here != rows[i].there)
			fail_msg("%s: %zu here, %zu in the object", rows[i].name, rows[i].here, rows[i].there);
}

static void sizes_are_the_objects(void **state)
{
	(void)state;
	assert_true(COUNT(sizes) >= 30); /* the structs of abi.h */
	same(sizes, COUNT(sizes));
}

static void offsets_are_the_objects(void **state)
{
	(void)state;
	assert_true(COUNT(offsets) >= 250);
	same(offsets, COUNT(offsets));
	same(member_sizes, COUNT(member_sizes));
}

/* What no member covers, nobody zeroes: it could carry the kernel's stack to a reader of the map. */
static void padding_is_named(void **state)
{
	(void)state;
	same(covered_bytes, COUNT(covered_bytes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_the_objects),
		cmocka_unit_test(offsets_are_the_objects),
		cmocka_unit_test(padding_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
