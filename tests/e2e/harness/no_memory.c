// SPDX-License-Identifier: Apache-2.0
/*
 * To be preloaded: of so many allocations one fails, by chance, as the file says that NO_MEMORY names (4 bytes, mapped,
 * so that it can change at any time); 0: none does. With NO_MEMORY_JSON those of jansson fail, too, which ends programs
 * (agent/lib/json_memory.c); without it has what it wants, so that what others do without is seen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

/* jansson's: not called by programs that are to be spared its end. */
void json_set_alloc_funcs(void *(*get)(size_t), void (*release)(void *));

static const volatile uint32_t *one_in;
static uintptr_t json_first, json_last; /* where jansson's code lies, if it is spared */
static _Atomic uint64_t drawn = 88172645463325252ull;

static int find_json(struct dl_phdr_info *info, size_t size, void *ctx)
{
	(void)size;
	(void)ctx;
	if (!strstr(info->dlpi_name, "/libjansson"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
			json_first = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			json_last = json_first + info->dlpi_phdr[i].p_memsz;
		}
	return 1;
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("NO_MEMORY");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd >= 0 ? mmap(NULL, sizeof(*one_in), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (map == MAP_FAILED)
		abort(); /* a test with enough memory would show nothing */
	if (!getenv("NO_MEMORY_JSON"))
		dl_iterate_phdr(find_json, NULL);
	one_in = map;
}

void json_set_alloc_funcs(void *(*get)(size_t), void (*release)(void *))
{
	void (*real)(void *(*)(size_t), void (*)(void *)) =
		(void (*)(void *(*)(size_t), void (*)(void *)))dlsym(RTLD_NEXT, "json_set_alloc_funcs");

	if (!json_first)
		real(get, release);
}

/* xorshift64 (Marsaglia 2003) */
static int fails(const void *caller)
{
	uint32_t often = one_in ? *one_in : 0;
	uint64_t n = drawn;

	if (!often || ((uintptr_t)caller >= json_first && (uintptr_t)caller < json_last))
		return 0;
	n ^= n << 13;
	n ^= n >> 7;
	n ^= n << 17;
	drawn = n;
	if (n % often)
		return 0;
	errno = ENOMEM;
	return 1;
}

#define HERE __builtin_return_address(0)

void *malloc(size_t size)
{
	return fails(HERE) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(HERE) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails(HERE) ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return fails(HERE) ? NULL : __libc_realloc(old, bytes);
}
