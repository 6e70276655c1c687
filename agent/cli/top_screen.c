// SPDX-License-Identifier: Apache-2.0
/*
 * top_screen.c - egret top on a terminal
 *
 * The selection is an app, not a line: it stays with its app as the order changes, and a kill
 * names the app and asks for a typed "yes", so that nobody else is hit. While something is typed
 * no sample is taken. An agent that does not answer is told in the last line; what was last known
 * stays on the screen.
 */
#include <ctype.h>
#include <curses.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "../lib/units.h"
#include "show.h"
#include "text.h"
#include "top.h"
#include "which.h"

#define SECOND	   1000000000ull
#define ROWS_ABOVE 3 /* two lines of sums, one of titles */
#define KEYS	   "q quit  r/c/d/l/n sort by rate, cap, denied, live, name  / filter  K kill  space pause"
#define CTRL_C	   3
#define ESCAPE	   27
#define BAR	   10
#define OTHERS	   79 /* columns that all but the name take */
#define NAME_MIN   16

enum pair { PAIR_GOOD = 1, PAIR_WARN, PAIR_BAD };

struct screen {
	struct eg_cli *cli;
	struct eg_top *top;
	char selected[EG_APP_NAME_LEN];
	size_t at; /* its line among those that are shown, or where it was */
	size_t first; /* line that is shown first */
	bool paused;
	bool color;
	char said[512]; /* in the last line; "": the keys */
	bool bad; /* what was said is a failure */
};

/* ---- Drawing -------------------------------------------------------------------------------- */

static attr_t style_of(const struct screen *screen, enum eg_style style)
{
	static const short pairs[] = {
		[EG_STYLE_GOOD] = PAIR_GOOD, [EG_STYLE_WARN] = PAIR_WARN, [EG_STYLE_BAD] = PAIR_BAD};

	if (style < EG_STYLE_GOOD)
		return A_NORMAL;
	return screen->color ? (attr_t)COLOR_PAIR(pairs[style]) : style == EG_STYLE_BAD ? A_BOLD : A_NORMAL;
}

/* Cleaned, and cut at the end of the line. */
static void put(int line, attr_t attributes, const char *text)
{
	EG_FREE char *clean = eg_text_clean(text);

	attron(attributes);
	mvaddnstr(line, 0, clean ? clean : "out of memory", COLS);
	attroff(attributes);
}

static void draw_sums(const struct screen *screen)
{
	const struct eg_top *top = screen->top;
	char text[512], out[32], in[32], clock[16];
	time_t now = time(NULL);
	struct tm tm;

	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	snprintf(text, sizeof(text), "egret top  %s  %zu app%s, %zu killed%s", clock, top->count, eg_cli_s(top->count),
		 top->killed, screen->paused ? "  PAUSED" : "");
	put(0, A_BOLD, text);
	snprintf(text, sizeof(text), "out %s/s  in %s/s  denied %" PRIu64 "/s  live %" PRIu64 "  by %s%s%s",
		 eg_units_bytes_text(top->sum.out_per_s, out, sizeof(out)),
		 eg_units_bytes_text(top->sum.in_per_s, in, sizeof(in)), top->sum.denied_per_s, top->sum.sockets,
		 eg_top_sorts[top->sort], top->filter[0] ? "  only " : "", top->filter);
	put(1, A_NORMAL, text);
}

/* Of the column of names: what the others leave. */
static int name_width(void)
{
	int rest = COLS - OTHERS;

	return rest < NAME_MIN ? NAME_MIN : rest > EG_APP_NAME_LEN ? EG_APP_NAME_LEN : rest;
}

/* "#####....." */
static const char *bar(int percent, char ret[BAR + 1])
{
	int full = percent < 0 ? 0 : percent > 100 ? BAR : (percent * BAR + 99) / 100;

	memset(ret, '.', BAR);
	memset(ret, '#', (size_t)full);
	ret[BAR] = '\0';
	if (percent < 0)
		memset(ret, ' ', BAR);
	return ret;
}

