// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "../lib/units.h"
#include "text.h"

#define GAP 2 /* between columns */

struct cell {
	char *text; /* clean; NULL: empty */
	enum eg_style style;
};

struct column {
	char *title;
	bool right;
	size_t width;
};

struct eg_table {
	struct column *columns;
	size_t column_count;
	bool titled;
	struct cell *cells; /* row by row */
	size_t count;
	size_t room;
	bool lost;
};

static const char *const codes[] = {
	[EG_STYLE_NONE] = "",	     [EG_STYLE_BOLD] = "\033[1m",  [EG_STYLE_DIM] = "\033[2m",
	[EG_STYLE_GOOD] = "\033[32m", [EG_STYLE_WARN] = "\033[33m", [EG_STYLE_BAD] = "\033[1;31m",
};

const char *eg_style_on(enum eg_style style, bool color)
{
	return color ? codes[style] : "";
}

const char *eg_style_off(enum eg_style style, bool color)
{
	return color && style != EG_STYLE_NONE ? "\033[0m" : "";
}

/* ---- Making ------------------------------------------------------------------------- */

static int add_column(struct eg_table *table, const char *title, size_t len)
{
	struct column *column = &table->columns[table->column_count];

	column->right = len > 0 && title[0] == '>';
	column->title = strndup(title + column->right, len - column->right);
	if (!column->title)
		return -ENOMEM;
	column->width = eg_text_width(column->title);
	table->titled = table->titled || column->title[0];
	table->column_count++;
	return 0;
}

struct eg_table *eg_table_new(const char *titles)
{
	EG_TABLE struct eg_table *table = calloc(1, sizeof(*table));
	size_t columns = 1;

	for (const char *c = titles; *c; c++)
		columns += *c == '|';
	if (!table || !(table->columns = calloc(columns, sizeof(*table->columns))))
		return NULL;
	for (size_t i = 0; i < columns; i++) {
		size_t len = strcspn(titles, "|");

		if (add_column(table, titles, len) < 0)
			return NULL;
		titles += len + 1;
	}
	return EG_TAKE_PTR(table);
}

void eg_table_free(struct eg_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->column_count; i++)
		free(table->columns[i].title);
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i].text);
	free(table->columns);
	free(table->cells);
	free(table);
}

/* Takes text, which may be NULL. */
static void put(struct eg_table *table, enum eg_style style, char *text)
{
	struct column *column = &table->columns[table->count % table->column_count];
	size_t width = text ? eg_text_width(text) : 0;

	if (table->count == table->room) {
		size_t room = table->room ? table->room * 2 : 64;
		struct cell *cells = reallocarray(table->cells, room, sizeof(*cells));

		if (!cells) {
			table->lost = true;
			free(text);
			return;
		}
		table->cells = cells;
		table->room = room;
	}
	table->cells[table->count++] = (struct cell){.text = text, .style = style};
	if (width > column->width)
		column->width = width;
}

void eg_table_cell(struct eg_table *table, enum eg_style style, const char *text)
{
	char *clean = eg_text_clean(text && text[0] ? text : "-");

	if (!clean)
		table->lost = true;
	put(table, style, clean);
}

void eg_table_cellf(struct eg_table *table, enum eg_style style, const char *format, ...)
{
	EG_FREE char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0) {
		text = NULL;
		table->lost = true;
	}
	va_end(args);
	eg_table_cell(table, style, text);
}

void eg_table_bytes(struct eg_table *table, uint64_t bytes)
{
	char text[48];

	eg_table_cell(table, EG_STYLE_NONE, eg_units_bytes_text(bytes, text, sizeof(text)));
}

void eg_table_number(struct eg_table *table, uint64_t number)
{
	eg_table_cellf(table, EG_STYLE_NONE, "%" PRIu64, number);
}

void eg_table_blank(struct eg_table *table)
{
	put(table, EG_STYLE_NONE, NULL);
}

size_t eg_table_rows(const struct eg_table *table)
{
	return (table->count + table->column_count - 1) / table->column_count;
}

/* ---- Printing ------------------------------------------------------------------------ */

static void print_cell(const struct column *column, const char *text, enum eg_style style, bool color, bool last,
		       FILE *out)
{
	size_t width = eg_text_width(text);
	int pad = column->width > width ? (int)(column->width - width) : 0;

	if (column->right)
		fprintf(out, "%*s", pad, "");
	fprintf(out, "%s%s%s", eg_style_on(style, color), text, eg_style_off(style, color));
	if (!last)
		fprintf(out, "%*s", GAP + (column->right ? 0 : pad), "");
}

/* Up to the last cell that has text, so that no line ends in blanks. */
static void print_row(const struct eg_table *table, size_t first, bool color, const char *indent, FILE *out)
{
	size_t used = 0;

	for (size_t i = 0; i < table->column_count && first + i < table->count; i++)
		if (table->cells[first + i].text)
			used = i + 1;
	fputs(indent, out);
	for (size_t i = 0; i < used; i++) {
		const struct cell *cell = &table->cells[first + i];

		print_cell(&table->columns[i], cell->text ? cell->text : "", cell->style, color, i + 1 == used, out);
	}
	fputc('\n', out);
}

static void print_titles(const struct eg_table *table, bool color, const char *indent, FILE *out)
{
	size_t used = 0;

	for (size_t i = 0; i < table->column_count; i++)
		if (table->columns[i].title[0])
			used = i + 1;
	fputs(indent, out);
	for (size_t i = 0; i < used; i++)
		print_cell(&table->columns[i], table->columns[i].title, EG_STYLE_BOLD, color, i + 1 == used, out);
	fputc('\n', out);
}

int eg_table_print(const struct eg_table *table, FILE *out, bool color, const char *indent)
{
	if (!table) {
		fprintf(out, "%sout of memory\n", indent);
		return -ENOMEM;
	}
	if (table->titled)
		print_titles(table, color, indent, out);
	for (size_t i = 0; i < table->count; i += table->column_count)
		print_row(table, i, color, indent, out);
	return table->lost ? -ENOMEM : 0;
}
