// SPDX-License-Identifier: Apache-2.0
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS         1ull
#define MS         (1000000ull * NS)
#define SECOND     (1000ull * MS)
#define MINUTE     (60 * SECOND)
#define HOUR       (60 * MINUTE)
#define DAY        (24 * HOUR)
#define BYTES_MAX  (1ull << 47)
#define BITS_MIN   8ull
#define BITS_MAX   100000000000ull
#define SPAN_MAX   (3653 * DAY) /* 10 years */
#define COUNT_MAX  1000000000ull

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit byte_units[] = {
	{"", 1},
	{"B", 1},
	{"KiB", 1ull << 10},
	{"MiB", 1ull << 20},
	{"GiB", 1ull << 30},
	{"TiB", 1ull << 40},
	{"kB", 1000},
	{"MB", 1000000},
	{"GB", 1000000000},
	{"TB", 1000000000000},
	{NULL, 0},
};

static const struct unit bit_units[] = {
	{"bit", 1}, {"kbit", 1000}, {"Mbit", 1000000}, {"Gbit", 1000000000}, {NULL, 0},
};

static const struct unit span_units[] = {
	{"ms", MS}, {"s", SECOND}, {"min", MINUTE}, {"m", MINUTE}, {"h", HOUR}, {"d", DAY}, {NULL, 0},
};

/* Digits, then at most one space. *text moves on. */
static int take_number(const char **text, uint64_t *ret)
{
	const char *p = *text;
	uint64_t value = 0;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return -ERANGE;
	}
	*text = p;
	*ret = value;
	return 0;
}

static int find_unit(const struct unit *units, const char *name, size_t length, uint64_t *ret_factor)
{
	for (; units->name; units++) {
		if (strlen(units->name) == length && memcmp(units->name, name, length) == 0) {
			*ret_factor = units->factor;
			return 0;
		}
	}
	return -EDOM;
}

