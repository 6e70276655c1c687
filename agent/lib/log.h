/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs say of themselves, one line each, on stderr. Under systemd the line
 * begins with a priority prefix (sd-daemon(3)). Pure modules never log: they return an
 * errno or fill a diagnostic, and the one who decides what happens next logs it once.
 */
#ifndef EG_LIB_LOG_H
#define EG_LIB_LOG_H

enum eg_log_level { EG_LOG_ERR = 3, EG_LOG_WARNING = 4, EG_LOG_NOTICE = 5, EG_LOG_INFO = 6, EG_LOG_DEBUG = 7 };

/* Lines above level are left out. Default: EG_LOG_INFO. */
void eg_log_set_level(enum eg_log_level level);

/* Thread-safe; never blocks on anything but stderr; keeps errno. */
void eg_log(enum eg_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define eg_log_err(...)     eg_log(EG_LOG_ERR, __VA_ARGS__)
#define eg_log_warning(...) eg_log(EG_LOG_WARNING, __VA_ARGS__)
#define eg_log_notice(...)  eg_log(EG_LOG_NOTICE, __VA_ARGS__)
#define eg_log_info(...)    eg_log(EG_LOG_INFO, __VA_ARGS__)
#define eg_log_debug(...)   eg_log(EG_LOG_DEBUG, __VA_ARGS__)

#endif