static void draw_row(const struct screen *screen, int line, const struct eg_top_row *row)
{
	bool selected = strcmp(row->app, screen->selected) == 0;
	enum eg_style style = row->cap_percent >= 100 ? EG_STYLE_BAD : eg_show_state_style(row->state);
	char text[512], out[32], in[32], percent[16], gauge[BAR + 1];

	snprintf(percent, sizeof(percent), "%d%%", row->cap_percent);
	snprintf(text, sizeof(text), "%-*.*s %-10s %6" PRIu64 " %11s %11s %8" PRIu64 " %9" PRIu64 " %5s %s",
		 name_width(), name_width(), row->app, row->state, row->sockets,
		 eg_units_bytes_text(row->out_per_s, out, sizeof(out)), eg_units_bytes_text(row->in_per_s, in, sizeof(in)), row->denied_per_s, row->denied,
		 row->cap_percent < 0 ? "-" : percent, bar(row->cap_percent, gauge));
	put(line, selected ? A_REVERSE : style == EG_STYLE_GOOD ? A_NORMAL : style_of(screen, style), text);
}

static void draw(struct screen *screen)
{
	const struct eg_top *top = screen->top;
	int room = LINES - ROWS_ABOVE - 1;
	char titles[512];

	erase();
	draw_sums(screen);
	snprintf(titles, sizeof(titles), "%-*s %-10s %6s %11s %11s %8s %9s %5s %-*s", name_width(), "APP",
		 "STATE", "LIVE", "OUT/S", "IN/S", "DENIED/S", "DENIED", "CAP", COLS, "");
	put(2, A_REVERSE, titles);
	if (room > 0 && screen->at >= screen->first + (size_t)room)
		screen->first = screen->at - (size_t)room + 1;
	if (screen->at < screen->first)
		screen->first = screen->at;
	for (int i = 0; i < room && screen->first + (size_t)i < top->shown_count; i++)
		draw_row(screen, ROWS_ABOVE + i, top->shown[screen->first + (size_t)i]);
	if (!top->shown_count && top->when_ns)
		put(ROWS_ABOVE, A_NORMAL, top->filter[0] ? "No app has that in its name or state." : "There are no apps yet.");
	put(LINES - 1, screen->said[0] && screen->bad ? style_of(screen, EG_STYLE_BAD) : A_NORMAL,
	    screen->said[0] ? screen->said : KEYS);
	refresh();
}

/* ---- The selection ----------------------------------------------------------------------------- */

static void select_line(struct screen *screen, long at)
{
	const struct eg_top *top = screen->top;

	if (!top->shown_count)
		return;
	screen->at = at < 0 ? 0 : (size_t)at >= top->shown_count ? top->shown_count - 1 : (size_t)at;
	snprintf(screen->selected, sizeof(screen->selected), "%s", top->shown[screen->at]->app);
}

/* Where the selected app is now; whoever took its line if it has gone. */
static void follow(struct screen *screen)
{
	for (size_t i = 0; i < screen->top->shown_count; i++) {
		if (strcmp(screen->top->shown[i]->app, screen->selected) == 0) {
			screen->at = i;
			return;
		}
	}
	screen->selected[0] = '\0';
	select_line(screen, (long)screen->at);
}

static void arrange(struct screen *screen)
{
	eg_top_arrange(screen->top);
	follow(screen);
}

/* ---- Asking ---------------------------------------------------------------------------------------- */

static void say_failure(struct screen *screen, struct eg_error *err)
{
	snprintf(screen->said, sizeof(screen->said), "%s", err->message);
	screen->bad = true;
	eg_error_clear(err);
}

static void sample(struct screen *screen)
{
	struct eg_error err = {0};

	if (eg_top_sample(screen->cli, screen->top, &err)) {
		say_failure(screen, &err);
		return;
	}
	if (screen->bad)
		screen->said[0] = '\0';
	screen->bad = false;
	follow(screen);
}

/* Reads a line at the bottom. False: Escape. */
static bool ask(const char *prompt, char *ret, size_t size)
{
	size_t len = 0;
	int key;

	timeout(-1);
	for (;;) {
		char line[512];

		snprintf(line, sizeof(line), "%s%.*s", prompt, (int)len, ret);
		move(LINES - 1, 0);
		clrtoeol();
		put(LINES - 1, A_BOLD, line);
		refresh();
		key = getch();
		if (key == ESCAPE || key == CTRL_C)
			return false;
		if (key == '\n' || key == '\r' || key == KEY_ENTER)
			break;
		if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && len)
			len--;
		else if (key < 0x7f && isprint(key) && len + 1 < size)
			ret[len++] = (char)key;
	}
	ret[len] = '\0';
	return true;
}

