/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - columns that line up, for people
 */
#ifndef EG_CLI_TABLE_H
#define EG_CLI_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../lib/cleanup.h"

enum eg_style { EG_STYLE_NONE, EG_STYLE_BOLD, EG_STYLE_DIM, EG_STYLE_GOOD, EG_STYLE_WARN, EG_STYLE_BAD };

struct eg_table;

/*
 * titles: "APP|STATE|>BYTES"; a column whose title begins with '>' is aligned to the right. A
 * title that is empty prints nothing, and if all are, there is no line of titles. NULL without memory.
 */
struct eg_table *eg_table_new(const char *titles);
void eg_table_free(struct eg_table *table);
EG_DEFINE_CLEANUP(table, struct eg_table *, eg_table_free);
#define EG_TABLE EG_CLEANUP(eg_cleanup_table)

/* The next cell of the row; after the last one a new row begins. Text is cleaned; NULL and "" are "-". */
void eg_table_cell(struct eg_table *table, enum eg_style style, const char *text);
void eg_table_cellf(struct eg_table *table, enum eg_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void eg_table_bytes(struct eg_table *table, uint64_t bytes);
void eg_table_number(struct eg_table *table, uint64_t number);
/* A cell with nothing in it. */
void eg_table_blank(struct eg_table *table);

size_t eg_table_rows(const struct eg_table *table);
/* Each line after the indent. -ENOMEM: a cell was lost before; what there is was printed. */
int eg_table_print(const struct eg_table *table, FILE *out, bool color, const char *indent);

/* The escape sequence that begins a style, and the one that ends it; "" without colour. */
const char *eg_style_on(enum eg_style style, bool color);
const char *eg_style_off(enum eg_style style, bool color);

#endif