static int scale(uint64_t number, uint64_t factor, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t value;

	if (__builtin_mul_overflow(number, factor, &value) || value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

/* A size of length bytes of text. */
static int bytes_of(const char *text, size_t length, uint64_t *ret)
{
	const char *p = text;
	uint64_t number, factor;
	int r = take_number(&p, &number);

	if (r < 0)
		return r;
	if ((size_t)(p - text) > length)
		return -EINVAL;
	if (*p == ' ' && (size_t)(p - text) + 1 < length)
		p++;
	r = find_unit(byte_units, p, length - (size_t)(p - text), &factor);
	return r < 0 ? r : scale(number, factor, 1, BYTES_MAX, ret);
}

int eg_units_bytes(const char *text, uint64_t *ret_bytes)
{
	return bytes_of(text, strlen(text), ret_bytes);
}

int eg_units_bitrate(const char *text, uint64_t *ret_bits)
{
	const char *p = text;
	uint64_t number, factor;
	size_t length;
	int r = take_number(&p, &number);

	if (r < 0)
		return r;
	if (*p == ' ')
		p++;
	length = strlen(p);
	if (length < 2 || strcmp(p + length - 2, "/s") != 0)
		return -EDOM;
	r = find_unit(bit_units, p, length - 2, &factor);
	return r < 0 ? r : scale(number, factor, BITS_MIN, BITS_MAX, ret_bits);
}

int eg_units_span(const char *text, uint64_t *ret_ns)
{
	uint64_t total = 0, last = UINT64_MAX;

	if (!*text)
		return -EINVAL;
	while (*text) {
		uint64_t number, factor, part;
		size_t length;
		int r = take_number(&text, &number);

		if (r < 0)
			return r;
		length = strcspn(text, "0123456789");
		r = find_unit(span_units, text, length, &factor);
		if (r < 0)
			return r;
		if (factor >= last) /* "1m1h", "1h1h" */
			return -EINVAL;
		last = factor;
		text += length;
		if (__builtin_mul_overflow(number, factor, &part) || __builtin_add_overflow(total, part, &total))
			return -ERANGE;
	}
	if (total < MS || total > SPAN_MAX)
		return -ERANGE;
	*ret_ns = total;
	return 0;
}

/* "min", "s", "h", "d", or a number of them: "10s". */
static int per_of(const char *text, uint64_t *ret_ns)
{
	uint64_t factor;

	if (find_unit(span_units, text, strlen(text), &factor) == 0) {
		*ret_ns = factor;
		return 0;
	}
	return eg_units_span(text, ret_ns);
}

int eg_units_count_rate(const char *text, uint64_t *ret_count, uint64_t *ret_per_ns)
{
	uint64_t count, per;
	int r = take_number(&text, &count);

	if (r < 0)
		return r;
	if (*text != '/')
		return *text ? -EINVAL : -EDOM;
	r = per_of(text + 1, &per);
	if (r < 0)
		return r == -EINVAL ? -EDOM : r;
	if (!count || count > COUNT_MAX)
		return -ERANGE;
	*ret_count = count;
	*ret_per_ns = per;
	return 0;
}

int eg_units_bytes_rate(const char *text, uint64_t *ret_bytes, uint64_t *ret_per_ns)
{
	const char *slash = strchr(text, '/');
	uint64_t bytes, per;
	int r;

	if (!slash)
		return *text >= '0' && *text <= '9' ? -EDOM : -EINVAL;
	r = bytes_of(text, (size_t)(slash - text), &bytes);
	if (r < 0)
		return r;
	r = per_of(slash + 1, &per);
	if (r < 0)
		return r == -EINVAL ? -EDOM : r;
	*ret_bytes = bytes;
	*ret_per_ns = per;
	return 0;
}

/* ---- Moments: RFC 3339 ------------------------------------------------------------------ */

static int digits(const char **text, unsigned count, unsigned min, unsigned max, unsigned *ret)
{
	unsigned value = 0;

	for (unsigned i = 0; i < count; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return -EINVAL;
		value = value * 10 + (unsigned)(**text - '0');
	}
	*ret = value;
	return value < min || value > max ? -EINVAL : 0;
}

static int one_of(const char **text, const char *accepted)
{
	if (!**text || !strchr(accepted, **text))
		return -EINVAL;
	(*text)++;
	return 0;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

static int take_fraction(const char **text, uint64_t *ret_ns)
{
	uint64_t ns = 0, place = SECOND / 10;

	*ret_ns = 0;
	if (**text != '.')
		return 0;
	(*text)++;
	if (**text < '0' || **text > '9')
		return -EINVAL;
	for (; **text >= '0' && **text <= '9'; (*text)++, place /= 10)
		ns += (uint64_t)(**text - '0') * place;
	*ret_ns = ns;
	return 0;
}

static int take_offset(const char **text, int64_t *ret_seconds)
{
	int64_t sign = **text == '-' ? -1 : 1;
	unsigned hours, minutes;

	*ret_seconds = 0;
	if (**text == 'Z' || **text == 'z') {
		(*text)++;
		return 0;
	}
	if (**text != '+' && **text != '-')
		return -EDOM; /* no offset: which zone is meant? */
	(*text)++;
	if (digits(text, 2, 0, 23, &hours) || one_of(text, ":") || digits(text, 2, 0, 59, &minutes))
		return -EINVAL;
	*ret_seconds = sign * (int64_t)(hours * 3600 + minutes * 60);
	return 0;
}

int eg_units_moment(const char *text, uint64_t *ret_utc_ns)
{
	unsigned year, month, day, hour, minute, second;
	int64_t offset, seconds;
	uint64_t fraction;
	struct tm tm;
	int r;

	if (digits(&text, 4, 1, 9999, &year) || one_of(&text, "-") || digits(&text, 2, 1, 12, &month) ||
	    one_of(&text, "-") || digits(&text, 2, 1, days_in_month(year, month), &day) || one_of(&text, "Tt ") ||
	    digits(&text, 2, 0, 23, &hour) || one_of(&text, ":") || digits(&text, 2, 0, 59, &minute) ||
	    one_of(&text, ":") || digits(&text, 2, 0, 60, &second) || take_fraction(&text, &fraction))
		return -EINVAL;
	r = take_offset(&text, &offset);
	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	tm = (struct tm){
		.tm_year = (int)year - 1900,
		.tm_mon = (int)month - 1,
		.tm_mday = (int)day,
		.tm_hour = (int)hour,
		.tm_min = (int)minute,
		.tm_sec = (int)second,
	};
	seconds = timegm(&tm) - offset;
	if (seconds < 0 || seconds >= (int64_t)(UINT64_MAX / SECOND))
		return -ERANGE;
	*ret_utc_ns = (uint64_t)seconds * SECOND + fraction;
	return 0;
}

/* ---- For people ---------------------------------------------------------------------------- */

const char *eg_units_bytes_text(uint64_t bytes, char *ret, size_t size)
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t unit = 0;
	uint64_t scaled = bytes;

	for (; scaled >= 1024; unit++)
		scaled /= 1024;
	if (unit == 0 || bytes % (1ull << (10 * unit)) == 0)
		snprintf(ret, size, "%" PRIu64 " %s", scaled, names[unit]);
	else
		snprintf(ret, size, "%.1f %s", (double)bytes / (double)(1ull << (10 * unit)), names[unit]);
	return ret;
}

const char *eg_units_span_text(uint64_t ns, char *ret, size_t size)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} parts[] = {{DAY, "d"}, {HOUR, "h"}, {MINUTE, "m"}, {SECOND, "s"}};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t rest = ns % parts[i].ns;

		if (ns < parts[i].ns)
			continue;
		if (i + 1 < sizeof(parts) / sizeof(parts[0]) && rest / parts[i + 1].ns)
			snprintf(ret, size, "%" PRIu64 "%s %" PRIu64 "%s", ns / parts[i].ns, parts[i].name,
				 rest / parts[i + 1].ns, parts[i + 1].name);
		else
			snprintf(ret, size, "%" PRIu64 "%s", ns / parts[i].ns, parts[i].name);
		return ret;
	}
	if (ns && ns < MS)
		snprintf(ret, size, "%.3f ms", (double)ns / (double)MS);
	else
		snprintf(ret, size, "%" PRIu64 " ms", (uint64_t)(ns / MS));
	return ret;
}

const char *eg_units_moment_text(uint64_t utc_ns, char *ret, size_t size)
{
	time_t seconds = (time_t)(utc_ns / SECOND);
	char date[40];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	if (utc_ns % SECOND)
		snprintf(ret, size, "%s.%09" PRIu64 "Z", date, (uint64_t)(utc_ns % SECOND));
	else
		snprintf(ret, size, "%sZ", date);
	return ret;
}