static void kill_selected(struct screen *screen)
{
	char app[EG_APP_NAME_LEN], prompt[160], answer[8] = "", clock[16];
	EG_FREE char *path = NULL;
	EG_JSON json_t *told = NULL;
	struct eg_error err = {0};
	const char body[] = "{\"reason\":\"egret top\"}";
	struct eg_client_request request = {.method = "POST", .body = body, .len = sizeof(body) - 1};
	time_t now;
	struct tm tm;

	if (!screen->selected[0])
		return;
	memcpy(app, screen->selected, sizeof(app));
	snprintf(prompt, sizeof(prompt), "Kill %s until it is restored? Type yes: ", app);
	screen->bad = false;
	if (!ask(prompt, answer, sizeof(answer)) || strcmp(answer, "yes") != 0) {
		snprintf(screen->said, sizeof(screen->said), "%s was not killed.", app);
		return;
	}
	request.path = path = eg_which_path(app, "kill");
	if (!path)
		eg_error_set(&err, 0, "no_memory", "out of memory");
	if (!path || eg_client_call(screen->cli->client, &request, &told, &err)) {
		say_failure(screen, &err);
		return;
	}
	now = time(NULL);
	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	snprintf(screen->said, sizeof(screen->said), "%s killed %s: %" PRIu64 " sockets cut%s", clock, app,
		 eg_json_u64(told, "sockets"), eg_json_true(told, "durable") ? "" : "; the record is NOT ON DISK yet");
	sample(screen);
}

/* ---- Keys -------------------------------------------------------------------------------------------- */

static void ask_filter(struct screen *screen)
{
	char text[EG_APP_NAME_LEN] = "";

	if (!ask("Only apps with: ", text, sizeof(text)))
		text[0] = '\0';
	memcpy(screen->top->filter, text, sizeof(text));
	screen->said[0] = '\0';
	arrange(screen);
}

static bool sort_key(struct screen *screen, int key)
{
	for (int i = 0; i < EG_TOP_SORT_COUNT_; i++) {
		if (key == eg_top_sorts[i][0]) {
			screen->top->sort = (enum eg_top_sort)i;
			arrange(screen);
			return true;
		}
	}
	return false;
}

static void move_key(struct screen *screen, int key)
{
	long at = (long)screen->at, page = LINES > ROWS_ABOVE + 2 ? LINES - ROWS_ABOVE - 2 : 1;

	switch (key) {
	case KEY_UP:
	case 'k':
		return select_line(screen, at - 1);
	case KEY_DOWN:
	case 'j':
		return select_line(screen, at + 1);
	case KEY_PPAGE:
		return select_line(screen, at - page);
	case KEY_NPAGE:
		return select_line(screen, at + page);
	case KEY_HOME:
		return select_line(screen, 0);
	case KEY_END:
		return select_line(screen, (long)screen->top->shown_count - 1);
	}
}

/* False: enough. */
static bool on_key(struct screen *screen, int key)
{
	if (key == 'q' || key == CTRL_C)
		return false;
	if (sort_key(screen, key))
		return true;
	if (key == '/')
		ask_filter(screen);
	else if (key == 'K')
		kill_selected(screen);
	else if (key == ' ')
		screen->paused = !screen->paused;
	else if (key == ESCAPE)
		screen->said[0] = '\0';
	else
		move_key(screen, key);
	return true;
}

/* ---- Running -------------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void run(struct screen *screen, int64_t interval_ms)
{
	int64_t next = 0;
	int key = ERR;

	do {
		if (!screen->paused && now_ms() >= next) {
			sample(screen);
			next = now_ms() + interval_ms;
		}
		draw(screen);
		timeout(screen->paused ? -1 : next > now_ms() ? (int)(next - now_ms()) : 0);
		key = getch();
	} while (key == ERR || on_key(screen, key));
}

int eg_top_screen(struct eg_cli *cli, struct eg_top *top, uint64_t interval_ns)
{
	struct screen screen = {.cli = cli, .top = top};
	SCREEN *terminal = newterm(NULL, stdout, stdin);

	if (!terminal)
		return eg_cli_usage(cli, "the terminal that TERM names is not known here: say --batch");
	set_escdelay(25);
	raw(); /* Ctrl-C is a key: the terminal is left as it was */
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	curs_set(0);
	screen.color = cli->color && has_colors() && start_color() == OK && use_default_colors() == OK;
	if (screen.color) {
		init_pair(PAIR_GOOD, COLOR_GREEN, -1);
		init_pair(PAIR_WARN, COLOR_YELLOW, -1);
		init_pair(PAIR_BAD, COLOR_RED, -1);
	}
	run(&screen, (int64_t)(interval_ns / 1000000));
	endwin();
	delscreen(terminal);
	return EG_EXIT_OK;
}
