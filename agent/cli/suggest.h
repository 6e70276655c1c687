/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suggest.h - the smallest policy that explains what was seen
 *
 * A destination that the app had looked up is its name, any other its address. Destinations with
 * the same ports share a rule; ports in a row are a range. Nothing is widened: a prefix or a wildcard
 * is for a person to write. The same events give the same text.
 */
#ifndef EG_CLI_SUGGEST_H
#define EG_CLI_SUGGEST_H

#include <jansson.h>

#include "../lib/seen.h"

/*
 * base: the policy in force; its rules are replaced, the mode becomes enforce, all else stays. seen is
 * sorted. *ret_evidence: [{"rule","direction","proto","peer","port","name","flows","bytes","last"}...].
 * NULL without memory.
 */
json_t *eg_suggest(const json_t *base, const struct eg_seen *seen, json_t **ret_evidence);

#endif
